"""What stages do. A webhook really calls; a deployment really changes the sandbox's cluster; a judgment waits.

From source: how the webhook stage reads answers (what is retried, what ends it, ``$.status`` in every answer, progress
as text, unknown statuses go on, the cancel address called in the end). Shortened: the real stage waits 10 s before it
posts again and polls each second, then each 15; here all of it is divided by ``speed``.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

from gmud.sandbox.spinnaker import spel
from gmud.sandbox.spinnaker.calls import Heard, NoAnswer, speak
from gmud.sandbox.spinnaker.clouds import Absent, Clouds, Refused
from gmud.sandbox.spinnaker.models import Execution, Json, Stage

POST_TRIES = 30
POST_SECONDS = 10.0
POLL_SECONDS = 1.0
JUDGMENT_SECONDS = 15.0
NOT_PASSED_ON = ("x-spinnaker-user", "x-spinnaker-accounts")
LISTS = {"successStatuses": "SUCCEEDED", "canceledStatuses": "CANCELED", "terminalStatuses": "TERMINAL"}


class StageFailed(Exception):
    """The stage ends with ``TERMINAL`` and this text."""


@dataclass(frozen=True)
class Now:
    """What a stage works with: its execution, who may judge, and the time."""

    execution: Execution
    stage: Stage
    speed: float
    roles: Callable[[str], list[str]]
    closing: threading.Event
    secrets: Mapping[str, str] = field(default_factory=dict)
    """Headers of a preconfigured webhook, which stand in no execution."""

    def rest(self, seconds: float) -> bool:
        """Let time pass; ``True`` when the execution was canceled meanwhile."""
        return self.execution.stopped.wait(seconds / self.speed) or self.closing.is_set()


@dataclass(frozen=True)
class Works:
    """The kinds of stages; ``preconfigured`` gives the operator's webhooks, whose values a pipeline cannot change."""

    clouds: Clouds
    preconfigured: Callable[[], Mapping[str, Json]] = dict

    def perform(self, now: Now) -> str:
        """Do the work of a stage and return the status it ends with; a kind that is not known does nothing.

        :raises StageFailed: it must fail here
        """
        stage = now.stage
        fixed = dict(self.preconfigured().get(stage.type, {}))
        kind = "webhook" if fixed else stage.type
        now = replace(now, secrets=fixed.pop("sensitiveHeaders", {}))
        stage.context.update(spel.evaluated({**stage.context, **fixed}, now.execution))
        try:
            return self._table().get(kind, _nothing)(now)
        except (Refused, Absent) as error:
            raise StageFailed(str(error)) from error

    def _table(self) -> Mapping[str, Callable[[Now], str]]:
        return {
            "webhook": _webhook,
            "manualJudgment": _judge,
            "wait": lambda now: "CANCELED" if now.rest(float(now.stage.context.get("waitTime", 0))) else "SUCCEEDED",
            "deployManifest": self._deploy,
            "undoRolloutManifest": lambda now: self._manifest(now, self.clouds.undo),
            "patchManifest": lambda now: self._manifest(
                now, lambda place, job: self.clouds.patch(place, job["patchBody"])
            ),
            "rollbackCluster": self._rollback_cluster,
            "rollbackServerGroup": self._rollback_group,
            "enableServerGroup": lambda now: self._switch(now, on=True),
            "disableServerGroup": lambda now: self._switch(now, on=False),
        }

    def _deploy(self, now: Now) -> str:
        for manifest in now.stage.context.get("manifests", ()):
            self._apply(now, manifest)
        if "manifests" in now.stage.context:
            return "SUCCEEDED"
        given = now.execution.trigger.get("parameters", {})
        place = self.clouds.place_of(given.get("ENVIRONMENT", ""), given.get("SERVICE", ""), given.get("SLOT", ""))
        self.clouds.deploy(place, given.get("SERVICE", ""), given.get("VERSION", ""), given.get("DIGEST", ""))
        return "SUCCEEDED"

    def _apply(self, now: Now, manifest: Json) -> None:
        """Bring one Deployment of the stage there; the sandbox's cluster has no other kind that is deployed."""
        if now.stage.context.get("account") != self.clouds.account:
            raise StageFailed(f"No credentials found for {now.stage.context.get('account')}")
        if manifest.get("kind") != "Deployment":
            raise StageFailed(f"The sandbox deploys no {manifest.get('kind')}")
        meta = manifest["metadata"]
        labels = {"labels": meta["labels"]} if "labels" in meta else {}
        self.clouds.patch((meta["namespace"], meta["name"]), {"metadata": labels, "spec": manifest["spec"]})

    def _manifest(self, now: Now, change: Callable[[tuple[str, str], Json], None]) -> str:
        job = now.stage.context
        kind, _, name = str(job.get("manifestName", "")).partition(" ")
        if job.get("account") != self.clouds.account:
            raise StageFailed(f"No credentials found for {job.get('account')}")
        if kind.lower() not in ("deployment", "statefulset", "daemonset"):
            raise StageFailed(f"{kind} does not support {now.stage.type}")
        change((str(job["location"]), name), job)
        return "SUCCEEDED"

    def _rollback_cluster(self, now: Now) -> str:
        job = now.stage.context
        if "moniker" not in job and "serverGroup" not in job:
            raise StageFailed("rollbackCluster needs a moniker or a server group")
        types, contexts = {}, {}
        for region in job["regions"]:
            done = self.clouds.rollback((job["credentials"], job["moniker"]["cluster"], region))
            if done:
                types[region], contexts[region] = "EXPLICIT", done
        now.stage.outputs.update({"rollbackTypes": types, "rollbackContexts": contexts})
        return "SUCCEEDED"

    def _rollback_group(self, now: Now) -> str:
        job = now.stage.context
        names = job["rollbackContext"]
        good = self.clouds.group(names["restoreServerGroupName"], job["region"])
        bad = self.clouds.group(names["rollbackServerGroupName"], job["region"])
        good.enabled, bad.enabled = True, False
        return "SUCCEEDED"

    def _switch(self, now: Now, *, on: bool) -> str:
        self.clouds.group(now.stage.context["serverGroupName"], now.stage.context["region"]).enabled = on
        return "SUCCEEDED"


def _nothing(_now: Now) -> str:
    return "SUCCEEDED"


def _judge(now: Now) -> str:
    """Wait until somebody who may says how to go on; what others said is wiped away, and nobody is told."""
    context = now.stage.context
    while not now.rest(JUDGMENT_SECONDS):
        said = str(context.get("judgmentStatus") or "").lower()
        needed = context.get("selectedStageRoles") or context.get("requiredJudgmentRoles") or []
        judge = str((now.stage.last_modified or {}).get("user", ""))
        if said and needed and not set(needed) & set(now.roles(judge)):
            context["judgmentStatus"] = ""
        elif said == "continue":
            return "SUCCEEDED"
        elif said == "stop":
            return "TERMINAL"
    return "CANCELED"


def _webhook(now: Now) -> str:
    stage = now.stage.context
    try:
        heard = _posted(now)
        if not stage.get("waitForCompletion"):
            return "SUCCEEDED"
        status = _watched(now, _status_url(stage, heard))
    except StageFailed:
        _call_off(now)
        raise
    if status != "SUCCEEDED":
        _call_off(now)
    return status


def _posted(now: Now) -> Heard:
    stage = now.stage.context
    for _try in range(POST_TRIES):
        try:
            heard = speak(stage.get("method", "POST"), stage["url"], stage.get("payload"), _headers(now))
        except NoAnswer as error:
            raise StageFailed(f"Webhook failed: {error}") from error
        stage["webhook"] = {"statusCode": heard.status, "body": heard.json()}
        if heard.status < 400:
            return heard
        if heard.status == 504 or (heard.status < 500 and heard.status != 429):
            raise StageFailed(f"The webhook request failed with status code {heard.status}: {heard.text[:200]}")
        if now.rest(POST_SECONDS):
            break
    raise StageFailed("The webhook request was not taken")


def _status_url(stage: Json, heard: Heard) -> str:
    how = stage.get("statusUrlResolution", "getMethod")
    if how == "getMethod":
        return str(stage["url"])
    named = heard.headers.get("location") if how == "locationHeader" else _at(heard.json(), stage["statusUrlJsonPath"])
    if not named or urljoin("http://x", str(named)) != named:
        raise StageFailed(f"The status URL {named} cannot be used")
    return str(named)


def _watched(now: Now, url: str) -> str:
    stage = now.stage.context
    if now.rest(float(stage.get("waitBeforeMonitor", 0))):
        return "CANCELED"
    while True:
        try:
            heard = speak("GET", url, None, _headers(now))
        except NoAnswer:
            heard = Heard(503, {}, "")
        stage["webhook"] = {**stage["webhook"], "monitor": {"statusCode": heard.status, "body": heard.json()}}
        passing = heard.status == 429 or heard.status >= 500 or heard.status in stage.get("retryStatusCodes", ())
        if not passing and (status := _read(stage, heard)):
            return status
        if now.rest(POLL_SECONDS):
            return "CANCELED"


def _read(stage: Json, heard: Heard) -> str:
    """Return the status an answer means; empty while it goes on.

    :raises StageFailed: it cannot be read
    """
    if heard.status >= 400:
        raise StageFailed(f"The status request failed with status code {heard.status}")
    if not stage.get("statusJsonPath"):
        return "SUCCEEDED"
    said = _at(heard.json(), stage["statusJsonPath"])
    if not isinstance(said, str | int | float):
        raise StageFailed(f"The json path {stage['statusJsonPath']} did not resolve to a single value")
    progress = _at(heard.json(), stage["progressJsonPath"]) if stage.get("progressJsonPath") else ""
    if not isinstance(progress, str):
        raise StageFailed(f"The json path {stage['progressJsonPath']} did not resolve to a String value")
    stage["progressMessage"] = progress
    if not isinstance(said, str):
        return "SUCCEEDED" if said == 100 else ""
    for name, status in LISTS.items():
        if said.strip().lower() in {one.strip().lower() for one in str(stage.get(name) or "").split(",")} - {""}:
            return status
    return ""


def _call_off(now: Now) -> None:
    """Tell the other side that nobody waits any more; whether it hears is not looked at."""
    stage = now.stage.context
    if stage.get("signalCancellation") and stage.get("cancelEndpoint"):
        try:
            speak(stage.get("cancelMethod", "POST"), stage["cancelEndpoint"], stage.get("cancelPayload"), _headers(now))
        except NoAnswer:
            stage["webhook"] = {**stage["webhook"], "cancel": "no answer"}


def _headers(now: Now) -> dict[str, str]:
    given = {**now.stage.context.get("customHeaders", {}), **now.secrets}
    told = {name: value if isinstance(value, list) else [value] for name, value in given.items()}
    return {name: ", ".join(map(str, one)) for name, one in told.items() if name.lower() not in NOT_PASSED_ON}


def _at(value: Any, path: str) -> Any:
    for part in path.removeprefix("$").strip(".").split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value

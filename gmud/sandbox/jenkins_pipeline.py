"""What the sandbox's deploy job does: redeem the permit at the gate, change the cluster, look whether it took.

Pushed, it was given its permit. Started by anybody else (pull) it asks the gate for one, and reports its start and its
end; that it failed is read back. Everything here goes over HTTP, as a Jenkinsfile with ``curl`` would do it; nothing is
known beforehand.
"""

import base64
import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

SECONDS = 10.0
MERGE_PATCH = "application/merge-patch+json"


class StageFailed(Exception):
    """The stage failed, with the line that the console shows."""


class TryAgain(StageFailed):
    """The other side did not answer clearly; the same call may be repeated."""


@dataclass(frozen=True)
class Run:
    """The build as the stages see it."""

    job: str
    number: int
    url: str
    parameters: Mapping[str, str]
    say: Callable[[str], None]

    def __getitem__(self, name: str) -> str:
        """Return a parameter; an absent one is empty, as in a shell."""
        return self.parameters.get(name, "")


@dataclass(frozen=True)
class Pipeline:
    """Where the job's stages reach out to: the gate, and the cluster."""

    gate_url: str = ""
    gate_token_file: str = ""
    cluster_url: str = ""
    cluster_token: str = ""
    namespaces: Mapping[str, str] = field(
        default_factory=lambda: {"production": "bank-production", "staging": "bank-staging"}
    )
    images: str = "registry.example/bank-of-anthos"
    pulled: dict[tuple[str, int], str] = field(default_factory=dict)
    """The permits of the runs that took one themselves."""

    def perform(self, stage: str, run: Run) -> None:
        """Do the work of one stage; a stage with another name does nothing but take its time.

        :raises StageFailed: the build must fail here
        """
        work = {"Permit": self._redeem, "Deploy": self._deploy, "Verify": self._verify}.get(stage)
        if work:
            work(run)

    def _redeem(self, run: Run) -> None:
        if not self.gate_url:
            raise StageFailed("ERROR: no gate is configured, so nothing may be deployed")
        jti = permit_id(run["GMUD_PERMIT"]) if run["GMUD_PERMIT"] else self._pull(run)
        status, text = self._tell(f"gate/permits/{quote(jti, safe='')}/redeem", _named(run))
        run.say(f"+ redeem permit {jti}: {status}")
        if status != 200:
            raise StageFailed(f"ERROR: the gate refused the permit ({status}): {text[:300]}")
        self._report(run, phase="start")

    def _pull(self, run: Run) -> str:
        """Ask the gate for a permit, once; return its id."""
        if (run.job, run.number) not in self.pulled:
            place = {"service": run["SERVICE"], "environment": run["ENVIRONMENT"], "intent": "deploy"}
            artifact = {"name": run["SERVICE"], "digest": run["DIGEST"]}
            status, text = self._tell("gate/decisions", {**place, "artifact": artifact, "run": _named(run)["run"]})
            said = json.loads(text) if status == 200 else {}
            run.say(f"+ ask the gate: {said.get('verdict', status)}")
            if said.get("verdict") == "wait":
                raise TryAgain("ERROR: the gate is not open yet")
            if said.get("slot", "") not in ("", run["SLOT"]) or not said.get("permit"):
                raise StageFailed(f"ERROR: the gate does not let this be deployed here: {text[:300]}")
            self.pulled[run.job, run.number] = permit_id(said["permit"])
        return self.pulled[run.job, run.number]

    def _report(self, run: Run, **said: str) -> None:
        """Report a run that took its permit itself; of one that was given it GMUD needs no report."""
        if permit := self.pulled.get((run.job, run.number)):
            status, text = self._tell("deployments", {"permit": permit, **_named(run), **said})
            run.say(f"+ report {said['phase']}: {status}")
            if status not in (200, 201):
                raise StageFailed(f"ERROR: the report was refused ({status}): {text[:300]}")

    def _tell(self, path: str, body: Any) -> tuple[int, str]:
        url = f"{self.gate_url.rstrip('/')}/api/v1/{path}"
        status, text = _speak("POST", url, body, self._gate_token())
        if status >= 500:
            raise TryAgain(f"ERROR: the gate answered {status}")
        return status, text

    def _deploy(self, run: Run) -> None:
        url = self._deployment(run)
        image = f"{self.images}/{run['SERVICE']}:{run['VERSION']}@{run['DIGEST']}"
        patch = {
            "metadata": {"labels": {"version": run["VERSION"]}},
            "spec": {
                "template": {
                    "metadata": {"labels": {"version": run["VERSION"]}},
                    "spec": {"containers": [{"name": run["SERVICE"], "image": image}]},
                }
            },
        }
        status, text = _speak("PATCH", url, patch, self.cluster_token, MERGE_PATCH)
        run.say(f"+ patch {urlsplit(url).path}: {status}")
        if status >= 500:
            raise TryAgain(f"ERROR: the cluster answered {status}")
        if status not in (200, 201):
            raise StageFailed(f"ERROR: the cluster refused the deployment ({status}): {text[:300]}")

    def _verify(self, run: Run) -> None:
        status, text = _speak("GET", self._deployment(run), None, self.cluster_token)
        if status != 200:
            raise TryAgain(f"ERROR: the cluster answered {status}")
        version = json.loads(text)["spec"]["template"]["metadata"]["labels"].get("version")
        run.say(f"+ running version: {version}")
        if version != run["VERSION"]:
            raise StageFailed(f"ERROR: {version} runs, {run['VERSION']} was deployed")
        self._report(run, phase="finish", outcome="succeeded")

    def _deployment(self, run: Run) -> str:
        if not self.cluster_url:
            raise StageFailed("ERROR: no cluster is configured")
        namespace = self.namespaces.get(run["ENVIRONMENT"], run["ENVIRONMENT"])
        name = f"{run['SERVICE']}-{run['SLOT'] or 'stable'}"
        path = f"/apis/apps/v1/namespaces/{quote(namespace, safe='')}/deployments/{quote(name, safe='')}"
        return self.cluster_url.rstrip("/") + path

    def _gate_token(self) -> str:
        place = self.gate_token_file or os.environ.get("GMUD_GATE_TOKEN_FILE", "")
        if place and Path(place).exists():
            return Path(place).read_text().strip()
        return os.environ.get("GMUD_GATE_TOKEN", "")


def _named(run: Run) -> dict[str, Any]:
    """Return which run it is, and what it brings."""
    name = {"provider": "jenkins", "id": f"{run.job}#{run.number}", "url": run.url}
    return {"run": name, "artifact_digest": run["DIGEST"]}


def permit_id(permit: str) -> str:
    """Return the ``jti`` in the payload of a compact JWS; whether it is genuine is the gate's to say.

    :raises StageFailed: there is no permit, or it is not a JWS
    """
    try:
        payload = permit.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return str(claims["jti"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise StageFailed("ERROR: GMUD_PERMIT holds no permit, so nothing is deployed") from error


def _speak(method: str, url: str, body: Any, token: str, kind: str = "application/json") -> tuple[int, str]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=SECONDS)
    headers = {"Accept": "application/json", "Host": parts.netloc}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = kind
    try:
        connection.request(method, parts.path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        raise TryAgain(f"ERROR: {parts.netloc} did not answer ({type(error).__name__})") from error
    finally:
        connection.close()

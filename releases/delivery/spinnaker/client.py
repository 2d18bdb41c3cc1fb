"""Gate in its own words: a few calls, and which answers can be trusted.

The entrance (token, password or certificate) is the door's. Redirects are never followed: one of them means that Gate
did not accept the account. An answer without content is none: Gate says 200 with nothing when Orca failed.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _

Json = dict[str, Any]
OK = 200
NEWEST = 50
CALLER = {"X-RateLimit-App": "gmud"}
REDIRECTS = frozenset({301, 302, 303, 307, 308})
FAILURES = {
    400: _("Spinnaker refuses: %(message)s"),
    401: _("Spinnaker does not accept the token or password. It may have expired."),
    403: _("Spinnaker refuses this account: %(message)s"),
    404: _("Spinnaker has no such application, pipeline or execution, or the account may not read it. Look there."),
    405: _("Spinnaker does not take this kind of request here. Correct the address: it must be that of Gate."),
    409: _("Spinnaker refuses: %(message)s"),
    422: _("Spinnaker refuses: %(message)s"),
}
SHAPE = _("Spinnaker sent JSON of another shape than it should.")


@dataclass(frozen=True, slots=True)
class Page:
    """One JSON object and Gate's own clock when it gave it."""

    json: Json
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Gate:
    """One Gate behind one door."""

    door: Door

    def user(self) -> str:
        """Return who we are to Gate; this page is open to all, and empty for nobody.

        :raises Rejected: Gate does not know us
        """
        reply = self._call("GET", "/auth/user")
        if reply.status != OK:
            raise failure(reply)
        if not reply.body.strip():
            raise Rejected(Sentence(_("Gate does not know who asks. Check the token, password or certificate.")))
        told = reply.json()
        return str(told.get("username") or told.get("email") or "")

    def applications(self) -> list[Json]:
        """Return the applications the account may read."""
        return self._rows("/applications")

    def configs(self, application: str) -> list[Json]:
        """Return the pipelines of an application."""
        return self._rows(f"{_below(application)}/pipelineConfigs")

    def config(self, application: str, name: str) -> Json | None:
        """Return one pipeline by its name."""
        page = self._page(f"{_below(application)}/pipelineConfigs/{quote(name, safe='')}")
        if page and "id" not in page.json:
            raise Unreachable(Sentence(SHAPE))
        return page.json if page else None

    def trigger(self, application: str, name: str, body: Json, *, via: str = "") -> Reply:
        """Ask for an execution; ``via`` v2 leads through Echo. What the answer means is the adapter's to say."""
        way = f"/{via}" if via else ""
        path = f"/pipelines{way}/{quote(application, safe='')}/{quote(name, safe='')}"
        return self._call("POST", path, body=body)

    def search(self, application: str, name: str, key: str, since: int) -> list[Json]:
        """Return the executions with our key since that moment (milliseconds); ``name`` empty: of every pipeline.

        What Gate finds may match as a pattern or in other letters, so the key is compared once more.
        """
        wanted = base64.b64encode(json.dumps({"correlationId": key}, separators=(",", ":")).encode()).decode()
        params = {"triggerTypes": "manual", **({"pipelineName": name} if name else {}), "trigger": wanted}
        params |= {"triggerTimeStartBoundary": str(since), "size": "5", "expand": "false"}
        rows = self._rows(f"{_below(application)}/executions/search", params)
        return [row for row in rows if row["trigger"]["correlationId"] == key]

    def execution(self, execution_id: str) -> Page | None:
        """Return an execution without the contexts of its stages, ``None`` when Orca does not know it."""
        reply = self._get("/executions", {"executionIds": execution_id, "expand": "false"})
        found = _list(reply.json()) if reply else []
        return Page(found[0], _moment(reply)) if found and reply else None

    def whole(self, execution_id: str) -> Json | None:
        """Return an execution with everything in it."""
        page = self._page(f"/pipelines/{quote(execution_id, safe='')}")
        return page.json if page else None

    def newest(self, config_id: str) -> list[Json]:
        """Return the newest executions of a pipeline, in no order to rely on."""
        params = {"pipelineConfigIds": config_id, "limit": str(NEWEST), "expand": "false"}
        return self._rows("/executions", params)

    def failed_stages(self, execution_id: str) -> list[Json]:
        """Return the stages that made an execution fail, those of its children among them."""
        return self._rows("/executions/failedStages", {"executionId": execution_id, "limit": "10"})

    def steer(self, run: str, verb: str, params: Mapping[str, str] | None = None) -> None:
        """Cancel, pause or resume ``pipelines/<id>`` or ``tasks/<id>``; the answer says nothing of what came of it."""
        _allowed(self._call("PUT", f"/{run}/{verb}", params=params), {200, 202, 204})

    def judge(self, execution_id: str, stage_id: str, status: str, note: str) -> None:
        """Say how a judgment ends; Gate answers alike whether it is taken or not."""
        path = f"/pipelines/{quote(execution_id, safe='')}/stages/{quote(stage_id, safe='')}"
        body = {"judgmentStatus": status, "judgmentInput": note}
        _allowed(self._call("PATCH", path, body=body), {200, 202, 204})

    def operate(self, body: Json) -> Reply:
        """Ask for a task."""
        return self._call("POST", "/tasks", body=body)

    def task(self, task_id: str) -> Page | None:
        """Return a task, ``None`` when Orca does not know it."""
        return self._page(f"/tasks/{quote(task_id, safe='')}")

    def tasks(self, application: str) -> list[Json]:
        """Return the newest tasks of an application."""
        return self._rows(f"{_below(application)}/tasks", {"limit": str(NEWEST)})

    def managers(self, application: str) -> list[Json]:
        """Return the workloads of an application with the groups that each of them keeps."""
        return self._rows(f"{_below(application)}/serverGroupManagers")

    def manifest(self, account: str, location: str, name: str) -> Json | None:
        """Return a manifest as Spinnaker saw it last; ``name`` is kind and name, such as ``deployment cart``."""
        page = self._page("/manifests/" + "/".join(quote(part, safe="") for part in (account, location, name)))
        found = page.json.get("manifest") if page else None
        return found if isinstance(found, dict) else None

    def server_group(self, application: str, place: Mapping[str, str], target: str) -> Json | None:
        """Return the enabled server group that a target (``CURRENT``, ``PREVIOUS``) names, ``None`` for too few."""
        where = [place[name] for name in ("account", "cluster", "cloudProvider", "region")]
        parts = "/".join(quote(part, safe="") for part in where)
        only = {"onlyEnabled": str(target == "CURRENT").lower()}
        page = self._page(f"{_below(application)}/clusters/{parts}/serverGroups/target/{target}", only)
        return page.json if page else None

    def _page(self, path: str, params: Mapping[str, str] | None = None) -> Page | None:
        reply = self._get(path, params)
        if reply is None:
            return None
        answered = reply.json()
        if not isinstance(answered, dict):
            raise Unreachable(Sentence(SHAPE))
        return Page(answered, _moment(reply))

    def _rows(self, path: str, params: Mapping[str, str] | None = None) -> list[Json]:
        """Return a list of objects.

        :raises Rejected: there is no such place
        """
        reply = self._get(path, params)
        if reply is None:
            raise Rejected(Sentence(FAILURES[404]), http_status=404)
        return _list(reply.json())

    def _get(self, path: str, params: Mapping[str, str] | None = None) -> Reply | None:
        reply = self._call("GET", path, params=params)
        if reply.status == 404:
            return None
        if reply.status != OK:
            raise failure(reply)
        if not reply.body.strip():
            raise Unreachable(Sentence(_("Gate answered with nothing, as it does when Orca fails behind it.")))
        return reply

    def _call(
        self, method: str, path: str, *, params: Mapping[str, str] | None = None, body: Json | None = None
    ) -> Reply:
        return self.door.call(method, path, params=params, headers=CALLER, json=body)


def failure(reply: Reply) -> Rejected | Unreachable:
    """Return the error that an answer means: a clear no, or an outcome that is not known."""
    if reply.status in REDIRECTS:
        text = _("Gate sends us to its sign-in page: it does not accept the token, password or certificate.")
        return Rejected(Sentence(text), http_status=reply.status)
    if reply.status not in FAILURES:
        text = _("Spinnaker answered %(status)s, so what happened is not known.")
        return Unreachable(Sentence(text, {"status": reply.status}), after_seconds=reply.retry_after)
    text, said = FAILURES[reply.status], message(reply)
    return Rejected(Sentence(text, {"message": said} if "%" in text else {}), http_status=reply.status, body=reply.text)


def message(reply: Reply) -> str:
    """Return what Spring says in an error, else the beginning of the answer."""
    try:
        told = json.loads(reply.body)
    except ValueError:
        return reply.text[:200]
    return str(told.get("message") or told)[:300] if isinstance(told, dict) else reply.text[:200]


def _allowed(reply: Reply, statuses: set[int]) -> None:
    if reply.status not in statuses:
        raise failure(reply)


def _below(application: str) -> str:
    return f"/applications/{quote(application, safe='')}"


def _list(answered: Any) -> list[Json]:
    if not isinstance(answered, list) or not all(isinstance(one, dict) for one in answered):
        raise Unreachable(Sentence(SHAPE))
    return answered


def _moment(reply: Reply) -> datetime | None:
    try:
        return parsedate_to_datetime(reply.headers.get("date", ""))
    except (TypeError, ValueError):
        return None

"""Jenkins in its own words: a few calls, and which answers can be trusted.

HTTP Basic (in the door's headers): with an API token no crumb and no cookie is ever sent, with a password both are,
once Jenkins asks for them. Redirects are never followed; of a ``Location`` only the number is used, because behind a
proxy the rest may be wrong.
"""

import json as jsonlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.delivery.jenkins.refusals import NO_CRUMB, failure

Json = dict[str, Any]
NEWEST = 50  # builds in one answer
LISTED = 100  # builds in the list that every job shows; older ones stand in another
FARTHEST = 1000  # builds that one search looks through
LOG_BYTES = 128 * 1024
NAMELESS = frozenset({401, 403})  # answers to strangers, which need not say that they are Jenkins'
PARAMETERS = "actions[parameters[name,value]]"
DEFINITIONS = "property[_class,parameterDefinitions[_class,name,type,choices,defaultParameterValue[value]]]"
JOB = f"_class,fullName,buildable,{DEFINITIONS}"
ITEM = f"_class,id,why,stuck,blocked,buildable,cancelled,executable[number],task[url],{PARAMETERS}"
BUILD = f"_class,number,queueId,building,inProgress,result,timestamp,duration,estimatedDuration,{PARAMETERS}"
QUEUE_NUMBER = re.compile(r"/queue/item/(\d+)/?$")
SESSION = re.compile(r"JSESSIONID[\w.]*=[^;,\s]+")


@dataclass(frozen=True, slots=True)
class Page:
    """A JSON answer and the server's own clock when it gave it."""

    json: Json
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Jenkins:
    """One Jenkins behind one door."""

    door: Door

    def version(self) -> str:
        """Return the version that Jenkins writes on its answers."""
        reply = self.door.call("GET", "/api/json", params={"tree": "mode"})
        version = reply.headers.get("x-jenkins", "")
        if not version and reply.status not in NAMELESS:
            parts = {"status": reply.status}
            raise Unreachable(Sentence(_("There is an answer (%(status)s), but not of Jenkins."), parts))
        if reply.status != 200:
            raise failure(reply)
        return version

    def folder(self, name: str) -> list[Json]:
        """Return what is in a folder; the empty name is the top."""
        page = self._read(f"{path_of(name)}/api/json", "jobs[_class,name,fullName,color]")
        if page is None:
            raise Rejected(
                Sentence(_("Jenkins has no folder %(name)s, or the account may not read it."), {"name": name})
            )
        return rows(page.json, "jobs")

    def job(self, name: str) -> Page | None:
        """Return the job's definition, ``None`` when there is none or it may not be read."""
        return self._read(f"{path_of(name)}/api/json", JOB)

    def trigger(self, name: str, form: Mapping[str, str]) -> Reply:
        """Ask for a build; what the answer means is the adapter's to say."""
        return self._post(f"{path_of(name)}/buildWithParameters", form=form)

    def queue(self) -> list[Json]:
        """Return everything that waits."""
        page = self._read("/queue/api/json", f"items[{ITEM}]")
        return rows(page.json if page else {}, "items")

    def item(self, number: str) -> Page | None:
        """Return a queue item, ``None`` when Jenkins does not know it (any more)."""
        return self._read(f"/queue/item/{number}/api/json", ITEM)

    def builds(self, name: str, enough: Callable[[Json], bool] = bool) -> Iterator[Json]:
        """Yield the builds of a job, newest first and page by page, until the last one of a page is ``enough``.

        :raises Unreachable: they are too many to look through, so absence proves nothing
        """
        for begin in range(0, FARTHEST, NEWEST):
            listed = "builds" if begin < LISTED else "allBuilds"
            page = self._read(f"{path_of(name)}/api/json", f"{listed}[{BUILD}]{{{begin},{begin + NEWEST}}}")
            found = rows(page.json if page else {}, listed)
            yield from found
            if len(found) < NEWEST or enough(found[-1]):
                return
        raise Unreachable(Sentence(_("The job has too many builds to look through. Delete old ones in Jenkins.")))

    def build(self, name: str, number: str) -> Page | None:
        """Return one build, ``None`` when it was deleted."""
        return self._read(f"{path_of(name)}/{number}/api/json", BUILD)

    def stages(self, name: str, number: str) -> list[Json]:
        """Return the stages that started; empty when the stage plugin is missing or it is no pipeline."""
        page = self._read(f"{path_of(name)}/{number}/wfapi/describe", "")
        return rows(page.json, "stages") if page else []

    def inputs(self, name: str, number: str) -> list[Json]:
        """Return the inputs that a pipeline waits for, with what each takes."""
        reply = self.door.call("GET", f"{path_of(name)}/{number}/wfapi/pendingInputActions")
        if reply.status != 200:
            raise failure(reply)
        return rows({"inputs": reply.json()}, "inputs")

    def submitters(self, name: str, number: str) -> dict[str, str]:
        """Return by input who may answer it, names of users and groups behind commas; empty means anybody."""
        page = self._read(f"{path_of(name)}/{number}/input/api/json", "executions[id,input[submitter]]")
        found = rows(page.json, "executions") if page else []
        return {str(one["id"]): str((one.get("input") or {}).get("submitter") or "") for one in found}

    def proceed(self, name: str, number: str, question: str, values: Mapping[str, str] | None) -> Reply:
        """Let an input go on; ``None`` where it takes no values."""
        at = f"{path_of(name)}/{number}/input/{quote(question, safe='')}"
        if values is None:
            return self._post(f"{at}/proceedEmpty")
        given = [{"name": one, "value": value} for one, value in values.items()]
        return self._post(f"{at}/proceed", form={"json": jsonlib.dumps({"parameter": given})})

    def abort(self, name: str, number: str, question: str) -> Reply:
        """Turn an input down; the run ends as aborted."""
        return self._post(f"{path_of(name)}/{number}/input/{quote(question, safe='')}/abort")

    def cancel(self, number: str) -> Reply:
        """Take an item out of the queue."""
        return self._post("/queue/cancelItem", params={"id": number})

    def end(self, name: str, number: str, how: str) -> Reply:
        """End a build: ``stop``, ``term`` or ``kill``."""
        return self._post(f"{path_of(name)}/{number}/{how}")

    def console(self, name: str, number: str, start: int) -> Reply | None:
        """Return what a build printed from byte ``start`` on, cut where it grows too long; ``None`` without a log.

        ``X-Text-Size`` says where the next part begins: lengths do not, because lines are rewritten on their way.
        """
        path = f"{path_of(name)}/{number}/logText/progressiveText"
        reply = self.door.call("GET", path, params={"start": str(start)}, cut_at=LOG_BYTES)
        if reply.status == 404:
            return None
        if reply.status != 200 or "x-text-size" not in reply.headers:
            raise failure(reply)
        return reply

    def _read(self, path: str, tree: str) -> Page | None:
        reply = self.door.call("GET", path, params={"tree": tree} if tree else None)
        if reply.status == 404:
            return None
        if reply.status != 200 or reply.body.lstrip().startswith(b"<"):
            raise failure(reply)
        answered = reply.json()
        if not isinstance(answered, dict):
            raise Unreachable(Sentence(_("Jenkins sent JSON of another shape than it should.")))
        return Page(answered, _moment(reply.headers.get("date", "")))

    def _post(
        self, path: str, *, form: Mapping[str, str] | None = None, params: Mapping[str, str] | None = None
    ) -> Reply:
        """Post once; again with a crumb when Jenkins asked for one, which it does of passwords and before it acts."""
        reply = self.door.call("POST", path, form=form, params=params)
        if reply.status != 403 or NO_CRUMB not in reply.text:
            return reply
        return self.door.call("POST", path, form=form, params=params, headers=self._crumb())

    def _crumb(self) -> dict[str, str]:
        reply = self.door.call("GET", "/crumbIssuer/api/json")
        session = SESSION.search(reply.headers.get("set-cookie", ""))
        if reply.status != 200 or session is None:
            raise failure(reply)
        issued = reply.json()
        return {str(issued["crumbRequestField"]): str(issued["crumb"]), "Cookie": session[0]}


def path_of(name: str) -> str:
    """Return ``/job/<folder>/job/<name>`` of a full name, each part percent-encoded by itself; nothing of no name."""
    return "".join(f"/job/{quote(part, safe='')}" for part in name.split("/") if part)


def rows(page: Json, name: str) -> list[Json]:
    """Return a list of objects; what is no object is left out.

    :raises Unreachable: there is no such list, so absence proves nothing
    """
    found = page.get(name)
    if not isinstance(found, list):
        text = _("Jenkins left out the part of its answer that was asked for. Look whether a proxy changes addresses.")
        raise Unreachable(Sentence(text))
    return [one for one in found if isinstance(one, dict)]


def parameters_of(page: Json) -> dict[str, str]:
    """Return the parameters of a queue item or build; actions without any are empty objects."""
    found: dict[str, str] = {}
    for action in page.get("actions") or []:
        for one in (action or {}).get("parameters") or []:
            found[str(one.get("name"))] = str(one.get("value", ""))
    return found


def queue_number(reply: Reply) -> str:
    """Return the number at the end of ``Location``; empty when none stands there."""
    found = QUEUE_NUMBER.search(reply.headers.get("location", ""))
    return found[1] if found else ""


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None

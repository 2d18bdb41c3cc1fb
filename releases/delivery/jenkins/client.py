"""Jenkins in its own words: a few calls, and which answers can be trusted.

HTTP Basic with an API token (in the door's headers), so no crumb and no cookies; redirects are never followed; of a
``Location`` only the number is used, because behind a proxy the rest may be wrong.
"""

import re
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
NEWEST = 50
PARAMETERS = "actions[parameters[name,value]]"
JOB = (
    "_class,fullName,buildable,"
    "property[_class,parameterDefinitions[_class,name,type,choices,defaultParameterValue[value]]]"
)
ITEM = f"_class,id,why,stuck,blocked,buildable,cancelled,executable[number],task[url],{PARAMETERS}"
BUILD = f"number,queueId,building,inProgress,result,timestamp,duration,estimatedDuration,{PARAMETERS}"
QUEUE_NUMBER = re.compile(r"/queue/item/(\d+)/?$")


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
        if not version:
            parts = {"status": reply.status}
            raise Unreachable(Sentence(_("There is an answer (%(status)s), but not of Jenkins."), parts))
        if reply.status != 200:
            raise failure(reply)
        return version

    def job(self, name: str) -> Page | None:
        """Return the job's definition, ``None`` when there is none or it may not be read."""
        return self._read(f"{path_of(name)}/api/json", JOB)

    def trigger(self, name: str, form: Mapping[str, str]) -> Reply:
        """Ask for a build; what the answer means is the adapter's to say."""
        return self.door.call("POST", f"{path_of(name)}/buildWithParameters", form=form)

    def queue(self) -> list[Json]:
        """Return everything that waits."""
        page = self._read("/queue/api/json", f"items[{ITEM}]")
        return rows(page.json if page else {}, "items")

    def item(self, number: int) -> Page | None:
        """Return a queue item, ``None`` when Jenkins does not know it (any more)."""
        return self._read(f"/queue/item/{number}/api/json", ITEM)

    def builds(self, name: str) -> list[Json]:
        """Return the newest builds of a job, newest first."""
        page = self._read(f"{path_of(name)}/api/json", f"builds[{BUILD}]{{0,{NEWEST}}}")
        return rows(page.json if page else {}, "builds")

    def build(self, name: str, number: int) -> Page | None:
        """Return one build, ``None`` when it was deleted."""
        return self._read(f"{path_of(name)}/{number}/api/json", BUILD)

    def stages(self, name: str, number: int) -> list[Json]:
        """Return the stages that started; empty when the stage plugin is missing or it is no pipeline."""
        page = self._read(f"{path_of(name)}/{number}/wfapi/describe", "")
        return rows(page.json, "stages") if page else []

    def cancel(self, number: int) -> Reply:
        """Take an item out of the queue."""
        return self.door.call("POST", "/queue/cancelItem", params={"id": str(number)})

    def stop(self, name: str, number: int) -> Reply:
        """Interrupt a build."""
        return self.door.call("POST", f"{path_of(name)}/{number}/stop")

    def _read(self, path: str, tree: str) -> Page | None:
        reply = self.door.call("GET", path, params={"tree": tree} if tree else None)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise failure(reply)
        answered = reply.json()
        if not isinstance(answered, dict):
            raise Unreachable(Sentence(_("Jenkins sent JSON of another shape than it should.")))
        return Page(answered, _moment(reply.headers.get("date", "")))


def path_of(name: str) -> str:
    """Return ``/job/<folder>/job/<name>`` of a full name, each part percent-encoded by itself."""
    return "".join(f"/job/{quote(part, safe='')}" for part in name.split("/"))


def rows(page: Json, name: str) -> list[Json]:
    """Return a list of objects; what is no object is left out.

    :raises Unreachable: there is no such list, so absence proves nothing
    """
    found = page.get(name)
    if not isinstance(found, list):
        raise Unreachable(Sentence(_("Jenkins left out the part of its answer that was asked for.")))
    return [one for one in found if isinstance(one, dict)]


def parameters_of(page: Json) -> dict[str, str]:
    """Return the parameters of a queue item or build; actions without any are empty objects."""
    found: dict[str, str] = {}
    for action in page.get("actions") or []:
        for one in (action or {}).get("parameters") or []:
            found[str(one.get("name"))] = str(one.get("value", ""))
    return found


def queue_number(reply: Reply) -> int | None:
    """Return the number at the end of ``Location``."""
    found = QUEUE_NUMBER.search(reply.headers.get("location", ""))
    return int(found[1]) if found else None


def failure(reply: Reply) -> Rejected | Unreachable:
    """Return the error that an answer means: a clear no, or an outcome that is not known."""
    missing = reply.headers.get("x-required-permission", "")
    body = reply.headers.get("x-error", "") or reply.text
    match reply.status:
        case 400:
            sentence = Sentence(
                _("Jenkins says that this job takes no parameters. Run it once so that it learns them.")
            )
        case 401:
            sentence = Sentence(_("Jenkins does not accept the account or its API token. It may have expired."))
        case 403 if missing:
            sentence = Sentence(
                _("Jenkins refuses: the account needs the permission %(permission)s."), {"permission": missing}
            )
        case 403:
            sentence = Sentence(_("Jenkins refuses this account. Check its permissions on the job and its folders."))
        case 404:
            sentence = Sentence(_("Jenkins has no such job, or the account may not read it or one of its folders."))
        case 405:
            sentence = Sentence(_("Jenkins does not take this kind of request here."))
        case 409:
            sentence = Sentence(_("The job is disabled in Jenkins. Enable it, then try again."))
        case 422:
            sentence = Sentence(_("Jenkins does not let this account cancel."))
        case status:
            return Unreachable(
                Sentence(_("Jenkins answered %(status)s, so what happened is not known."), {"status": status})
            )
    return Rejected(sentence, http_status=reply.status, body=body)


def _moment(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return None

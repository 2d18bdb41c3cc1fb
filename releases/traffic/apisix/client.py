"""APISIX's Admin API v3 in its own words: objects with the revisions of etcd, and changes below a path of theirs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from releases.core.errors import GmudError, Rejected, Sentence
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.traffic.admin import FORBIDDEN, UNAUTHORIZED, Absent, AdminApi, Forbidden, Json, Unknown
from releases.traffic.plane import Outrun

ROOT = "/apisix/admin"
PAGE = 100
RACED = "value changed before overwritten"
VIEWER = "invalid method for role viewer"


@dataclass(frozen=True, slots=True)
class Stored:
    """An object: its value, the revision that made it, and the one that changed it last."""

    value: Json
    created: str
    modified: str


@dataclass(slots=True)
class ApisixClient:
    """One Admin API behind a door whose headers carry the key."""

    door: Door
    api: AdminApi = field(init=False)

    def __post_init__(self) -> None:
        """Speak through the door."""
        self.api = AdminApi("APISIX", self.door, refuse=_refusal)

    def is_standalone(self) -> bool:
        """Say whether there is no etcd behind it, only one document that is replaced whole.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        try:
            try:
                headers = self.api.ask("HEAD", f"{ROOT}/configs").headers
            except Unknown:  # a key of role viewer may only GET
                headers = self.api.ask("GET", f"{ROOT}/configs").headers
        except Absent:
            return False
        return "x-digest" in headers

    def get(self, kind: str, key: str) -> Stored:
        """Return an object.

        :raises Absent: it is not there
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        body, _headers = self.api.call("GET", _path(kind, key))
        if "node" in body:
            text = _(
                "This Admin API answers as before version 3. Set admin_api_version to v3 in APISIX's configuration."
            )
            raise Rejected(Sentence(text))
        value, created, modified = body.get("value"), body.get("createdIndex"), body.get("modifiedIndex")
        if not isinstance(value, dict) or not isinstance(modified, int):
            raise self.api.strange()
        return Stored(value, str(created), str(modified))

    def get_standalone(self, kind: str, key: str) -> Stored:
        """Return an object out of the document of an APISIX without etcd.

        :raises Absent: it is not there
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        body, headers = self.api.call("GET", f"{ROOT}/configs")
        rows = body.get(kind) or []
        if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
            raise self.api.strange()
        found = [one for one in rows if str(one.get("id")) == key]
        if len(found) != 1:
            raise Absent(Sentence(_("The document has no such object.")), http_status=404)
        return Stored(found[0], "", headers.get("x-digest", "")[:64])

    def all(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Give key and value of every object of a kind, page by page.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        number, given = 0, 0
        while True:
            number += 1
            params = {"page": str(number), "page_size": str(PAGE)}
            body, _headers = self.api.call("GET", f"{ROOT}/{kind}", params=params)
            rows, total = body.get("list"), body.get("total")
            if not isinstance(rows, list) or not isinstance(total, int):
                raise self.api.strange()
            for row in rows:
                if not isinstance(row, dict) or not isinstance(row.get("value"), dict):
                    raise self.api.strange()
                yield str(row.get("key", "")).rpartition("/")[2], row["value"]
            given += len(rows)
            if not rows or given >= total:
                return

    def patch(self, path: str, body: Any) -> None:
        """Change an object, or replace what stands below one of its paths.

        :raises Outrun: somebody wrote at the same moment; nothing of ours was written
        :raises Rejected: another clear no
        :raises Unreachable: whether it was written is not known
        """
        answer, _headers = self.api.call("PATCH", path, json=body)
        if not isinstance(answer.get("value"), dict):
            raise self.api.strange()

    def version(self) -> str:
        """Return the version that answers, as far as it is told.

        :raises Rejected: the key is refused
        :raises Unreachable: no answer
        """
        params = {"page": "1", "page_size": "10"}
        try:
            _body, headers = self.api.call("GET", f"{ROOT}/routes", params=params)
        except Absent:
            _body, headers = self.api.call("GET", f"{ROOT}/configs")
        product, _slash, number = headers.get("server", "").partition("/")
        return number if product == "APISIX" else ""

    def may_write(self) -> bool:
        """Ask whether the key may change anything: one of role viewer is refused before its request is looked at.

        :raises Rejected: the key is not known
        :raises Unreachable: no answer
        """
        try:
            self.api.ask("POST", f"{ROOT}/schema/validate/routes", json={})
        except Forbidden:
            return False
        except Rejected as error:
            if error.http_status == UNAUTHORIZED:
                raise
        return True


def path_of(kind: str, key: str, below: str = "") -> str:
    """Return the address of an object, or of a part of it."""
    return f"{_path(kind, key)}{below}"


def _path(kind: str, key: str) -> str:
    return f"{ROOT}/{kind}/{quote(key, safe='')}"


def _refusal(reply: Reply, body: Json) -> GmudError | None:
    """Return what only APISIX says this way."""
    for status, word, kind, text in _REFUSALS:
        if reply.status == status and word in (body.get("error_msg"), body.get("description"), None if body else ""):
            return kind(Sentence(text), http_status=status, body=reply.text)
    return None


_REFUSALS: Sequence[tuple[int, str, type[Rejected], str]] = (
    (503, RACED, Outrun, _("Somebody wrote to this object at the same moment.")),
    (
        UNAUTHORIZED,
        VIEWER,
        Forbidden,
        _("This key may only read (its role is viewer). Give the connection one of role admin."),
    ),
    (
        FORBIDDEN,
        "",  # nginx, not APISIX: no JSON
        Forbidden,
        _("APISIX does not let this address in. Add GMUD's address to allow_admin in its configuration."),
    ),
)

"""Kong's Admin API in its own words: node, upstreams, targets, their health, and who leads to them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from releases.core.errors import GmudError, Rejected, Sentence
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.traffic.admin import AdminApi, Forbidden, Json, Unknown

PAGE = "500"
UNSUPPORTED = 12
IMPOSSIBLE = -1
KONNECT = "api.konghq.com"
NGINX_NO_CERTIFICATE = "No required SSL certificate"


@dataclass(slots=True)
class KongClient:
    """One Admin API; of Kong Enterprise, ``workspace`` is where the objects are."""

    door: Door
    api: AdminApi = field(init=False)

    def __post_init__(self) -> None:
        """Speak through the door."""
        self.api = AdminApi("Kong", self.door, refuse=_refusal)

    @property
    def is_konnect(self) -> bool:
        """Say whether this is Kong's cloud, by its address."""
        parts = urlsplit(self.door.origin)
        return (parts.hostname or "").endswith(KONNECT) or "/control-planes/" in parts.path

    def node(self) -> Json:
        """Return what the node says of itself.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        body, _headers = self.api.call("GET", "/")
        if not isinstance(body.get("version"), str) or not isinstance(body.get("configuration"), dict):
            raise self.api.strange()
        return body

    def upstream(self, workspace: str, name: str) -> Json:
        """Return an upstream.

        :raises Absent: it is not there, or the workspace is not
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """
        body, _headers = self.api.call("GET", _path(workspace, "upstreams", name))
        if not isinstance(body.get("id"), str):
            raise self.api.strange()
        return body

    def targets(self, workspace: str, upstream: str) -> list[Json]:
        """Return every target of an upstream.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        found = list(self._pages(_path(workspace, "upstreams", upstream, "targets")))
        if not all(_is_target(one) for one in found):
            raise self.api.strange()
        return found

    def weigh(self, workspace: str, upstream: str, target: str, weight: int | None) -> Json:
        """Set the weight of one target, by its id; ``None`` puts the default back.

        :raises Absent: there is no such target any more
        :raises Rejected: another clear no
        :raises Unreachable: whether it was written is not known
        """
        path = _path(workspace, "upstreams", upstream, "targets", target)
        body, _headers = self.api.call("PATCH", path, json={"weight": weight})
        if not _is_target(body):
            raise self.api.strange()
        return body

    def may_weigh(self, workspace: str, upstream: str, target: str) -> bool:
        """Ask whether the token may change a target, with a weight that Kong refuses whoever asks.

        :raises Unreachable: no answer
        """
        try:
            self.weigh(workspace, upstream, target, IMPOSSIBLE)
        except (Forbidden, Unknown):
            return False
        except Rejected:
            return True
        return True

    def health(self, workspace: str, upstream: str) -> dict[str, str]:
        """Return the health of each target by ``host:port``, as the node that answers sees it.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        pages = self._pages(_path(workspace, "upstreams", upstream, "health"))
        return {str(one.get("target", "")): str(one.get("health", "")) for one in pages}

    def services(self, workspace: str, host: str) -> dict[str, str]:
        """Return the services that send to this host: their names by id.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        pages = self._pages(_path(workspace, "services"))
        return {str(one.get("id")): str(one.get("name") or one.get("id")) for one in pages if one.get("host") == host}

    def canaries(self, workspace: str) -> list[Json]:
        """Return every plugin ``canary`` that is switched on.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """
        pages = self._pages(_path(workspace, "plugins"))
        return [one for one in pages if one.get("name") == "canary" and one.get("enabled") is not False]

    def _pages(self, path: str) -> Iterator[Json]:
        """Give every row, page by page; of the next page's address only its offset counts (it names no workspace)."""
        params = {"size": PAGE}
        seen: set[str] = set()
        while True:
            body, _headers = self.api.call("GET", path, params=params)
            rows, then = body.get("data"), body.get("next")
            if not isinstance(rows, list) or not all(isinstance(one, dict) for one in rows):
                raise self.api.strange()
            yield from rows
            if not then:
                return
            offset = parse_qs(urlsplit(str(then)).query).get("offset", [""])[0]
            if not offset or offset in seen:
                raise self.api.strange()
            seen.add(offset)
            params = {"size": PAGE, "offset": offset}


def _path(workspace: str, *parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in (workspace, *parts) if part)


def _is_target(row: Any) -> bool:
    weight = row.get("weight")
    texts = isinstance(row.get("id"), str) and isinstance(row.get("target"), str)
    return texts and isinstance(weight, int) and not isinstance(weight, bool)


def _refusal(reply: Reply, body: Json) -> GmudError | None:
    """Return what only Kong says this way: it has no database, or nginx before it wants a certificate."""
    if reply.status == 405 and body.get("code") == UNSUPPORTED:
        return Rejected(without_database(), http_status=reply.status, body=reply.text)
    if reply.status == 400 and NGINX_NO_CERTIFICATE in reply.text:
        text = _("Kong wants a client certificate. Give the connection one that its authority signed.")
        return Rejected(Sentence(text), http_status=reply.status, body=reply.text)
    return None


def without_database() -> Sentence:
    """Return why nothing can be shifted in a Kong without a database, and what to do instead."""
    return Sentence(
        _(
            "This Kong runs without a database: its file holds the weights, and only the whole file can be replaced. "
            "Change the file where it is kept; behind the ingress controller, shift the HTTPRoute instead."
        )
    )

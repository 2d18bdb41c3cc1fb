"""A stand-in of the Control API of one APISIX node: what it has loaded, and the health of those it sends requests to.

``python -m gmud.sandbox.apisix --control-port 9090`` serves it beside the Admin API of the same stand-in.

Where its behaviour comes from: APISIX's documentation (control-api, tutorials/health-check) and its source (f519a0f04),
read, not recorded. An upstream is listed when it has a checker (``checks``) and served a request; here it always did,
unless it is named in ``idle``. What the checks say is told by ``health``, by ``host:port``: ``healthy``,
``mostly_healthy``, ``mostly_unhealthy`` or ``unhealthy``; nobody is asked, and there are no keys.
"""

import threading
from collections.abc import Iterator
from typing import Any, Protocol

from gmud.sandbox.apisix_store import Entry, Json, Store
from gmud.sandbox.server import Answer, Call, Sandbox, json_answer

ONE = {"route": "routes", "service": "services", "upstream": "upstreams"}
COUNTERS = ("http_failure", "success", "tcp_failure", "timeout_failure")


class Holder(Protocol):
    """The stand-in of the Admin API, whose objects this node has loaded."""

    store: Store
    lock: threading.RLock


class Control(Sandbox):
    """Answers as the Control API of one node does, on what the stand-in of the Admin API holds."""

    title = "apisix-control"

    def __init__(self, apisix: Holder) -> None:
        """Look into the same store."""
        super().__init__()
        self.apisix = apisix
        self.health: dict[str, str] = {}
        self.idle: set[str] = set()

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        if call.method != "GET":
            return _missing()
        with self.apisix.lock:
            match call.path.strip("/").split("/"):
                case ["v1", "healthcheck"]:
                    return json_answer(list(self._checked()))
                case ["v1", "healthcheck", kind, key]:
                    found = [one for one in self._checked() if one["name"] == f"/apisix/{kind}/{key}"]
                    return json_answer(found[0]) if found else _missing()
                case ["v1", kinds] if kinds in ONE.values():
                    rows = self.apisix.store.entries[kinds]
                    return json_answer([_dump(kinds, key, entry) for key, entry in rows.items()])
                case ["v1", kind, key] if kind in ONE and key in self.apisix.store.entries[ONE[kind]]:
                    return json_answer(_dump(ONE[kind], key, self.apisix.store.entries[ONE[kind]][key]))
                case ["v1", "plugin_metadatas"]:
                    return json_answer([])
        return _missing()

    def _checked(self) -> Iterator[Json]:
        for kind in ("upstreams", "routes", "services"):
            for key, entry in self.apisix.store.entries[kind].items():
                upstream = entry.value if kind == "upstreams" else entry.value.get("upstream", {})
                if "checks" in upstream and f"{kind}/{key}" not in self.idle:
                    nodes = [self._node(host) for host in _hosts(upstream.get("nodes", {}))]
                    type_ = upstream["checks"].get("active", {}).get("type", "http")
                    yield {"name": f"/apisix/{kind}/{key}", "type": type_, "nodes": nodes or {}}

    def _node(self, address: str) -> Json:
        host, _colon, port = address.rpartition(":")
        status = self.health.get(address, "healthy")
        counter = {**dict.fromkeys(COUNTERS, 0), **({"http_failure": 5} if status == "unhealthy" else {})}
        return {"ip": host, "hostname": host, "port": int(port), "status": status, "counter": counter}


def _hosts(nodes: Any) -> list[str]:
    return list(nodes) if isinstance(nodes, dict) else [f"{one['host']}:{one['port']}" for one in nodes]


def _dump(kind: str, key: str, entry: Entry) -> Json:
    stamps = {"createdIndex": entry.created, "modifiedIndex": entry.modified}
    return {"key": f"/apisix/{kind}/{key}", "value": entry.value, "has_domain": False, "clean_handlers": {}, **stamps}


def _missing() -> Answer:
    return json_answer({"error_msg": "404 Route Not Found"}, 404)

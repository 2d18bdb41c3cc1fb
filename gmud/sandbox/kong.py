"""A stand-in of Kong's Admin API: upstreams and their targets, as far as shifting traffic needs them.

``python -m gmud.sandbox.kong --port 8001``

Where its behaviour comes from: Kong's source (22246ef28c, the tree of 3.9 and 3.10), read, not recorded; no Kong could
be run. Kong's own tests give the words of a refusal by roles. Nothing here forwards traffic, and of the API only ``/``,
``/status``, ``/services``, ``/upstreams`` with what is below, ``/plugins`` and, without a database, ``/config`` are
there. Of plugins it knows ``canary``, which only Kong Enterprise has; that a change of its ``config`` leaves the fields
it does not name as they were is not proved from the source.

What it can be told to be, on the command line, in Python, or with ``POST /_sandbox/settings``:

- ``database: "off"``: without a database. It reads, and answers 405 to every write.
- ``tokens``: Kong Enterprise. The header ``Kong-Admin-Token`` is demanded, and each token has its rights; workspaces
  are prefixes of the path.
- ``client_header``: it stands behind a proxy that checks client certificates and says so in this header; without it,
  the answer is nginx's.
- ``control_plane``: a control plane of Konnect, below ``/v2/control-planes/<id>/core-entities``, with a bearer token.
- ``health``: what the health checks say of a target: ``HEALTHY``, ``UNHEALTHY``, ``HEALTHCHECKS_OFF``, ``DNS_ERROR``.
- ``version``: before 2.2 a target cannot be patched.
- ``loading``: without a database, a file is being loaded, and another one has to wait.
"""

import base64
import binascii
import json
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import quote, unquote

from gmud.sandbox import kong_config
from gmud.sandbox import kong_store as store
from gmud.sandbox.keeping import Memory
from gmud.sandbox.kong_store import Json, Refusal, Workspace
from gmud.sandbox.server import Answer, Call, Sandbox, arguments, json_answer, serve, text_answer, with_memory

VERSION = "3.9.1"
PAGE, LARGEST_PAGE = 100, 1000
ACTIONS = {"GET": "read", "HEAD": "read", "POST": "create", "PATCH": "update", "PUT": "update", "DELETE": "delete"}
PARTICIPLES = {"create": "create", "update": "update", "delete": "remove"}
UNSUPPORTED = (12, "operation unsupported")
INVALID_OFFSET = (7, "invalid offset")


@dataclass
class Settings:
    """How this Kong is installed."""

    database: str = "postgres"
    tokens: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    client_header: str = ""
    control_plane: str = ""
    health: dict[str, str] = field(default_factory=dict)
    version: str = VERSION
    loading: bool = False


class Kong(Sandbox):
    """Answers as Kong's Admin API does, oddities included."""

    title = "kong"

    def __init__(
        self,
        workspaces: Callable[[], dict[str, Workspace]] = store.bank_of_anthos,
        *,
        memory: Memory | None = None,
        **settings: Any,
    ) -> None:
        """Take the front doors of Bank of Anthos unless others are given."""
        super().__init__()
        self.beginning = (workspaces, settings)
        self.memory = memory or Memory()
        self.node_id = str(uuid.uuid4())
        self.rival: Callable[[Call], None] = lambda _call: None
        self.settings = Settings(**settings)
        self.workspaces = self.memory.recall(store.recalled) or workspaces()
        self.memory.keep(store.told(self.workspaces))

    def reset(self) -> None:
        """Forget what was changed."""
        workspaces, settings = self.beginning
        self.settings, self.workspaces = Settings(**settings), workspaces()
        self.memory.keep(store.told(self.workspaces))

    def state(self) -> Any:
        """Return the weights of every target, by workspace and upstream."""
        return {
            name: {
                upstream["name"]: {one["target"]: one["weight"] for one in space.targets_of(upstream)}
                for upstream in space.upstreams.values()
            }
            for name, space in self.workspaces.items()
        }

    def control(self, call: Call) -> Answer:
        """Take settings beside the common controls."""
        if (call.method, call.path) != ("POST", "/_sandbox/settings"):
            return super().control(call)
        with self.lock:
            self.settings = Settings(**{**vars(self.settings), **call.json()})
        return json_answer({})

    @property
    def software(self) -> str:  # type: ignore[override]  # it follows the setting
        """Return what the header ``Server`` says."""
        return f"kong/{self.settings.version}"

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        since = time.monotonic()
        try:
            answer = self._answer(call)
        except Refusal as refusal:
            answer = json_answer(refusal.body, refusal.status)
        latency = str(int((time.monotonic() - since) * 1000))
        return Answer(answer.status, answer.body, {**answer.headers, "X-Kong-Admin-Latency": latency})

    def _answer(self, call: Call) -> Answer:
        named = self.settings.client_header
        if named and call.headers.get(named.lower()) != "SUCCESS":
            page = "<html><head><title>400 No required SSL certificate was sent</title></head></html>"
            return text_answer(page, 400, kind="text/html")
        parts = [unquote(part) for part in call.path.strip("/").split("/") if part]
        if self.settings.control_plane:
            parts = self._konnect(call, parts)
        else:
            self._authorize(call)
        match parts:
            case []:
                return json_answer(self._about())
            case ["status"]:
                return json_answer({"database": {"reachable": True}, "server": {"connections_active": 1}})
        space = self.workspaces["default"]
        if self.settings.tokens and parts[0] in self.workspaces:
            space, parts = self.workspaces[parts[0]], parts[1:]
        if parts == ["config"]:
            with self.lock:
                told, after = kong_config.answer(
                    call, space, database=self.settings.database, is_loading=self.settings.loading
                )
                self.workspaces["default"] = after
                self.memory.keep(store.told(self.workspaces))
            return told
        below = {"services": self._services, "upstreams": self._upstreams, "plugins": self._plugins}.get(parts[0])
        if below is None:
            raise store.missing()
        if call.method != "GET":
            self.rival(call)
        with self.lock:
            answer = below(call, space, parts[1:])
            if call.method != "GET":
                self.memory.keep(store.told(self.workspaces))
        return answer

    def _konnect(self, call: Call, parts: list[str]) -> list[str]:
        root = ["v2", "control-planes", self.settings.control_plane, "core-entities"]
        if not call.headers.get("authorization", "").startswith("Bearer "):
            raise Refusal(401, {"message": "Unauthorized"})
        if parts[: len(root)] != root or parts == root:
            raise store.missing()
        return parts[len(root) :]

    def _authorize(self, call: Call) -> None:
        """Demand a token of Kong Enterprise, and the right to do this."""
        if not self.settings.tokens:
            return
        known = self.settings.tokens.get(call.headers.get("kong-admin-token", ""))
        if known is None:
            raise Refusal(401, {"message": "Unauthorized"})
        action = ACTIONS.get(call.method, "read")
        if action not in known["actions"]:
            raise Refusal(403, {"message": f"{known['user']}, you do not have permissions to {action} this resource"})

    def _about(self) -> Json:
        edition = "enterprise" if self.settings.tokens else "community"
        return {
            "tagline": "Welcome to kong",
            "version": self.settings.version,
            "edition": edition,
            "hostname": "kong",
            "node_id": self.node_id,
            "configuration": {
                "database": self.settings.database,
                "db_update_frequency": 5,
                "worker_state_update_frequency": 5,
            },
        }

    def _services(self, call: Call, space: Workspace, parts: list[str]) -> Answer:
        match call.method, parts:
            case "GET", [key]:
                return json_answer(space.service(key))
            case "PATCH", [key]:
                row = space.service(key)
                self._writable("update", "services")
                return json_answer(store.change(row, _body(call), store.SERVICE_FIELDS))
            case "GET", []:
                rows = sorted(space.services.values(), key=lambda one: one["id"])
                return json_answer(_page(rows, call, "/services"))
            case "POST", []:
                given = _named(call)
                self._writable("create", "services")
                return json_answer(space.add_service(given["name"], str(given.get("host", ""))), 201)
        raise Refusal(405, {"message": "Method not allowed"})

    def _plugins(self, call: Call, space: Workspace, parts: list[str]) -> Answer:
        match call.method, parts:
            case "GET", []:
                rows = sorted(space.plugins.values(), key=lambda one: one["id"])
                return json_answer(_page(rows, call, "/plugins"))
            case "GET", [key]:
                return json_answer(space.plugin(key))
            case "PATCH", [key]:
                row, given = space.plugin(key), _body(call)
                self._writable("update", "plugins")
                if isinstance(given.get("config"), dict):
                    given["config"] = {**row["config"], **given["config"]}
                return json_answer(store.change(row, given, store.PLUGIN_FIELDS))
        raise Refusal(405, {"message": "Method not allowed"})

    def _upstreams(self, call: Call, space: Workspace, parts: list[str]) -> Answer:
        match call.method, parts:
            case "GET", []:
                rows = sorted(space.upstreams.values(), key=lambda one: one["id"])
                return json_answer(_page(rows, call, "/upstreams"))
            case "POST", []:
                given = _named(call)
                self._writable("create", "upstreams")
                return json_answer(space.add_upstream(**given), 201)
            case "GET", [key]:
                return json_answer(space.upstream(key))
            case "PATCH", [key]:
                row = space.upstream(key)
                self._writable("update", "upstreams")
                return json_answer(store.change(row, _body(call), store.UPSTREAM_FIELDS))
            case "DELETE", [key]:
                self._writable("delete", "upstreams")
                space.remove_upstream(space.upstream(key))
                return Answer(204)
            case _, [key, "targets" | "health", *_]:
                return self._targets(call, space, space.upstream(key), parts[1:])
            case _, [] | [_]:
                raise Refusal(405, {"message": "Method not allowed"})
        raise store.missing()

    def _targets(self, call: Call, space: Workspace, upstream: Json, parts: list[str]) -> Answer:
        path = f"/upstreams/{upstream['id']}/targets"
        match call.method, parts:
            case "GET", ["targets"] | ["targets", "all"]:
                return json_answer(_page(space.targets_of(upstream), call, "/".join([path, *parts[1:]])))
            case "GET", ["health"] if call.first("balancer_health") == "1":
                return json_answer({"data": self._balanced(space, upstream), "next": None, "node_id": self.node_id})
            case "GET", ["health"]:
                rows = [self._checked(one) for one in space.targets_of(upstream)]
                return json_answer({**_page(rows, call, path), "node_id": self.node_id})
            case "POST", ["targets"]:
                self._writable("create", "targets")
                return json_answer(space.add_target(upstream, _body(call)), 201)
            case "GET", ["targets", key]:
                return json_answer(space.target(upstream, key))
            case (("PATCH" | "PUT"), ["targets", key]) if self._patches_targets():
                row, given = space.target(upstream, key), _body(call)
                store.change(dict(row), given, store.TARGET_FIELDS)  # fields are checked before the database is asked
                self._writable("update", "targets")
                return json_answer(store.change(row, given, store.TARGET_FIELDS))
            case "DELETE", ["targets", key]:
                row = space.target(upstream, key)
                self._writable("delete", "targets")
                del space.targets[row["id"]]
                return Answer(204)
        raise Refusal(405, {"message": "Method not allowed"})

    def _patches_targets(self) -> bool:
        major, minor = (int(part) for part in self.settings.version.split(".")[:2])
        return (major, minor) >= (2, 2)

    def _checked(self, row: Json) -> Json:
        return {**row, "health": self.settings.health.get(row["target"], "HEALTHCHECKS_OFF")}

    def _balanced(self, space: Workspace, upstream: Json) -> Json:
        """Return an upstream as the balancer sees it: with the weights that count now, and the health of the whole."""
        rows = [self._checked(one) for one in space.targets_of(upstream)]
        total = sum(one["weight"] for one in rows)
        left = sum(one["weight"] for one in rows if one["health"] in ("HEALTHY", "HEALTHCHECKS_OFF"))
        weight = {"total": total, "available": left, "unavailable": total - left}
        return {
            "id": upstream["id"],
            "name": upstream["name"],
            "health": "HEALTHY" if left else "UNHEALTHY",
            "details": {
                "weight": weight,
                "hosts": [{"host": one["target"], "nodeWeight": one["weight"]} for one in rows],
            },
        }

    def _writable(self, verb: str, entities: str) -> None:
        if self.settings.database == "off":
            done = PARTICIPLES[verb]
            text = f"cannot {done} '{entities}' entities when not using a database"
            raise Refusal(405, {"code": UNSUPPORTED[0], "name": UNSUPPORTED[1], "message": text})


def _body(call: Call) -> Json:
    try:
        given = call.json() if call.body else {}
    except ValueError as error:
        raise Refusal(400, {"message": "Cannot parse JSON body"}) from error
    if not isinstance(given, dict):
        raise Refusal(400, {"message": "Cannot parse JSON body"})
    return given


def _named(call: Call) -> Json:
    given = _body(call)
    if not isinstance(given.get("name"), str):
        raise store.wrong("name", "required field missing")
    return given


def _page(rows: list[Json], call: Call, path: str) -> Json:
    """Return one page; what follows names an offset, but neither the size nor the workspace."""
    size = min(int(call.first("size", str(PAGE))), LARGEST_PAGE)
    offset = call.first("offset")
    start = _offset(offset) if offset else 0
    more = start + size < len(rows)
    then = base64.b64encode(json.dumps(start + size).encode()).decode() if more else None
    body: Json = {"data": rows[start : start + size], "next": f"{path}?offset={quote(then, safe='')}" if then else None}
    return {**body, "offset": then} if then else body


def _offset(text: str) -> int:
    try:
        return int(json.loads(base64.b64decode(text, validate=True)))
    except (binascii.Error, ValueError) as error:
        message = f"'{text}' is not a valid offset: bad base64 encoding"
        raise Refusal(400, {"code": INVALID_OFFSET[0], "name": INVALID_OFFSET[1], "message": message}) from error


def main() -> None:
    """Run the stand-in as a process of its own."""
    parser = with_memory(arguments(__doc__.splitlines()[0] if __doc__ else ""))
    parser.add_argument("--database", choices=("postgres", "off"), default="postgres", help="off: without a database")
    parser.add_argument("--token", action="append", default=[], help="Kong Enterprise: a token that may do everything")
    parser.add_argument("--service", action="append", help="a service of the bank to stand before; default: frontend")
    given = parser.parse_args()
    doors = partial(store.bank_of_anthos, given.service) if given.service else store.bank_of_anthos
    everything = {"user": "gmud", "actions": sorted({*ACTIONS.values()})}
    tokens = dict.fromkeys(given.token, everything)
    serve(Kong(doors, memory=Memory(given.state), database=given.database, tokens=tokens), given.port)


if __name__ == "__main__":
    main()

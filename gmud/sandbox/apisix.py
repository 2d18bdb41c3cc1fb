"""A stand-in of APISIX's Admin API v3: routes, services, upstreams and plugin configs, as shifting traffic needs them.

``python -m gmud.sandbox.apisix --port 9180``

Where its behaviour comes from: APISIX's source (f519a0f04, after 3.18), read, not recorded; no APISIX could be run. The
words of a refused configuration are shorter than the real ones. Nothing here forwards traffic. ``--control-port 9090``
serves the Control API of one node beside it (see ``apisix_control``).

What it can be told to be, on the command line, in Python, or with ``POST /_sandbox/settings``:

- ``keys``: by key, ``admin`` or ``viewer``, who may only read; none at all lets everybody in.
- ``standalone``: no etcd. Only the whole configuration at ``/apisix/admin/configs`` is there: it is read, checked
  (``/validate``) and replaced with a digest of the writer's own, each kind only by a version that is no older.
- ``closed``: our address is not among those that may come (``allow_admin``); nginx answers.
- ``legacy``: answers as before v3 (``admin_api_version: default``).
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import unquote

from gmud.sandbox import apisix_store as store
from gmud.sandbox.apisix_control import Control
from gmud.sandbox.apisix_store import KINDS, Json, Refusal, Store, wrong
from gmud.sandbox.keeping import Memory
from gmud.sandbox.server import (
    Answer,
    Call,
    Sandbox,
    arguments,
    json_answer,
    refuse_in_production,
    running,
    serve,
    text_answer,
    with_memory,
)

VERSION = "3.18.0"
ADMIN_KEY, VIEWER_KEY = "sandbox-admin-key", "sandbox-viewer-key"
SMALLEST_PAGE, LARGEST_PAGE = 10, 500
NGINX_403 = "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>"


@dataclass
class Settings:
    """How this APISIX is installed."""

    keys: dict[str, str] = field(default_factory=lambda: {ADMIN_KEY: "admin", VIEWER_KEY: "viewer"})
    standalone: bool = False
    closed: bool = False
    legacy: bool = False
    version: str = VERSION


class Apisix(Sandbox):
    """Answers as APISIX' Admin API does, oddities included."""

    title = "apisix"

    def __init__(
        self, objects: Callable[[], Store] = store.bank_of_anthos, *, memory: Memory | None = None, **settings: Any
    ) -> None:
        """Take the front doors of Bank of Anthos unless others are given."""
        super().__init__()
        self.beginning = (objects, settings)
        self.memory = memory or Memory()
        self.rival: Callable[[Call], None] = lambda _call: None
        self.racer: Callable[[], None] = lambda: None
        self.digest = ""
        self.versions: dict[str, int] = {}
        self.settings = Settings(**settings)
        self.store = self.memory.recall(store.recalled) or objects()
        self.memory.keep(store.told(self.store))

    def reset(self) -> None:
        """Forget what was changed."""
        objects, settings = self.beginning
        self.settings, self.store = Settings(**settings), objects()
        self.digest, self.versions = "", {}
        self.memory.keep(store.told(self.store))

    def state(self) -> Any:
        """Return every object's value, by kind and id."""
        return {
            kind: {key: entry.value for key, entry in rows.items()} for kind, rows in self.store.entries.items() if rows
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
        return f"APISIX/{self.settings.version}"

    def answer(self, call: Call) -> Answer:
        """Answer one request."""
        if self.settings.closed:
            return text_answer(NGINX_403, 403, kind="text/html")
        try:
            answer = self._answer(call)
        except Refusal as refusal:
            answer = json_answer(refusal.body, refusal.status)
        return Answer(answer.status, answer.body, {**answer.headers, "X-API-VERSION": self._api()})

    def _api(self) -> str:
        return "v2" if self.settings.legacy else "v3"

    def _answer(self, call: Call) -> Answer:
        match [unquote(part) for part in call.path.strip("/").split("/")]:
            case ["apisix", "admin", *parts] if parts and (call.method != "HEAD" or self.settings.standalone):
                self._authorize(call)
            case _:
                raise Refusal(404, {"error_msg": "404 Route Not Found"})
        if self.settings.standalone:
            return self._standalone(call, parts)
        if call.method != "GET":
            self.rival(call)
        with self.lock:
            answer = self._resource(call, parts)
            if call.method != "GET":
                self.memory.keep(store.told(self.store))
        return answer

    def _authorize(self, call: Call) -> None:
        if not self.settings.keys:
            return
        key = call.first("api_key") or call.headers.get("x-api-key", "")
        role = self.settings.keys.get(key)
        why = "" if role else ("wrong apikey" if key else "missing apikey")
        if role == "viewer" and call.method != "GET":
            why = "invalid method for role viewer"
        if why:
            raise Refusal(401, {"error_msg": "failed to check token", "description": why})

    def _standalone(self, call: Call, parts: list[str]) -> Answer:
        """Answer what API-driven standalone knows (apisix/admin/standalone.lua)."""
        with self.lock:
            match call.method, parts:
                case "GET" | "HEAD", ["configs"]:
                    return json_answer(self._document(), headers=self._stamps())
                case "POST", ["configs", "validate"]:
                    self._replaced(_body(call))
                    return Answer(200)
                case "PUT", ["configs"]:
                    return self._replace(call)
        raise Refusal(404, {"error_msg": "404 Route Not Found"})

    def _document(self) -> Json:
        body: Json = {kind: [one.value for one in rows.values()] for kind, rows in self.store.entries.items()}
        return {**body, **{f"{kind}_conf_version": self.versions.get(kind, 0) for kind in KINDS}}

    def _stamps(self) -> dict[str, str]:
        made_up = hashlib.sha256(json.dumps(self._document(), sort_keys=True).encode()).hexdigest()
        return {"X-Digest": self.digest or made_up, "X-Last-Modified": "1763000000"}

    def _replace(self, call: Call) -> Answer:
        digest = call.headers.get("x-digest", "")
        if not digest:
            raise wrong("missing digest header")
        if not call.body:
            raise wrong("invalid request body: empty request body")
        if digest == self._stamps()["X-Digest"]:
            return Answer(204)
        self.store, self.versions = self._replaced(_body(call))
        self.digest = digest
        self.memory.keep(store.told(self.store))
        return Answer(202)

    def _replaced(self, said: Json) -> tuple[Store, dict[str, int]]:
        """Return what a document makes of everything; a kind whose version is the old one stays as it is."""
        after, versions = Store(revision=self.store.revision), dict(self.versions)
        for kind in KINDS:
            name, old = f"{kind}_conf_version", self.versions.get(kind, 0)
            new = said.get(name, old + 1)
            if isinstance(new, bool) or not isinstance(new, int | float):
                raise wrong(f"{name} must be a number")
            if new < old:
                raise wrong(f"{name} must be greater than or equal to ({old})")
            versions[kind] = int(new)
            if new == old:
                after.entries[kind] = self.store.entries[kind]
                continue
            for index, item in enumerate(said.get(kind) or ()):
                key = str(item.get("id"))
                if key in after.entries[kind]:
                    raise wrong(f"found duplicate id {key} in {kind}")
                try:
                    after.put(kind, key, {name: value for name, value in item.items() if name not in store.STAMPS})
                except Refusal as refusal:
                    raise wrong(f"invalid {kind} at index {index}, err: {refusal.body['error_msg']}") from refusal
        return after, versions

    def _resource(self, call: Call, parts: list[str]) -> Answer:
        match call.method, parts:
            case "POST", ["schema", "validate", kind] if kind in KINDS:
                store.check(kind, _body(call))
                return Answer(200)
            case "GET", [kind] if kind in KINDS:
                return json_answer(self._listed(kind, call))
            case "GET", [kind, key] if kind in KINDS:
                entry = self.store.get(kind, key)
                stamps = {"createdIndex": entry.created, "modifiedIndex": entry.modified}
                return self._one("get", kind, key, entry.value, stamps)
            case "PUT", [kind, key] if kind in KINDS:
                new = self.store.put(kind, key, _body(call))
                return self._one("set", kind, key, self.store.get(kind, key).value, status=201 if new else 200)
            case "PATCH", [kind, key, *path] if kind in KINDS:
                given = _json(call)

                def changed(value: Json) -> Json:
                    if path:
                        return store.put_at(value, path, given)
                    return store.merge(value, _body(call))

                entry = self.store.patch(kind, key, changed, self.racer)
                return self._one("compareAndSwap", kind, key, entry.value)
            case "DELETE", [kind, key] if kind in KINDS:
                self.store.remove(kind, key)
                return json_answer({"deleted": "1", "key": f"/apisix/{kind}/{key}"})
        if parts[0] not in KINDS:
            raise Refusal(404, {"error_msg": f"Unsupported resource type: {parts[0]}"})
        raise Refusal(404, {"error_msg": "Unsupported method: " + call.method})

    def _one(
        self, action: str, kind: str, key: str, value: Json, stamps: Json | None = None, status: int = 200
    ) -> Answer:
        node = {"key": f"/apisix/{kind}/{key}", "value": value, **(stamps or {})}
        return json_answer({"action": action, "node": node} if self.settings.legacy else node, status)

    def _listed(self, kind: str, call: Call) -> Json:
        rows: list[Json] = [
            {
                "key": f"/apisix/{kind}/{key}",
                "value": one.value,
                "createdIndex": one.created,
                "modifiedIndex": one.modified,
            }
            for key, one in sorted(self.store.entries[kind].items(), key=lambda pair: pair[1].created)
        ]
        for name in ("name", "uri"):
            if wanted := call.first(name):
                rows = [one for one in rows if re.search(wanted, str(one["value"].get(name, "")))]
        total = len(rows)
        if "page" in call.query and "page_size" in call.query:
            size = int(call.first("page_size"))
            if not SMALLEST_PAGE <= size <= LARGEST_PAGE:
                raise wrong(f"page_size must be between {SMALLEST_PAGE} and {LARGEST_PAGE}")
            start = (max(int(call.first("page")), 1) - 1) * size
            rows = rows[start : start + size]
        if self.settings.legacy:
            return {"action": "get", "node": {"key": f"/apisix/{kind}", "dir": True, "nodes": rows}}
        return {"list": rows, "total": total}


def _json(call: Call) -> Any:
    try:
        return call.json()
    except ValueError as error:
        text = call.body.decode("utf-8", "replace")
        raise Refusal(400, {"error_msg": f"invalid request body: {error}", "req_body": text}) from error


def _body(call: Call) -> Json:
    given = _json(call)
    if not isinstance(given, dict):
        raise wrong("invalid configuration")
    return given


def main() -> None:
    """Run the stand-in as a process of its own."""
    parser = with_memory(arguments(__doc__.splitlines()[0] if __doc__ else ""))
    parser.add_argument("--standalone", action="store_true", help="without etcd: the configuration is only read")
    parser.add_argument("--service", action="append", help="a service of the bank to stand before; default: frontend")
    parser.add_argument("--control-port", type=int, help="serve the Control API of one node there, too")
    given = parser.parse_args()
    doors = partial(store.bank_of_anthos, given.service) if given.service else store.bank_of_anthos
    apisix = Apisix(doors, memory=Memory(given.state), standalone=given.standalone)
    refuse_in_production()
    with running(Control(apisix), given.control_port) if given.control_port else nullcontext():
        serve(apisix, given.port)


if __name__ == "__main__":
    main()

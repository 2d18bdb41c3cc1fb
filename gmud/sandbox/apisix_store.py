"""What the stand-in of APISIX holds: objects under numbered revisions, as in etcd, and the rules of their fields."""

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]
KINDS = ("routes", "services", "upstreams", "plugin_configs")
STAMPS = ("create_time", "update_time")
SPLIT = "traffic-split"
MOST_UPSTREAMS = 20


class Refusal(Exception):
    """An answer other than 200; the body is JSON."""

    def __init__(self, status: int, body: Json) -> None:
        """Keep status and body."""
        super().__init__(status)
        self.status = status
        self.body = body


def wrong(why: str) -> Refusal:
    """Return the refusal of a configuration."""
    return Refusal(400, {"error_msg": why})


@dataclass
class Entry:
    """One object: its value, and the revisions that made it and changed it last."""

    value: Json
    created: int
    modified: int


@dataclass
class Store:
    """Every object by kind and id; ``revision`` counts every write of anything, as etcd does."""

    entries: dict[str, dict[str, Entry]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    revision: int = 40

    def get(self, kind: str, key: str) -> Entry:
        """Return an object.

        :raises Refusal: it is not there
        """
        if key not in self.entries[kind]:
            raise Refusal(404, {"message": "Key not found"})
        return self.entries[kind][key]

    def put(self, kind: str, key: str, value: Json) -> bool:
        """Write a whole object; say whether it is a new one.

        :raises Refusal: a field is wrong
        """
        for name in STAMPS:
            if name in value:
                raise wrong(f"the property is forbidden: {name}")
        there = self.entries[kind].get(key)
        made = there.value.get("create_time") if there else None
        self._set(kind, key, {**value, "id": key, "create_time": made or int(time.time())})
        return there is None

    def patch(self, kind: str, key: str, change: Callable[[Json], Json], meanwhile: Callable[[], None]) -> Entry:
        """Read, change and write an object if nobody else did ``meanwhile``.

        :raises Refusal: it is not there, a field is wrong, or somebody was faster
        """
        there = self.get(kind, key)
        seen = there.modified
        value = change(copy.deepcopy(there.value))
        check(kind, value)
        meanwhile()
        if key not in self.entries[kind] or self.entries[kind][key].modified != seen:
            raise Refusal(503, {"error_msg": "value changed before overwritten"})
        return self._set(kind, key, value)

    def remove(self, kind: str, key: str) -> None:
        """Drop an object.

        :raises Refusal: it is not there
        """
        self.get(kind, key)
        self.revision += 1
        del self.entries[kind][key]

    def touch(self) -> None:
        """Write something else in etcd, as a node does that reports."""
        self.revision += 1

    def _set(self, kind: str, key: str, value: Json) -> Entry:
        check(kind, value)
        self.revision += 1
        there = self.entries[kind].get(key)
        value = {**value, "update_time": int(time.time())}
        self.entries[kind][key] = Entry(value, there.created if there else self.revision, self.revision)
        return self.entries[kind][key]


def merge(there: Json, given: Json) -> Json:
    """Lay an object over another: maps are merged, lists and empty maps replaced, and null takes a field away."""
    for name, value in given.items():
        if value is None:
            there.pop(name, None)
        elif isinstance(value, dict) and isinstance(there.get(name), dict) and there[name]:
            merge(there[name], value)
        else:
            there[name] = value
    return there


def put_at(there: Json, path: list[str], value: Any) -> Json:
    """Replace what stands at a path; what is missing on the way is made.

    :raises Refusal: the way leads through something that is no map
    """
    place = there
    for name in path[:-1]:
        place = place.setdefault(name, {})
        if not isinstance(place, dict):
            raise wrong(f"invalid sub-path: /{'/'.join(path)}")
    place[path[-1]] = value
    return there


def check(kind: str, value: Json) -> None:
    """Check what matters to a split of traffic; the wording of a real refusal is longer.

    :raises Refusal: a field is wrong
    """
    if kind == "upstreams":
        _upstream(value, "upstream")
    elif "upstream" in value:
        _upstream(value["upstream"], "upstream")
    split = value.get("plugins", {}).get(SPLIT)
    if split is not None:
        _split(split)


def _upstream(value: Json, name: str) -> None:
    nodes = value.get("nodes")
    if isinstance(nodes, dict):
        for key, weight in nodes.items():
            _weight(weight, f'{name}: property "nodes" validation failed: {key}')
    elif isinstance(nodes, list):
        for node in nodes:
            _weight(node.get("weight"), f'{name}: property "nodes" validation failed')
    elif "service_name" not in value:
        raise wrong(f"invalid configuration: {name}: nodes or service_name is required")


def _split(split: Any) -> None:
    told = f"failed to check the configuration of plugin {SPLIT} err"
    rules = split.get("rules", []) if isinstance(split, dict) else None
    if not isinstance(rules, list):
        raise wrong(f'{told}: property "rules" validation failed: wrong type: expected array')
    for rule in rules:
        entries = rule.get("weighted_upstreams", [{"weight": 1}])
        if not 1 <= len(entries) <= MOST_UPSTREAMS:
            raise wrong(f'{told}: property "weighted_upstreams" validation failed: expect 1 to {MOST_UPSTREAMS} items')
        for entry in entries:
            _weight(entry.get("weight", 1), f'{told}: property "weighted_upstreams" validation failed')
            if "upstream" in entry:
                _upstream(entry["upstream"], told)


def _weight(value: Any, told: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        kind = type(value).__name__
        raise wrong(f'{told}: property "weight" validation failed: wrong type: expected integer, got {kind}')
    if value < 0:
        raise wrong(f'{told}: property "weight" validation failed: expected {value} to be at least 0')


def told(store: Store) -> Json:
    """Return everything as JSON can say it."""
    return asdict(store)


def recalled(kept: Json) -> Store:
    """Read what :func:`told` returned."""
    entries = {kind: {key: Entry(**one) for key, one in rows.items()} for kind, rows in kept["entries"].items()}
    return Store(entries, kept["revision"])


def bank_of_anthos(services: Sequence[str] = ("frontend",)) -> Store:
    """Return a route to each of these services of the bank, everything on the stable side."""
    store = Store()
    for service in services:
        for environment in ("production", "staging"):
            _front_door(store, service, environment)
    return store


def _front_door(store: Store, service: str, environment: str) -> None:
    name = f"{service}-{environment}"
    for track in ("stable", "canary"):
        node = f"{service}-{track}.bank-{environment}.svc:8080"
        store.put("upstreams", f"{name}-{track}", {"type": "roundrobin", "nodes": {node: 1}})
    sides = [{"upstream_id": f"{name}-canary", "weight": 0}, {"weight": 100}]
    route = {
        "name": name,
        "uri": "/*",
        "hosts": [f"{service}.{environment}.bank.example"],
        "upstream_id": f"{name}-stable",
        "plugins": {SPLIT: {"rules": [{"weighted_upstreams": sides}]}},
    }
    store.put("routes", name, route)

"""What the stand-in of Kong holds: workspaces with upstreams and targets, and the rules of their fields.

Two people who change the same target meet here as they do in Kong: the later one wins, and nobody is told.
"""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

Json = dict[str, Any]
HEAVIEST = 65535
DEFAULT_WEIGHT = 100
DEFAULT_PORT = 8000
SCHEMA, UNIQUE = (2, "schema violation"), (5, "unique constraint violation")
UPSTREAM_FIELDS = ("algorithm", "hash_on", "slots", "tags")
TARGET_FIELDS = ("target", "weight", "tags")
SERVICE_FIELDS = ("host", "path", "port", "protocol", "tags")
PLUGIN_FIELDS = ("enabled", "config", "tags")
CANARY = "canary"


class Refusal(Exception):
    """An answer other than 200, as Kong words it."""

    def __init__(self, status: int, body: Json) -> None:
        """Keep status and body."""
        super().__init__(status)
        self.status = status
        self.body = body


def missing() -> Refusal:
    """Return what Kong says of what is not there."""
    return Refusal(404, {"message": "Not found"})


def violation(kind: tuple[int, str], status: int, message: str, fields: Json) -> Refusal:
    """Return a refusal that names fields."""
    return Refusal(status, {"code": kind[0], "name": kind[1], "message": message, "fields": fields})


def wrong(name: str, why: str) -> Refusal:
    """Return what Kong says of a field that breaks its schema."""
    return violation(SCHEMA, 400, f"schema violation ({name}: {why})", {name: why})


def _taken(key: str, fields: Json) -> Refusal:
    return violation(UNIQUE, 409, f"UNIQUE violation detected on '{key}'", fields)


def _unique(rows: Mapping[str, Json], name: str) -> None:
    if any(one["name"] == name for one in rows.values()):
        raise _taken(f'{{name="{name}"}}', {"name": name})


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _now() -> float:
    return round(time.time(), 3)


def normal(target: str) -> str:
    """Return a target with its port."""
    return target if ":" in target else f"{target}:{DEFAULT_PORT}"


@dataclass
class Workspace:
    """Upstreams, their targets, the services that send to them, and the plugins of those, each by id."""

    upstreams: dict[str, Json] = field(default_factory=dict)
    targets: dict[str, Json] = field(default_factory=dict)
    services: dict[str, Json] = field(default_factory=dict)
    plugins: dict[str, Json] = field(default_factory=dict)

    def upstream(self, key: str) -> Json:
        """Return an upstream by name or id.

        :raises Refusal: it is not there
        """
        found = self.upstreams.get(key) if _is_id(key) else None
        found = found or next((one for one in self.upstreams.values() if one["name"] == key), None)
        if found is None:
            raise missing()
        return found

    def targets_of(self, upstream: Json) -> list[Json]:
        """Return the targets of an upstream, the newest first."""
        mine = [one for one in self.targets.values() if one["upstream"]["id"] == upstream["id"]]
        return sorted(mine, key=lambda one: (-one["created_at"], one["id"]))

    def target(self, upstream: Json, key: str) -> Json:
        """Return a target by ``host:port`` or id.

        :raises Refusal: it is not there
        """
        mine = self.targets_of(upstream)
        found = next((one for one in mine if key == one["id"] or normal(key) == one["target"]), None)
        if found is None:
            raise missing()
        return found

    def add_upstream(self, name: str, **more: Any) -> Json:
        """Make an upstream.

        :raises Refusal: a field is wrong, or one of that name is there already
        """
        _checked(more, UPSTREAM_FIELDS)
        _unique(self.upstreams, name)
        now = _now()
        body = {
            "id": str(uuid.uuid4()),
            "name": name,
            "algorithm": "round-robin",
            "hash_on": "none",
            "slots": 10000,
            "tags": None,
            "created_at": int(now),
            "updated_at": int(now),
            **more,
        }
        self.upstreams[body["id"]] = body
        return body

    def add_target(self, upstream: Json, given: Mapping[str, Any]) -> Json:
        """Make a target.

        :raises Refusal: a field is wrong, or it is there already
        """
        fields = _checked(given, TARGET_FIELDS)
        if "target" not in fields:
            raise wrong("target", "required field missing")
        name = normal(fields["target"])
        if any(one["target"] == name for one in self.targets_of(upstream)):
            key = f'{{target="{name}",upstream={{id="{upstream["id"]}"}}}}'
            raise _taken(key, {"target": name, "upstream": {"id": upstream["id"]}})
        now = _now()
        body = {
            "id": str(uuid.uuid4()),
            "target": name,
            "weight": fields.get("weight", DEFAULT_WEIGHT),
            "tags": fields.get("tags"),
            "upstream": {"id": upstream["id"]},
            "created_at": now,
            "updated_at": now,
        }
        self.targets[body["id"]] = body
        return body

    def add_service(self, name: str, host: str) -> Json:
        """Make a service that sends to a host, which may be an upstream's name.

        :raises Refusal: one of that name is there already
        """
        _unique(self.services, name)
        now = int(_now())
        body: Json = {"id": str(uuid.uuid4()), "name": name, "host": host, "port": 80, "protocol": "http"}
        self.services[body["id"]] = {**body, "path": None, "tags": None, "created_at": now, "updated_at": now}
        return self.services[body["id"]]

    def service(self, key: str) -> Json:
        """Return a service by name or id.

        :raises Refusal: it is not there
        """
        found = self.services.get(key) or next((one for one in self.services.values() if one["name"] == key), None)
        if found is None:
            raise missing()
        return found

    def add_canary(self, service: Json | None, **config: Any) -> Json:
        """Have the plugin ``canary`` send a part of the requests to a service, or to all of them, elsewhere.

        :raises Refusal: the percentage is wrong
        """
        now = int(_now())
        body: Json = {"id": str(uuid.uuid4()), "name": CANARY, "enabled": True, "tags": None, "created_at": now}
        body |= {"service": {"id": service["id"]} if service else None, "route": None, "updated_at": now}
        self.plugins[body["id"]] = {**body, "config": _ramp(config)}
        return self.plugins[body["id"]]

    def plugin(self, key: str) -> Json:
        """Return a plugin by id.

        :raises Refusal: it is not there
        """
        if key not in self.plugins:
            raise missing()
        return self.plugins[key]

    def remove_upstream(self, upstream: Json) -> None:
        """Drop an upstream with its targets."""
        for one in self.targets_of(upstream):
            del self.targets[one["id"]]
        del self.upstreams[upstream["id"]]


def change(row: Json, given: Mapping[str, Any], allowed: tuple[str, ...]) -> Json:
    """Write fields into a row; whatever anybody else wrote there meanwhile is gone.

    :raises Refusal: a field is wrong
    """
    row |= _checked(given, allowed)
    row["updated_at"] = max(_now(), row["updated_at"] + 0.001) if "target" in row else int(_now())
    return row


def _checked(given: Mapping[str, Any], allowed: tuple[str, ...]) -> Json:
    fields = dict(given)
    if isinstance(fields.get("config"), dict):
        fields["config"] = _ramp(fields["config"])
    for name in fields:
        if name not in allowed:
            raise wrong(name, "unknown field")
    if "weight" in fields:
        fields["weight"] = _weight(fields["weight"])
    return fields


def _ramp(config: Json) -> Json:
    """Return the configuration of ``canary``: a fixed percentage, or none and a start, from when on it rises."""
    whole = {"percentage": None, "start": None, "duration": 3600, "steps": 1000, "hash": "consumer", **config}
    percentage = whole["percentage"]
    is_number = isinstance(percentage, int | float) and not isinstance(percentage, bool)
    if percentage is not None and not (is_number and 0 <= percentage <= 100):
        raise wrong("config.percentage", "value should be between 0 and 100")
    return whole


def _weight(value: Any) -> int:
    """Return a weight; ``null`` puts the default back."""
    if value is None:
        return DEFAULT_WEIGHT
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
        raise wrong("weight", "expected an integer")
    if not 0 <= value <= HEAVIEST:
        raise wrong("weight", f"value should be between 0 and {HEAVIEST}")
    return int(value)


def told(workspaces: Mapping[str, Workspace]) -> Json:
    """Return everything as JSON can say it."""
    return {name: asdict(one) for name, one in workspaces.items()}


def recalled(kept: Json) -> dict[str, Workspace]:
    """Read what :func:`told` returned."""
    return {name: Workspace(**one) for name, one in kept.items()}


def bank_of_anthos(services: Sequence[str] = ("frontend",)) -> dict[str, Workspace]:
    """Return an upstream before each of these services of the bank, everything on the stable side."""
    default = Workspace()
    for service in services:
        for environment in ("production", "staging"):
            upstream = default.add_upstream(f"{service}-{environment}")
            default.add_service(upstream["name"], upstream["name"])
            for track, weight in (("stable", 100), ("canary", 0)):
                target = f"{service}-{track}.bank-{environment}.svc:8080"
                default.add_target(upstream, {"target": target, "weight": weight})
    return {"default": default}

"""What the resource definitions of Istio refuse, and what they let pass although it makes no sense."""

import re
from collections.abc import Iterator
from typing import Any

from gmud.sandbox.kubernetes.failures import UNCHECKED

INT32 = 2**31 - 1
_DURATION = re.compile(r"^(\d+(\.\d+)?(ms|us|ns|s|m|h))+$")
_ZERO = re.compile(r"^(0+(\.0+)?(ms|us|ns|s|m|h))+$")

ROUTE = frozenset(
    {"name", "match", "route", "redirect", "directResponse", "delegate", "rewrite", "timeout", "retries", "fault"}
    | {"mirror", "mirrors", "mirrorPercent", "mirrorPercentage", "corsPolicy", "headers"}
)
DESTINATION = frozenset({"destination", "weight", "headers"})
SPEC = frozenset({"hosts", "gateways", "http", "tls", "tcp", "exportTo"})

Cause = dict[str, str]


def unknown_fields(spec: dict[str, Any]) -> list[str]:
    """Return the paths of fields the definition does not know, at the depths that carry routes."""
    found = [f"spec.{key}" for key in spec if key not in SPEC]
    for section in ("http", "tls", "tcp"):
        for index, route in enumerate(spec.get(section) or []):
            where = f"spec.{section}[{index}]"
            found += [f"{where}.{key}" for key in route if key not in ROUTE]
            for position, entry in enumerate(route.get("route") or []):
                found += [f"{where}.route[{position}].{key}" for key in entry if key not in DESTINATION]
    return found


def prune(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec as it is stored: unknown fields gone, null weights dropped, 33.0 stored as 33."""
    kept = {key: value for key, value in spec.items() if key in SPEC}
    for section in ("http", "tls", "tcp"):
        if section in kept:
            kept[section] = [_pruned(route) for route in kept[section]]
    return kept


def _pruned(route: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in route.items() if key in ROUTE}
    if "route" in kept:
        kept["route"] = [
            {key: _whole(value) for key, value in entry.items() if key in DESTINATION and value is not None}
            for entry in kept["route"]
        ]
    return kept


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def causes(spec: dict[str, Any]) -> list[Cause]:
    """Return why the definition refuses this spec; -5 and 0/0 pass, as on the real server."""
    found = list(_structural(spec))
    if found:
        return [*found, *_overflows(spec, floats=True), UNCHECKED]
    return [*_overflows(spec, floats=False), *_rules(spec)]


def _entries(spec: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for section in ("http", "tls", "tcp"):
        for index, route in enumerate(spec.get(section) or []):
            for position, entry in enumerate(route.get("route") or []):
                yield f"spec.{section}[{index}].route[{position}]", entry


def _structural(spec: dict[str, Any]) -> Iterator[Cause]:
    for where, entry in _entries(spec):
        if "destination" not in entry:
            yield {"reason": "FieldValueRequired", "message": "Required value", "field": f"{where}.destination"}
        weight = entry.get("weight")
        if isinstance(weight, bool):
            yield _mistyped(f"{where}.weight", "int32", "")
        elif isinstance(weight, str):
            yield _mistyped(f"{where}.weight", "integer", "string")
        elif isinstance(weight, float) and not weight.is_integer():
            yield _mistyped(f"{where}.weight", "int32", "float64")


def _mistyped(field: str, wanted: str, got: str) -> Cause:
    message = f'Invalid value: "{got}": {field} in body must be of type {wanted}: "{got}"'
    return {"reason": "FieldValueTypeInvalid", "message": message, "field": field}


def _overflows(spec: dict[str, Any], *, floats: bool) -> Iterator[Cause]:
    for where, entry in _entries(spec):
        weight = entry.get("weight")
        broken = isinstance(weight, float) and not weight.is_integer() and floats
        large = isinstance(weight, int) and not isinstance(weight, bool) and abs(weight) > INT32
        if broken or large:
            message = f'Invalid value: "": Checked value must be of type integer with format int32 in {where}.weight'
            yield {"reason": "FieldValueInvalid", "message": message, "field": "<nil>"}


def _rules(spec: dict[str, Any]) -> Iterator[Cause]:
    for index, route in enumerate(spec.get("http") or []):
        timeout = route.get("timeout")
        if timeout is not None and (not _DURATION.match(timeout) or _ZERO.match(timeout)):
            message = f'Invalid value: "{timeout}": must be a valid duration greater than 1ms'
            yield {"reason": "FieldValueInvalid", "message": message, "field": f"spec.http[{index}].timeout"}

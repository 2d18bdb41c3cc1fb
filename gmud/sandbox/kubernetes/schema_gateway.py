"""What the definitions of the Gateway API fill in and refuse; 0/0 passes, as on the real server."""

from collections.abc import Callable, Iterator
from typing import Any

from gmud.sandbox.kubernetes.failures import UNCHECKED

GROUP = "gateway.networking.k8s.io"
LARGEST = 1_000_000
SPEC = frozenset({"parentRefs", "hostnames", "rules", "useDefaultGateways"})
RULE = frozenset({"name", "matches", "filters", "backendRefs", "timeouts", "retry", "sessionPersistence"})
BACKEND = frozenset({"group", "kind", "name", "namespace", "port", "weight", "filters"})

Spec = dict[str, Any]
Cause = dict[str, str]


def unknown_fields(spec: Spec) -> list[str]:
    """Return the paths of fields the definition does not know, at the depths that carry backends."""
    found = [f"spec.{key}" for key in spec if key not in SPEC]
    for index, rule in enumerate(spec.get("rules") or []):
        found += [f"spec.rules[{index}].{key}" for key in rule if key not in RULE]
    return found + [f"{where}.{key}" for where, backend in _backends(spec) for key in backend if key not in BACKEND]


def settled_http(spec: Spec) -> Spec:
    """Return the spec of an HTTPRoute as it is stored: a rule without a match takes every path."""
    return _settled(spec, _http_match, default=[{}])


def settled_grpc(spec: Spec) -> Spec:
    """Return the spec of a GRPCRoute as it is stored."""
    return _settled(spec, _grpc_match, default=None)


def _settled(spec: Spec, match: Callable[[Spec], Spec], *, default: list[Any] | None) -> Spec:
    kept = {key: value for key, value in spec.items() if key in SPEC}
    if "parentRefs" in kept:
        kept["parentRefs"] = [{"group": GROUP, "kind": "Gateway", **one} for one in kept["parentRefs"]]
    kept["rules"] = [_rule(rule, match, default) for rule in kept.get("rules") or [{}]]
    return kept


def _rule(rule: Spec, match: Callable[[Spec], Spec], default: list[Any] | None) -> Spec:
    kept = {key: value for key, value in rule.items() if key in RULE}
    matches = kept.get("matches", default)
    if matches is not None:
        kept["matches"] = [match(one) for one in matches]
    if "backendRefs" in kept:
        kept["backendRefs"] = [_backend(one) for one in kept["backendRefs"]]
    return kept


def _backend(backend: Spec) -> Spec:
    known = {key: value for key, value in backend.items() if key in BACKEND and value is not None}
    return {"group": "", "kind": "Service", "weight": 1, **known}


def _http_match(match: Spec) -> Spec:
    path = {"type": "PathPrefix", "value": "/", **match.get("path", {})}
    return {**match, "path": path, **_typed(match, "headers"), **_typed(match, "queryParams")}


def _grpc_match(match: Spec) -> Spec:
    method = {"method": {"type": "Exact", **match["method"]}} if "method" in match else {}
    return {**match, **method, **_typed(match, "headers")}


def _typed(match: Spec, name: str) -> Spec:
    return {name: [{"type": "Exact", **one} for one in match[name]]} if name in match else {}


def causes(spec: Spec) -> list[Cause]:
    """Return why the definition refuses this spec."""
    found = list(_mistyped(spec))
    if found:
        return [*found, UNCHECKED]
    return [*_out_of_range(spec), *_without_port(spec)]


def _backends(spec: Spec) -> Iterator[tuple[str, Spec]]:
    for index, rule in enumerate(spec.get("rules") or []):
        for position, backend in enumerate(rule.get("backendRefs") or []):
            yield f"spec.rules[{index}].backendRefs[{position}]", backend


def _mistyped(spec: Spec) -> Iterator[Cause]:
    names = {str: "string", bool: "boolean", float: "number"}
    for where, backend in _backends(spec):
        weight = backend.get("weight")
        if isinstance(weight, str | bool) or (isinstance(weight, float) and not weight.is_integer()):
            got = names[type(weight)]
            field = f"{where}.weight"
            message = f'Invalid value: "{got}": {field} in body must be of type integer: "{got}"'
            yield {"reason": "FieldValueTypeInvalid", "message": message, "field": field}


def _out_of_range(spec: Spec) -> Iterator[Cause]:
    for where, backend in _backends(spec):
        weight, field = backend.get("weight", 1), f"{where}.weight"
        if weight is not None and not 0 <= weight <= LARGEST:
            bound = "greater than or equal to 0" if weight < 0 else f"less than or equal to {LARGEST}"
            message = f"Invalid value: {weight}: {field} in body should be {bound}"
            yield {"reason": "FieldValueInvalid", "message": message, "field": field}


def _without_port(spec: Spec) -> Iterator[Cause]:
    for where, backend in _backends(spec):
        is_service = (backend.get("group", ""), backend.get("kind", "Service")) == ("", "Service")
        if is_service and "port" not in backend:
            message = "Invalid value: Must have port for Service reference"
            yield {"reason": "FieldValueInvalid", "message": message, "field": where}

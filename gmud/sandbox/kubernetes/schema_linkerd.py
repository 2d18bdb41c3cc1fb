"""What the older versions of Linkerd's HTTPRoute show of an object, and what a write through them loses."""

from typing import Any

from gmud.sandbox.kubernetes import schema_gateway

Spec = dict[str, Any]

causes = schema_gateway.causes
unknown_fields = schema_gateway.unknown_fields
settled = schema_gateway.settled_http


def without_timeouts(spec: Spec) -> Spec:
    """Return a spec as v1beta2 knows it."""
    rules = [{key: value for key, value in rule.items() if key != "timeouts"} for rule in spec.get("rules", ())]
    return {**spec, "rules": rules}


def without_weights(spec: Spec) -> Spec:
    """Return a spec as v1alpha1 and v1beta1 know it: a backend has a name, a namespace and a port."""
    known = ("name", "namespace", "port", "filters")
    return {**spec, "rules": [_with_backends(rule, known) for rule in without_timeouts(spec)["rules"]]}


def _with_backends(rule: Spec, known: tuple[str, ...]) -> Spec:
    backends = [{key: one[key] for key in known if key in one} for one in rule.get("backendRefs", ())]
    return {**rule, "backendRefs": backends} if "backendRefs" in rule else rule


def in_default_namespace(spec: Spec) -> Spec:
    """Return a spec as v1alpha1 and v1beta1 take it: a backend without a namespace is pinned to ``default``."""
    rules = []
    for rule in without_weights(spec)["rules"]:
        backends = [{"namespace": "default", **one} for one in rule.get("backendRefs", ())]
        rules.append({**rule, "backendRefs": backends} if backends else rule)
    return {**spec, "rules": rules}

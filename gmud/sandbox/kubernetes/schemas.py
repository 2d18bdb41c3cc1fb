"""Which resource definition judges which kind, by the name it is stored under; the others are stored as they come."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gmud.sandbox.kubernetes import schema, schema_gateway, schema_linkerd

Spec = dict[str, Any]


@dataclass(frozen=True)
class Schema:
    """What a definition does with a spec: which fields it does not know, why it refuses it, how it is stored.

    ``settled`` prunes what is unknown and fills in defaults; ``causes`` judges what is settled, or not yet.
    """

    unknown_fields: Callable[[Spec], list[str]]
    causes: Callable[[Spec], list[dict[str, str]]]
    settled: Callable[[Spec], Spec]


@dataclass(frozen=True)
class View:
    """How an older version shows a spec, and how it takes one."""

    shown: Callable[[Spec], Spec]
    taken: Callable[[Spec], Spec]


SCHEMAS: Mapping[str, Schema] = {
    "virtualservices": Schema(schema.unknown_fields, schema.causes, schema.prune),
    "httproutes": Schema(schema_gateway.unknown_fields, schema_gateway.causes, schema_gateway.settled_http),
    "grpcroutes": Schema(schema_gateway.unknown_fields, schema_gateway.causes, schema_gateway.settled_grpc),
    "httproutes.policy.linkerd.io": Schema(
        schema_linkerd.unknown_fields, schema_linkerd.causes, schema_linkerd.settled
    ),
}
_OLD = View(schema_linkerd.without_weights, schema_linkerd.in_default_namespace)
VIEWS: Mapping[tuple[str, str], View] = {
    ("httproutes.policy.linkerd.io", "v1alpha1"): _OLD,
    ("httproutes.policy.linkerd.io", "v1beta1"): _OLD,
    ("httproutes.policy.linkerd.io", "v1beta2"): View(schema_linkerd.without_timeouts, schema_linkerd.without_timeouts),
}

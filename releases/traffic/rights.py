"""Which rights a token needs in a cluster for the routes it is to shift, as a table, and the role that gives just them.

A role is bound in each namespace of a route, and nowhere else: what lies outside is not looked at, and previews say so.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import yaml

from releases.cluster.client import (
    CANARIES,
    DESTINATION_RULES,
    ENDPOINT_SLICES,
    PODS,
    REPLICA_SETS,
    ROLLOUTS,
    SERVICE_PROFILES,
    SERVICES,
    TRAFFIC_SPLITS,
    ClusterClient,
    Kind,
)
from releases.cluster.errors import NotInstalled
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.istio.adapter import Istio
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.ports import RouteRef, System

ACCOUNT = "gmud"
ROLE = "gmud-traffic"
SHIFT = ("get", "list", "patch")
KIND_OF: Mapping[System, Callable[[RouteRef], Kind]] = {
    System.ISTIO: Istio.kind_of,
    System.LINKERD: Linkerd.kind_of,
    System.GATEWAY: Gateway.kind_of,
}


@dataclass(frozen=True, slots=True)
class Need:
    """Verbs on a kind, or on a part of it such as its ``status``; ``name`` narrows it to one object where that does."""

    kind: Kind
    verbs: tuple[str, ...]
    sub: str = ""
    name: str = ""

    @property
    def resource(self) -> str:
        """Return the resource as roles name it."""
        return f"{self.kind.plural}/{self.sub}" if self.sub else self.kind.plural


_LIVENESS = (Need(ENDPOINT_SLICES, ("list",)), Need(SERVICES, ("get",)))
# Whose weights these are, and asking them: Argo Rollouts takes commands as patches, undoing from its ReplicaSets.
_DRIVERS = (
    Need(ROLLOUTS, SHIFT),
    Need(ROLLOUTS, ("patch",), "status"),
    Need(REPLICA_SETS, ("list",)),
    Need(CANARIES, SHIFT),
)
BESIDE: Mapping[System, Sequence[Need]] = {
    System.ISTIO: (Need(DESTINATION_RULES, ("list",)), Need(PODS, ("list",)), *_LIVENESS, *_DRIVERS),
    System.LINKERD: (Need(SERVICE_PROFILES, ("get",)), Need(TRAFFIC_SPLITS, ("get",)), *_LIVENESS, *_DRIVERS),
    System.GATEWAY: (*_LIVENESS, *_DRIVERS),
}


@dataclass(frozen=True, slots=True)
class Bound:
    """A route that is bound: where it is, the kind of its object, and its control plane."""

    namespace: str
    name: str
    kind: Kind
    system: System

    @classmethod
    def to(cls, system: System, route: RouteRef) -> "Bound":
        """Return a route as rights are counted.

        :raises NotEditable: the control plane has no such kind
        """
        return cls(route.namespace, route.name, KIND_OF[system](route), system)

    def needs(self) -> Iterator[Need]:
        """Give everything that reading, previewing and shifting it needs."""
        yield Need(self.kind, SHIFT, name=self.name)
        yield from BESIDE[self.system]


def missing(cluster: ClusterClient, bound: Iterable[Bound]) -> dict[str, list[str]]:
    """Ask the server, verb by verb, and return by namespace what the token may not do; what is not served is not asked.

    Of many routes of a kind in a namespace the first one is asked for.

    :raises Rejected: the question itself was refused
    :raises Unreachable: no answer
    """
    found: dict[str, dict[str, None]] = {}
    first = {(route.namespace, need.kind, need.sub): need for route in reversed(list(bound)) for need in route.needs()}
    for (namespace, kind, sub), need in sorted(first.items(), key=lambda one: one[0][0]):
        if not _is_served(cluster, kind):
            continue
        for verb in need.verbs:
            name = need.name if verb != "list" else ""
            if not cluster.may(verb, kind, namespace, name, sub=sub):
                said = ".".join(part for part in (f"{verb} {need.resource}", kind.group) if part)
                found.setdefault(namespace, {})[said] = None
    return {namespace: list(lacks) for namespace, lacks in found.items()}


def _is_served(cluster: ClusterClient, kind: Kind) -> bool:
    try:
        cluster.served(kind)
    except NotInstalled:
        return False
    return True


def manifest(bound: Iterable[Bound], *, home: str = ACCOUNT) -> str:
    """Return the account, and the smallest role for these routes in each of their namespaces, to be applied as it is.

    ``home`` is the namespace of the account.
    """
    needs: dict[str, dict[tuple[str, str], dict[str, None]]] = {}
    for route in bound:
        mine = needs.setdefault(route.namespace, {})
        for need in route.needs():
            mine.setdefault((need.kind.group, need.resource), {}).update(dict.fromkeys(need.verbs))
    account = {"name": ACCOUNT, "namespace": home}
    parts: list[Mapping[str, object]] = [{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account}]
    for namespace, rights in sorted(needs.items()):
        meta = {"name": ROLE, "namespace": namespace}
        parts += [
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "Role",
                "metadata": meta,
                "rules": [
                    {"apiGroups": [group], "resources": [resource], "verbs": list(verbs)}
                    for (group, resource), verbs in rights.items()
                ],
            },
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": meta,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ROLE},
                "subjects": [{"kind": "ServiceAccount", **account}],
            },
        ]
    return "---\n".join(_written(one) for one in parts)


def _written(part: Mapping[str, object]) -> str:
    return yaml.dump(part, Dumper=_Flat, sort_keys=False, default_flow_style=None, width=120)


class _Flat(yaml.SafeDumper):
    """Writes everything out: what is named twice stands there twice."""

    def ignore_aliases(self, data: object) -> bool:
        """Return that nothing is an alias."""
        del data
        return True

"""Stages on a live API server: the same contract, with a relay in between that plants faults and keeps the log.

Everything happens in one namespace that is made for it and deleted afterwards. The services have no selector and their
endpoints are written by hand, so that no controller and no pod is needed: an API server with the CRDs is enough.
"""

import contextlib
import copy
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

from gmud.sandbox.server import Answer, Call, Sandbox, running
from releases.catalog import kubeconfig
from releases.cluster.client import HTTP_ROUTES, LINKERD_ROUTES, VIRTUAL_SERVICES, ClusterClient, Kind
from releases.cluster.errors import NotInstalled
from releases.core.http import Allowance, Door, Reply
from releases.traffic import rules
from releases.traffic.gateway.adapter import Gateway
from releases.traffic.guarded import Guarded
from releases.traffic.istio.adapter import Istio
from releases.traffic.linkerd.adapter import Linkerd
from releases.traffic.plane import ControlPlane
from releases.traffic.ports import RouteRef, System
from tests.contract.traffic.stages.stage import Stage
from tests.factories.traffic import door_to

KUBECONFIG, CONTEXT = "GMUD_REAL_KUBECONFIG", "GMUD_REAL_CONTEXT"
ANYWHERE = Allowance(networks=(ip_network("0.0.0.0/0"), ip_network("::/0")))
SIDES = {"stable": "checkout-stable", "canary": "checkout-canary"}
Object = dict[str, Any]


@dataclass(frozen=True)
class Setting:
    """One control plane: its kind, its adapter, what the object is, and where in it the route stands."""

    kind: Kind
    called: str
    plane: Callable[[ClusterClient], ControlPlane[Any]]
    spec: Object
    section: str
    index: int
    entries: str
    other: Mapping[str, Any]
    name: str = "primary"

    def reference(self, namespace: str) -> RouteRef:
        """Return the route; one without a name is found by its place and shape."""
        route = RouteRef(namespace, "checkout", SIDES["stable"], SIDES["canary"], route=self.name)
        if self.name:
            return route
        return replace(route, index=self.index, shape=rules.shape(self.spec[self.section][self.index], rules.GATEWAY))


def _backends() -> list[Object]:
    # Written out with the server's defaults: the shape of a route is a digest of what stands there.
    kinds = {"group": "", "kind": "Service", "port": 8080}
    return [{**kinds, "name": SIDES[side], "weight": weight} for side, weight in (("stable", 90), ("canary", 10))]


def _rule(**more: Any) -> Object:
    everything = [{"path": {"type": "PathPrefix", "value": "/"}}]
    return {"matches": everything, "backendRefs": _backends(), **more}


_PARENT = {"group": "", "kind": "Service", "name": "checkout", "port": 8080}
SETTINGS: Mapping[System, Setting] = {
    System.ISTIO: Setting(
        VIRTUAL_SERVICES,
        "VirtualService",
        Istio,
        {
            "hosts": ["checkout"],
            "http": [
                {
                    "name": "by-header",
                    "match": [{"headers": {"x-canary": {"exact": "always"}}}],
                    "route": [{"destination": {"host": SIDES["canary"]}}],
                },
                {
                    "name": "primary",
                    "route": [
                        {"destination": {"host": SIDES["stable"], "port": {"number": 8080}}, "weight": 90},
                        {"destination": {"host": SIDES["canary"], "port": {"number": 8080}}, "weight": 10},
                    ],
                },
            ],
        },
        section="http",
        index=1,
        entries="route",
        other={"timeout": "7s"},
    ),
    System.GATEWAY: Setting(
        HTTP_ROUTES,
        "HTTPRoute",
        Gateway,
        {"parentRefs": [_PARENT], "rules": [_rule(name="primary")]},
        section="rules",
        index=0,
        entries="backendRefs",
        other={"timeouts": {"request": "7s"}},
    ),
    System.LINKERD: Setting(
        LINKERD_ROUTES,
        "HTTPRoute",
        Linkerd,
        {"parentRefs": [_PARENT], "rules": [_rule()]},
        section="rules",
        index=0,
        entries="backendRefs",
        other={"timeouts": {"request": "7s"}},
        name="",
    ),
}


class Relay(Sandbox):
    """Passes every request on to the server; ``rival`` acts once, just before the next write is passed on."""

    title = "relay"

    def __init__(self, door: Door) -> None:
        super().__init__()
        self.door = door
        self.rival: Callable[[], None] | None = None

    def answer(self, call: Call) -> Answer:
        writes = call.method == "PATCH" and "dryRun" not in call.query
        if writes and self.rival is not None:
            act, self.rival = self.rival, None
            act()
        reply = _pass_on(self.door, call)
        kept = ("content-type", "warning", "audit-id", "retry-after")
        return Answer(reply.status, reply.body, {name: reply.headers[name] for name in kept if name in reply.headers})


def _pass_on(door: Door, call: Call) -> Reply:
    headers = {name: call.headers[name] for name in ("accept", "content-type") if name in call.headers}
    params = {name: values[0] for name, values in call.query.items()}
    return door.call(call.method, call.path, params=params, headers=headers, content=call.body or None)


class RealStage:
    """One route of one control plane on a live server."""

    def __init__(self, url: str, relay: Relay, door: Door, setting: Setting, namespace: str) -> None:
        self.naps: list[float] = []
        self.sandbox, self.door, self.setting = relay, door, setting
        plane = setting.plane(ClusterClient(door_to(url), sleep=self.naps.append))
        self.provider = Guarded(plane, sleep=self.naps.append)
        self.route = setting.reference(namespace)
        self.can_be_absent = setting.kind is VIRTUAL_SERVICES
        where = f"/{setting.kind.plural}/checkout$"
        self.reading = {"method": "GET", "path": where}
        self.writing = {"method": "PATCH", "path": where, "query": "^(?!.*dryRun)"}

    def ask(self, method: str, path: str, body: Object | None = None, **params: str) -> Object:
        """Speak to the server past the relay, as somebody else does it."""
        reply = self.door.call(method, path, params={"fieldManager": "kubectl-edit", **params}, json=body)
        if reply.status not in (200, 201, 202):
            raise AssertionError(f"{method} {path}: {reply.status} {reply.text[:300]}")
        found: Object = reply.json()
        return found

    def path(self, kind: str, name: str = "", api: str = "/api/v1") -> str:
        return f"{api}/namespaces/{self.route.namespace}/{kind}" + (f"/{name}" if name else "")

    @property
    def api(self) -> str:
        kind = self.setting.kind
        return f"/apis/{kind.group}/{ClusterClient(self.door).served(kind)}"

    @property
    def place(self) -> str:
        return self.path(self.setting.kind.plural, "checkout", self.api)

    @property
    def stored(self) -> Object:
        return self.ask("GET", self.place)

    def begin(self) -> None:
        """Make the namespace, the services with their endpoints, and the route."""
        self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": self.route.namespace}})
        port = {"name": "http", "port": 8080, "protocol": "TCP"}
        for name in ("checkout", *SIDES.values()):
            service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [port]}}
            self.ask("POST", self.path("services"), service)
        for name in SIDES.values():
            self.ask("POST", self.path("endpointslices", api="/apis/discovery.k8s.io/v1"), _slice(name, ready=True))
        self.make(self.setting.spec)

    def make(self, spec: Object) -> None:
        meta = {"name": "checkout", "labels": {"app": "checkout"}}
        kind = {"apiVersion": self.api.removeprefix("/apis/"), "kind": self.setting.called}
        plural = self.path(self.setting.kind.plural, api=self.api)
        self.ask("POST", plural, {**kind, "metadata": meta, "spec": spec})

    def entries(self, found: Object) -> list[Any]:
        entries: list[Any] = found["spec"][self.setting.section][self.setting.index][self.setting.entries]
        return entries[:2]

    def edit(self, change: Callable[[Object], None]) -> None:
        wanted = self.stored
        change(wanted)
        self.ask("PUT", self.place, wanted)

    def stand(self, stable: int | None, canary: int | None) -> None:
        def change(found: Object) -> None:
            for entry, weight in zip(self.entries(found), (stable, canary), strict=True):
                entry.pop("weight", None)
                if weight is not None:
                    entry["weight"] = weight

        self.edit(change)

    def touch(self) -> None:
        self.edit(lambda found: found["metadata"].setdefault("labels", {}).update(touched=str(uuid4())))

    def restructure(self) -> None:
        self.edit(lambda found: found["spec"][self.setting.section][self.setting.index].update(self.setting.other))

    def renew(self) -> None:
        spec = self.stored["spec"]
        self.remove()
        self.make(spec)

    def remove(self) -> None:
        self.ask("DELETE", self.place)

    def kill(self, side: str) -> None:
        place = self.path("endpointslices", SIDES[side], "/apis/discovery.k8s.io/v1")
        self.ask("PUT", place, {**self.ask("GET", place), "endpoints": _slice(SIDES[side], ready=False)["endpoints"]})

    def deny(self, status: int) -> None:
        if status == 401:
            headers = {"Authorization": "Bearer nobody-knows-this-one"}
            self.sandbox.door = replace(self.door, headers=headers, client_certificate="")
        else:
            self.sandbox.door = replace(self.door, headers={**self.door.headers, "Impersonate-User": "gmud-nobody"})

    def before_write(self, act: Callable[[], None]) -> None:
        self.sandbox.rival = act

    def raw(self) -> dict[str, int | None]:
        stable, canary = (entry.get("weight") for entry in self.entries(self.stored))
        return {"stable": stable, "canary": canary}

    def rest(self) -> Any:
        found = copy.deepcopy(self.stored)
        found.pop("status", None)
        for counted in ("resourceVersion", "generation", "managedFields"):
            found["metadata"].pop(counted, None)
        for entry in self.entries(found):
            entry.pop("weight", None)
        return json.dumps(found, sort_keys=True)

    def writes(self) -> int:
        meant = (one for one in self.sandbox.log if one["method"] != "GET" and "dryRun" not in one["query"])
        return sum(1 for one in meant if "accessreviews" not in one["path"])


def _slice(service: str, *, ready: bool) -> Object:
    address = {"addresses": ["192.0.2.1"], "conditions": {"ready": ready}}  # an address of nobody (RFC 5737)
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "endpoints": [address],
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
    }


@contextlib.contextmanager
def staged(setting: Setting, door: Door) -> Iterator[RealStage]:
    """Make everything in a namespace of its own, and delete that afterwards."""
    relay, namespace = Relay(door), f"gmud-contract-{uuid4().hex[:8]}"
    with running(relay) as url:
        stage = RealStage(url, relay, door, setting, namespace)
        try:
            stage.begin()
            yield stage
        finally:
            door.call("DELETE", f"/api/v1/namespaces/{namespace}")


def door_of(environment: Mapping[str, str]) -> Door | None:
    """Return a door to the server that a kubeconfig names; ``None``: none is named.

    :raises Invalid: the kubeconfig cannot be taken
    """
    if not (named := environment.get(KUBECONFIG)):
        return None
    access = kubeconfig.read(Path(named).read_text(), context=environment.get(CONTEXT, ""))
    held = access.credentials
    headers = {"Authorization": f"Bearer {held.token}"} if held.token else {}
    origin = re.sub(r"/$", "", access.origin)
    return Door("real", origin, headers, ANYWHERE, True, access.authority, held.certificate)


def skipped(door: Door | None) -> dict[System, str]:
    """Return every control plane that cannot be tried there, and why.

    :raises Rejected: the server refuses us
    :raises Unreachable: it does not answer
    """
    why: dict[System, str] = {}
    for system in System:
        if system not in SETTINGS:
            why[system] = "no API server holds its routes; make test runs it against its sandbox"
        elif door is None:
            why[system] = "no cluster: say make test-real KUBECONFIG=/path/to/kubeconfig"
        else:
            kind = SETTINGS[system].kind
            try:
                ClusterClient(door).served(kind)
            except NotInstalled:
                why[system] = f"the CRD {kind.plural}.{kind.group} is not installed there"
    return why


def stages(environment: Mapping[str, str] = os.environ) -> dict[System, Callable[[], AbstractContextManager[Stage]]]:
    """Return the stages on the server that the environment names, of what is served there."""
    door = door_of(environment)
    left = skipped(door)
    return {} if door is None else {one: partial(staged, SETTINGS[one], door) for one in SETTINGS if one not in left}

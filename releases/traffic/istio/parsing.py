"""Read a VirtualService: its delegates, its destinations, the hosts it covers."""

from collections.abc import Mapping
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.objects import found_in
from releases.traffic.plane import Entry
from releases.traffic.ports import NotEditable, RouteRef

Object = Mapping[str, Any]
SECTIONS = ("http", "tls", "tcp")
EVERYBODY = "*"


def section_of(route: RouteRef) -> str:
    """Return the part of the spec that holds the route.

    :raises NotEditable: there is no such part
    """
    section = route.kind or SECTIONS[0]
    if section not in SECTIONS:
        text = _("A VirtualService has routes of the kinds http, tls and tcp, not %(kind)s.")
        raise NotEditable(Sentence(text, {"kind": section}))
    return section


def key_of(destination: Object) -> str:
    """Return a destination's identity: host, subset and port."""
    return (
        f"{destination.get('host', '')}|{destination.get('subset', '')}|{destination.get('port', {}).get('number', '')}"
    )


def entry_of(entry: Object) -> Entry:
    """Return a destination as every control plane calls it: it goes by its subset, or else by its host."""
    destination = entry["destination"]
    short = destination.get("subset") or destination.get("host", "")
    return Entry(key_of(destination), (short,), entry.get("weight"))


def delegate_of(route: Object, namespace: str) -> tuple[str, str] | None:
    """Return namespace and name of the object a route hands over to, or ``None``."""
    delegate = route.get("delegate")
    return (delegate.get("namespace") or namespace, delegate["name"]) if delegate else None


def inner_route(body: Object, route: RouteRef, name: str) -> int:
    """Return the place inside a delegate: by name, or its only route.

    :raises NotEditable: it cannot be told which
    """
    routes = body["spec"].get("http", ())
    if name:
        return found_in(routes, route, rules.ISTIO, name=name)
    if len(routes) != 1:
        raise NotEditable(Sentence(_("The delegate has several routes: write the route as root/inner.")))
    return 0


def covers_mesh(body: Object) -> bool:
    """Say whether an object applies to traffic inside the mesh; naming no gateway means that, too."""
    return "mesh" in (body["spec"].get("gateways") or ("mesh",))


def meet(one: Object, other: Object) -> bool:
    """Say whether some namespace sees both objects: by ``exportTo``, all of them unless it says otherwise.

    So does Istio's own check of rivals for a host (IST0109, ``conflictingmeshgatewayhosts.go``).
    """
    seen, too = _seen_by(one), _seen_by(other)
    return bool(seen and too) and (EVERYBODY in seen | too or not seen.isdisjoint(too))


def _seen_by(body: Object) -> frozenset[str]:
    """Return the namespaces that see an object: ``.`` is its own, ``~`` is nobody."""
    home = body["metadata"]["namespace"]
    shown = body["spec"].get("exportTo") or (EVERYBODY,)
    return frozenset(home if name == "." else name for name in shown if name != "~")


def full_host(host: str, namespace: str) -> str:
    """Return a host as the mesh resolves it from that namespace."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.svc.cluster.local"

"""Read a VirtualService: find the one route that is meant, its targets, who writes it, who owns it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.ports import CANARY, STABLE, NotEditable, RouteRef, Split, Target, Version, Writer

Object = Mapping[str, Any]
_OWNERS = {"Canary": "Flagger", "Rollout": "Argo Rollouts"}
_OWNER_MARKS = {
    "flagger.kubernetes.io/original-configuration": "Flagger",
    "argo-rollouts.argoproj.io/managed-by-rollouts": "Argo Rollouts",
    "rollouts.argoproj.io/gatewayapi-canary": "Argo Rollouts",
}
_GITOPS_MARKS = ("app.kubernetes.io/instance", "argocd.argoproj.io/tracking-id", "kustomize.toolkit.fluxcd.io/")
_GITOPS_WRITERS = ("argocd-controller", "kustomize-controller", "helm")


@dataclass(frozen=True, slots=True)
class Place:
    """One route inside one object, with its targets named as the caller names them."""

    body: Object
    index: int
    targets: tuple[Target, ...]
    root: Object

    @property
    def meta(self) -> Object:
        """Return the metadata of the object that carries the weights."""
        return dict(self.body["metadata"])

    @property
    def routes(self) -> Sequence[Object]:
        """Return every HTTP route of that object, in order."""
        return list(self.body["spec"].get("http", ()))

    @property
    def entries(self) -> Sequence[Object]:
        """Return the destinations of the route, in order."""
        return list(self.routes[self.index]["route"])

    @property
    def version(self) -> Version:
        """Return what exactly was seen."""
        return Version(
            token=self.meta["resourceVersion"],
            uid=self.meta["uid"],
            generation=self.meta.get("generation", 0),
            fingerprint=rules.fingerprint(self.routes, self.index),
            weights={target.name: target.weight for target in self.targets},
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        """Return every host the object answers for; a delegate answers for its root's."""
        return tuple(self.root["spec"].get("hosts", ()))

    def wanted(self, split: Split) -> dict[str, int | None]:
        """Return the raw weights to write, by name; targets that are not named must be without traffic.

        :raises NotEditable: a name is unknown, a target is left out, or the weights make no sense
        """
        trouble = rules.problem(split.weights)
        if trouble:
            raise NotEditable(trouble)
        there = {target.name: target.weight for target in self.targets}
        unknown = sorted(split.weights.keys() - there.keys())
        if unknown:
            raise NotEditable(Sentence(_("The route has no target called %(name)s."), {"name": ", ".join(unknown)}))
        left = sorted(name for name, weight in there.items() if weight and name not in split.weights)
        if left:
            parts = {"name": ", ".join(left)}
            raise NotEditable(Sentence(_("%(name)s gets traffic too: say how much it is to get."), parts))
        if split.literal or None in split.weights.values():
            return dict(split.weights)
        shares = [split.weights[name] or 0 for name in split.weights]
        existing = sum(weight or 0 for weight in there.values())
        return dict(zip(split.weights, rules.in_scale(shares, existing), strict=True))

    def is_as_asked(self, split: Split) -> bool:
        """Say whether the split is already what stands here."""
        there = {target.name: target.weight for target in self.targets}
        if split.literal or None in split.weights.values():
            return all(there.get(name, 0) == weight for name, weight in split.weights.items())
        names = list(there)
        asked = [split.weights.get(name) or 0 for name in names]
        return split.weights.keys() <= there.keys() and rules.as_asked([there[name] or 0 for name in names], asked)

    def operations(self, split: Split) -> list[dict[str, Any]]:
        """Return the guarded patch: version, object, route and destinations must be what was seen.

        :raises NotEditable: see :meth:`wanted`
        """
        where = f"/spec/http/{self.index}"
        route = self.routes[self.index]
        guard = (f"{where}/name", route["name"]) if route.get("name") else (f"{where}/match", route.get("match"))
        patch: list[dict[str, Any]] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.meta["resourceVersion"]},
            {"op": "test", "path": "/metadata/uid", "value": self.meta["uid"]},
            {"op": "test", "path": guard[0], "value": guard[1]},
        ]
        for position, entry in enumerate(self.entries):
            path = f"{where}/route/{position}/destination"
            patch.append({"op": "test", "path": path, "value": entry["destination"]})
        wanted = self.wanted(split)
        for position, target in enumerate(self.targets):
            path = f"{where}/route/{position}/weight"
            if target.name not in wanted:
                continue
            if wanted[target.name] is not None:
                patch.append({"op": "add", "path": path, "value": wanted[target.name]})
            elif target.weight is not None:
                patch.append({"op": "remove", "path": path})
        return patch


def key_of(destination: Object) -> str:
    """Return a destination's identity: host, subset and port."""
    return (
        f"{destination.get('host', '')}|{destination.get('subset', '')}|{destination.get('port', {}).get('number', '')}"
    )


def find_route(body: Object, *, name: str, index: int | None, shape: str) -> int:
    """Return the place of the one route that is meant.

    :raises NotEditable: none or several carry the name, or the one at the index is another by now
    """
    routes = body["spec"].get("http", ())
    if name:
        hits = [place for place, route in enumerate(routes) if route.get("name") == name]
        if len(hits) != 1:
            parts = {"count": len(hits), "name": name}
            raise NotEditable(Sentence(_("%(count)s routes are called %(name)s; exactly one is needed."), parts))
        return hits[0]
    if index is None or index >= len(routes) or rules.shape(routes[index]) != shape:
        raise NotEditable(Sentence(_("The route without a name moved or changed. Choose it again.")))
    return index


def delegate_of(body: Object, place: int, namespace: str) -> tuple[str, str] | None:
    """Return namespace and name of the object a route hands over to, or ``None``."""
    delegate = body["spec"]["http"][place].get("delegate")
    return (delegate.get("namespace") or namespace, delegate["name"]) if delegate else None


def inner_route(body: Object, name: str) -> int:
    """Return the place inside a delegate: by name, or its only route.

    :raises NotEditable: it cannot be told which
    """
    if name:
        return find_route(body, name=name, index=None, shape="")
    if len(body["spec"].get("http", ())) != 1:
        raise NotEditable(Sentence(_("The delegate has several routes: write the route as root/inner.")))
    return 0


def place_at(body: Object, index: int, ref: RouteRef, root: Object) -> Place:
    """Return the place with its targets named.

    :raises NotEditable: one destination only, or a side that is not found exactly once
    """
    route = body["spec"]["http"][index]
    entries = route.get("route", ())
    if len(entries) < 2:
        raise NotEditable(Sentence(_("The route has a single destination: it gets everything, whatever its weight.")))
    names = dict.fromkeys(range(len(entries)), "")
    for role, wanted in ((STABLE, ref.stable), (CANARY, ref.canary)):
        hits = [at for at, entry in enumerate(entries) if wanted in _names_of(entry["destination"])]
        if len(hits) != 1:
            parts = {"count": len(hits), "name": wanted}
            raise NotEditable(Sentence(_("%(count)s destinations match %(name)s; exactly one is needed."), parts))
        names[hits[0]] = role
    targets = tuple(
        Target(key_of(entry["destination"]), names[at] or key_of(entry["destination"]), entry.get("weight"))
        for at, entry in enumerate(entries)
    )
    if len({target.name for target in targets}) != len(targets):
        raise NotEditable(Sentence(_("The same destination stands in the route twice.")))
    return Place(body, index, targets, root)


def _names_of(destination: Object) -> set[str]:
    subset = destination.get("subset")
    return {key_of(destination), subset or destination.get("host", "")}


def last_writer(meta: Object) -> Writer | None:
    """Return who wrote the routes last, by the object's own record."""
    entries = [entry for entry in meta.get("managedFields", ()) if not entry.get("subresource")]
    routes = [entry for entry in entries if "f:http" in entry.get("fieldsV1", {}).get("f:spec", {})]
    newest = max(routes or entries, key=lambda entry: entry.get("time", ""), default=None)
    return Writer(newest.get("manager", ""), _moment(newest.get("time", ""))) if newest else None


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def owner_of(meta: Object) -> str:
    """Return the system that drives these weights itself, or an empty text."""
    for reference in meta.get("ownerReferences", ()):
        if reference.get("kind") in _OWNERS:
            return _OWNERS[reference["kind"]]
    return next((_OWNER_MARKS[mark] for mark in _marks(meta) if mark in _OWNER_MARKS), "")


def gitops_of(meta: Object) -> str:
    """Return the mark or writer that tells that Git will write this object again, or an empty text."""
    writers = [entry.get("manager", "") for entry in meta.get("managedFields", ())]
    marks = (mark for mark in _marks(meta) if mark.startswith(_GITOPS_MARKS))
    return next(marks, "") or next((name for name in writers if name in _GITOPS_WRITERS), "")


def _marks(meta: Object) -> Iterator[str]:
    yield from meta.get("annotations", ())
    yield from meta.get("labels", ())


def covers_mesh(body: Object) -> bool:
    """Say whether an object applies to traffic inside the mesh."""
    return "mesh" in body["spec"].get("gateways", ("mesh",))


def full_host(host: str, namespace: str) -> str:
    """Return a host as the mesh resolves it from that namespace."""
    return host if "." in host or host == "*" else f"{host}.{namespace}.svc.cluster.local"

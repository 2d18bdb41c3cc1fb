"""What routes of every API server have in common: how one is patched under guard, who wrote it, what forbids it.

The write is a JSON Patch that carries the version it was planned on (a stale one answers 409), tests the object's
identity, the route and its targets, and names nothing but weights. It never creates, replaces or deletes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from releases.cluster.client import ClusterClient, Kind
from releases.cluster.errors import DryRunUnsupported, NotInstalled, ObjectMissing, PatchFailed, VersionConflict
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.owners import owner_of
from releases.traffic.plane import NotTriedOut, Operation, Outrun, Place, Sent
from releases.traffic.ports import NotEditable, Reading, RouteRef, Target, Version, Weights, Writer

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spot:
    """One route inside one object: ``section`` of its spec, ``index`` in there, ``layout`` of its fields.

    ``root`` is the object that names the hosts: the same one, unless the route stands in a delegate.
    """

    kind: Kind
    body: Object
    section: str
    index: int
    layout: rules.Layout
    targets: tuple[Target, ...]
    root: Object

    @property
    def meta(self) -> Object:
        """Return the metadata of the object that carries the weights."""
        return dict(self.body["metadata"])

    @property
    def routes(self) -> Sequence[Object]:
        """Return every route of the section, in order."""
        return list(self.body["spec"].get(self.section, ()))

    @property
    def route(self) -> Object:
        """Return the route itself."""
        return dict(self.routes[self.index])

    @property
    def entries(self) -> Sequence[Object]:
        """Return the targets of the route as they are written, in order."""
        return list(self.route[self.layout.entries])

    @property
    def version(self) -> Version:
        """Return what exactly was seen."""
        return Version(
            token=self.meta["resourceVersion"],
            uid=self.meta["uid"],
            generation=self.meta.get("generation", 0),
            fingerprint=rules.fingerprint(self.routes, self.index, self.layout),
            weights={target.name: target.weight for target in self.targets},
        )

    def operations(self, wanted: Weights) -> list[Operation]:
        """Return the guarded patch: version, object, route and targets must be what was seen."""
        where = f"/spec/{self.section}/{self.index}"
        known = "name" if self.route.get("name") else self.layout.match
        patch: list[Operation] = [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": self.meta["resourceVersion"]},
            {"op": "test", "path": "/metadata/uid", "value": self.meta["uid"]},
            {"op": "test", "path": f"{where}/{known}", "value": self.route.get(known)},
        ]
        places = [f"{where}/{self.layout.entries}/{position}" for position in range(len(self.entries))]
        for place, entry in zip(places, self.entries, strict=True):
            whole = ("destination",) if "destination" in entry else tuple(key for key in entry if key != "weight")
            patch += [{"op": "test", "path": f"{place}/{key}", "value": entry[key]} for key in whole]
        for place, target in zip(places, self.targets, strict=True):
            if target.name not in wanted:
                continue
            if wanted[target.name] is not None:
                patch.append({"op": "add", "path": f"{place}/weight", "value": wanted[target.name]})
            elif target.weight is not None:
                patch.append({"op": "remove", "path": f"{place}/weight"})
        return patch


def fetched(cluster: ClusterClient, kind: Kind, namespace: str, name: str, *, called: str, product: str) -> Object:
    """Read an object; ``called`` is its kind and ``product`` what serves it, in the words of the sentence that says no.

    :raises NotEditable: it is not there
    :raises Rejected: another clear no
    :raises Unreachable: no answer
    """
    parts = {"kind": called, "name": name, "namespace": namespace, "product": product}
    try:
        return cluster.get(kind, namespace, name).body
    except ObjectMissing as error:
        text = _("There is no %(kind)s %(name)s in %(namespace)s, and none is made from here.")
        raise NotEditable(Sentence(text, parts), http_status=error.http_status) from error
    except NotInstalled as error:
        text = _("%(product)s is not installed in this cluster.")
        raise NotEditable(Sentence(text, parts), http_status=404) from error


def found_in(routes: Sequence[Object], route: RouteRef, layout: rules.Layout, *, name: str) -> int:
    """Return the place of the one route that is meant: by its name, else by index and shape, else it is the only one.

    :raises NotEditable: none or several carry the name, or the one at the index is another by now
    """
    if name:
        hits = [place for place, one in enumerate(routes) if one.get("name") == name]
        if len(hits) != 1:
            parts = {"count": len(hits), "name": name}
            raise NotEditable(Sentence(_("%(count)s routes are called %(name)s; exactly one is needed."), parts))
        return hits[0]
    index = route.index
    if index is None:
        if len(routes) != 1:
            text = _("%(count)s routes stand in %(name)s: say which one, by its name.")
            raise NotEditable(Sentence(text, {"count": len(routes), "name": route.name}))
        return 0
    if index >= len(routes) or rules.shape(routes[index], layout) != route.shape:
        raise NotEditable(Sentence(_("The route without a name moved or changed. Choose it again.")))
    return index


def place_of(
    spot: Spot,
    *,
    hosts: Sequence[str],
    is_taken_up: bool | None = None,
    obstacles: Sequence[Sentence] = (),
    warnings: Sequence[Sentence] = (),
) -> Place[Spot]:
    """Return the reading of a spot: what its metadata forbid and warn of comes first."""
    owner = owner_of(spot.meta) or owner_of(spot.root["metadata"])
    forbids: list[Sentence] = []
    warns: list[Sentence] = []
    if spot.meta.get("deletionTimestamp"):
        forbids.append(Sentence(_("The object is being deleted; a change would not last.")))
    if owner:
        (forbids if owner.drives else warns).append(owner.consequence)
    if len(hosts) > 1:
        text = _("The object covers several hosts: %(hosts)s.")
        warns.append(Sentence(text, {"hosts": ", ".join(hosts)}))
    reading = Reading(
        targets=spot.targets,
        version=spot.version,
        hosts=tuple(hosts),
        owner=owner,
        writer=last_writer(spot.meta, spot.section),
        obstacles=(*forbids, *obstacles),
        warnings=(*warns, *warnings),
        is_taken_up=is_taken_up,
        manifest=_manifest(spot.body),
    )
    return Place(reading, spot)


def _manifest(body: Object) -> dict[str, str]:
    meta = body["metadata"]
    group = body["apiVersion"].rpartition("/")[0]
    return {"group": group, "kind": body["kind"], "namespace": meta["namespace"], "name": meta["name"]}


def send(cluster: ClusterClient, spot: Spot, operations: Sequence[Operation], *, dry_run: bool) -> Sent:
    """Send a patch; see :class:`releases.traffic.plane.ControlPlane`."""
    meta = spot.meta
    try:
        answer = cluster.patch(spot.kind, meta["namespace"], meta["name"], operations, dry_run=dry_run)
    except (VersionConflict, PatchFailed) as error:
        raise Outrun(error.detail, http_status=error.http_status) from error
    except DryRunUnsupported as error:
        raise NotTriedOut(error.detail, http_status=error.http_status) from error
    return Sent(answer.warnings, answer.audit_id)


def last_writer(meta: Object, section: str) -> Writer | None:
    """Return who wrote the routes last, by the object's own record."""
    entries = [entry for entry in meta.get("managedFields", ()) if not entry.get("subresource")]
    routes = [entry for entry in entries if f"f:{section}" in entry.get("fieldsV1", {}).get("f:spec", {})]
    newest = max(routes or entries, key=lambda entry: entry.get("time", ""), default=None)
    return Writer(newest.get("manager", ""), _moment(newest.get("time", ""))) if newest else None


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None

"""Read, preview and write the weights of one route, and never lose somebody else's change.

The write is a JSON Patch that carries the version it was planned on (a stale one answers 409), tests the object's
identity, the route and its destinations, and names nothing but weights. It never creates, replaces or deletes.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from releases.cluster.client import VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import DryRunUnsupported, NotInstalled, ObjectMissing, PatchFailed, VersionConflict
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.traffic.istio import parsing
from releases.traffic.istio.parsing import Place
from releases.traffic.istio.survey import Wanted, look_around
from releases.traffic.ports import (
    Conflict,
    Contended,
    Difference,
    NotEditable,
    Preview,
    Reading,
    RouteRef,
    Split,
    Step,
    Verification,
    Version,
)

RETRIES = 3
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.3
LOOKS = (0.2, 0.5, 1.0, 2.0)
_chance = secrets.SystemRandom()


@dataclass(slots=True)
class IstioAdapter:
    """Istio behind one API server; ``sleep`` waits between tries."""

    cluster: ClusterClient
    sleep: Callable[[float], None] = time.sleep

    def read(self, route: RouteRef) -> Reading:
        """Look at a route; see :class:`releases.traffic.ports.TrafficProvider`."""
        return _reading(self._find(route))

    def preview(self, route: RouteRef, split: Split) -> Preview:
        """Run the whole write as a dry run, webhooks included; refusals become obstacles, what is not known warnings.

        An object that somebody writes at this moment is no obstacle: the write tries again.
        """
        place = self._find(route)
        before = _reading(place)
        try:
            wanted, operations = place.wanted(split), place.operations(split)
        except NotEditable as error:
            return Preview(before, (), (), (*before.obstacles, error.detail), before.warnings)
        steps = tuple(
            Step(target.name, target.weight, wanted[target.name])
            for target in place.targets
            if target.name in wanted and wanted[target.name] != target.weight
        )
        around = look_around(self.cluster, place, wanted)
        obstacles, warnings = [*before.obstacles, *around.obstacles], [*before.warnings, *around.warnings]
        if not obstacles:
            try:
                answer = self.cluster.patch(VIRTUAL_SERVICES, *_address(place), operations, dry_run=True)
                warnings += [Sentence(text.replace("%", "%%")) for text in answer.warnings]
            except (VersionConflict, PatchFailed):
                warnings.append(Sentence(_("Somebody is writing this object right now. Look again in a moment.")))
            except DryRunUnsupported as error:
                text = _("The cluster tries nothing out before it is written. %(why)s")
                warnings.append(Sentence(text, {"why": error.detail}))
            except Rejected as error:
                obstacles.append(error.detail)
        return Preview(before, steps, tuple(operations), tuple(obstacles), tuple(warnings))

    def write(self, route: RouteRef, split: Split, *, seen: Version) -> Reading:
        """Set the weights under guard; see :class:`releases.traffic.ports.TrafficProvider`."""
        place = self._find(route)
        wanted = place.wanted(split)
        if place.is_as_asked(split):
            return replace(_reading(place), verification=Verification.STORED)
        self._refuse_unfit(place, wanted, seen)
        for left in reversed(range(RETRIES + 1)):
            try:
                answer = self.cluster.patch(VIRTUAL_SERVICES, *_address(place), place.operations(split))
            except (VersionConflict, PatchFailed):
                if left:
                    self.sleep(_chance.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
            except Unreachable as lost:
                return self._after_silence(route, split, seen, lost)
            else:
                return replace(self._settled(route, split, seen), audit_id=answer.audit_id)
            place = self._find(route)
            if place.is_as_asked(split):
                return replace(_reading(place), verification=Verification.STORED)
            _refuse_obstructed(place)
            _refuse_changed(place, seen)
        raise _contended(place, seen)

    def _find(self, route: RouteRef) -> Place:
        """Read the object and find the one route, following a delegate.

        :raises NotEditable: it is not there exactly once
        """
        outer, _slash, inner = route.route.partition("/")
        body = self._get(route.namespace, route.name)
        index = parsing.find_route(body, name=outer, index=route.index, shape=route.shape)
        handed = parsing.delegate_of(body, index, route.namespace)
        if handed is None:
            return parsing.place_at(body, index, route, body)
        delegate = self._get(*handed)
        return parsing.place_at(delegate, parsing.inner_route(delegate, inner), route, body)

    def _get(self, namespace: str, name: str) -> parsing.Object:
        parts = {"name": name, "namespace": namespace}
        try:
            return self.cluster.get(VIRTUAL_SERVICES, namespace, name).body
        except ObjectMissing as error:
            text = _("There is no VirtualService %(name)s in %(namespace)s, and none is made from here.")
            raise NotEditable(Sentence(text, parts), http_status=error.http_status) from error
        except NotInstalled as error:
            raise NotEditable(Sentence(_("Istio is not installed in this cluster.")), http_status=404) from error

    def _refuse_unfit(self, place: Place, wanted: Wanted, seen: Version) -> None:
        """Refuse before anything is sent.

        :raises NotEditable: it must not be written
        :raises Conflict: it changed since it was seen
        """
        _refuse_obstructed(place)
        _refuse_changed(place, seen)
        around = look_around(self.cluster, place, wanted)
        if around.obstacles:
            raise NotEditable(around.obstacles[0])

    def _settled(self, route: RouteRef, split: Split, seen: Version) -> Reading:
        """Read back: the weights stand as asked and nothing else of the route changed.

        :raises Conflict: somebody changed it at once
        """
        place = self._find(route)
        if not place.is_as_asked(split) or place.version.fingerprint != seen.fingerprint:
            raise _conflict(place, seen)
        return replace(_reading(place), verification=Verification.STORED)

    def _after_silence(self, route: RouteRef, split: Split, seen: Version, lost: Unreachable) -> Reading:
        """Look until there is an answer: a write whose answer is lost may stand or not.

        :raises Unreachable: it does not stand, or still nobody answers
        :raises Conflict: something else stands there
        """
        for pause in LOOKS:
            self.sleep(pause)
            try:
                place = self._find(route)
            except Unreachable:
                continue
            if place.is_as_asked(split):
                return replace(_reading(place), verification=Verification.STORED)
            _refuse_changed(place, seen)
            break
        raise lost


def _address(place: Place) -> tuple[str, str]:
    return place.meta["namespace"], place.meta["name"]


def _reading(place: Place) -> Reading:
    owner = parsing.owner_of(place.meta) or parsing.owner_of(place.root["metadata"])
    obstacles: list[Sentence] = []
    warnings: list[Sentence] = []
    if place.meta.get("deletionTimestamp"):
        obstacles.append(Sentence(_("The object is being deleted; a change would not last.")))
    if owner:
        text = _("%(owner)s drives this route: ask it, it would write its own weights back.")
        obstacles.append(Sentence(text, {"owner": owner}))
    gitops = parsing.gitops_of(place.meta)
    if gitops:
        text = _("Git writes this object too (%(mark)s) and may set the weights back. Change Git as well.")
        warnings.append(Sentence(text, {"mark": gitops}))
    if len(place.hosts) > 1:
        text = _("The object covers several hosts: %(hosts)s.")
        warnings.append(Sentence(text, {"hosts": ", ".join(place.hosts)}))
    return Reading(
        targets=place.targets,
        version=place.version,
        hosts=place.hosts,
        owner=owner,
        writer=parsing.last_writer(place.meta),
        obstacles=tuple(obstacles),
        warnings=tuple(warnings),
    )


def _refuse_obstructed(place: Place) -> None:
    """Refuse an object that is going away or that another system drives.

    :raises NotEditable: with the first reason
    """
    obstacles = _reading(place).obstacles
    if obstacles:
        raise NotEditable(obstacles[0])


def _refuse_changed(place: Place, seen: Version) -> None:
    """Refuse when the route is not as it was seen.

    :raises Conflict: with who wrote it
    """
    now = place.version
    if (now.uid, now.fingerprint, now.weights) != (seen.uid, seen.fingerprint, dict(seen.weights)):
        raise _conflict(place, seen)


def _conflict(place: Place, seen: Version) -> Conflict:
    now, writer = place.version, parsing.last_writer(place.meta)
    restructured = (now.uid, now.fingerprint) != (seen.uid, seen.fingerprint)
    who = writer.name if writer else "?"
    if restructured:
        text = _("%(who)s changed the route itself, not only its weights. Nothing was overwritten; look at it first.")
    else:
        text = _("%(who)s changed the weights meanwhile. Nothing was overwritten; decide which ones are to stand.")
    return Conflict(
        Sentence(text, {"who": who}),
        difference=Difference(dict(seen.weights), dict(now.weights), writer, restructured),
    )


def _contended(place: Place, seen: Version) -> Contended:
    writer = parsing.last_writer(place.meta)
    text = _("Another writer keeps changing the object, so ours never came through. Find it and stop it.")
    return Contended(Sentence(text), difference=Difference(dict(seen.weights), dict(place.version.weights), writer))

"""What an adapter supplies: how its control plane shows one route and takes one request.

Everything that is the same for all of them (what is refused, when a write is tried again, what a lost answer means,
reading back) is in :mod:`releases.traffic.guarded`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from releases.core.errors import Rejected, Sentence
from releases.core.words import mark as _
from releases.traffic.ports import CANARY, STABLE, Capabilities, NotEditable, Reading, RouteRef, Target, Weights

At = TypeVar("At")
Operation = Mapping[str, Any]


class Outrun(Rejected):
    """The guard of a request did not hold: somebody wrote meanwhile, nothing of ours was written."""

    code = "traffic_outrun"


class NotTriedOut(Rejected):
    """The server cannot say what a write would do; whether it would refuse is not known."""

    code = "traffic_not_tried_out"


@dataclass(frozen=True, slots=True)
class Place(Generic[At]):
    """One route as it was read; ``at`` is what the adapter needs to write it."""

    reading: Reading
    at: At


@dataclass(slots=True)
class Survey:
    """What was seen around a route before a write, see :class:`releases.traffic.ports.Preview`."""

    obstacles: list[Sentence] = field(default_factory=list)
    doubts: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)
    referrers: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was taken: the warnings that came with it, and its id in the server's log."""

    warnings: tuple[str, ...] = ()
    audit_id: str = ""


class ControlPlane(Protocol[At]):
    """One mesh or gateway, behind one door."""

    def capabilities(self) -> Capabilities:
        """Say what can be done here; see :class:`releases.traffic.ports.TrafficProvider`."""

    def find(self, route: RouteRef) -> Place[At]:
        """Read the object and find the one route, with its targets named (:func:`named`).

        What forbids any write (it is going away, another system drives it) is an obstacle of the reading.

        :raises NotEditable: it is not there exactly once
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """

    def survey(self, place: Place[At], wanted: Weights) -> Survey:
        """Look around before a write: do the targets that get more live, who else is touched.

        What may not be looked at is a warning.

        :raises Unreachable: no answer
        """

    def operations(self, place: Place[At], wanted: Weights) -> Sequence[Operation]:
        """Return what is sent to set these raw weights by name, in order, and guards it; ``None`` removes one."""

    def send(self, place: Place[At], operations: Sequence[Operation], *, dry_run: bool = False) -> Sent:
        """Send it; a dry run stores nothing and is asked only of what :attr:`Capabilities.tries_out`.

        :raises Outrun: somebody wrote since the place was read; nothing of ours was written
        :raises NotTriedOut: a dry run that the server cannot do
        :raises Rejected: another clear no, nothing was written
        :raises Unreachable: whether it was written, or which part of it, is not known
        """


@dataclass(frozen=True, slots=True)
class Entry:
    """A target as the control plane writes it: its identity, the short names it goes by, its raw weight."""

    key: str
    aliases: tuple[str, ...]
    weight: int | None


def named(entries: Sequence[Entry], route: RouteRef, *, absent: int) -> tuple[Target, ...]:
    """Return the targets of a route in their order, the two sides called ``stable`` and ``canary``.

    ``absent`` is what a missing weight counts as here.

    :raises NotEditable: one target only, a side that is not found exactly once, or the same target twice
    """
    if len(entries) < 2:
        raise NotEditable(Sentence(_("The route has a single destination: it gets everything, whatever its weight.")))
    names = [entry.key for entry in entries]
    for role, wanted in ((STABLE, route.stable), (CANARY, route.canary)):
        hits = [at for at, entry in enumerate(entries) if wanted in (entry.key, *entry.aliases)]
        if len(hits) != 1:
            parts = {"count": len(hits), "name": wanted}
            raise NotEditable(Sentence(_("%(count)s destinations match %(name)s; exactly one is needed."), parts))
        names[hits[0]] = role
    if len(set(names)) != len(names):
        raise NotEditable(Sentence(_("The same destination stands in the route twice.")))
    return tuple(Target(entry.key, name, entry.weight, absent) for entry, name in zip(entries, names, strict=True))

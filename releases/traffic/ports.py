"""What the product needs from a mesh or gateway, in its own words.

A **route** is one place where traffic is split over **targets**. A split is asked for with the names ``stable`` and
``canary`` (or a target's full key); shares count, not sums: 9/1 is 90/10, unless ``literal`` is asked for.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from releases.core.errors import Rejected, Sentence

STABLE = "stable"
CANARY = "canary"
Weights = Mapping[str, int | None]


class Verification(StrEnum):
    """How much is known: written as asked, still so after a moment, seen in the traffic itself."""

    NONE = "none"
    STORED = "stored"
    HELD = "held"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class RouteRef:
    """Where a split is: an object, the route inside, and what its two sides are called there.

    ``route`` is the route's name; ``root/inner`` names one inside a delegate. A route without a name is found by
    ``index`` and ``shape`` (see :func:`releases.traffic.rules.shape`), so that a reordering is noticed.
    """

    namespace: str
    name: str
    stable: str
    canary: str
    route: str = ""
    index: int | None = None
    shape: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """What exactly was seen: the object, its version, the route without its weights, and the weights.

    ``weights`` are raw: ``None`` where the object names no weight.
    """

    token: str
    uid: str
    generation: int
    fingerprint: str
    weights: Weights

    def as_facts(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "token": self.token,
            "uid": self.uid,
            "generation": self.generation,
            "fingerprint": self.fingerprint,
            "weights": dict(self.weights),
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Version":
        """Read what :meth:`as_facts` wrote.

        :raises KeyError: a part is missing
        """
        return cls(facts["token"], facts["uid"], facts["generation"], facts["fingerprint"], dict(facts["weights"]))


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote an object last, by the object's own record."""

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Target:
    """One side of a split: its key, the name it is asked for by, its raw weight."""

    key: str
    name: str
    weight: int | None


@dataclass(frozen=True, slots=True)
class Reading:
    """A look at a route; ``weights`` by name with absent ones as 0, ``hosts`` everything the object covers."""

    targets: tuple[Target, ...]
    version: Version
    hosts: tuple[str, ...]
    owner: str = ""
    writer: Writer | None = None
    obstacles: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()
    verification: Verification = Verification.NONE
    audit_id: str = ""

    @property
    def weights(self) -> dict[str, int]:
        """Return the weights by name; absent ones count as 0."""
        return {target.name: target.weight or 0 for target in self.targets}


@dataclass(frozen=True, slots=True)
class Split:
    """The weights asked for; ``None`` removes the weight (only a restore asks that)."""

    weights: Weights
    literal: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One weight before and after."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a write would do, answered by the server itself; ``obstacles`` would refuse it."""

    before: Reading
    steps: tuple[Step, ...]
    operations: tuple[Mapping[str, Any], ...]
    obstacles: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()

    @property
    def is_possible(self) -> bool:
        """Say whether nothing stands in the way."""
        return not self.obstacles


class NotEditable(Rejected):
    """The route cannot be written here: missing, ambiguous, deleted, owned by another system, without a live target."""

    code = "traffic_not_editable"


@dataclass(frozen=True, slots=True)
class Difference:
    """What was expected and what is there."""

    expected: Mapping[str, int | None] = field(default_factory=dict)
    found: Mapping[str, int | None] = field(default_factory=dict)
    writer: Writer | None = None
    restructured: bool = False


class Conflict(Rejected):
    """Somebody else changed the route meanwhile; nothing was overwritten."""

    code = "traffic_conflict"

    def __init__(self, detail: Sentence, *, difference: Difference) -> None:
        """Keep what differs and who wrote it."""
        super().__init__(detail)
        self.difference = difference


class Contended(Conflict):
    """Somebody else keeps writing the object, though not our route; nothing of ours was written."""

    code = "traffic_contended"


class TrafficProvider(Protocol):
    """One mesh or gateway."""

    def read(self, route: RouteRef) -> Reading:
        """Look at a route.

        :raises NotEditable: there is no such route, or not exactly one
        :raises Rejected: another clear no
        :raises Unreachable: no answer
        """

    def preview(self, route: RouteRef, split: Split) -> Preview:
        """Ask what a write would do, storing nothing.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """

    def write(self, route: RouteRef, split: Split, *, seen: Version) -> Reading:
        """Set the weights if the route is still as ``seen``, or already as asked; read back what stands there.

        :raises NotEditable: it must not be written
        :raises Conflict: somebody changed it since it was seen; nothing was overwritten
        :raises Rejected: another clear no
        :raises Unreachable: whether it was written is not known
        """

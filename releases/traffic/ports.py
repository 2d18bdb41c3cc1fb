"""What the product needs from a mesh or gateway, in its own words.

A **route** is one place where traffic is split over **targets**. A split is asked for with the names ``stable`` and
``canary`` (or a target's full key); shares count, not sums: 9/1 is 90/10, unless ``literal`` is asked for. A write ends
in one :class:`Outcome`: the first two are returned, the others raised (see :func:`outcome_of`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from releases.core.errors import External, Rejected, Sentence, Unreachable

STABLE = "stable"
CANARY = "canary"
Weights = Mapping[str, int | None]


class System(StrEnum):
    """The control planes we speak to."""

    ISTIO = "istio"
    LINKERD = "linkerd"
    GATEWAY = "gateway"
    KONG = "kong"
    APISIX = "apisix"


class Outcome(StrEnum):
    """How a write ended: ``unknown`` is the only one after which nobody knows what stands there."""

    APPLIED = "applied"
    ALREADY = "already"
    NOT_APPLIED = "not_applied"
    CONFLICT = "conflict"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Verification(StrEnum):
    """How much is known: written as asked, still so after a moment, seen in the traffic itself."""

    STORED = "stored"
    HELD = "held"
    OBSERVED = "observed"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a control plane can do here.

    ``is_strict``: the server itself refuses a write on another version than the one seen; ``is_atomic``: all targets
    change in one request; ``tries_out``: it answers what a write would do. ``obstacle`` says why nothing can be written
    here at all, and what to do instead.
    """

    largest: int
    is_strict: bool
    is_atomic: bool
    tries_out: bool
    obstacle: Sentence | None = None


@dataclass(frozen=True, slots=True)
class RouteRef:
    """Where a split is: an object, the route inside, and what its two sides are called there.

    ``namespace`` is a Kong workspace too (empty: the default one, and for APISIX). ``kind`` tells apart what one
    control plane has several of; empty is its usual one::

        Istio     http (usual), tls, tcp       APISIX   routes (usual), upstreams, services, plugin_configs
        Linkerd   policy.linkerd.io (usual), gateway.networking.k8s.io
        Gateway   HTTPRoute (usual), GRPCRoute Kong     upstreams

    ``route`` is the route's or rule's name inside; ``root/inner`` names one inside a delegate. A route without a name
    is found by ``index`` and ``shape`` (see :func:`releases.traffic.rules.shape`), so that a reordering is noticed.
    ``stable`` and ``canary`` are a target's full key or the short name it goes by there.
    """

    namespace: str
    name: str
    stable: str
    canary: str
    route: str = ""
    index: int | None = None
    shape: str = ""
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Version:
    """What exactly was seen: the object, its version, the route without its weights, and the weights.

    It is all a restore needs. ``weights`` are raw: ``None`` where the object names no weight. The token of a server
    that knows no versions is a digest of ours: then ``is_strict`` is false.
    """

    token: str
    uid: str
    generation: int
    fingerprint: str
    weights: Weights
    is_strict: bool = True

    def as_facts(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "token": self.token,
            "uid": self.uid,
            "generation": self.generation,
            "fingerprint": self.fingerprint,
            "weights": dict(self.weights),
            "is_strict": self.is_strict,
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Version":
        """Read what :meth:`as_facts` wrote.

        :raises KeyError: a part is missing
        """
        return cls(
            facts["token"],
            facts["uid"],
            facts["generation"],
            facts["fingerprint"],
            dict(facts["weights"]),
            facts.get("is_strict", True),
        )


@dataclass(frozen=True, slots=True)
class Writer:
    """Who wrote an object last, by the object's own record."""

    name: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Owner:
    """Another system that writes these weights: ``drives`` them itself at every turn, or puts back what it was told.

    ``consequence`` is what becomes of a shift of ours, and what to do about it.
    """

    system: str
    consequence: Sentence
    drives: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """One side of a split: its key, the name it is asked for by, its raw weight, what an absent weight counts as."""

    key: str
    name: str
    weight: int | None
    absent: int = 0

    @property
    def share(self) -> int:
        """Return the weight as the control plane counts it."""
        return self.absent if self.weight is None else self.weight


@dataclass(frozen=True, slots=True)
class Reading:
    """A look at a route; ``hosts`` everything the object answers for, ``writer`` who wrote it last and when.

    ``obstacles`` would refuse any write, ``warnings`` are for people to know. ``is_taken_up`` is what the controller
    says of this generation; ``None`` when it says nothing. ``lag_seconds`` is how long nodes that fetch it by
    themselves may take. ``manifest`` names the object as a file in Git does: group, kind, namespace, name; empty where
    it stands in no API server.
    """

    targets: tuple[Target, ...]
    version: Version
    hosts: tuple[str, ...]
    owner: Owner | None = None
    writer: Writer | None = None
    obstacles: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()
    is_taken_up: bool | None = None
    lag_seconds: float = 0.0
    manifest: Mapping[str, str] = field(default_factory=dict)

    @property
    def weights(self) -> dict[str, int]:
        """Return the weights by name, absent ones as they count."""
        return {target.name: target.share for target in self.targets}


@dataclass(frozen=True, slots=True)
class Counted:
    """Which share of the requests the canary got, from 0 to 1, and who counted them; none as long as nobody can say."""

    share: float | None
    by: str


@dataclass(frozen=True, slots=True)
class Split:
    """The weights asked for; ``None`` removes the weight (only a restore asks that).

    ``reason`` is why somebody goes on although a preview had doubts. ``fingerprint`` is the route that literal weights
    were taken from: when it is another by now, that is a doubt too.
    """

    weights: Weights
    literal: bool = False
    reason: str = ""
    fingerprint: str = ""

    @classmethod
    def back_to(cls, version: Version, *, reason: str = "") -> "Split":
        """Return what restores the very numbers of a snapshot, and removes those that were absent."""
        return cls(dict(version.weights), literal=True, reason=reason, fingerprint=version.fingerprint)


@dataclass(frozen=True, slots=True)
class Step:
    """One weight before and after."""

    name: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What a write would do, answered by the server itself where it can.

    ``steps`` is the difference, ``operations`` what would be sent, ``before.hosts`` and ``referrers`` (other objects
    that use this route) everything it reaches. ``obstacles`` refuse it; ``doubts`` refuse it unless a reason is given.
    """

    before: Reading
    steps: tuple[Step, ...]
    operations: tuple[Mapping[str, Any], ...]
    obstacles: tuple[Sentence, ...] = ()
    warnings: tuple[Sentence, ...] = ()
    doubts: tuple[Sentence, ...] = ()
    referrers: tuple[str, ...] = ()

    @property
    def is_possible(self) -> bool:
        """Say whether nothing stands in the way."""
        return not self.obstacles and not self.doubts


@dataclass(frozen=True, slots=True)
class Written:
    """A write that ended well: what stands there now, and the id under which the server's log keeps the request."""

    outcome: Outcome
    reading: Reading
    audit_id: str = ""
    verification: Verification = Verification.STORED


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


class NotApplied(Unreachable):
    """The answer was lost, and the old weights still stand: nothing came of it so far."""

    code = "traffic_not_applied"


_OUTCOMES: tuple[tuple[type[External], Outcome], ...] = (
    (NotApplied, Outcome.NOT_APPLIED),
    (Unreachable, Outcome.UNKNOWN),
    (Conflict, Outcome.CONFLICT),
    (Rejected, Outcome.REFUSED),
)


def outcome_of(error: External) -> Outcome:
    """Return the outcome that an error stands for."""
    return next((outcome for kind, outcome in _OUTCOMES if isinstance(error, kind)), Outcome.UNKNOWN)


class TrafficProvider(Protocol):
    """One mesh or gateway."""

    def capabilities(self) -> Capabilities:
        """Say what can be done here.

        :raises Rejected: a clear no
        :raises Unreachable: no answer
        """

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

    def write(
        self, route: RouteRef, split: Split, *, seen: Version, still: Callable[[], None] = lambda: None
    ) -> Written:
        """Set the weights if the route is still as ``seen``, or already as asked; read back what stands there.

        Looking around takes its time, so ``still`` is called directly before each request that writes: what it raises
        goes through, and nothing more is written.

        :raises NotEditable: it must not be written
        :raises Conflict: somebody changed it since it was seen; nothing was overwritten
        :raises Rejected: another clear no
        :raises NotApplied: no answer, and what was seen still stands
        :raises Unreachable: whether it was written is not known
        """

"""What the upper floors give and get: plans, views, outcomes, and the protocol of a step's handler."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol, TypeAlias
from uuid import UUID

from releases.core.errors import Sentence

Json: TypeAlias = Any  # what json.dumps takes
Seen: TypeAlias = Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class StepPlan:
    """One step to be done: ``kind`` names its handler, ``desired`` is the state wanted (never "toggle").

    Steps of one ``stage`` run side by side; a stage starts when the one before is confirmed. Within a stage a step
    begins once those named in ``after`` are confirmed. ``repeatable`` says that sending twice is harmless (a guarded
    write of a desired state), so that a resend need not wait until a lost call has certainly died.

    Of all steps of one ``connection`` at most ``at_once`` are under way, over all operations; those that go back have
    as many places of their own. 0 is without limit. ``goes_on``: begun although another step of its stage failed,
    unless it comes after that one. ``note`` is said of the step until it ends.
    """

    name: str
    kind: str
    desired: Mapping[str, Json] = field(default_factory=dict)
    stage: int = 1
    connection: str = ""
    repeatable: bool = False
    after: tuple[str, ...] = ()
    at_once: int = 0
    goes_on: bool = False
    note: Sentence | None = None


@dataclass(frozen=True, slots=True)
class StepView:
    """A step as its handler sees it. ``op_key`` is the same over all attempts; ``data`` is what was last seen."""

    op_id: UUID
    step_id: UUID
    operation_kind: str
    subject: UUID
    name: str
    kind: str
    connection: str
    desired: Mapping[str, Json]
    prev: Mapping[str, Json] | None
    op_key: str
    remote_ref: str
    attempts: int
    fence: int
    urgent: bool
    deadline: datetime
    sent_at: datetime | None
    data: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Pending:
    """Not there yet: look again after so many seconds. The lease is released meanwhile; nobody sleeps."""

    after_seconds: float
    seen: Seen = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Done:
    """The actual state is the desired one."""

    seen: Seen = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failed:
    """It ended, and not as wanted; the sentence says what happened."""

    sentence: Sentence
    seen: Seen = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NeedsHuman:
    """No program can decide this; the sentence says what to look at."""

    sentence: Sentence
    seen: Seen = field(default_factory=dict)


Outcome: TypeAlias = Pending | Done | Failed | NeedsHuman
Ending: TypeAlias = Done | Failed | NeedsHuman


class StepHandler(Protocol):
    """How one kind of step is done. All but ``settle`` speak to the outside and run with no transaction open.

    Any of them may raise ``Refused`` (``Stale`` included): the step then waits for a human with that sentence. An
    exception nobody foresaw is tried again, five times at most, and then waits for a human, too.
    """

    def probe(self, step: StepView) -> str | None:
        """Look at the outside by ``op_key``; return its reference, or ``None`` when it certainly never arrived.

        :raises Unreachable: not known; after three of these in a row a human is asked
        """

    def snapshot(self, step: StepView) -> Mapping[str, Json]:
        """Return what is there now; it is kept as ``prev`` from before the first send. May be empty.

        :raises Unreachable: tried again until the deadline
        :raises Rejected: the step fails, nothing was sent
        """

    def send(self, step: StepView) -> str:
        """Make **one** call that asks for ``desired`` and return the outside's reference.

        :raises Unreachable: unknown; the outside is probed before anything is sent again
        :raises Rejected: a clear no; the step fails
        :raises Refused: nothing was sent; a human is asked
        """

    def observe(self, step: StepView) -> Outcome:
        """Look how it is going; ``Done`` only when desired equals actual.

        :raises Unreachable: looked at again until the deadline
        :raises Rejected: we may not look; a human is asked
        """

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write the domain rows and their audit events, inside the transaction that writes the step's end."""


@dataclass(frozen=True, slots=True)
class Message:
    """An outbox message as a reaction gets it. Reactions may see one twice and must not mind."""

    id: UUID
    kind: str
    ref: UUID
    data: Mapping[str, Json]
    attempts: int
    request: str = ""


@dataclass(frozen=True, slots=True)
class Ring:
    """Somebody should look at this row: ``kind`` is ``message`` or ``operation``."""

    queue: str
    kind: str
    id: UUID

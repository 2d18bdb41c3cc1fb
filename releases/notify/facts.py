"""What the rules of notices decide on."""

from dataclasses import dataclass
from datetime import datetime, time
from uuid import UUID

from releases.core.errors import Sentence
from releases.notify.kinds import Digest, Sink, Topic
from releases.notify.states import NoticeState


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From when until when, on the reader's own clock, nothing calm is sent; it may pass midnight."""

    starts: time
    ends: time


@dataclass(frozen=True, slots=True)
class Preferences:
    """How one addressee wants to hear. ``topics`` left out means every one of them."""

    sink: Sink
    zone: str
    topics: frozenset[Topic] | None = None
    muted: frozenset[UUID] = frozenset()
    quiet: QuietHours | None = None
    digest: Digest = Digest.AT_ONCE


@dataclass(frozen=True, slots=True)
class Occasion:
    """Something worth telling. ``case`` names it for good: whoever heard of a case does not hear of it again.

    ``lines`` are the evidence, ``link`` is a path of ours, ``services`` are those it is about.
    """

    topic: Topic
    case: str
    reason: Sentence
    lines: tuple[Sentence, ...] = ()
    link: str = "/"
    services: frozenset[UUID] = frozenset()


@dataclass(frozen=True, slots=True)
class Due:
    """A notice whose moment has come: to whom, and where."""

    id: UUID
    topic: Topic
    sink: Sink
    addressee: str


@dataclass(frozen=True, slots=True)
class Rung:
    """One notice of a page: on which rung of the ladder, since when, and how it stands."""

    rung: int
    told_at: datetime
    state: NoticeState

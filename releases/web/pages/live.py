"""Live: whether it goes well, and whether we are back yet."""

from dataclasses import dataclass
from datetime import datetime

from releases.web.looks import Bar, Line, Look, Step, Words


@dataclass(frozen=True, slots=True)
class Running:
    """One operation in the list."""

    name: str
    title: str
    href: str
    look: Look
    sentence: Words
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Curve:
    """One health line: ``points`` in the 300 × 70 box, the limit's height when there is one."""

    title: Words
    was: str
    now: str
    points: str
    dot_x: int
    dot_y: int
    label: Words
    limit_y: int | None = None
    limit: str = ""
    click_x: int | None = None
    click: str = ""
    starts: str = ""


@dataclass(frozen=True, slots=True)
class GoBack:
    """The one button; refusals say why it cannot be pressed."""

    word: Words
    title: Words
    lines: tuple[Line, ...]
    stay: Words
    key: str
    refusals: tuple[Line, ...] = ()
    is_running: bool = False


@dataclass(frozen=True, slots=True)
class Stuck:
    """A step that waits for a person, with what they may do about it."""

    title: Words
    said: Words
    step_id: str
    operation_id: str


@dataclass(frozen=True, slots=True)
class Live:
    """The page of one rollout or rollback."""

    number: int
    name: str
    title: str
    href: str
    change_href: str
    look: Look
    tone: str
    headline: Words
    more: Words
    since_at: datetime | None
    since: Words
    steps: tuple[Step, ...]
    steps_note: Words
    traffic: tuple[Bar, ...]
    traffic_title: Words
    traffic_note: Words
    seen_at: datetime | None
    log: tuple[Line, ...]
    health: Look | None
    curves: tuple[Curve, ...]
    upcoming: tuple[Line, ...]
    go_back: GoBack | None
    stuck: tuple[Stuck, ...] = ()
    can_advance: bool = False
    can_stop: bool = False
    is_moving: bool = True

"""How things look: one tone, one sign, one word for each state, in one table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.core.errors import Reason, Sentence

Words = str | Promise | Sentence | datetime


@dataclass(frozen=True, slots=True)
class Look:
    """A badge: tone, sign and word never stand alone."""

    tone: str
    sign: str
    word: str | Promise


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a checklist: how it stands, what it says, and where to mend it."""

    tone: str
    sign: str
    text: Words
    detail: Words = ""
    end: Words = ""
    at: datetime | None = None
    href: str = ""
    code: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Fact:
    """One name and value; ``code`` prints the value as a digest or version."""

    name: Words
    value: Words
    note: Words = ""
    href: str = ""
    code: bool = False
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Bar:
    """What was asked of a route beside what is observed, in percent; ``None`` is not known."""

    title: Words
    asked: int | None
    observed: int | None
    version: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of an operation with the lines inside it."""

    look: Look
    title: Words
    end: Words = ""
    at: datetime | None = None
    more: Words = ""
    lines: Sequence[Line] = ()
    percent: int | None = None
    is_live: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """One line of the story: when, what happened, and what the person said."""

    at: datetime
    text: Words
    said: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """One stop of the rail: passed, here, or ahead."""

    word: str | Promise
    at: str = ""


@dataclass(frozen=True, slots=True)
class Chip:
    """One filter: a link that holds its state in the address."""

    word: Words
    href: str
    count: int | None = None
    tone: str = ""
    sign: str = ""
    is_on: bool = False


STATES: Mapping[str, Look] = {
    "draft": Look("", "✎", pgettext_lazy("state", "Draft")),
    "assessing": Look("info", "◔", pgettext_lazy("state", "Assessing")),
    "authorizing": Look("wait", "◔", pgettext_lazy("state", "Authorizing")),
    "scheduled": Look("info", "◷", pgettext_lazy("state", "Scheduled")),
    "implementing": Look("info", "▶", pgettext_lazy("state", "Implementing")),
    "watching": Look("info", "◉", pgettext_lazy("state", "Watching")),
    "rolling_back": Look("undo", "↶", pgettext_lazy("state", "Rolling back")),
    "reviewing": Look("wait", "✎", pgettext_lazy("state", "Reviewing")),
    "closed": Look("", "✓", pgettext_lazy("state", "Closed")),
    "rejected": Look("stop", "✕", pgettext_lazy("state", "Rejected")),
    "canceled": Look("", "✕", pgettext_lazy("state", "Canceled")),
    "expired": Look("", "◷", pgettext_lazy("state", "Expired")),
    "superseded": Look("", "→", pgettext_lazy("state", "Superseded")),
}
OUTCOMES: Mapping[str, Look] = {
    "successful": Look("go", "✓", pgettext_lazy("outcome", "Successful")),
    "successful_with_issues": Look("wait", "◔", pgettext_lazy("outcome", "Successful with issues")),
    "failed": Look("stop", "✕", pgettext_lazy("outcome", "Failed")),
    "rolled_back": Look("undo", "↶", pgettext_lazy("outcome", "Rolled back")),
    "not_implemented": Look("", "○", pgettext_lazy("outcome", "Not implemented")),
}
RISKS: Mapping[str, Look] = {
    "low": Look("go", "●", _("Low risk")),
    "moderate": Look("wait", "◆", _("Moderate risk")),
    "high": Look("stop", "▲", _("High risk")),
    "very_high": Look("stop", "▲", _("Very high risk")),
}
TYPES: Mapping[str, Look] = {
    "standard": Look("", "≡", _("Standard")),
    "normal": Look("", "○", _("Normal")),
    "emergency": Look("stop", "!", _("Emergency")),
    "retroactive": Look("wait", "↺", _("Retroactive")),
}
VERDICTS: Mapping[str, Look] = {
    "allow": Look("go", "✓", pgettext_lazy("verdict", "allow")),
    "deny": Look("stop", "✕", pgettext_lazy("verdict", "deny")),
    "wait": Look("wait", "◔", pgettext_lazy("verdict", "wait")),
}
PROOFS: Mapping[str, Look] = {
    "proved": Look("go", "✓", _("proved")),
    "assumed": Look("wait", "◔", _("assumed")),
    "impossible": Look("stop", "✕", _("impossible")),
}
WORK: Mapping[str, Look] = {
    "pending": Look("", "○", _("Waiting")),
    "running": Look("info", "▶", _("Running")),
    "succeeded": Look("go", "✓", _("Done")),
    "failed": Look("stop", "✕", _("Failed")),
    "needs_human": Look("stop", "!", _("Waits for a person")),
    "stopped": Look("wait", "■", _("Stopped")),
    "superseded": Look("", "→", _("Taken over")),
}
SEATS: Mapping[str, str | Promise] = {
    "seat_engineering": pgettext_lazy("seat", "Engineering"),
    "seat_security": pgettext_lazy("seat", "Security"),
    "seat_business": pgettext_lazy("seat", "Business"),
    "seat_operations": pgettext_lazy("seat", "Operations"),
}
ROLES: Mapping[str, str | Promise] = {
    "owner": _("owner"),
    "engineer": _("engineer"),
    "release_manager": _("release manager"),
    "on_call": _("on call"),
    "auditor": _("auditor"),
    **SEATS,
}
APPROVE_AS: Mapping[str, str | Promise] = {
    "seat_engineering": _("Approve as Engineering"),
    "seat_security": _("Approve as Security"),
    "seat_business": _("Approve as Business"),
    "seat_operations": _("Approve as Operations"),
}
LENSES: Mapping[str, str | Promise] = {
    "governance": _("Governance"),
    "management": _("Management"),
    "uptime": _("Uptime"),
    "delivery": _("Delivery"),
}
MIGRATIONS: Mapping[str, Line] = {
    "none": Line("go", "✓", _("Data: nothing to undo")),
    "expand": Line("go", "✓", _("Data: what was added stays"), _("it only adds, the old version ignores it")),
    "contract": Line("wait", "◔", _("Data: something was removed"), _("the old version may miss it")),
    "irreversible": Line("stop", "✕", _("Data: cannot be undone"), _("going back needs a change of its own")),
}
SEVERITIES: Mapping[str, tuple[str, str]] = {
    "stop": ("stop", "✕"),
    "wait": ("wait", "◔"),
    "warn": ("wait", "!"),
    "info": ("info", "i"),
}
LIFE = ("draft", "assessing", "authorizing", "scheduled", "implementing", "watching", "reviewing", "closed")


def rail(state: str, *, reached: str = "") -> tuple[Stop, ...]:
    """Return the rail of a change in that state; an end off the line shows after the last stop it reached."""
    if state in LIFE:
        here = LIFE.index(state)
        ended = state == LIFE[-1]
        return tuple(
            Stop(STATES[name].word, "done" if at < here or ended else "now" if at == here else "")
            for at, name in enumerate(LIFE)
        )
    line = LIFE[: -1 if state == "rolling_back" else len(LIFE)]
    here = LIFE.index(reached) if reached in LIFE else 0
    if state == "rolling_back":
        passed = tuple(Stop(STATES[name].word, "done") for name in line[:6])
        rest = tuple(Stop(STATES[name].word) for name in LIFE[6:])
        return (*passed, Stop(STATES[state].word, "now"), *rest)
    return (*(Stop(STATES[name].word, "done") for name in line[: here + 1]), Stop(STATES[state].word, "now"))


def line_of(reason: Reason) -> Line:
    """Return a reason of the rules as a line of a checklist, with its way out."""
    tone, sign = SEVERITIES.get(reason.severity, ("stop", "✕"))
    return Line(tone, sign, reason.message, detail=reason.fix or "", at=reason.until, code=reason.code)


def held(text: Words, detail: Words = "") -> Line:
    """Return a line for something that is as it should be."""
    return Line("go", "✓", text, detail=detail)


def initials(name: str) -> str:
    """Return the first and last initial of a person's name."""
    parts = name.split()
    return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else "")).upper() if parts else "?"

"""The pace of a release: how much of the traffic moves at each step, and how long it pauses there. Knows no table.

A change that says nothing goes at the usual pace: some of the traffic, a verdict, all of it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _

MOST_STEPS = 20
ALL = 100
LONGEST_PAUSE = timedelta(days=1)
MOST_MINUTES = LONGEST_PAUSE // timedelta(minutes=1)
FIELD = "steps"
Wrong = dict[str, list[Sentence | str]]
_LINE = re.compile(r"(\d{1,9})\s*%?(?:\s+(?:\w+\s+)?(\d{1,9})\s*(min|h)\w*\.?)?", re.IGNORECASE)
_MINUTES = {"min": 1, "h": 60}


@dataclass(frozen=True, slots=True)
class Step:
    """So many percent of the traffic, then a pause of so many minutes in which health is judged."""

    percent: int
    pause_minutes: int = 0

    @property
    def pause(self) -> timedelta:
        """Return how long it pauses."""
        return timedelta(minutes=self.pause_minutes)

    def as_json(self) -> dict[str, int]:
        """Return it as it is kept, and as the API writes it."""
        return {"percent": self.percent, "pause_minutes": self.pause_minutes}


def pace_of(kept: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    """Return the steps that :meth:`Step.as_json` wrote."""
    return tuple(Step(one["percent"], one["pause_minutes"]) for one in kept)


def lasts(steps: Iterable[Step]) -> timedelta:
    """Return how long all pauses take together."""
    return sum((one.pause for one in steps), timedelta())


def read(text: str) -> tuple[tuple[Step, ...], Wrong]:
    """Return the steps that were written, one to a line or between commas (``5 % 10 min``), and what cannot be read."""
    steps: list[Step] = []
    wrong: Wrong = {}
    lines = [line.strip() for line in re.split(r"[\n,;]", text)]
    for line in filter(None, lines):
        if match := _LINE.fullmatch(line):
            percent, number, unit = match.groups()
            minutes = int(number) * _MINUTES[unit.lower()] if number else 0
            steps.append(Step(int(percent), minutes))
        else:
            said = _("“%(line)s” is no step. Write a share and a pause, such as: 5 %% 10 min.")
            wrong.setdefault(FIELD, []).append(Sentence(said, {"line": line[:40]}))
    return tuple(steps), wrong


def written(steps: Iterable[Step]) -> str:
    """Return steps as :func:`read` takes them."""
    return "\n".join(f"{one.percent} % {_pause(one.pause_minutes)}".strip() for one in steps)


def _pause(minutes: int) -> str:
    if not minutes:
        return ""
    return f"{minutes // 60} h" if minutes % 60 == 0 else f"{minutes} min"


def problems(steps: Sequence[Step], *, window: timedelta | None = None) -> Wrong:
    """Return what is wrong with a pace, by the names of its fields; ``window`` is how long the change may take."""
    if not steps:
        return {}
    wrong: Wrong = {}
    if len(steps) > MOST_STEPS:
        wrong[FIELD] = [Sentence(_("Name %(most)s steps at most."), {"most": MOST_STEPS})]
    for at, step in enumerate(steps):
        before = steps[at - 1].percent if at else 0
        is_last = at == len(steps) - 1
        if sentence := _share_problem(step.percent, before, is_last=is_last):
            wrong[f"{FIELD}.{at}.percent"] = [sentence]
        if sentence := _pause_problem(step.pause, is_last=is_last):
            wrong[f"{FIELD}.{at}.pause_minutes"] = [sentence]
    if not wrong and window is not None and lasts(steps) >= window:
        parts = {"pauses": _minutes(lasts(steps)), "window": _minutes(window)}
        text = _("The pauses take %(pauses)s minutes, the window %(window)s. Shorten the pauses or widen the window.")
        wrong[FIELD] = [Sentence(text, parts)]
    return wrong


def _share_problem(percent: int, before: int, *, is_last: bool) -> Sentence | None:
    if is_last and percent != ALL:
        return Sentence(_("Let the last step take all of the traffic."))
    if not is_last and not before < percent < ALL:
        parts = {"before": before}
        return Sentence(_("Choose a share above the one before it (%(before)s %%) and below 100 %%."), parts)
    return None


def _pause_problem(pause: timedelta, *, is_last: bool) -> Sentence | None:
    if is_last:
        return Sentence(_("After the last step comes the watch: leave its pause away.")) if pause else None
    if not timedelta() < pause <= LONGEST_PAUSE:
        return Sentence(_("Pause between 1 and %(most)s minutes, so that its health is seen."), {"most": MOST_MINUTES})
    return None


def _minutes(span: timedelta) -> int:
    return span // timedelta(minutes=1)

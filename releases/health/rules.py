"""From measures to a verdict. Pure: the same measures always give the same sentence."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from releases.catalog.kinds import Figure
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.health.ports import Measure
from releases.health.states import Health


@dataclass(frozen=True, slots=True)
class Limits:
    """When to say what.

    Healthy: the last ``needed`` measures or more are at most ``at_most`` and together cover ``span``.
    Unhealthy: the last ``patience`` measures are above ``at_most``. ``figure`` says what they count.
    """

    at_most: float
    figure: Figure = Figure.ERRORS
    needed: int = 3
    span: timedelta = timedelta(seconds=30)
    patience: int = 2


@dataclass(frozen=True, slots=True)
class Said:
    """How a figure is told: too high for good, within its limit, too high once; and what turns it into ``value``."""

    ill: str
    well: str
    once: str
    times: int = 1


SAID: Mapping[Figure, Said] = {
    Figure.ERRORS: Said(
        _("%(value)s %% of requests failed, the limit is %(limit)s %%; measured %(count)s times in a row."),
        _("%(value)s %% of requests failed, within the limit of %(limit)s %%; measured %(count)s times in a row."),
        _("%(value)s %% of requests failed, the limit is %(limit)s %%. One more measure like it is a failure."),
        times=100,
    ),
    Figure.SECONDS: Said(
        _("Requests took %(value)s ms, the limit is %(limit)s ms; measured %(count)s times in a row."),
        _("Requests took %(value)s ms, within the limit of %(limit)s ms; measured %(count)s times in a row."),
        _("Requests took %(value)s ms, the limit is %(limit)s ms. One more measure like it is a failure."),
        times=1000,
    ),
    Figure.NUMBER: Said(
        _("%(value)s was measured, the limit is %(limit)s; %(count)s times in a row."),
        _("%(value)s was measured, within the limit of %(limit)s; %(count)s times in a row."),
        _("%(value)s was measured, the limit is %(limit)s. One more measure like it is a failure."),
    ),
    Figure.ANSWER: Said(
        _("It said %(count)s times in a row that it is ill."),
        _("It said %(count)s times in a row that it is well."),
        _("It said that it is ill. Once more is a failure."),
    ),
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the sentence that explains it."""

    health: Health
    sentence: Sentence


def judge(measures: Sequence[Measure], limits: Limits) -> Judgement:
    """Return the verdict on measures in the order they were seen; a missing value breaks every run."""
    bad = _run(measures, lambda value: value > limits.at_most)
    if len(bad) >= max(limits.patience, 1):
        return Judgement(Health.UNHEALTHY, _told(SAID[limits.figure].ill, bad, limits))
    good = _run(measures, lambda value: value <= limits.at_most)
    covered = good[-1].seen_at - good[0].seen_at if good else timedelta()
    if len(good) >= max(limits.needed, 1) and covered >= limits.span:
        return Judgement(Health.HEALTHY, _told(SAID[limits.figure].well, good, limits))
    return Judgement(Health.UNKNOWN, _not_yet(measures, len(good), covered, limits))


def watched(measures: Sequence[Measure], limits: Limits, *, lasts: timedelta) -> Judgement:
    """Return the verdict on a watch: healthy only when it lasted long enough and ends in a healthy verdict.

    Unhealthy ends it at any time.
    """
    verdict = judge(measures, limits)
    if verdict.health is not Health.HEALTHY:
        return verdict
    passed = measures[-1].seen_at - measures[0].seen_at
    if passed >= lasts:
        return verdict
    parts = {"passed": int(passed.total_seconds()), "lasts": int(lasts.total_seconds())}
    return Judgement(Health.UNKNOWN, Sentence(_("Watched for %(passed)s of %(lasts)s seconds, healthy so far."), parts))


def _run(measures: Sequence[Measure], holds: Callable[[float], bool]) -> list[Measure]:
    """Return the measures at the end of which this holds, oldest first."""
    run = takewhile(lambda one: one.value is not None and holds(one.value), reversed(measures))
    return list(run)[::-1]


def _not_yet(measures: Sequence[Measure], good: int, covered: timedelta, limits: Limits) -> Sentence:
    last = measures[-1] if measures else None
    if last is None:
        return Sentence(_("Nothing was measured yet."))
    if last.value is None:
        return last.why or Sentence(_("The last measure holds no value, so nothing can be said."))
    if last.value > limits.at_most:
        return _told(SAID[limits.figure].once, [last], limits)
    seconds = {"covered": int(covered.total_seconds()), "span": int(limits.span.total_seconds())}
    return Sentence(
        _("%(good)s of %(needed)s healthy measures in a row, over %(covered)s of %(span)s seconds."),
        {"good": good, "needed": limits.needed, **seconds},
    )


def shown(value: float, figure: Figure) -> int | float:
    """Return a figure as people say it, with three digits that count: per cent, milliseconds, or as it is."""
    whole = value * SAID[figure].times
    said = float(f"{whole:.3g}") if abs(whole) < 1000 else round(whole)
    return int(said) if said == int(said) else said


def _told(text: str, measures: Sequence[Measure], limits: Limits) -> Sentence:
    """Return the sentence on a run of measures with the last figure in it."""
    value = measures[-1].value or 0.0
    parts = {"value": shown(value, limits.figure), "limit": shown(limits.at_most, limits.figure)}
    return Sentence(text, {**parts, "count": len(measures)})

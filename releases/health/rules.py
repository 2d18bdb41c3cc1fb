"""From measures to a verdict. Pure: the same measures always give the same sentence."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import takewhile

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.health.ports import Measure
from releases.health.states import Health


@dataclass(frozen=True, slots=True)
class Limits:
    """When to say what.

    Healthy: the last ``needed`` measures or more are at most ``at_most`` and together cover ``span``.
    Unhealthy: the last ``patience`` measures are above ``at_most``.
    """

    at_most: float
    needed: int = 3
    span: timedelta = timedelta(seconds=30)
    patience: int = 2


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict and the sentence that explains it."""

    health: Health
    sentence: Sentence


def judge(measures: Sequence[Measure], limits: Limits) -> Judgement:
    """Return the verdict on measures in the order they were seen; a missing value breaks every run."""
    bad = _run(measures, lambda value: value > limits.at_most)
    if len(bad) >= max(limits.patience, 1):
        parts = {"value": _figure(bad[-1]), "limit": _shown(limits.at_most), "count": len(bad)}
        return Judgement(
            Health.UNHEALTHY,
            Sentence(_("%(value)s is above the limit of %(limit)s, %(count)s measures in a row."), parts),
        )
    good = _run(measures, lambda value: value <= limits.at_most)
    covered = good[-1].seen_at - good[0].seen_at if good else timedelta()
    if len(good) >= max(limits.needed, 1) and covered >= limits.span:
        parts = {"value": _figure(good[-1]), "limit": _shown(limits.at_most), "count": len(good)}
        return Judgement(
            Health.HEALTHY,
            Sentence(_("%(value)s is within the limit of %(limit)s, %(count)s measures in a row."), parts),
        )
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
        parts = {"value": _figure(last), "limit": _shown(limits.at_most)}
        return Sentence(_("%(value)s is above the limit of %(limit)s. One more like it is a failure."), parts)
    seconds = {"covered": int(covered.total_seconds()), "span": int(limits.span.total_seconds())}
    return Sentence(
        _("%(good)s of %(needed)s healthy measures in a row, over %(covered)s of %(span)s seconds."),
        {"good": good, "needed": limits.needed, **seconds},
    )


def _figure(measure: Measure) -> str:
    return _shown(measure.value if measure.value is not None else 0.0)


def _shown(value: float) -> str:
    return f"{value:.4g}"

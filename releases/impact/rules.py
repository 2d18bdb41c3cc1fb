"""Impact × likelihood of a change, from facts through four lenses; every point has a sentence, a source and an age.

Knows no table. The thresholds stand in :mod:`releases.impact.scales`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural
from releases.impact.facts import ChangeFacts, Customers, History, ItemFacts, Known, Reach, Tests, Timing, Unknown
from releases.impact.lenses import Lens, Level, Side
from releases.impact.scales import (
    ENOUGH_CHANGES,
    HIGHEST_IMPACT_IN,
    IMPACT_OF_POINTS,
    LIKELIHOOD_OF_FAILURES,
    LIKELIHOOD_OF_POINTS,
    SCALES,
    WORST,
    level_of,
    step,
)

__all__ = [
    "Appraisal",
    "ChangeFacts",
    "Customers",
    "Factor",
    "History",
    "ItemFacts",
    "Known",
    "Lens",
    "Level",
    "Reach",
    "Side",
    "Tests",
    "Timing",
    "Unknown",
    "assess",
]

REQUEST = _("this request")
CUSTOMERS = plural("%(count)s customer: %(segments)s.", "%(count)s customers: %(segments)s.", by="count")
NOTICE_LATE = plural(
    "Customers were promised %(hours)s hour of notice; the window starts sooner.",
    "Customers were promised %(hours)s hours of notice; the window starts sooner.",
    by="hours",
)
NOTICE_KEPT = plural(
    "Customers were promised %(hours)s hour of notice; there is time.",
    "Customers were promised %(hours)s hours of notice; there is time.",
    by="hours",
)
CONFLICTS = plural(
    "%(conflicts)s other change in the same window.", "%(conflicts)s other changes in the same window.", by="conflicts"
)
FREEZES = plural(
    "%(freezes)s freeze in the same window; other changes: %(conflicts)s.",
    "%(freezes)s freezes in the same window; other changes: %(conflicts)s.",
    by="freezes",
)
CALLERS = plural(
    "%(direct)s service calls these; further callers: %(indirect)s, by an unconfirmed edge: %(unconfirmed)s.",
    "%(direct)s services call these; further callers: %(indirect)s, by an unconfirmed edge: %(unconfirmed)s.",
    by="direct",
)
INCIDENTS = plural(
    "%(count)s incident is open where this goes.", "%(count)s incidents are open where this goes.", by="count"
)
TESTS_FAILED = plural(
    "%(failed)s test failed, %(passed)s passed.", "%(failed)s tests failed, %(passed)s passed.", by="failed"
)
TESTS_PASSED = plural("%(passed)s test passed.", "%(passed)s tests passed.", by="passed")
LITTLE_HISTORY = plural(
    "Little evidence: %(changes)s earlier change of these services; failed: %(failures)s.",
    "Little evidence: %(changes)s earlier changes of these services; failed: %(failures)s.",
    by="changes",
)
FAILURES = plural(
    "%(failures)s of the last %(changes)s changes of these services failed.",
    "%(failures)s of the last %(changes)s changes of these services failed.",
    by="failures",  # the same words in English only
)
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Factor:
    """One fact through one lens: what it says, the points it gives, where it comes from and how old it is."""

    lens: Lens
    code: str
    side: Side
    points: int
    sentence: Sentence
    source: str
    seen_at: datetime | None
    known: bool


@dataclass(frozen=True, slots=True)
class Appraisal:
    """The outcome: impact and likelihood from 1 to 4, the level, and every fact behind it.

    The likelihood is the higher of what the rules and what the history of these services say.
    """

    impact: int
    likelihood: int
    likelihood_by_rules: int
    likelihood_by_history: int | None
    has_little_evidence: bool
    level: Level
    factors: tuple[Factor, ...]


def assess(facts: ChangeFacts, now: datetime) -> Appraisal:
    """Assess a change; what is not known counts as the worst it could be."""
    factors = tuple(_factors(facts, now))
    ceiling = max((HIGHEST_IMPACT_IN.get(item.environment_kind, WORST) for item in facts.items), default=WORST)
    impact = min(step(IMPACT_OF_POINTS, _points(factors, Side.IMPACT)), ceiling)
    by_rules = step(LIKELIHOOD_OF_POINTS, _points(factors, Side.LIKELIHOOD))
    by_history = _likelihood_by_history(facts.history)
    likelihood = max(by_rules, by_history or 0)
    return Appraisal(
        impact=impact,
        likelihood=likelihood,
        likelihood_by_rules=by_rules,
        likelihood_by_history=by_history,
        has_little_evidence=isinstance(facts.history, Unknown) or facts.history.value.changes < ENOUGH_CHANGES,
        level=level_of(impact, likelihood),
        factors=factors,
    )


def _points(factors: Sequence[Factor], side: Side) -> int:
    return sum(factor.points for factor in factors if factor.side is side)


def _likelihood_by_history(history: Known[History] | Unknown) -> int | None:
    if isinstance(history, Unknown):
        return WORST
    if not history.value.changes:
        return None
    share = 100 * history.value.failures // max(history.value.changes, ENOUGH_CHANGES)
    return step(LIKELIHOOD_OF_FAILURES, share)


def _factors(facts: ChangeFacts, now: datetime) -> Iterator[Factor]:
    """Look at every fact, in the order of the lenses."""
    yield _data(facts)
    yield _type(facts)
    yield _customers(facts)
    yield _notice(facts, now)
    yield _timing(facts)
    yield _environment(facts)
    yield _criticality(facts)
    yield _reach(facts)
    yield _incidents(facts)
    yield _budget(facts)
    yield _tests(facts)
    yield _size(facts)
    yield _base(facts)
    yield _migration(facts)
    yield _rehearsal(facts)
    yield _history(facts)


def _factor(code: str, points: int, fact: Known[Value], text: str, **parts: object) -> Factor:
    scale = SCALES[code]
    return Factor(scale.lens, code, scale.side, points, Sentence(text, parts), fact.source, fact.seen_at, known=True)


def _unknown(code: str, fact: Unknown, text: str) -> Factor:
    scale = SCALES[code]
    return Factor(scale.lens, code, scale.side, scale.worst, Sentence(text), fact.source, None, known=False)


def _of_items(facts: Sequence[Known[Value] | Unknown]) -> Known[tuple[Value, ...]] | Unknown:
    """Join one fact of every item: not known when it is not known of one, as old as the oldest."""
    known: list[Known[Value]] = []
    for fact in facts:
        if isinstance(fact, Unknown):
            return fact
        known.append(fact)
    if not known:
        return Unknown(REQUEST)
    seen = [fact.seen_at for fact in known if fact.seen_at is not None]
    return Known(tuple(fact.value for fact in known), known[0].source, min(seen, default=None))


def _data(facts: ChangeFacts) -> Factor:
    fact = _of_items([item.data_classes for item in facts.items])
    if isinstance(fact, Unknown):
        return _unknown("data", fact, _("Which kinds of data are touched is not known."))
    classes = sorted({one for each in fact.value for one in each})
    points = max((SCALES["data"].of_word(one) for one in classes), default=0)
    if not classes:
        return _factor("data", points, fact, _("No personal data, no cards, no money."))
    return _factor("data", points, fact, _("Touches data of these kinds: %(kinds)s."), kinds=", ".join(classes))


TYPE_SENTENCES: Mapping[str, str] = {
    "standard": _("A standard change: done before, in the same way."),
    "normal": _("A normal change: decided with time to look."),
    "emergency": _("An emergency: decided by fewer people in less time."),
}


def _type(facts: ChangeFacts) -> Factor:
    text = TYPE_SENTENCES.get(facts.type, _("No rule knows this type of change."))
    return _factor("type", SCALES["type"].of_word(facts.type), Known(facts.type, REQUEST), text)


def _customers(facts: ChangeFacts) -> Factor:
    fact = facts.customers
    if isinstance(fact, Unknown):
        return _unknown("customers", fact, _("Who is served is not known."))
    total, points = fact.value.total, SCALES["customers"].of_number(fact.value.total)
    if not total:
        return _factor("customers", points, fact, _("No customer depends on this."))
    segments = ", ".join(f"{segment} {size}" for segment, size in fact.value.by_segment)
    return _factor("customers", points, fact, CUSTOMERS, count=total, segments=segments)


def _notice(facts: ChangeFacts, now: datetime) -> Factor:
    fact, timing = facts.customers, facts.timing
    if isinstance(fact, Unknown):
        return _unknown("notice", fact, _("Whether customers were promised notice is not known."))
    hours = fact.value.notice_hours
    if not hours:
        return _factor("notice", SCALES["notice"].of_word("none"), fact, _("Nobody was promised notice."))
    if isinstance(timing, Unknown):
        return _unknown("notice", timing, _("Whether notice can be given in time is not known."))
    if timing.value.starts_at - now < timedelta(hours=hours):
        return _factor("notice", SCALES["notice"].of_word("broken"), fact, NOTICE_LATE, hours=hours)
    return _factor("notice", SCALES["notice"].of_word("kept"), fact, NOTICE_KEPT, hours=hours)


def _timing(facts: ChangeFacts) -> Factor:
    fact = facts.timing
    if isinstance(fact, Unknown):
        return _unknown("timing", fact, _("What else happens in the window is not known."))
    conflicts, freezes = fact.value.conflicts, fact.value.freezes
    points = SCALES["timing"].of_number(conflicts + freezes)
    if not conflicts and not freezes:
        return _factor("timing", points, fact, _("The window meets no other change and no freeze."))
    if not freezes:
        return _factor("timing", points, fact, CONFLICTS, conflicts=conflicts)
    return _factor("timing", points, fact, FREEZES, conflicts=conflicts, freezes=freezes)


def _environment(facts: ChangeFacts) -> Factor:
    kinds = sorted({item.environment_kind for item in facts.items})
    if not kinds:
        return _unknown("environment", Unknown(REQUEST), _("Where it goes is not known."))
    text = _("Goes to %(kinds)s.")
    return _factor("environment", 0, Known(kinds, REQUEST), text, kinds=", ".join(kinds))


def _criticality(facts: ChangeFacts) -> Factor:
    fact = _of_items([item.criticality for item in facts.items])
    if isinstance(fact, Unknown):
        return _unknown("criticality", fact, _("How critical the services are is not known."))
    highest = max(fact.value)
    which = ", ".join(
        item.service
        for item in facts.items
        if isinstance(item.criticality, Known) and item.criticality.value == highest
    )
    text = _("%(services)s: criticality %(criticality)s of 4.")
    return _factor(
        "criticality", SCALES["criticality"].of_number(highest), fact, text, services=which, criticality=highest
    )


def _reach(facts: ChangeFacts) -> Factor:
    fact = facts.reach
    if isinstance(fact, Unknown):
        return _unknown("reach", fact, _("Which services call these is not known."))
    reach = fact.value
    points = SCALES["reach"].of_number(reach.direct + reach.indirect)
    if not reach.direct and not reach.indirect:
        return _factor("reach", points, fact, _("No other service calls these."))
    parts = {"direct": reach.direct, "indirect": reach.indirect, "unconfirmed": reach.unconfirmed}
    return _factor("reach", points, fact, CALLERS, **parts)


def _incidents(facts: ChangeFacts) -> Factor:
    fact = facts.incidents
    if isinstance(fact, Unknown):
        return _unknown("incidents", fact, _("Whether an incident is open is not known."))
    points = SCALES["incidents"].of_number(fact.value)
    if not fact.value:
        return _factor("incidents", points, fact, _("No incident is open on these services."))
    return _factor("incidents", points, fact, INCIDENTS, count=fact.value)


def _budget(facts: ChangeFacts) -> Factor:
    fact = facts.budget
    if isinstance(fact, Unknown):
        return _unknown("budget", fact, _("What is left of the error budget is not known."))
    if fact.value is None:
        return _factor("budget", 0, fact, _("No error budget is kept here."))
    points = SCALES["budget"].of_number(int(100 * (1 - fact.value)))
    if fact.value <= 0:
        return _factor("budget", points, fact, _("The error budget is spent."))
    left = round(100 * fact.value)
    return _factor("budget", points, fact, _("%(left)s %% of the error budget is left."), left=left)


def _tests(facts: ChangeFacts) -> Factor:
    fact = facts.tests
    if isinstance(fact, Unknown):
        return _unknown("tests", fact, _("Whether it was tested is not known."))
    parts = {"passed": fact.value.passed, "failed": fact.value.failed}
    if fact.value.failed:
        return _factor("tests", SCALES["tests"].of_word("failed"), fact, TESTS_FAILED, **parts)
    if not fact.value.passed:
        return _factor("tests", SCALES["tests"].of_word("none"), fact, _("Nothing was tested."))
    return _factor("tests", SCALES["tests"].of_word("passed"), fact, TESTS_PASSED, **parts)


def _size(facts: ChangeFacts) -> Factor:
    count = len(facts.items)
    fact = Known(count, REQUEST)
    points = SCALES["size"].of_number(count)
    if count == 1:
        return _factor("size", points, fact, _("One service changes."))
    return _factor("size", points, fact, _("%(count)s places change together."), count=count)


def _base(facts: ChangeFacts) -> Factor:
    fact = _of_items([item.from_version for item in facts.items])
    if isinstance(fact, Unknown):
        return _unknown("base", fact, _("What runs there now is not known."))
    if not all(fact.value):
        return _factor("base", SCALES["base"].of_word("nothing"), fact, _("Deployed there for the first time."))
    steps = ", ".join(f"{old} → {item.to_version}" for old, item in zip(fact.value, facts.items, strict=True))
    return _factor("base", SCALES["base"].of_word("running"), fact, _("From what runs now: %(steps)s."), steps=steps)


MIGRATION_SENTENCES: Mapping[str, str] = {
    "none": _("Database: nothing to undo."),
    "expand": _("Database: only adds; the earlier version can still run."),
    "contract": _("Database: removes what the earlier version used."),
    "irreversible": _("Database: cannot be undone."),
}
REHEARSAL_SENTENCES: Mapping[str, str] = {
    "proved": _("The way back is proved."),
    "assumed": _("The way back is assumed, not rehearsed."),
    "impossible": _("The way back was tried and cannot work."),
}


def _migration(facts: ChangeFacts) -> Factor:
    fact = facts.migration_class
    if isinstance(fact, Unknown):
        return _unknown("migration", fact, _("What happens to the database is not known."))
    text = MIGRATION_SENTENCES.get(fact.value, _("Database: no rule knows this kind of migration."))
    return _factor("migration", SCALES["migration"].of_word(fact.value), fact, text)


def _rehearsal(facts: ChangeFacts) -> Factor:
    fact = facts.rehearsal
    if isinstance(fact, Unknown):
        return _unknown("rehearsal", fact, _("Whether the way back works is not known."))
    text = REHEARSAL_SENTENCES.get(fact.value, _("No rule knows this proof of the way back."))
    return _factor("rehearsal", SCALES["rehearsal"].of_word(fact.value), fact, text)


def _history(facts: ChangeFacts) -> Factor:
    fact = facts.history
    if isinstance(fact, Unknown):
        return _unknown("history", fact, _("How earlier changes of these services went is not known."))
    parts = {"changes": fact.value.changes, "failures": fact.value.failures}
    if not fact.value.changes:
        none = _("Little evidence: no earlier change of these services.")
        return _factor("history", SCALES["history"].of_word("little"), fact, none, **parts)
    if fact.value.changes < ENOUGH_CHANGES:
        return _factor("history", SCALES["history"].of_word("little"), fact, LITTLE_HISTORY, **parts)
    return _factor("history", SCALES["history"].of_word("enough"), fact, FAILURES, **parts)

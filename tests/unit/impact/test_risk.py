"""Risk from facts: knowing more can only lower it, and every point has a sentence, a source and an age."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.impact.facts import ChangeFacts, Customers, History, ItemFacts, Known, Reach, Timing, Unknown
from releases.impact.facts import Tests as Report  # pytest takes every Test… for its own
from releases.impact.lenses import Lens, Level, Side
from releases.impact.rules import assess
from releases.impact.scales import SCALES, level_of, step
from tests.examples import examples
from tests.factories.accounts import NOW
from tests.factories.impact import SEEN, an_item, known, some_facts

NOT_KNOWN = Unknown("catalogue")


def factor(code, **more):
    return next(one for one in assess(some_facts(**more), NOW).factors if one.code == code)


def test_a_calm_change_is_low_risk_and_still_tells_what_was_looked_at():
    appraisal = assess(some_facts(), NOW)
    assert (appraisal.impact, appraisal.likelihood, appraisal.level) == (1, 1, Level.LOW)
    assert {one.code for one in appraisal.factors} == set(SCALES)
    assert {one.lens for one in appraisal.factors} == set(Lens)


@pytest.mark.parametrize(
    ("impact", "likelihood", "level"),
    [
        (1, 1, "low"), (1, 2, "low"), (1, 3, "low"), (1, 4, "moderate"),
        (2, 1, "low"), (2, 2, "moderate"), (2, 3, "moderate"), (2, 4, "high"),
        (3, 1, "low"), (3, 2, "moderate"), (3, 3, "high"), (3, 4, "very_high"),
        (4, 1, "moderate"), (4, 2, "high"), (4, 3, "very_high"), (4, 4, "very_high"),
    ],
)  # fmt: skip
def test_impact_times_likelihood_gives_the_level(impact, likelihood, level):
    assert level_of(impact, likelihood) == level


def test_the_thresholds_hold_at_their_edges():
    customers = SCALES["customers"].steps
    assert [step(customers, number) for number in (0, 1, 999, 1_000, 99_999, 100_000)] == [0, 1, 1, 2, 2, 3]


@pytest.mark.parametrize(
    ("more", "code", "points", "sentence"),
    [
        ({"tests": known(Report(318, 0))}, "tests", 0, "318 tests passed."),
        ({"tests": known(Report(0, 0))}, "tests", 3, "Nothing was tested."),
        ({"tests": known(Report(318, 2))}, "tests", 3, "2 tests failed, 318 passed."),
        ({"tests": NOT_KNOWN}, "tests", 3, "Whether it was tested is not known."),
        ({"incidents": known(1)}, "incidents", 2, "1 incident is open where this goes."),
        ({"migration_class": known("irreversible")}, "migration", 3, "Database: cannot be undone."),
        ({"migration_class": known("novel")}, "migration", 3, "Database: no rule knows this kind of migration."),
        ({"rehearsal": known("assumed")}, "rehearsal", 1, "The way back is assumed, not rehearsed."),
        ({"type": "emergency"}, "type", 1, "An emergency: decided by fewer people in less time."),
        ({"type": "novel"}, "type", 1, "No rule knows this type of change."),
        ({"reach": known(Reach(0, 0))}, "reach", 0, "No other service calls these."),
        (
            {"customers": known(Customers((("retail", 410_000), ("business", 2_000))))},
            "customers", 3, "412000 customers: retail 410000, business 2000.",
        ),
        ({"customers": known(Customers())}, "customers", 0, "No customer depends on this."),
        (
            {"items": (an_item(data_classes=known(("personal", "card"))),)},
            "data", 2, "Touches data of these kinds: card, personal.",
        ),
        ({"items": (an_item(from_version=known("")),)}, "base", 1, "Deployed there for the first time."),
        ({"items": (an_item(),)}, "base", 0, "From what runs now: v1.4.2 → v1.5.0."),
        ({"items": (an_item(), an_item(service="contacts"))}, "size", 1, "2 places change together."),
        (
            {"items": (an_item(), an_item(service="contacts", criticality=known(4)))},
            "criticality", 3, "contacts: criticality 4 of 4.",
        ),
        (
            {"items": (an_item(), an_item(criticality=NOT_KNOWN))},
            "criticality", 3, "How critical the services are is not known.",
        ),
        ({"budget": known(None)}, "budget", 0, "No error budget is kept here."),
        ({"budget": known(0.51)}, "budget", 0, "51 % of the error budget is left."),
        ({"budget": known(0.5)}, "budget", 1, "50 % of the error budget is left."),
        ({"budget": known(0.0)}, "budget", 2, "The error budget is spent."),
        ({"budget": known(-0.6)}, "budget", 2, "The error budget is spent."),
        ({"budget": NOT_KNOWN}, "budget", 2, "What is left of the error budget is not known."),
        ({"timing": known(Timing(NOW, 2, 0))}, "timing", 1, "2 other changes in the same window."),
    ],
)  # fmt: skip
def test_a_fact_gives_points_and_a_sentence(more, code, points, sentence):
    found = factor(code, **more)
    assert (found.points, str(found.sentence)) == (points, sentence)


def test_every_fact_names_its_source_and_age_and_an_unknown_one_has_no_age():
    seen = factor("reach", reach=Known(Reach(2, 1), "call graph", SEEN))
    assert (seen.source, seen.seen_at, seen.known) == ("call graph", SEEN, True)
    unseen = factor("reach", reach=Unknown("call graph"))
    assert (unseen.source, unseen.seen_at, unseen.known) == ("call graph", None, False)


def test_what_is_known_of_many_items_is_as_old_as_the_oldest():
    older = Known(1, "catalogue", SEEN - timedelta(days=9))
    found = factor("criticality", items=(an_item(), an_item(criticality=older)))
    assert found.seen_at == SEEN - timedelta(days=9)


@pytest.mark.parametrize(
    ("ahead", "points"),
    [(timedelta(hours=72), 0), (timedelta(hours=72) - timedelta(microseconds=1), 2), (timedelta(0), 2)],
)
def test_a_promised_notice_counts_when_the_window_starts_sooner(ahead, points):
    promised = known(Customers((("retail", 5),), notice_hours=72))
    assert factor("notice", customers=promised, timing=known(Timing(NOW + ahead))).points == points
    assert factor("notice", customers=promised, timing=NOT_KNOWN).points == 2


@pytest.mark.parametrize(("kind", "most"), [("development", 1), ("staging", 2), ("production", 4), ("novel", 4)])
def test_however_bad_it_is_no_worse_than_where_it_happens(kind, most):
    dreadful = an_item(environment_kind=kind, criticality=NOT_KNOWN, data_classes=NOT_KNOWN)
    worst = some_facts(items=(dreadful,), customers=NOT_KNOWN, reach=NOT_KNOWN, rehearsal=NOT_KNOWN)
    assert assess(worst, NOW).impact == most


def test_the_worst_environment_sets_the_ceiling():
    items = (an_item(environment_kind="staging"), an_item(criticality=known(4), data_classes=known(("money",))))
    appraisal = assess(some_facts(items=items, customers=NOT_KNOWN, reach=NOT_KNOWN), NOW)
    assert appraisal.impact == 4


# History


@pytest.mark.parametrize(
    ("changes", "failures", "by_history"),
    [
        (0, 0, None), (20, 0, 1), (100, 4, 1), (100, 5, 2), (100, 14, 2), (100, 15, 3), (100, 29, 3), (100, 30, 4),
        (1, 1, 3), (4, 4, 4), (4, 0, 1),
    ],
)  # fmt: skip
def test_failures_of_the_past_give_a_likelihood_of_their_own(changes, failures, by_history):
    assert assess(some_facts(history=known(History(changes, failures))), NOW).likelihood_by_history == by_history


def test_the_higher_of_rules_and_history_wins():
    by_history = assess(some_facts(history=known(History(20, 8))), NOW)
    assert (by_history.likelihood_by_rules, by_history.likelihood) == (1, 4)
    assert by_history.likelihood > by_history.likelihood_by_rules
    by_rules = assess(some_facts(tests=known(Report(0, 9)), incidents=known(3)), NOW)
    assert (by_rules.likelihood, by_rules.likelihood_by_history) == (4, 1)
    assert by_rules.likelihood == by_rules.likelihood_by_rules


def test_a_history_nobody_knows_is_taken_for_the_worst():
    appraisal = assess(some_facts(history=NOT_KNOWN), NOW)
    assert (appraisal.likelihood_by_rules, appraisal.likelihood_by_history, appraisal.likelihood) == (1, 4, 4)
    assert appraisal.has_little_evidence


def test_with_little_evidence_it_says_so():
    appraisal = assess(some_facts(history=known(History(2, 0))), NOW)
    assert appraisal.has_little_evidence
    assert str(factor("history", history=known(History(2, 0))).sentence) == (
        "Little evidence: 2 earlier changes of these services; failed: 0."
    )
    assert not assess(some_facts(history=known(History(5, 0))), NOW).has_little_evidence


# Monotonicity


def maybe(values):
    return st.one_of(st.just(NOT_KNOWN), values.map(known))


COUNTS = st.integers(0, 12)
ITEMS = st.builds(
    ItemFacts,
    service=st.sampled_from(["ledgerwriter", "contacts"]),
    environment_kind=st.sampled_from(["development", "staging", "production"]),
    to_version=st.just("v2"),
    criticality=maybe(st.integers(1, 4)),
    data_classes=maybe(st.lists(st.sampled_from(["personal", "card", "money"]), unique=True).map(tuple)),
    from_version=maybe(st.sampled_from(["", "v1"])),
)
FACTS = st.builds(
    ChangeFacts,
    type=st.sampled_from(["standard", "normal", "emergency"]),
    items=st.lists(ITEMS, min_size=1, max_size=5).map(tuple),
    reach=maybe(st.builds(Reach, COUNTS, COUNTS)),
    customers=maybe(
        st.builds(
            Customers,
            st.integers(0, 200_000).map(lambda size: (("retail", size),)),
            st.sampled_from([0, 24, 72]),
        )
    ),
    incidents=maybe(st.integers(0, 3)),
    budget=maybe(st.one_of(st.none(), st.floats(-2, 1))),
    tests=maybe(st.builds(Report, st.integers(0, 5), st.integers(0, 2))),
    migration_class=maybe(st.sampled_from(["none", "expand", "contract", "irreversible"])),
    rehearsal=maybe(st.sampled_from(["proved", "assumed", "impossible"])),
    timing=maybe(
        st.builds(Timing, st.integers(0, 96).map(lambda hours: NOW + timedelta(hours=hours)), COUNTS, COUNTS)
    ),
    history=maybe(
        st.tuples(COUNTS, COUNTS).map(lambda pair: History(max(pair), min(pair)))
    ),
)  # fmt: skip
FORGETTABLE = [
    "reach",
    "customers",
    "incidents",
    "budget",
    "tests",
    "migration_class",
    "rehearsal",
    "timing",
    "history",
]


def size(one):
    appraisal = assess(one, NOW)
    return appraisal.impact, appraisal.likelihood, appraisal.level.rank


def no_smaller(after, before):
    return all(late >= early for late, early in zip(after, before, strict=True))


@examples(500)
@given(FACTS, st.sampled_from(FORGETTABLE))
def test_forgetting_a_fact_never_lowers_the_risk(change, name):
    assert no_smaller(size(replace(change, **{name: NOT_KNOWN})), size(change))


@examples(500)
@given(FACTS, st.sampled_from(["criticality", "data_classes", "from_version"]))
def test_forgetting_a_fact_of_one_item_never_lowers_the_risk(change, name):
    first, *others = change.items
    forgot = replace(change, items=(replace(first, **{name: NOT_KNOWN}), *others))
    assert no_smaller(size(forgot), size(change))


@examples(300)
@given(FACTS, st.integers(0, 5))
def test_more_of_what_is_bad_never_lowers_the_risk(change, more):
    worse = {
        "reach": lambda one: Reach(one.direct + more, one.indirect),
        "customers": lambda one: Customers((*one.by_segment, ("business", more * 50_000)), one.notice_hours + more),
        "incidents": lambda one: one + more,
        "budget": lambda one: one if one is None else one - more / 5,
        "tests": lambda one: Report(one.passed, one.failed + more),
        "timing": lambda one: Timing(one.starts_at - timedelta(hours=more), one.conflicts + more, one.freezes),
        "history": lambda one: History(one.changes, min(one.changes, one.failures + more)),
    }
    for name, change_it in worse.items():
        fact = getattr(change, name)
        if isinstance(fact, Known):
            assert no_smaller(size(replace(change, **{name: known(change_it(fact.value))})), size(change)), name


@examples(300)
@given(FACTS, ITEMS)
def test_one_more_item_never_lowers_the_risk(change, item):
    assert no_smaller(size(replace(change, items=(*change.items, item))), size(change))


@examples(300)
@given(FACTS)
def test_the_level_follows_from_the_points_that_are_shown(change):
    appraisal = assess(change, NOW)
    shown = sum(one.points for one in appraisal.factors if one.side is Side.LIKELIHOOD)
    assert appraisal.likelihood_by_rules == step(((0, 1), (2, 2), (4, 3), (6, 4)), shown)
    assert appraisal.level == level_of(appraisal.impact, appraisal.likelihood)
    assert {one.lens for one in appraisal.factors} == set(Lens)


def test_the_scales_only_rise():
    for code, scale in SCALES.items():
        points = [points for _start, points in scale.steps]
        assert points == sorted(points), code

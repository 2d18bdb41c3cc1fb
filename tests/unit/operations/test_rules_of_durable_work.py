from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.operations import rules
from releases.operations.rules import Phase, StepFacts
from releases.operations.states import ACTIVE, IN_FLIGHT, OperationState, StepState

LEASE = timedelta(seconds=30)
NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
LIVE = [state for state in StepState if state not in {StepState.SKIPPED, StepState.ABANDONED}]


def steps(*given):
    return [StepFacts(stage=stage, state=StepState(state), position=at) for at, (stage, state) in enumerate(given, 1)]


def ordered(*given):
    """Return steps of one stage that go on when another fails, as pairs of a state and whom they come after."""
    return [
        StepFacts(stage=1, state=StepState(state), position=at, after=frozenset(after), goes_on=True)
        for at, (state, after) in enumerate(given, 1)
    ]


@pytest.mark.parametrize(
    ("state", "has_snapshot", "phase"),
    [
        ("todo", False, Phase.SNAPSHOT),
        ("todo", True, Phase.SEND),
        ("sending", True, Phase.PROBE),
        ("unknown", True, Phase.PROBE),
        ("applied", True, Phase.OBSERVE),
    ],
)
def test_what_may_have_been_sent_is_looked_for_before_anything_is_sent(state, has_snapshot, phase):
    assert rules.next_phase(StepFacts(stage=1, state=StepState(state), has_snapshot=has_snapshot)) is phase


def test_a_stage_starts_when_the_one_before_is_confirmed():
    assert rules.standing(steps((1, "confirmed"), (1, "applied"), (2, "todo"))).stage == 1
    assert rules.standing(steps((1, "confirmed"), (1, "confirmed"), (2, "todo"))).stage == 2


def test_an_operation_succeeds_when_every_step_is_confirmed():
    assert rules.standing(steps((1, "confirmed"), (2, "confirmed"))).state is OperationState.SUCCEEDED


def test_after_a_failure_nothing_new_begins_but_what_is_in_flight_is_let_finish():
    under_way = rules.standing(steps((1, "failed"), (1, "applied"), (1, "todo")))
    over = rules.standing(steps((1, "failed"), (1, "confirmed"), (1, "skipped")))

    assert (under_way.state, under_way.gives_up) == (OperationState.RUNNING, {3: {1}})
    assert (over.state, over.gives_up) == (OperationState.FAILED, {})


def test_a_step_waits_for_all_it_comes_after():
    assert rules.standing(ordered(("confirmed", []), ("applied", []), ("todo", [1, 2]), ("todo", [1]))).waits == {3}
    assert rules.standing(ordered(("needs_human", []), ("todo", [1]), ("todo", []))).waits == {2}


def test_what_goes_on_is_begun_though_others_failed_unless_it_comes_after_them():
    found = rules.standing(ordered(("failed", []), ("todo", [1]), ("todo", [2]), ("todo", []), ("todo", [4])))

    assert (found.state, found.gives_up, found.waits) == (OperationState.RUNNING, {2: {1}, 3: {1}}, {5})


def test_a_later_stage_never_begins_after_a_failure():
    later = StepFacts(stage=2, state=StepState.TODO, position=3, goes_on=True)
    found = rules.standing([*ordered(("failed", []), ("confirmed", [])), later])

    assert (found.state, found.gives_up) == (OperationState.FAILED, {3: {1}})


def test_a_step_that_needs_a_human_holds_the_operation_open():
    assert rules.standing(steps((1, "needs_human"), (1, "applied"))).state is OperationState.NEEDS_HUMAN
    assert rules.standing(steps((1, "needs_human"), (1, "failed"))).state is OperationState.NEEDS_HUMAN


@given(st.lists(st.tuples(st.integers(1, 3), st.sampled_from(LIVE)), min_size=1, max_size=6))
def test_an_operation_has_ended_exactly_when_no_step_is_left_to_do(given):
    facts = steps(*given)
    states = {step.state for step in facts}
    where = rules.standing(facts)

    left = states & IN_FLIGHT or StepState.NEEDS_HUMAN in states
    waiting = StepState.TODO in states and StepState.FAILED not in states
    assert (where.state in ACTIVE) == bool(left or waiting)
    assert where.stage in {step.stage for step in facts}


def test_five_claims_without_an_end_are_enough():
    assert [bool(rules.worn_out(attempts)) for attempts in range(7)] == [False] * 5 + [True] * 2


def test_three_blind_probes_are_enough():
    assert [bool(rules.sent_in_the_dark(blind)) for blind in range(5)] == [False] * 3 + [True] * 2


def test_five_sends_in_vain_are_enough():
    assert [bool(rules.sent_in_vain(sends)) for sends in range(7)] == [False] * 5 + [True] * 2


def test_a_message_is_poison_after_five_tries():
    assert [rules.is_poison(tries) for tries in range(7)] == [False] * 5 + [True] * 2


def test_the_deadline_itself_is_too_late():
    assert rules.too_late(deadline=NOON, now=NOON)
    assert rules.too_late(deadline=NOON, now=NOON - timedelta(microseconds=1)) is None


def test_a_resend_waits_until_the_lost_call_has_certainly_died():
    lost = StepFacts(stage=1, state=StepState.UNKNOWN, sent_at=NOON)
    harmless = StepFacts(stage=1, state=StepState.UNKNOWN, sent_at=NOON, repeatable=True)

    assert rules.may_resend_at(lost, lease=LEASE) == NOON + LEASE
    assert rules.may_resend_at(harmless, lease=LEASE) is None


def test_waits_grow_and_never_exceed_a_lease():
    waits = [rules.wait_after(failures, lease=LEASE).total_seconds() for failures in range(1, 7)]

    assert waits == [5, 10, 20, 30, 30, 30]
    assert rules.wait_after(100_000, lease=LEASE) == LEASE  # an hour without an answer, and many more


def test_an_outside_that_asks_for_rest_gets_it_and_none_shortens_ours():
    ours = rules.wait_after(1, lease=LEASE)

    assert rules.rest(ours, 120.0) == timedelta(minutes=2)
    assert rules.rest(ours, 0.0) == ours


@pytest.mark.parametrize("asked", [-5, 0, 0.01])
def test_no_handler_can_make_the_workers_spin(asked):
    assert rules.until_next_look(asked) == rules.SHORTEST_WAIT


@pytest.mark.parametrize(("dirty", "clean"), [("a\x00b", "a\N{REPLACEMENT CHARACTER}b"), ("\ud800", "?"), ("ok", "ok")])
def test_a_vendors_words_are_made_storable(dirty, clean):
    assert rules.printable(dirty) == clean
    assert len(rules.printable(dirty * 5000)) <= rules.LONGEST_ERROR


def test_every_pair_of_states_has_a_standing():
    for first, second in product(LIVE, repeat=2):
        assert rules.standing(steps((1, first), (2, second))).state in OperationState

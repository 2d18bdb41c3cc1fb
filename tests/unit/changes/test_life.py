"""The table of a change's life: every verb in every state, and every guard both ways. Knows no table of a database."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from releases.changes.machine import LIFE
from releases.changes.models import ChangeRequest
from releases.changes.rules import Facts, ItemFacts, Promise
from releases.changes.services.moving import KIND_OF, wrong_state
from releases.changes.states import EDITABLE, ENDED, ChangeType, MigrationClass, State
from releases.committee.rules import Tally
from releases.core.errors import Sentence
from releases.operations.states import OperationState
from releases.web.names import VERBS

S = State
SUBMITTED = {S.ASSESSING, S.AUTHORIZING, S.SCHEDULED}
# The life as the product tells it, written down a second time: verb -> where it starts, where it leads.
TOLD = {
    "submit": ({S.DRAFT}, S.ASSESSING),
    "submit_standard": ({S.DRAFT}, S.SCHEDULED),
    "submit_emergency": ({S.DRAFT}, S.AUTHORIZING),
    "report": ({S.DRAFT}, S.REVIEWING),
    "assessed": ({S.ASSESSING}, S.AUTHORIZING),
    "request_changes": ({S.AUTHORIZING}, S.DRAFT),
    "authorized": ({S.AUTHORIZING}, S.SCHEDULED),
    "reject": ({S.AUTHORIZING}, S.REJECTED),
    "revise": ({S.DRAFT} | SUBMITTED, S.DRAFT),
    "withdraw": (SUBMITTED, S.DRAFT),
    "cancel": ({S.DRAFT} | SUBMITTED, S.CANCELED),
    "supersede": ({S.DRAFT} | SUBMITTED, S.SUPERSEDED),
    "expire": (SUBMITTED, S.EXPIRED),
    "start": ({S.SCHEDULED}, S.IMPLEMENTING),
    "deployed": ({S.IMPLEMENTING}, S.WATCHING),
    "failed": ({S.IMPLEMENTING}, S.REVIEWING),
    "settled": ({S.WATCHING}, S.REVIEWING),
    "roll_back": ({S.IMPLEMENTING, S.WATCHING}, S.ROLLING_BACK),
    "rolled_back": ({S.ROLLING_BACK}, S.REVIEWING),
    "back_by_hand": ({S.ROLLING_BACK}, S.REVIEWING),
    "stay": ({S.ROLLING_BACK}, S.REVIEWING),
    "close": ({S.REVIEWING}, S.CLOSED),
}
TYPE_OF = {
    "submit": ChangeType.NORMAL,
    "submit_standard": ChangeType.STANDARD,
    "submit_emergency": ChangeType.EMERGENCY,
    "report": ChangeType.RETROACTIVE,
}
NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
ITEM = ItemFacts(
    service="ledgerwriter",
    environment="production",
    version="v1.5.0",
    digest="sha256:" + "a" * 64,
    is_quarantined=False,
    back_version="v1.4.2",
    back_digest="sha256:" + "b" * 64,
)
AGREED = Tally((), (), approved=True, rejected=False, changes_requested=False, missing=(), is_pre_approved=True)
OPEN = replace(AGREED, approved=False, is_pre_approved=False)
LATER, SOONER = timedelta(hours=1), timedelta(hours=-1)


def good(verb: str) -> Facts:
    """Return facts under which the verb may be said where it starts."""
    is_over, is_ahead = verb == "expire", verb in TYPE_OF
    return Facts(
        now=NOW,
        type=TYPE_OF.get(verb, ChangeType.NORMAL),
        title="Transfers",
        why="Refunds by hand.",
        plan="1. Deploy.",
        items=(ITEM,),
        tests_passed=214,
        tests_failed=0,
        starts_at=NOW + (LATER if is_ahead else 2 * SOONER),
        ends_at=NOW + (SOONER if is_over else 2 * LATER),
        is_assessed=True,
        tally=AGREED,
        has_review=True,
        successor=1002,
    )


def with_item(**changed: object) -> dict[str, object]:
    return {"items": (replace(ITEM, **changed),)}


# By the code of the guard, what makes it refuse.
SPOILT: dict[str, dict[str, object]] = {
    "title": {"title": " "},
    "why": {"why": ""},
    "items": {"items": ()},
    "plan": {"plan": "\n"},
    "evidence": {"tests_failed": 1},
    "rollback_plan": with_item(back_digest=""),
    "window": {"ends_at": None},
    "window_ahead": {"starts_at": NOW, "ends_at": NOW},
    "twin": {"twins": (1002,)},
    "overdue_review": {"overdue_reviews": (1002,)},
    "assessed": {"is_assessed": False},
    "pre_approved": {"tally": OPEN},
    "quorum": {"tally": OPEN},
    "on_hold": {"is_on_hold": True, "hold_reason": "Odd errors"},
    "inside_window": {"ends_at": NOW},
    "window_over": {"ends_at": NOW + timedelta(microseconds=1)},
    "closed": {"closures": (Sentence("Payday freeze"),)},
    "customers": {"promises": (Promise(UUID(int=1), "Partner banks", 72),)},
    "budget": {"is_budget_spent": True},
    "busy": with_item(busy_with=(1002,)),
    "traffic": with_item(is_traffic_as_planned=False),
    "rollout": {"work": OperationState.RUNNING},
    "warrant": {"warrant_until": NOW},
    "way_back": with_item(migration_class=MigrationClass.IRREVERSIBLE),
    "work_rests": {"work": OperationState.RUNNING},
    "review": {"has_review": False},
    "successor": {"successor": None},
}


def test_the_table_knows_each_verb_of_the_life_once_and_no_other():
    assert [move.verb for move in LIFE] == list(TOLD)
    assert set(KIND_OF) == set(TOLD)


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("verb", TOLD)
def test_a_verb_is_allowed_where_the_life_names_it_and_refused_with_a_reason_everywhere_else(verb, state):
    sources, target = TOLD[verb]
    move = LIFE.find(verb, state)

    if state in sources:
        assert move is not None
        assert (move.target, move.refusals(good(verb))) == (target, ())
        return
    assert move is None
    (reason,) = wrong_state(ChangeRequest(number=1001, state=state.value), verb).reasons
    assert reason.code == "wrong_state"
    assert set(reason.message.parts.values()) == {"CHG-1001", state.replace("_", " "), verb.replace("_", " ")}


@pytest.mark.parametrize("verb", TOLD)
def test_each_guard_of_a_verb_refuses_it_with_one_sentence_when_its_fact_fails(verb):
    move = next(one for one in LIFE if one.verb == verb)

    for guard in move.guards:
        wrong = {"type": other_type(verb)} if guard.code == "type" else SPOILT[guard.code]
        refusals = {reason.code: reason for reason in move.refusals(replace(good(verb), **wrong))}
        assert guard.code in refusals, guard.code
        assert str(refusals[guard.code].message).strip()


def other_type(verb: str) -> ChangeType:
    return next(one for one in ChangeType if one is not TYPE_OF[verb])


@pytest.mark.parametrize("type_", ChangeType)
def test_a_draft_of_each_type_has_exactly_one_way_in(type_):
    open_ = [
        move.verb
        for move in LIFE.leaving(S.DRAFT)
        if move.verb in TYPE_OF and not move.refusals(replace(good(move.verb), type=type_))
    ]

    assert open_ == [verb for verb, wanted in TYPE_OF.items() if wanted is type_]


def test_nothing_leaves_an_end_and_everything_else_has_a_way_on():
    for state in S:
        assert bool(LIFE.leaving(state)) != (state in ENDED)
    assert {state for state in S if LIFE.find("revise", state)} == EDITABLE


def test_a_draft_is_pre_approved_by_foresight_only_until_a_round_says_otherwise():
    assert replace(good("submit_standard"), tally=None, is_foreseen_pre_approved=True).is_pre_approved
    assert not replace(good("submit_standard"), tally=OPEN, is_foreseen_pre_approved=True).is_pre_approved
    assert not replace(good("submit_standard"), tally=None).is_pre_approved


def test_what_people_say_has_a_word_on_the_page():
    made_elsewhere = {"request_changes", "reject", "stay"}  # by a vote, and by ending a rollback by hand
    by_people = {move.verb for move in LIFE if move.right != "system.act"}

    assert by_people - made_elsewhere <= set(VERBS)


@pytest.mark.parametrize(("wired", "may"), [((True, True), True), ((True, False), True), ((False, False), False)])
def test_going_back_is_refused_only_where_nothing_of_it_could_be_carried_out(wired, may):
    move = next(one for one in LIFE if one.verb == "roll_back")
    facts = replace(good("roll_back"), items=tuple(replace(ITEM, is_way_back_wired=one) for one in wired))

    assert [reason.code for reason in move.refusals(facts)] == ([] if may else ["way_back"])

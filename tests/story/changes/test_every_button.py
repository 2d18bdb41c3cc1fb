"""Every button in every state for everybody: it opens exactly when the move would be made, and says why not."""

from datetime import timedelta

import pytest

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.changes import queries, services
from releases.changes.machine import LIFE
from releases.changes.states import ENDED, ChangeType, State
from releases.core.errors import GmudError, NotPermitted
from releases.web.pages import panels
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change, a_house
from tests.factories.gate import bind_job

pytestmark = pytest.mark.django_db

EVERYBODY = ("engineer", "engineering", "security", "operations", "manager", "on_call")
WAY_IN = {
    ChangeType.NORMAL: "submit",
    ChangeType.STANDARD: "submit_standard",
    ChangeType.EMERGENCY: "submit_emergency",
    ChangeType.RETROACTIVE: "report",
}


@pytest.fixture
def house(db, now):
    return a_house(now)


@pytest.fixture
def change(house):
    return a_change(house, at=State.AUTHORIZING)


def refusal_of(change, verb, actor, now) -> GmudError | None:
    try:
        services.may_move(change, verb, actor=actor, now=now)
    except GmudError as error:
        return error
    return None


def as_pressed(change, buttons, actor):
    """Return the page's buttons, and the words of what it says only others can do."""
    acts = {act.verb: act for act in panels.acts(change, buttons, actor=actor, outlooks=lambda: ())}
    return acts, [str(line.text) for line in panels.for_others(buttons)]


@pytest.mark.parametrize("state", State)
def test_a_button_opens_exactly_when_the_move_would_be_made_and_says_the_same_reasons(house, change, state):
    change.state = state
    wanted = {
        move.verb
        for move in LIFE.leaving(state)
        if move.right != Right.SYSTEM_ACT and move.verb not in set(WAY_IN.values()) - {"submit"}
    }

    for who in EVERYBODY:
        actor = house.actor(who)
        for now in (house.now, house.now + timedelta(hours=2), house.now + timedelta(days=1)):
            buttons = queries.buttons(change, actor=actor, now=now)
            assert {button.verb for button in buttons} == wanted
            for button in buttons:
                error = refusal_of(change, button.verb, actor, now)
                assert button.is_open == (error is None), (who, button.verb)
                assert all(str(reason.message).strip() for reason in button.reasons)
                if error and not isinstance(error, NotPermitted):
                    assert button.reasons == error.reasons


@pytest.mark.parametrize("state", State)
def test_who_lacks_the_right_reads_the_names_of_those_who_hold_it(house, change, state):
    change.state = state
    rights = {move.verb: Right(move.right) for move in LIFE}

    for who in EVERYBODY:
        actor = house.actor(who)
        held = accounts.rights_of(actor)
        for button in queries.buttons(change, actor=actor, now=house.now):
            said = [str(reason.message) for reason in button.reasons if reason.code == "not_permitted"]
            assert bool(said) == (rights[button.verb] not in held), (who, button.verb)
            for sentence in said:
                assert any(one.name in sentence for one in accounts.holders_of_right(rights[button.verb])), sentence


@pytest.mark.parametrize("state", State)
def test_the_page_keeps_no_button_back_and_every_refused_one_stands_beside_its_reason(house, change, state):
    change.state = state
    voted = {"request_changes", "reject"}  # these stand in the Decision panel
    by_hand = {"stay"}  # this one on the page behind "End the rollback by hand"

    for who in EVERYBODY:
        actor = house.actor(who)
        buttons = queries.buttons(change, actor=actor, now=house.now)
        acts, others = as_pressed(change, buttons, actor)
        for button in buttons:
            if button.verb in voted | by_hand:
                continue
            if button.verb in acts:
                lines = [str(line.text).strip() for line in acts[button.verb].refusals]
                asked_for = panels.ASKED_FOR.get(button.verb)
                assert len(lines) == len([one for one in button.reasons if one.code != asked_for])
                assert all(lines), (who, button.verb)
            else:
                word = str(panels.VERBS[button.verb])
                assert any(word in line for line in others), (who, button.verb)
        assert bool(acts) <= (state not in ENDED)


@pytest.mark.parametrize("state", State)
def test_the_decision_panel_offers_votes_or_says_why_not_to_everybody(house, change, state):
    change.state = state

    for who in EVERYBODY:
        panel = panels.decision(change, actor=house.actor(who), now=house.now)
        assert str(panel.sentence).strip()
        if state == State.AUTHORIZING:
            assert bool(panel.acts) != bool(panel.refusals), who
            assert all(str(line.text).strip() for line in panel.refusals)
            assert bool(panel.acts) == (who in {"engineering", "security"})
        else:
            assert not panel.acts


@pytest.mark.parametrize("type_", ChangeType)
def test_a_draft_that_lacks_everything_says_all_of_it_on_its_one_way_in(house, type_):
    nothing = {
        "title": "",
        "why": "",
        "plan": "",
        "items": (),
        "tests_passed": None,
        "starts_at": None,
        "ends_at": None,
    }
    change = a_change(house, type=type_, **nothing)

    for who in EVERYBODY:
        buttons = queries.buttons(change, actor=house.actor(who), now=house.now)
        (way_in,) = (one for one in buttons if one.verb in WAY_IN.values())
        assert way_in.verb == WAY_IN[type_]
        codes = {str(reason.code) for reason in way_in.reasons}
        missing = {"title", "why", "items"}
        missing |= set() if type_ is ChangeType.RETROACTIVE else {"plan", "evidence", "window"}
        assert missing <= codes


def test_where_neither_a_job_nor_a_route_could_carry_out_the_way_back_its_button_says_so(house):
    change = a_change(house, at=State.WATCHING)

    found = queries.buttons(change, actor=house.actor("on_call"), now=change.watch_until_at - timedelta(minutes=1))

    (back,) = (button for button in found if button.verb == "roll_back")
    assert [reason.code for reason in back.reasons] == ["way_back"]
    assert "No job and no route of ledgerwriter is known here" in str(back.reasons[0].message)


def test_a_job_alone_is_enough_to_go_back_by(house):
    bind_job(house, a_connection(now=house.now).pk)
    change = a_change(house, at=State.WATCHING)

    found = queries.buttons(change, actor=house.actor("on_call"), now=change.watch_until_at - timedelta(minutes=1))

    assert next(button for button in found if button.verb == "roll_back").is_open

"""What people ask of a run: passed on once by the worker, refused with its reason, and never followed by more."""

from datetime import timedelta
from uuid import uuid4

import pytest

from releases.audit.actor import Actor, ActorKind
from releases.core.errors import Invalid, NotPermitted, Refused
from releases.delivery import queries, services
from releases.delivery.models import Deployment
from releases.delivery.ports import Handle, Question, Sighting
from releases.delivery.states import STOPS, Act, State
from releases.delivery.steps import DeployStep
from releases.operations.models import Step
from tests.factories.accounts import NOW, SETUP
from tests.factories.delivery import (
    Clock,
    a_deployment,
    a_world,
    ask,
    basic,
    begin,
    fault,
    permit,
    requests_of,
    run,
)
from tests.factories.followed import Followed

pytestmark = pytest.mark.django_db
TAKES = [
    {"name": "SHARE", "kind": "choice", "choices": ["10", "50"], "default": "10"},
    {"name": "PIN", "kind": "password"},
]


@pytest.fixture
def world():
    with a_world() as found:
        yield found


def test_each_way_to_end_a_run_is_asked_for_by_a_person_and_none_follows_by_itself(world):
    one = Followed(world, hold="Deploy", deaf=["stop", "term"])
    assert one.card.acts == {Act.STOP, Act.TERMINATE, Act.KILL}

    for act, path in ((Act.STOP, "stop"), (Act.TERMINATE, "term")):
        wish = one.ask(act)
        assert one.ask(act) == wish
        assert one.look().state is State.RUNNING
        assert len(one.sent(f"/1/{path}")) == 1
    assert one.sent("/1/kill") == []
    one.ask(Act.KILL)
    card = one.look(200)

    assert (one.operation.state, card.state, card.stop_asked_by) == ("failed", State.CANCELED, SETUP.name)
    assert [(wish.act, wish.refusal) for wish in card.wishes] == [("stop", None), ("terminate", None), ("kill", None)]
    asked = [kind for kind in one.told() if kind.endswith("_asked")]
    assert asked == ["deployment.stop_asked", "deployment.terminate_asked", "deployment.kill_asked"]
    assert card.acts == frozenset()
    with pytest.raises(Refused):
        one.ask(Act.STOP)


def test_what_is_stopped_before_it_began_is_never_sent(world):
    row, clock = a_deployment(world), Clock(NOW)
    operation = begin([services.step_for(row)], row.change_id, NOW)
    services.ask(deployment_id=row.pk, act=Act.STOP, actor=SETUP, now=NOW)

    operation = run(operation, {services.STEP_KIND: DeployStep(lambda _deployment: permit(), clock)}, clock)

    card = queries.deployment(row.pk, now=clock.now)
    assert (operation.state, str(card.why)) == ("failed", "It was stopped before it began.")
    assert [one for one in requests_of(world.url) if one["method"] == "POST"] == []


def test_what_the_system_cannot_do_is_refused_at_once(world):
    one = Followed(world, hold="Deploy")

    with pytest.raises(Refused):
        one.ask(Act.PAUSE)

    assert one.card.wishes == ()


def test_what_the_system_refuses_is_told_and_the_run_is_followed_on(world):
    one = Followed(world, hold="Deploy")
    world.jenkins.accounts = {**world.jenkins.accounts, "gmud": {**world.jenkins.accounts["gmud"], "rights": ["read"]}}
    one.ask(Act.STOP)

    card = one.look()

    assert (one.operation.state, card.state) == ("running", State.RUNNING)
    (wish,) = card.wishes
    assert "hudson.model.Item.Cancel" in str(wish.refusal)
    assert wish.passed_at is not None
    assert "deployment.act_refused" in one.told()
    assert len(one.sent("/1/stop")) == 1


def test_a_stop_that_was_refused_does_not_explain_what_others_stop_later(world):
    one, accounts = Followed(world, hold="Deploy"), world.jenkins.accounts
    world.jenkins.accounts = {**accounts, "gmud": {**accounts["gmud"], "rights": ["read"]}}
    one.ask(Act.STOP)
    assert one.look().stop_asked_by == ""

    world.jenkins.accounts = accounts
    ask(world.url, "POST", "/job/ledger/job/deploy-ledgerwriter/1/stop", headers={"Authorization": basic()})

    assert one.look(200).state is State.ABORTED_EXTERNALLY


def test_a_stop_does_not_wait_behind_an_answer_that_does_not_get_through(world):
    one = Followed(world, ask={"Deploy": {"message": "Go live?"}})
    fault(world.url, "500", method="POST", path="/input/", times=100)
    one.answer(one.card.questions[0].id)
    card = one.look(3)
    assert (card.state, card.wishes[0].passed_at) == (State.WAITING_INPUT, None)

    one.ask(Act.STOP)
    card = one.look(50)

    assert (one.operation.state, card.state) == ("failed", State.CANCELED)
    assert len(one.sent("/1/stop")) == 1


def test_what_is_asked_is_passed_on_soon_however_far_away_the_next_look_was(world):
    one = Followed(world, hold="Deploy")
    Step.objects.update(look_at=one.clock.now + timedelta(minutes=10))

    one.ask(Act.STOP)

    assert Step.objects.get().look_at <= one.clock.now + timedelta(seconds=1)


@pytest.mark.parametrize("act", [Act.TERMINATE, Act.KILL])
def test_no_machine_ends_a_run_hard(world, act):
    one = Followed(world, hold="Deploy")
    machine = Actor(ActorKind.MACHINE, str(uuid4()), "ci")

    with pytest.raises(NotPermitted, match="People decide"):
        services.ask(deployment_id=one.row.pk, act=act, actor=machine, now=NOW)


def test_a_run_that_others_began_is_theirs_to_steer(world):
    one = Followed(world, hold="Deploy")
    Deployment.objects.update(is_reported=True, permit=uuid4(), run="jenkins:ledger/deploy#1")
    for act in Act:
        with pytest.raises(Refused, match="Others began"):
            one.ask(act)
    with pytest.raises(Refused, match="Others began"):
        one.answer("x")

    there = Handle(key="", job="ledger/deploy", run="1")
    asks = Sighting(State.WAITING_INPUT, there, questions=(Question("x", "Go live?"),), acts=frozenset(STOPS))
    Deployment.objects.update(acts=[], questions=[])
    services.record(deployment_id=one.row.pk, op_key="ours", sighting=asks, now=one.clock.now)
    assert (one.card.state, one.card.questions, one.card.acts, one.card.key) == (asks.state, (), frozenset(), "")


def test_a_question_is_shown_answered_once_by_name_and_the_run_goes_on(world):
    one = Followed(world, ask={"Deploy": {"message": "Go live?", "parameters": TAKES[:1]}})
    (asked,) = one.card.questions
    assert (one.card.state, asked.text, asked.takes[0].choices) == (State.WAITING_INPUT, "Go live?", ("10", "50"))

    one.answer(asked.id, values={"SHARE": "50"}, note="canary looks well")
    with pytest.raises(Refused):
        one.answer(asked.id, goes_on=False)
    card = one.look(200)

    assert (one.operation.state, card.state, card.questions) == ("succeeded", State.SUCCEEDED, ())
    assert len(one.sent("/input/")) == 1
    assert "deployment.answered" in one.told()


def test_who_may_answer_that_cannot_be_read_hides_neither_the_question_nor_the_run(world):
    fault(world.url, "status:403", path="/input/api/json", times=1000)
    one = Followed(world, ask={"Deploy": {"message": "Go live?", "submitter": "gmud"}})

    (asked,) = one.card.questions
    assert (one.card.state, asked.text, asked.may_answer) == (State.WAITING_INPUT, "Go live?", ())


def test_a_question_that_cannot_be_read_hides_no_run_and_counts_as_answered_by_nobody(world):
    one = Followed(world, ask={"Deploy": {"message": "Go live?"}})
    one.answer(one.card.questions[0].id)
    fault(world.url, "500", path="pendingInputActions", times=1000)

    card = one.look(3)

    assert (card.state, card.questions, card.wishes[0].passed_at) == (State.WAITING_INPUT, (), None)
    assert "cannot be read" in str(card.why)
    assert one.sent("/input/") == []


def test_a_question_that_is_turned_down_ends_the_deployment_as_canceled(world):
    one = Followed(world, ask={"Deploy": {"message": "Go live?"}})

    one.answer(one.card.questions[0].id, goes_on=False)

    assert one.look(200).state is State.CANCELED


def test_an_answer_that_jenkins_refuses_leaves_the_question_open_for_another(world):
    one = Followed(world, ask={"Deploy": {"message": "Go live?", "submitter": "ana"}})
    question = one.card.questions[0]
    assert question.may_answer == ("ana",)
    one.answer(question.id)
    card = one.look()

    assert card.questions == (question,)
    assert "You need to be ana" in str(card.wishes[0].refusal)
    one.answer(question.id)  # once more, now that somebody may have been made a submitter


@pytest.mark.parametrize(("values", "field"), [({"SHARE": "75"}, "SHARE"), ({"PIN": "1"}, "PIN"), ({"X": "1"}, "X")])
def test_a_value_that_is_not_taken_is_named(world, values, field):
    one = Followed(world, ask={"Deploy": {"message": "Go live?", "parameters": TAKES}})

    with pytest.raises(Invalid) as caught:
        one.answer(one.card.questions[0].id, values=values)

    assert list(caught.value.fields) == [field]


def test_a_question_of_another_run_is_not_answered(world):
    one = Followed(world, hold="Deploy")

    with pytest.raises(Refused):
        one.answer("Ef95dd500ae6ed3b27b89fb852296d12")


def test_whoever_may_not_release_asks_nothing_of_a_run(world):
    one = Followed(world, hold="Deploy", ask={"Deploy": {"message": "Go live?"}})
    nobody = Actor(ActorKind.PERSON, str(uuid4()), "Nobody")

    with pytest.raises(NotPermitted):
        services.ask(deployment_id=one.row.pk, act=Act.STOP, actor=nobody, now=NOW)
    with pytest.raises(NotPermitted):
        services.answer(deployment_id=one.row.pk, question="x", goes_on=True, actor=nobody, now=NOW)

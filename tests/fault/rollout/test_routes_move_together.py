"""A release of several routes: all of them make a step, or those that made it are put back and the page says so."""

from datetime import timedelta

import pytest

from releases.accounts.models import User
from releases.changes import services as changes
from releases.changes.pace import Step as PaceStep
from releases.core import clock
from releases.core.errors import Refused
from releases.notify.models import Notice
from releases.operations import queries as operations
from releases.operations.models import Operation
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.rollout.models import Rollout
from releases.rollout.steps import PAUSE_KIND, PauseStep
from releases.traffic import queries as traffic
from releases.web.pages import headline, panels, progress
from releases.web.pages.seen import look_at
from tests.factories.delivery import fault
from tests.factories.rollback import quick
from tests.factories.rollout import scheduled, told
from tests.factories.routes import a_second_route, deployed, some_routes

__all__ = ["quick"]
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("quick")]
HOME, TENTH, AWAY = ({"stable": 100 - canary, "canary": canary} for canary in (0, 10, 100))
THREE = ("ledgerwriter", "balancereader", "frontend")
CALLING = {"frontend": "ledgerwriter", "ledgerwriter": "balancereader"}


@pytest.fixture
def bank():
    """Return a bank of three services in a chain of calls."""
    with some_routes(*THREE, calling=CALLING) as found:
        yield found


@pytest.fixture
def change(bank):
    return scheduled(bank.house, *((name, "v1.5.0") for name in THREE))


def work(bank, change):
    return operations.operations_of(change.pk)[0]


def at(bank):
    return {name: bank.weights(name)["canary"] for name in THREE}


def pauses(bank, change):
    """Work until the rollout pauses."""
    bank.work_until(lambda: rollout.paused_after(work(bank, change)), what="the pause")


def test_all_routes_make_each_step_and_whom_others_call_goes_first(bank, change):
    deployed(bank, change)
    pauses(bank, change)
    assert at(bank) == dict.fromkeys(THREE, 10)

    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")

    assert at(bank) == dict.fromkeys(THREE, 100)
    written = [one["path"].rsplit("/", 1)[-1] for one in bank.writes()]
    assert written == ["balancereader", "ledgerwriter", "frontend"] * 2


def torn(bank, change):
    """Have the last of three routes fail to make the first step, and return what puts the others back."""
    deployed(bank, change)
    bank.cluster.edit(70, 30, service="frontend")
    bank.work_until(lambda: Rollout.objects.get(change=change).put_back, what="the put back")
    return work(bank, change)


def test_a_step_that_one_route_cannot_make_is_put_back_and_read_again(bank, change):
    back = torn(bank, change)
    assert (back.kind, {step.name for step in back.steps}) == (
        "put_back",
        {"put back balancereader", "put back ledgerwriter"},
    )

    bank.until_operation(change, "succeeded")

    assert (bank.weights("balancereader"), bank.weights("ledgerwriter")) == (HOME, HOME)
    assert bank.weights("frontend") == {"stable": 70, "canary": 30}
    change.refresh_from_db()
    assert change.state == "implementing"
    begun, ended = (kind for kind in told(change) if kind.startswith("rollout.put_back"))
    assert (begun, ended) == ("rollout.put_back_begun", "rollout.put_back")
    story = " ".join(str(one.text) for one in panels.story(change))
    assert "Moved and now put back: 10 % ledgerwriter, 10 % balancereader. Not moved: 10 % frontend." in story
    assert "Put back and read again: ledgerwriter, balancereader." in story
    assert [step.data["verification"] for step in work(bank, change).steps] == ["held", "held"]
    assert Notice.objects.filter(topic="verdict_bad").exists()
    ledger = [(one.service, one.asked["canary"], one.state) for one in traffic.of_change(change.pk)]
    assert ("ledgerwriter", 10, "confirmed") in ledger
    assert ("ledgerwriter", 0, "confirmed") in ledger
    title, more = headline.headline_of(look_at(change.number, clock.now()))
    assert str(title) == "Put back: what made the step stands where it stood before"
    assert "ledgerwriter and balancereader" in str(more)
    assert str(more).endswith("Never moved: frontend.")


def test_what_was_put_back_can_be_tried_again_and_goes_on_from_there(bank, change):
    torn(bank, change)
    bank.until_operation(change, "succeeded")
    bank.cluster.edit(100, 0, service="frontend")

    rollout.resume(change_id=change.pk, actor=bank.releaser, now=clock.now())
    pauses(bank, change)

    assert at(bank) == dict.fromkeys(THREE, 10)
    assert not any(step.kind == "delivery.deploy" for step in work(bank, change).steps)
    rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.until_state(change, "watching")
    assert at(bank) == dict.fromkeys(THREE, 100)


def test_nothing_is_tried_again_that_was_not_put_back(bank, change):
    deployed(bank, change)

    with pytest.raises(Refused, match="was put back"):
        rollout.resume(change_id=change.pk, actor=bank.releaser, now=clock.now())


def test_where_putting_back_fails_a_person_is_asked_and_the_page_says_what_stands_where(bank, change):
    torn(bank, change)
    bank.cluster.edit(50, 50, service="ledgerwriter", manager="kubectl-edit")

    bank.work_until(lambda: {str(one.state) for one in work(bank, change).steps} == {"needs_human", "confirmed"})
    stuck = bank.until_operation(change, "needs_human")

    assert (stuck.kind, bank.weights("balancereader")) == ("put_back", HOME)
    assert bank.weights("ledgerwriter") == {"stable": 50, "canary": 50}
    waiting = next(step for step in stuck.steps if step.state == "needs_human")
    assert "kubectl-edit" in str(waiting.note)
    live = progress.live_of(change.number, actor=bank.releaser, now=clock.now())
    assert str(live.headline) == "Putting back is stuck: a step waits for you"
    said = str(live.more)
    assert said == "Put back and read again: balancereader. Not put back: ledgerwriter. Never moved: frontend."
    assert [str(one.title) for one in live.help.stuck] == ["Put the route of ledgerwriter back"]
    bank.cluster.edit(90, 10, service="ledgerwriter")
    rollout.retry_step(step_id=waiting.id, actor=bank.releaser, now=clock.now())
    bank.until_operation(change, "succeeded")
    assert bank.weights("ledgerwriter") == HOME


def test_a_clear_no_to_what_puts_back_asks_a_person_and_never_just_fails(bank, change):
    torn(bank, change)
    fault(bank.cluster.url, "status:403", times=1000)

    stuck = bank.until_operation(change, "needs_human")
    bank.cluster.cluster.faults.clear()

    assert {step.state for step in stuck.steps} <= {"needs_human", "confirmed"}
    assert stuck.is_active


def test_going_back_takes_over_from_what_puts_back(bank, change):
    torn(bank, change)

    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.work_until(lambda: at(bank) == {"ledgerwriter": 0, "balancereader": 0, "frontend": 0}, what="home")

    assert Operation.objects.get(kind="put_back").state == "superseded"


def test_while_the_gate_is_shut_for_one_service_no_route_moves_and_one_press_tries_all_again(bank, change):
    deployed(bank, change)
    changes.hold(change_id=change.pk, actor=bank.releaser, reason="The bank waits.", now=clock.now())

    bank.until_operation(change, "needs_human")
    assert (at(bank), bank.writes()) == (dict.fromkeys(THREE, 0), [])
    changes.resume(change_id=change.pk, actor=bank.releaser, now=clock.now())
    waiting = next(step for step in work(bank, change).steps if step.state == "needs_human")
    rollout.retry_step(step_id=waiting.id, actor=bank.releaser, now=clock.now())
    pauses(bank, change)

    assert at(bank) == dict.fromkeys(THREE, 10)


def test_several_routes_of_one_service_move_together_and_back_together(bank):
    a_second_route(bank, bank.house.service, label="partners", stands_at="userservice")
    change = scheduled(bank.house)
    assert len(change.items.get().way_back.traffic_snapshot["routes"]) == 2
    deployed(bank, change)
    pauses(bank, change)

    assert [bank.weights(name) for name in ("ledgerwriter", "userservice")] == [TENTH, TENTH]
    assert "10 % ledgerwriter/partners" in {step.name for step in work(bank, change).steps}
    rollback.begin(change_id=change.pk, actor=bank.on_call, now=clock.now())
    bank.work_until(lambda: bank.weights("userservice") == HOME == bank.weights(), what="home")


def test_routes_that_carry_the_traffic_to_different_sides_are_not_handed_in(bank):
    bank.cluster.edit(0, 100, service="userservice")
    a_second_route(bank, bank.house.service, label="partners", stands_at="userservice")

    with pytest.raises(Refused, match="different sides"):
        scheduled(bank.house)


@pytest.fixture
def paced(bank):
    """Return a change that goes at a pace of its own: 5 %, 25 %, all."""
    steps = (PaceStep(5, 10), PaceStep(25, 30), PaceStep(100))
    return scheduled(bank.house, *((name, "v1.5.0") for name in THREE[:2]), steps=steps)


def canaries(bank):
    return [bank.weights(name)["canary"] for name in THREE[:2]]


def test_a_pace_of_its_own_pauses_as_long_as_it_says(bank, paced):
    deployed(bank, paced)
    pauses(bank, paced)
    assert (canaries(bank), rollout.paused_after(work(bank, paced))) == ([5, 5], 1)
    live = progress.live_of(paced.number, actor=bank.releaser, now=clock.now())
    assert "Pauses 10 minutes more" in str(live.pause)
    assert "25 % of traffic goes to v1.5.0" in [str(line.text) for line in live.upcoming]

    bank.handlers[PAUSE_KIND] = PauseStep(now=lambda: clock.now() + timedelta(minutes=11))
    Operation.objects.filter(subject=paced.pk).get().steps.filter(kind=PAUSE_KIND).update(look_at=None)

    bank.work_until(lambda: canaries(bank) == [25, 25], what="25 %")


def test_each_press_of_advance_ends_one_pause_only(bank, paced, client):
    deployed(bank, paced)
    for move, share in ((1, 5), (2, 25)):
        bank.work_until(lambda move=move: rollout.paused_after(work(bank, paced)) == move, what=f"pause {move}")
        assert canaries(bank) == [share, share]
        press(bank, client, paced, "advance")
    bank.until_state(paced, "watching")

    assert canaries(bank) == [100, 100]


def press(bank, client, change, name, **said):
    """Press a button of the page as the release manager."""
    user = User.objects.get(person=bank.house.manager)
    client.force_login(user, backend="releases.accounts.backends.PersonBackend")
    session = client.session
    session.update({"signed_in_at": clock.now().isoformat(), "methods": ["password"]})
    session.save()
    answer = client.post(f"/live/{change.number}/{name}", said)
    assert answer.status_code == 302, answer.content.decode()[:2000]


def test_hold_keeps_a_pause_from_ending_and_stop_ends_it_where_it_stands(bank, paced, client):
    deployed(bank, paced)
    pauses(bank, paced)

    press(bank, client, paced, "hold", reason="The bank waits.")
    live = progress.live_of(paced.number, actor=bank.releaser, now=clock.now())
    assert (str(live.held), live.can_advance, live.can_let_go_on) == ("On hold: The bank waits.", False, True)
    with pytest.raises(Refused):
        rollout.advance(change_id=paced.pk, actor=bank.releaser, now=clock.now())
    press(bank, client, paced, "let-go-on")
    press(bank, client, paced, "stop")
    bank.rest()

    assert (work(bank, paced).state, canaries(bank)) == ("stopped", [5, 5])

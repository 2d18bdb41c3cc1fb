"""A release over a route that Argo Rollouts or Flagger drives: asked for each share, promoted, and brought back."""

import pytest

from gmud.sandbox.server import Fault
from releases.audit import queries as audit
from releases.catalog import queries as catalog
from releases.changes import services as changes
from releases.changes.models import RollbackPlan
from releases.changes.pace import Step as PaceStep
from releases.changes.queries import on_the_way
from releases.core import breaker, clock
from releases.gate.models import GateDecision
from releases.operations import queries as operations
from releases.rollout import services as rollout
from releases.rollout.steps import GatedShift
from releases.traffic import queries as traffic
from releases.traffic.steps import STEP_KIND
from releases.web.pages import panels
from releases.web.pages.board import _moving
from releases.web.pages.headline import headline_of
from releases.web.pages.measured import traffic_of
from releases.web.pages.seen import look_at
from tests.factories.drivers import STANDS, Argo, Flagger, at_work
from tests.factories.rollback import go_back
from tests.factories.rollout import another_service, scheduled, told, unsound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NEW = "v1.5.0"
SLOW = (PaceStep(10, 10), PaceStep(100))
TWENTY = (PaceStep(20, 10), PaceStep(100))


def argo(bank, _url):
    return Argo(bank.cluster).begin()


def flagger(bank, url):
    return Flagger(bank.cluster, url=url, token=bank.token).begin()


@pytest.fixture(params=[argo, flagger], ids=["Argo Rollouts", "Flagger"])
def driver(request, bank, live_server):
    controller = request.param(bank, live_server.url)
    with at_work(controller):
        yield controller


def test_it_is_asked_for_each_share_and_promoted_and_nothing_is_written(bank, driver):
    change = scheduled(bank.house)
    bank.start(change)
    bank.until_state(change, "watching")

    shifts = traffic.of_change(change.pk)
    assert [(dict(one.asked), dict(one.observed), one.state) for one in shifts] == [
        ({"stable": 90, "canary": 10}, {"stable": 90, "canary": 10}, "confirmed"),
        ({"stable": 100, "canary": 0}, {"stable": 100, "canary": 0}, "confirmed"),
    ]
    assert bank.versions() == {"stable": NEW, "canary": NEW}
    assert bank.running() == NEW
    assert not bank.writes()
    assert traffic.drifts() == []
    assert shown(change) == [(100, 100, NEW)]
    assert unsound() == []


def shown(change):
    """Return what Live and the page of the change show of the traffic: asked, observed, of which version."""
    change.refresh_from_db()
    bars, _counted, _seen_at = traffic_of(look_at(change.number, clock.now()))
    found = [(one.asked, one.observed, one.version) for one in bars]
    if change.state == "watching":
        (place,) = [one for one in on_the_way().values() if one.number == change.number]
        routes = catalog.routes_for(*next(one.place for one in change.items.all()))
        assert f"{NEW} at 100" in str(_moving(place, routes, traffic.latest()).word)
        assert found == [(one.asked, one.observed, one.version) for one in panels.traffic(change).bars]
    return found


def test_every_step_of_it_passed_the_gate_first(bank, driver):
    change = scheduled(bank.house)
    bank.start(change)
    bank.until_state(change, "watching")
    decided = GateDecision.objects.order_by("decided_at").values_list("intent", "verdict")
    assert list(decided) == [("deploy", "allow"), *[("traffic_shift", "allow")] * 2]
    if isinstance(driver, Flagger):
        # The first yes comes with the first move, the one after 10 % with the second.
        assert driver.told.index("confirm-traffic-increase 0: 200") < driver.told.index("confirm-promotion 20: 200")
        assert "confirm-traffic-increase 10: 403" in driver.told
    else:
        asked = [one for one in audit.story(change.stream) if one.kind == "driver.asked"]
        assert [(one.data["wish"], one.actor_name) for one in asked] == [("promote", "worker")] * 2


def test_at_the_first_share_going_back_takes_the_traffic_and_then_the_version(bank, driver):
    change = scheduled(bank.house, steps=SLOW)
    bank.start(change)
    bank.work_until(lambda: driver.share == 10 and _pauses(change), what="10 %")

    go_back(bank, change)
    bank.until_state(change, "reviewing")

    assert (bank.weights(), bank.versions()) == ({"stable": 100, "canary": 0}, {"stable": STANDS, "canary": STANDS})
    assert bank.running() == STANDS
    assert not bank.writes()


def said_to_be_back(bank, change):
    """Return what everybody has, whenever Live says that customers are back."""
    said = []
    while change.state != "reviewing":
        if not bank.work():
            bank.hurry()
        change.refresh_from_db()
        headline = str(headline_of(look_at(change.number, clock.now()))[0])
        if "Customers are on v0" in headline or "Everything is back" in headline:
            said.append(bank.versions()["stable"])
        elif change.state == "rolling_back" and shown(change)[0] == (100, 100, STANDS):
            assert bank.versions()["stable"] == STANDS or bank.weights()["canary"] == 100
    return said


def test_what_was_promoted_comes_back_by_its_version_and_nobody_says_so_before(bank, driver):
    change = bank.released()
    assert bank.versions()["stable"] == NEW

    go_back(bank, change)
    said = said_to_be_back(bank, change)
    steps = operations.operations_of(change.pk)[0].steps
    assert [one.name for one in steps] == [
        "traffic ledgerwriter",
        "redeploy ledgerwriter",
        "promote ledgerwriter",
        "verify version ledgerwriter",
        "verify weights ledgerwriter",
        "verify health ledgerwriter",
    ]
    assert set(said) == {STANDS}
    assert bank.versions() == {"stable": STANDS, "canary": STANDS}
    assert not driver.object["spec"].get("skipAnalysis")
    assert driver.object["status"]["phase"] in ("Healthy", "Succeeded")


def test_one_service_that_is_back_is_not_all_of_them(bank, live_server):
    """Beside the one that was promoted another one is taken back by its weights at once."""
    another_service(bank.house, bank.wires, "userservice")
    driver = argo(bank, live_server.url)
    with at_work(driver):
        change = bank.released(("ledgerwriter", NEW), ("userservice", NEW))
        go_back(bank, change)
        said = said_to_be_back(bank, change)
    assert set(said) == {STANDS}


def test_a_skipped_analysis_that_others_set_meanwhile_stays_theirs(bank, live_server):
    driver = flagger(bank, live_server.url)
    with at_work(driver):
        change = bank.released()
        driver.spec(skipAnalysis=True)
        go_back(bank, change)
        bank.until_state(change, "reviewing")
    assert bank.versions()["stable"] == STANDS
    assert driver.object["spec"]["skipAnalysis"] is True


def test_flagger_hears_yes_only_as_far_as_the_move_goes_and_while_the_gate_is_open(bank, live_server):
    driver = flagger(bank, live_server.url)
    change = scheduled(bank.house, steps=TWENTY)
    manager = bank.house.actor("manager", signed_in_at=clock.now())

    def heard():
        driver.told.clear()
        driver.turn()
        return driver.told[-1]

    bank.start(change)
    bank.work_until(lambda: driver.deployed == NEW, what="deployed")
    driver.turn()
    assert heard() == "confirm-traffic-increase 0: 403"  # the gate has not been passed for this move
    bank.work_until(lambda: _waits_for_driver(change), what="the move")
    assert (heard(), driver.share) == ("confirm-traffic-increase 0: 200", 10)
    changes.hold(change_id=change.pk, actor=manager, reason="Wait", now=clock.now())
    assert heard() == "confirm-traffic-increase 10: 403"
    changes.resume(change_id=change.pk, actor=manager, now=clock.now())
    bank.cluster.cluster.faults.append(Fault("status:503", method="GET", path="virtualservices", times=9))
    assert heard() == "confirm-traffic-increase 10: 502"
    bank.cluster.cluster.faults.clear()
    breaker._breakers.clear()
    assert (heard(), driver.share) == ("confirm-traffic-increase 10: 200", 20)
    assert heard() == "confirm-traffic-increase 20: 403"  # it would promote next, which is beyond this move


def asks(change):
    """Return what the step that waits for a person says."""
    step = next(one for one in operations.operations_of(change.pk)[0].steps if one.state == "needs_human")
    return str(step.note)


def test_what_stops_elsewhere_than_the_change_is_not_even_deployed_to(bank):
    Argo(bank.cluster).begin({"setWeight": 0}, {"pause": {}}, {"setWeight": 20}, {"pause": {}})
    change = scheduled(bank.house)
    bank.start(change)
    bank.until_operation(change, "needs_human")
    assert "the shares it waits at are 0 %, 20 %" in asks(change)
    assert not bank.orders()
    assert bank.weights() == {"stable": 100, "canary": 0}


def test_what_begins_to_stop_elsewhere_meanwhile_is_asked_nothing_and_can_be_taken_back(bank):
    driver = Argo(bank.cluster).begin()
    change = scheduled(bank.house)
    bank.start(change)
    bank.work_until(lambda: driver.deployed == NEW, what="deployed")
    driver.turn()
    driver.turn()
    driver.turn()
    driver.say(abort=True)
    bank.until_operation(change, "needs_human")
    assert "was aborted" in asks(change)
    assert "driver.asked" not in told(change)
    rollout.stop(change_id=change.pk, actor=bank.releaser, now=clock.now())
    bank.rest()
    change.refresh_from_db()
    assert change.state == "implementing"  # whoever drives the route has begun: it can be taken back
    assert "Whoever drives its route may go on" in str(headline_of(look_at(change.number, clock.now()))[1])
    go_back(bank, change)
    with at_work(driver):
        bank.until_state(change, "reviewing")
    assert bank.versions() == {"stable": STANDS, "canary": STANDS}


def test_who_goes_back_before_the_promotion_is_confirmed_is_not_told_that_all_is_back(bank, live_server):
    driver = argo(bank, live_server.url)
    bank.handlers[STEP_KIND] = GatedShift(hold_seconds=30)
    change = scheduled(bank.house)
    with at_work(driver):
        bank.start(change)
        bank.work_until(lambda: driver.share == 10, what="10 %")
        driver.say(promoteFull=True)  # somebody else does
        bank.work_until(lambda: bank.versions()["stable"] == NEW, what="promoted")
        go_back(bank, change)
        said = said_to_be_back(bank, change)
    assert set(said) == {STANDS}
    assert bank.versions() == {"stable": STANDS, "canary": STANDS}


def test_what_was_promoted_and_has_no_job_waits_for_a_person(bank, live_server):
    driver = argo(bank, live_server.url)
    with at_work(driver):
        change = bank.released()
        RollbackPlan.objects.filter(item__change=change).update(job={})
        go_back(bank, change)
        bank.until_operation(change, "needs_human")
    assert "no job that could is bound" in asks(change)
    assert str(headline_of(look_at(change.number, clock.now()))[0]) == "Going back is stuck: a step waits for you"
    assert bank.versions()["stable"] == NEW


def test_going_back_stops_a_version_whose_pods_are_still_to_come(bank, live_server):
    driver = argo(bank, live_server.url)
    driver.has_pods = False
    change = scheduled(bank.house)
    with at_work(driver):
        bank.start(change)
        bank.work_until(lambda: driver.object["status"]["currentStepIndex"] == 3, what="10 %, without pods")
        assert bank.weights() == {"stable": 100, "canary": 0}
        go_back(bank, change)
        bank.work_until(lambda: driver.object["status"].get("abort"), what="aborted")
        driver.has_pods = True
        bank.until_state(change, "reviewing")
    assert bank.versions() == {"stable": STANDS, "canary": STANDS}
    assert not any(one["canary"] for one in observed(change))


def test_what_is_aborted_on_its_way_asks_a_person(bank, live_server):
    driver = argo(bank, live_server.url)
    change = scheduled(bank.house, steps=SLOW)
    with at_work(driver):
        bank.start(change)
        bank.work_until(lambda: _pauses(change), what="10 %")
        driver.say(abort=True)
        bank.work_until(lambda: driver.share == 0, what="aborted")
        rollout.advance(change_id=change.pk, actor=bank.releaser, now=clock.now())
        bank.until_operation(change, "needs_human")
    assert "The weights are stable 100, canary 0 instead of stable 90, canary 10" in asks(change)


def test_a_version_that_nobody_put_there_is_never_called_promoted(bank, live_server, monkeypatch):
    driver = argo(bank, live_server.url)
    monkeypatch.setattr(type(driver), "deployed", STANDS)  # the job deployed elsewhere
    change = scheduled(bank.house)
    with at_work(driver):
        bank.start(change)
        bank.until_operation(change, "needs_human")
    assert "was asked for 10 %, and its route stands at stable 100, canary 0" in asks(change)
    change.refresh_from_db()
    assert change.state == "implementing"


def test_two_that_drive_one_route_are_a_question(bank, live_server):
    argo(bank, live_server.url)
    flagger(bank, live_server.url)
    change = scheduled(bank.house)
    bank.start(change)
    bank.until_operation(change, "needs_human")
    assert "Argo Rollouts ledgerwriter, Flagger ledgerwriter drive this route at once" in asks(change)
    assert not bank.writes()


def test_the_watch_says_who_moved_what_was_promoted(bank, live_server):
    driver = argo(bank, live_server.url)
    with at_work(driver):
        change = bank.released()
    bank.work_until(lambda: _measured(change) > 2, what="the watch looks")
    assert "rollout.traffic_moved" not in told(change)
    bank.cluster.edit(70, 30, manager="somebody", service="ledgerwriter")
    bank.work_until(lambda: "rollout.traffic_moved" in told(change), what="the watch sees it")


def observed(change):
    """Return every split that was seen of the routes of a change."""
    (route,) = catalog.routes_for(*change.items.get().place)
    return [dict(one.weights) for one in traffic.observations(route.id)]


def _measured(change):
    return len(operations.operations_of(change.pk)[0].steps[0].data.get("measures", ()))


def _waits_for_driver(change):
    steps = operations.operations_of(change.pk)[0].steps
    return any(one.state == "applied" and "awaited" in one.data for one in steps)


def _pauses(change):
    steps = operations.operations_of(change.pk)[0].steps
    return any(one.state == "applied" and "pause" in one.kind for one in steps)

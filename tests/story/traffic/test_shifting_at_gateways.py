"""A shift through the real engine, against Kong and APISIX over HTTP: there, back, and when half of it is lost."""

import contextlib
from datetime import timedelta

import pytest

from gmud.sandbox.apisix import ADMIN_KEY, Apisix
from gmud.sandbox.kong import Kong
from gmud.sandbox.server import Fault, running
from releases.accounts import services as accounts
from releases.audit.actor import system
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, EnvironmentKind
from releases.operations.states import OperationState, StepState
from releases.traffic import queries
from releases.traffic.states import ShiftState
from tests.factories.shifts import begin, run

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
NAME = "frontend-production"
SIDE = "frontend-{}.bank-production.svc:8080"
ALL, NONE = {"stable": 0, "canary": 100}, {"stable": 100, "canary": 0}


class KongHouse:
    """Kong with the route of a service, and what stands there."""

    kind, secret = ConnectionKind.KONG, None
    stable, canary = SIDE.format("stable"), SIDE.format("canary")
    writing = Fault("", method="PATCH", path="/targets/")
    told = "changed the weights meanwhile"

    def __init__(self):
        self.sandbox = Kong()

    def weights(self):
        there = self.sandbox.state()["default"][NAME]
        return {"stable": there[self.stable], "canary": there[self.canary]}

    def edit(self, stable, canary):
        space = self.sandbox.workspaces["default"]
        for target, weight in ((self.stable, stable), (self.canary, canary)):
            space.target(space.upstream(NAME), target)["weight"] = weight

    def rival(self):
        """Let somebody change a weight after every look at them; what is no weight stops nobody here."""
        honest, space = self.sandbox.answer, self.sandbox.workspaces["default"]

        def answer(call):
            if call.method == "GET" and call.path.endswith("/targets"):
                space.target(space.upstream(NAME), self.canary)["weight"] += 1
            return honest(call)

        self.sandbox.answer = answer


class ApisixHouse:
    """APISIX with the route of a service, and what stands there."""

    kind, secret = ConnectionKind.APISIX, ADMIN_KEY
    stable, canary = "default", f"{NAME}-canary"
    writing = Fault("", method="PATCH", path="/routes/")
    told = "keeps changing the object"

    def __init__(self):
        self.sandbox = Apisix()

    def _sides(self, value):
        canary, stable = value["plugins"]["traffic-split"]["rules"][0]["weighted_upstreams"]
        return {"stable": stable, "canary": canary}

    def weights(self):
        sides = self._sides(self.sandbox.state()["routes"][NAME])
        return {name: side["weight"] for name, side in sides.items()}

    def edit(self, stable, canary):
        def change(value):
            for name, weight in (("stable", stable), ("canary", canary)):
                self._sides(value)[name]["weight"] = weight
            return value

        self.sandbox.store.patch("routes", NAME, change, lambda: None)

    def rival(self):
        """Let somebody write the route within every write of it."""

        def touch(value):
            return {**value, "desc": f"{value.get('desc', '')}."}

        self.sandbox.racer = lambda: self.sandbox.store.patch("routes", NAME, touch, lambda: None)


@pytest.fixture(params=[KongHouse, ApisixHouse], ids=["kong", "apisix"])
def gateway(request):
    found = request.param()
    with running(found.sandbox) as found.url:
        yield found


@pytest.fixture
def kong():
    found = KongHouse()
    with running(found.sandbox) as found.url:
        yield found


def a_route(gateway, now):
    actor = system("tests")
    team = accounts.register_team(actor=actor, name="payments", now=now)
    service = catalog.register_service(actor=actor, name="frontend", team_id=team.pk, now=now)
    place = catalog.register_environment(actor=actor, name="production", kind=EnvironmentKind.PRODUCTION, now=now)
    edge = catalog.connect(
        actor=actor, name="edge", kind=gateway.kind, origin=gateway.url, secret=gateway.secret, now=now
    )
    row = catalog.register_route(
        actor=actor,
        service_id=service.pk,
        environment_id=place.pk,
        connection_id=edge.pk,
        locator={"name": NAME},
        stable=gateway.stable,
        canary=gateway.canary,
        now=now,
    )
    return catalog_queries.route(row.pk)


def fault(gateway, do, *, skip=0, **more):
    where = {"method": gateway.writing.method, "path": gateway.writing.path}
    gateway.sandbox.faults += [Fault("slow", seconds=0.0, times=skip, **where), Fault(do, **where, **more)]


def test_a_shift_is_written_held_and_kept_and_its_restore_too(gateway, now):
    route = a_route(gateway, now)
    there, _step = run(begin(route, {"stable": 90, "canary": 10}, now), now)
    assert there.state == OperationState.SUCCEEDED
    assert gateway.weights() == {"stable": 90, "canary": 10}
    later = now + timedelta(seconds=20)
    back, _step = run(begin(route, NONE, later, literal=True), later)
    assert back.state == OperationState.SUCCEEDED
    assert gateway.weights() == NONE
    shifts = queries.ledger(route.id)
    assert [(shift.state, shift.verification) for shift in shifts] == [(ShiftState.CONFIRMED, "held")] * 2
    assert shifts[0].before == {"stable": 90, "canary": 10}
    assert catalog_queries.route(route.id).reading.weights == NONE


def test_the_other_nodes_of_kong_get_their_time_going_forward_and_a_restore_does_not_wait_for_them(kong, now):
    route = a_route(kong, now)
    operation = begin(route, {"stable": 90, "canary": 10}, now)
    _there, step = run(operation, now, looks=4)  # six seconds, where a hold takes one instead of two
    assert step.state == StepState.APPLIED
    _there, step = run(operation, now + timedelta(seconds=8), looks=1)
    assert step.state == StepState.CONFIRMED
    _back, step = run(begin(route, NONE, now, literal=True), now, looks=2)
    assert step.state == StepState.CONFIRMED


@pytest.mark.parametrize("do", ["close_before", "close_after", "500", "html"])
def test_an_answer_that_is_lost_ends_in_the_weights_asked_for(gateway, now, do):
    fault(gateway, do)
    operation, _step = run(begin(a_route(gateway, now), ALL, now), now)
    assert operation.state == OperationState.SUCCEEDED
    assert gateway.weights() == ALL


def test_a_foreign_edit_before_the_write_asks_a_person_and_stands(gateway, now):
    operation = begin(a_route(gateway, now), ALL, now, expect=NONE)
    gateway.edit(60, 40)
    operation, step = run(operation, now)
    assert step.state == StepState.NEEDS_HUMAN
    assert gateway.weights() == {"stable": 60, "canary": 40}


@pytest.mark.parametrize("do", ["close_before", "500"])
def test_half_of_a_change_is_finished_by_the_next_try(kong, now, do):
    fault(kong, do, skip=1)
    operation, _step = run(begin(a_route(kong, now), ALL, now), now)
    assert operation.state == OperationState.SUCCEEDED
    assert kong.weights() == ALL
    (shift,) = queries.of_change(operation.subject)
    assert shift.before == NONE


def test_half_of_a_change_that_is_refused_is_put_back_and_told(kong, now):
    headers = {"Content-Type": "application/json"}
    fault(kong, "status:403", skip=1, body='{"message": "gmud, you do not have permissions"}', headers=headers)
    operation, step = run(begin(a_route(kong, now), ALL, now), now)
    assert operation.state == OperationState.FAILED
    assert "do not have permissions" in str(step.note)
    assert kong.weights() == NONE


def test_a_rival_that_never_rests_asks_a_person_and_overwrites_nothing(gateway, now):
    gateway.rival()
    before = gateway.weights()["stable"]
    operation, step = run(begin(a_route(gateway, now), ALL, now), now)
    assert (operation.state, step.state) == (OperationState.NEEDS_HUMAN, StepState.NEEDS_HUMAN)
    assert gateway.told in str(step.note)
    assert gateway.weights()["stable"] == before
    assert gateway.weights()["canary"] != ALL["canary"]


@contextlib.contextmanager
def unwritten(gateway):
    before = gateway.weights()
    yield
    assert gateway.weights() == before
    assert not [one for one in gateway.sandbox.log if one["method"] not in ("GET", "HEAD")]


@pytest.mark.parametrize(("setting", "said"), [("database", "without a database"), ("standalone", "runs standalone")])
def test_a_gateway_that_cannot_be_written_is_refused_with_the_way_out(now, setting, said):
    found = KongHouse() if setting == "database" else ApisixHouse()
    setattr(found.sandbox.settings, setting, "off" if setting == "database" else True)
    with running(found.sandbox) as found.url, unwritten(found):
        operation, step = run(begin(a_route(found, now), ALL, now), now)
    assert operation.state == OperationState.FAILED
    assert said in str(step.note)

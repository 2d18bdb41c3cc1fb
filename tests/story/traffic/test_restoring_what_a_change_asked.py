"""What restoring means, by how the change that asked stands: the record once its release went well, else the gate."""

from datetime import timedelta

import pytest

from releases.accounts.rights import Right
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.changes.models import ChangeRequest
from releases.changes.states import Outcome, State
from releases.core.errors import Refused
from releases.operations.models import Operation
from releases.rollback.services import restoring
from releases.traffic.facts import Seen
from releases.traffic.models import Drift
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection
from tests.factories.changes import a_change, a_house
from tests.factories.drifts import seen, shifted

pytestmark = pytest.mark.django_db(transaction=True)
NEW, HALF = {"stable": 0, "canary": 100}, {"stable": 50, "canary": 50}


@pytest.fixture
def house(now):
    return a_house(now)


def drifted(house, state, outcome):
    """Return a change in that state, and the drift of its route: half of what it asked for was taken away."""
    edge = a_connection("mesh", ConnectionKind.KUBERNETES, origin="https://cluster.example.com", now=house.now)
    route = catalog.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=edge.pk,
        locator={"namespace": "bank-production", "name": "ledgerwriter", "route": "primary"},
        stable="stable",
        canary="canary",
        now=house.now,
    )
    change = a_change(house)
    ChangeRequest.objects.filter(pk=change.pk).update(state=state, outcome=outcome)
    shifted(route.pk, NEW, house.now, change_id=change.pk)
    seen(route.pk, Seen(HALF, writer="kubectl-edit"), house.now + timedelta(minutes=1))
    return Drift.objects.get()


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (State.ROLLING_BACK, ""),
        (State.REVIEWING, Outcome.FAILED),
        (State.REVIEWING, Outcome.ROLLED_BACK),
        (State.CLOSED, Outcome.FAILED),
    ],
)
def test_what_is_taken_back_or_failed_gets_no_traffic_again_past_the_gate(house, state, outcome):
    drift = drifted(house, state, outcome)

    found = restoring.restoration_of(drift.pk, now=house.now)
    assert (found.is_forward, found.right) == (True, Right.CHANGE_RELEASE)
    assert "not_authorized" in [reason.code for reason in found.reasons]
    with pytest.raises(Refused):
        restoring.restore(drift_id=drift.pk, seen=HALF, actor=house.actor("manager"), now=house.now)
    assert not Operation.objects.exists()


@pytest.mark.parametrize(("state", "outcome"), [(State.REVIEWING, ""), (State.CLOSED, Outcome.SUCCESSFUL)])
def test_what_went_well_is_the_record_and_no_gate_holds_it_up(house, state, outcome):
    drift = drifted(house, state, outcome)

    found = restoring.restoration_of(drift.pk, now=house.now)
    assert (found.is_forward, found.right, found.reasons) == (False, Right.ROLLBACK_BEGIN, ())

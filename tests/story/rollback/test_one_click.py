"""One click: traffic back, version back, artifact refused; asked for again, it is the same rollback."""

import pytest

from tests.factories.rollback import go_back
from tests.factories.rollout import told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def test_one_click_brings_everything_back_and_a_second_one_is_the_same(bank):
    change = bank.released()

    first, second = go_back(bank, change, "Bookings are late."), go_back(bank, change)
    bank.until_state(change, "reviewing")

    assert second.operation == first.operation
    assert (bank.weights(), bank.versions()["canary"], bank.running()) == (
        {"stable": 100, "canary": 0},
        "v0.6.10",
        "v0.6.10",
    )
    assert change.items.get().artifact.is_quarantined
    assert told(change).count("rollback.begun") == 1

"""A bank whose releases take seconds instead of hours."""

import pytest

from releases.delivery import steps as delivery
from tests.factories.rollout import a_bank


@pytest.fixture
def quick(settings, monkeypatch):
    """Let every wait be short; what is waited for is real."""
    settings.GMUD_LEASE_SECONDS = 2.0
    settings.GMUD_SWEEP_SECONDS = 0.0
    settings.GMUD_VERDICT_SECONDS = 0.5
    settings.GMUD_VERIFY_SECONDS = 0.5
    settings.GMUD_WATCH_SECONDS = 1.0
    monkeypatch.setattr(delivery, "LOOK_SECONDS", 0.1)


@pytest.fixture
def bank(quick, live_server, tmp_path):
    with a_bank(live_server.url, tmp_path) as found:
        yield found

"""The bank as fixtures: releases that take seconds instead of hours, and who goes back."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.delivery.steps import reach
from releases.health import steps as health
from releases.rollback import services
from releases.rollback.models import Rollback
from tests.factories.rollout import Bank, a_bank


@pytest.fixture
def quick(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every wait be short; what is waited for is real."""
    settings.GMUD_LEASE_SECONDS = 2.0
    settings.GMUD_SWEEP_SECONDS = 0.0
    settings.GMUD_VERDICT_SECONDS = 0.5
    settings.GMUD_VERIFY_SECONDS = 0.5
    settings.GMUD_WATCH_SECONDS = 600.0
    monkeypatch.setattr(reach, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(health, "EVERY_SECONDS", (0.1, 1.0))


@pytest.fixture
def bank(quick: None, live_server: Any, tmp_path: Path) -> Iterator[Bank]:
    """Return a bank with ledgerwriter; its jobs ask the gate of this very process over HTTP."""
    with a_bank(live_server.url, tmp_path) as found:
        yield found


def go_back(bank: Bank, change: ChangeRequest, reason: str = "") -> Rollback:
    """Press the button."""
    return services.begin(change_id=change.pk, actor=bank.on_call, reason=reason, now=clock.now())


def post_rollback(url: str, number: int, token: str) -> tuple[int, dict[str, Any]]:
    """Ask for the rollback as a machine does, over HTTP; when the test's small server hangs up, ask again."""
    for _try in range(20):
        with contextlib.suppress(ConnectionError, http.client.BadStatusLine):
            return _post(url, number, token)
    raise ConnectionError(url)


def _post(url: str, number: int, token: str) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    body = json.dumps({"reason": "The errors rise."})
    connection.request("POST", f"/api/v1/changes/{number}/rollback", body, headers)
    answer = connection.getresponse()
    read = answer.status, json.loads(answer.read())
    connection.close()
    return read

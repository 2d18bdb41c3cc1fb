from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from django.test import Client

from releases.accounts.rights import Right
from releases.core import clock
from tests.factories.accounts import a_token
from tests.factories.changes import House, a_house
from tests.factories.gate import with_keys


@pytest.fixture
def now() -> datetime:
    """Return this moment: the doors ask the clock themselves."""
    return clock.now()


@pytest.fixture(autouse=True)
def _keys(settings, tmp_path: Path) -> None:
    with_keys(settings, tmp_path / "keys")


@pytest.fixture
def house(db: None, now: datetime) -> House:
    return a_house(now)


@pytest.fixture
def machine(db: None, now: datetime) -> Callable[..., Client]:
    """Return a function that gives a client with a token of these scopes."""

    def with_scopes(*scopes: Right) -> Client:
        _row, plaintext = a_token(*scopes, now=now)
        return Client(headers={"Authorization": f"Bearer {plaintext}"}, raise_request_exception=False)

    return with_scopes


@pytest.fixture
def ci(machine) -> Client:
    """Return what a CI system is given: it may file, ask and redeem."""
    return machine(Right.CHANGE_FILE, Right.CHANGE_READ, Right.GATE_ASK, Right.PERMIT_REDEEM)

"""The demo, told once for the whole module: a bank, its people, forty changes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection, transaction
from django.test import override_settings

from gmud.demo.telling import tell
from releases.gate import keys
from releases.operations import bell

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Told:
    """When it was told, where it left its files, and when the visitor comes."""

    now: datetime
    folder: Path

    @property
    def visit(self) -> datetime:
        return self.now + timedelta(minutes=1)


@pytest.fixture(scope="module")
def told(django_db_setup, django_db_blocker, tmp_path_factory) -> Iterator[Told]:
    """Tell the demo; every test of the module looks at the same one, and what a test does to it is taken back."""
    folder = tmp_path_factory.mktemp("demo")
    keys.make(folder / "keys")
    files = {"GMUD_KEYS": str(folder / "keys"), "GMUD_WITNESS_FILE": str(folder / "witness" / "checkpoints.jsonl")}
    bell.install(lambda _queue, _kind, _row: None)
    outer = transaction.atomic()
    outer._from_testcase = True  # the services inside may ask for a durable transaction of their own
    with django_db_blocker.unblock(), override_settings(**files), outer:
        tell(now=NOW, folder=folder, environment={})
        if connection.vendor == "postgresql":  # the module's tests may take their time inside this transaction
            connection.cursor().execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        yield Told(NOW, folder)
        transaction.set_rollback(True)

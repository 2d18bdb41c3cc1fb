"""A key and a witness of its own for every test, and hands that reach past the guards."""

from collections.abc import Callable
from pathlib import Path

import pytest

from releases.audit.models import AuditEvent
from releases.audit.sealer import Sealer
from tests.factories.audit import an_event, write_by_sql


@pytest.fixture(autouse=True)
def witness(settings, tmp_path: Path) -> Path:
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "elsewhere" / "checkpoints.jsonl")
    return Path(settings.GMUD_WITNESS_FILE)


@pytest.fixture
def sealer() -> Sealer:
    return Sealer.of_settings()


@pytest.fixture
def by_sql() -> Callable[..., None]:
    """Return the hand of whoever owns the tables."""
    return write_by_sql


@pytest.fixture
def a_record(sealer) -> list[AuditEvent]:
    """Six events in two streams under two checkpoints, some with texts; sealed and witnessed."""
    events = [an_event("change:1", text={"reason": "First"}), an_event("change:1"), an_event("change:2")]
    sealer.turn()
    events += [an_event("change:1", text={"reason": "Second"}), an_event("change:2"), an_event("change:2")]
    sealer.turn()
    return events

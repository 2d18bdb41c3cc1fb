"""What every test may use; keep it small."""

from datetime import UTC, datetime

import pytest

from releases.operations import bell


@pytest.fixture
def now() -> datetime:
    """Return a fixed moment: a Tuesday morning in São Paulo, in the middle of a month, nothing special."""
    return datetime(2026, 9, 15, 13, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def silent_bell() -> None:
    """Call no worker: what a test commits is not worked on behind its back."""
    bell.install(lambda _queue, _kind, _row: None)

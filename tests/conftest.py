"""What every test may use; keep it small."""

from datetime import UTC, datetime

import pytest


@pytest.fixture
def now() -> datetime:
    """Return a fixed moment: a Tuesday morning in São Paulo, in the middle of a month, nothing special."""
    return datetime(2026, 9, 15, 13, 30, tzinfo=UTC)

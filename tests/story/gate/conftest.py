from datetime import datetime
from pathlib import Path

import pytest

from tests.factories.changes import House, a_house
from tests.factories.gate import with_keys


@pytest.fixture(autouse=True)
def _keys(settings, tmp_path: Path) -> None:
    with_keys(settings, tmp_path / "keys")


@pytest.fixture
def house(db: None, now: datetime) -> House:
    return a_house(now)

from pathlib import Path

import pytest

from tests.factories.gate import with_keys
from tests.fault.harness import database


@pytest.fixture(scope="module", autouse=True)
def _database(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


@pytest.fixture(autouse=True)
def _keys(settings, tmp_path: Path) -> None:
    with_keys(settings, tmp_path / "keys")

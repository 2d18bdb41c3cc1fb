import pytest

from tests.factories.gate import with_keys
from tests.fault.operations.crashes import deaths
from tests.fault.operations.schedules import Place


@pytest.fixture
def place(settings, tmp_path):
    with_keys(settings, tmp_path / "keys")
    return Place.found()


@pytest.fixture
def dying():
    with deaths() as found:
        yield found

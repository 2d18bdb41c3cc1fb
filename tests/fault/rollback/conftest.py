"""Real processes on one database for all tests of this folder: two of each of ours, the broker and what is outside."""

import pytest

from releases.operations import bell
from tests.fault.harness import house
from tests.fault.rollback.outside import APP, outside_of

SHORT = {"GMUD_VERDICT_SECONDS": 0.5, "GMUD_VERIFY_SECONDS": 0.5, "GMUD_WATCH_SECONDS": 3600.0}


@pytest.fixture(scope="package")
def place(tmp_path_factory, django_db_setup, django_db_blocker):
    from django.conf import settings

    more = {name: str(value) for name, value in SHORT.items()} | {
        "GMUD_KEYS": settings.GMUD_KEYS,
        "GMUD_SECRET_KEY": settings.SECRET_KEY,
    }
    with django_db_blocker.unblock(), house(tmp_path_factory.mktemp("house"), app=APP, more=more) as found:
        yield found


@pytest.fixture(scope="package")
def outside(place):
    with outside_of(place) as found:
        yield found


@pytest.fixture(autouse=True)
def ready(request, settings, silent_bell):
    """Begin each test with nothing armed, nothing broken and our own bell."""
    if "outside" not in request.fixturenames:
        yield
        return
    place, outside = request.getfixturevalue("place"), request.getfixturevalue("outside")
    for name, value in SHORT.items():
        setattr(settings, name, value)
    settings.GMUD_WITNESS_FILE = str(place.folder / "data" / "witness" / "checkpoints.jsonl")  # the sealers' own
    place.crew.disarm()
    bell.install(place.broker.ring)
    yield
    place.crew.disarm()
    outside.mend()

from datetime import datetime

import pytest
from django.test import Client

from releases.accounts.models import Person, User
from releases.core import clock
from tests.factories.changes import House, a_house


@pytest.fixture
def now() -> datetime:
    return clock.now()


@pytest.fixture
def house(db: None, now: datetime) -> House:
    return a_house(now)


@pytest.fixture
def browse(client: Client, now: datetime):
    """Return a function that gives a browser in which somebody signed in."""

    def as_person(person: Person, *, signed_in_at: datetime | None = None) -> Client:
        browser = Client()
        browser.force_login(User.objects.get(person=person), backend="releases.accounts.backends.PersonBackend")
        session = browser.session
        session["signed_in_at"] = (signed_in_at or now).isoformat()
        session["methods"] = ["password"]
        session.save()
        return browser

    return as_person

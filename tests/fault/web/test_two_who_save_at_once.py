"""Two people open the same form and save it in the same instant: one is saved, the other reads what it is now."""

from collections.abc import Callable, Sequence
from functools import partial
from html.parser import HTMLParser
from threading import Event
from typing import Any

import pytest
from django.db import transaction
from django.db.models import Model
from django.test import Client

from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.catalog import services
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Binding, Route
from releases.core import clock
from releases.notify.kinds import ChannelKind
from releases.notify.models import Subscription
from tests.factories.accounts import SETUP, a_person, a_team, a_token
from tests.factories.catalog import a_connection, a_customer, a_service, an_environment
from tests.factories.notify import a_channel
from tests.factories.races import at_once
from tests.fault.harness import database

HELD_SECONDS = 0.4  # long enough for both to look before either can save; whether they do decides nothing


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path / "keys")


def a_place() -> dict[str, Any]:
    return {
        "actor": SETUP,
        "service_id": a_service().pk,
        "environment_id": an_environment().pk,
        "now": clock.now(),
    }


def a_binding() -> Binding:
    there = a_connection(kind=ConnectionKind.PROMETHEUS, account="")
    settings = {"query": "errors", "limit": 0.05}
    return services.bind(**a_place(), purpose=Purpose.HEALTH, connection_id=there.pk, settings=settings)


def a_route() -> Route:
    there, locator = a_connection(kind=ConnectionKind.KUBERNETES), {"namespace": "bank", "name": "contacts"}
    return services.register_route(
        **a_place(), connection_id=there.pk, locator=locator, stable="stable", canary="canary"
    )


# How one of each is made, and the field that both change.
FORMS: dict[str, tuple[Callable[[], Model], str, Sequence[str]]] = {
    "bindings": (a_binding, "query", ("failures", "faults")),
    "channels": (lambda: a_channel(ChannelKind.WEBHOOK), "name", ("left", "right")),
    "connections": (a_connection, "account", ("left", "right")),
    "customers": (lambda: a_customer(a_service()), "size", ("7", "8")),
    "environments": (an_environment, "rank", ("31", "32")),
    "machines": (lambda: a_token()[0], "name", ("left", "right")),
    "people": (a_person, "name", ("Left", "Right")),
    "routes": (a_route, "stable", ("left", "right")),
    "services": (a_service, "title", ("Left", "Right")),
    "teams": (a_team, "title", ("Left", "Right")),
}


class Fields(HTMLParser):
    """What a browser would send of the form of a page."""

    def __init__(self, page: str) -> None:
        """Read the page."""
        super().__init__()
        self.found: dict[str, list[str]] = {}
        self._at = self._area = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Keep what is filled in, checked and selected."""
        told = dict(attrs)
        name, value = told.get("name") or "", told.get("value") or ""
        if tag == "input" and name and (told.get("type") not in {"checkbox", "radio"} or "checked" in told):
            self.found.setdefault(name, []).append(value)
        elif tag == "select":
            self._at = name
        elif tag == "option" and "selected" in told:
            self.found.setdefault(self._at, []).append(value)
        elif tag == "textarea":
            self._area = name
            self.found[name] = [""]

    def handle_data(self, data: str) -> None:
        """Keep what stands in an area."""
        if self._area:
            self.found[self._area][0] += data

    def handle_endtag(self, tag: str) -> None:
        """Leave an area."""
        if tag == "textarea":
            self._area = ""


def browser_of(person: Person) -> Client:
    browser = Client()
    browser.force_login(person.accounts.get(), backend="releases.accounts.backends.PersonBackend")
    session = browser.session
    session["signed_in_at"], session["methods"] = clock.now().isoformat(), ["password"]
    session.save()
    return browser


def hold(row: Model) -> None:
    """Keep everybody from saving for a moment."""
    with transaction.atomic():
        type(row)._default_manager.select_for_update().get(pk=row.pk)
        Event().wait(HELD_SECONDS)


def save_at_once(
    row: Model, browsers: Sequence[Client], path: str, field: str, values: Sequence[str], page: str
) -> Any:
    """Open the form in each browser, and save it in all of them at once; return the answers and the values."""
    opened = [Fields(browser.get(page).content.decode()).found for browser in browsers]
    posts = [
        partial(browser.post, path, {**was, field: value})
        for browser, was, value in zip(browsers, opened, values, strict=True)
    ]
    _held, *answers = at_once([partial(hold, row), *posts])
    return answers


def one_was_saved(answers: Sequence[Any]) -> None:
    assert sorted(answer.status_code for answer in answers) == [302, 422]
    [refused] = [answer for answer in answers if answer.status_code == 422]
    assert "Somebody changed this while you looked" in refused.content.decode()


@pytest.mark.parametrize("slug", FORMS)
def test_of_two_who_save_a_form_in_the_same_instant_one_is_told(slug):
    make, field, values = FORMS[slug]
    row = make()
    browsers = [browser_of(a_person("", Role.OWNER)) for _ in range(2)]
    path = f"/settings/{slug}/{row.pk}/edit"

    answers = save_at_once(row, browsers, path, field, values, path)

    one_was_saved(answers)
    saved = values[[answer.status_code for answer in answers].index(302)]
    assert Fields(browsers[0].get(path).content.decode()).found[field] == [saved]


def test_of_two_windows_of_one_person_that_choose_notices_in_the_same_instant_one_is_told():
    person = a_person("", Role.ENGINEER)
    browsers = [browser_of(person) for _ in range(2)]
    browsers[0].post("/notices/choice", Fields(browsers[0].get("/notices").content.decode()).found)
    row = Subscription.objects.get(person=person)
    zones = ("Europe/Lisbon", "America/Manaus")

    answers = save_at_once(row, browsers, "/notices/choice", "time_zone", zones, "/notices")

    one_was_saved(answers)

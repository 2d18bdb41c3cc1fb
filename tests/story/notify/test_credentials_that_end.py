"""A secret of a connection that comes near its last day is told of before it fails, once for each stage."""

from datetime import date, timedelta

import pytest

from gmud.sandbox.jenkins import TOKEN as SANDBOX
from releases.catalog import services as catalog
from releases.catalog.kinds import Light
from releases.catalog.models import Connection
from releases.core.errors import Invalid
from releases.notify import occasions
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.setup import checks
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import TOKEN, a_connection
from tests.factories.changes import a_house
from tests.factories.delivery import a_world
from tests.factories.gate import bind_job

pytestmark = pytest.mark.django_db(transaction=True)
LAST = NOW.date() + timedelta(days=60)


def until(row: Connection, last: date | str, *, secret: str | None = None) -> Connection:
    """Say on which day the secret ends."""
    said = {"name": row.name, "origin": row.origin, "account": row.account, "secret": secret}
    return catalog.reconnect(actor=SETUP, connection_id=row.pk, config={"expires_on": str(last)}, now=NOW, **said)


def open_notices():
    return Notice.objects.asked().filter(topic=Topic.CREDENTIAL_ENDS, settled_at=None).order_by("told_at", "pk")


def people():
    return set(open_notices().values_list("person__name", flat=True))


def test_on_call_and_the_team_of_what_it_deploys_hear_of_it_at_each_stage_once():
    house = a_house(NOW)
    row = until(a_connection("ci"), LAST)
    bind_job(house, row.pk)
    counts = []
    for days in (30, 15, 14, 10, 4, 3, 1, 0, -1, -5):
        occasions.foresee(now=NOW + timedelta(days=60 - days))
        counts.append(Notice.objects.filter(topic=Topic.CREDENTIAL_ENDS).values("case").distinct().count())

    assert counts == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3]
    assert "Davi Nunes" in people()
    assert {one.link for one in open_notices()} == {f"/settings/connections/{row.pk}"}


def test_it_is_taken_back_when_a_new_secret_with_a_later_day_was_put_in():
    a_house(NOW)
    row = until(a_connection("ci"), LAST)
    occasions.foresee(now=NOW + timedelta(days=50))
    assert people()

    until(row, LAST + timedelta(days=365), secret="another" + TOKEN)
    occasions.foresee(now=NOW + timedelta(days=50))

    assert people() == set()


def test_the_last_day_is_no_part_of_what_was_approved():
    row = a_connection("ci")

    assert until(row, LAST).config_digest == row.config_digest


@pytest.mark.parametrize("day", ["soon", "31/01/2027", "2027-02-30"])
def test_a_day_that_is_none_is_refused_with_an_example(day):
    with pytest.raises(Invalid) as caught:
        until(a_connection("ci"), day)

    assert "2027-01-31" in str(caught.value.fields["config"][0])


@pytest.mark.parametrize(("days", "words"), [(30, []), (14, ["ends on"]), (0, ["ends on"]), (-1, ["ended on"])])
def test_a_test_of_the_connection_tells_it_too(days, words):
    with a_world() as world:
        row = until(a_connection("ci", origin=world.url, secret=str(SANDBOX)), NOW.date() + timedelta(days=days))
        found = checks.check(actor=SETUP, connection_id=row.pk, now=NOW)

    assert found.light is (Light.WAIT if words else Light.GO)
    said = [str(line) for line in found.lines if "The secret of ci" in str(line)]
    assert [word in line for word, line in zip(words, said, strict=True)] == [True] * len(words)

"""Notices over REST: pages are listed, and taken on in the name of whoever answers for the token."""

import pytest

from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.core.ids import uuid7
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from tests.factories.accounts import a_person
from tests.factories.notify import told


@pytest.fixture
def paged(db, now):
    """Return the page that somebody on call was sent."""
    case = told(a_person("Davi Nunes", Role.ON_CALL), topic=Topic.NEEDS_HUMAN, now=now, link="/changes/1042")
    return Notice.objects.of_case(case).get()


def take(client, key):
    return client.post(f"/api/v1/notices/{key}/acknowledge")


def test_a_page_is_found_and_taken_on_once(machine, paged, settings):
    bot, reader = machine(Right.ROLLBACK_BEGIN), machine(Right.CHANGE_READ)
    (one,) = reader.get("/api/v1/notices?of=pages").json()["notices"]
    assert (one["id"], one["page"], one["acknowledged_at"]) == (str(paged.pk), True, None)
    assert one["url"] == f"{settings.PUBLIC_URL}/changes/1042"

    taken = take(bot, one["id"])

    assert taken.status_code == 200
    said = taken.json()
    assert (said["id"], said["state"], said["acknowledged_by"]) == (one["id"], "acknowledged", "Owner of tokens")
    assert said["acknowledged_at"] is not None
    paged.refresh_from_db()
    assert (paged.state, paged.acknowledged_by) == ("acknowledged", "Owner of tokens")
    assert reader.get("/api/v1/notices?of=pages").json()["notices"] == []
    again = take(bot, one["id"])
    assert (again.status_code, again.json()["acknowledged_at"]) == (200, said["acknowledged_at"])


def test_who_may_not_go_back_takes_nothing_on_and_what_is_not_there_is_not_found(machine, paged):
    assert take(machine(Right.CHANGE_READ), paged.pk).status_code == 403
    paged.refresh_from_db()
    assert paged.acknowledged_at is None
    assert take(machine(Right.ROLLBACK_BEGIN), uuid7()).status_code == 404

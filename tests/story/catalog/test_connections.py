"""Connections and their secrets: in they go, and out only through the door they belong to."""

import base64
import logging

import pytest
from django.conf import settings as django_settings
from django.db import connection as database

from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import queries, secrets, services
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core import keyring, redaction
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from tests.factories.accounts import NOW, SETUP, an_actor
from tests.factories.catalog import TOKEN, a_connection

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def ring(tmp_path, settings):
    """Give each test a key ring of its own."""
    settings.GMUD_KEYS = str(tmp_path)
    return tmp_path


def sql(statement: str, *values: object) -> None:
    with database.cursor() as cursor:
        cursor.execute(statement, values)


def kinds(row: Connection) -> list[str]:
    return [entry.kind for entry in audit.story(row.stream)]


def test_a_secret_goes_out_only_in_the_header_of_its_own_door():
    row = a_connection("ci", ConnectionKind.JENKINS, origin="https://ci.example.com/jenkins/", account="gmud")
    door = door_for(row)
    assert (door.name, door.origin, door.urgent) == ("ci", "https://ci.example.com/jenkins", False)
    assert dict(door.headers) == {"Authorization": "Basic " + base64.b64encode(f"gmud:{TOKEN}".encode()).decode()}
    assert door_for(queries.connection_card(Connection.objects.get(pk=row.pk)), urgent=True).urgent


@pytest.mark.parametrize("kind", [ConnectionKind.KUBERNETES, ConnectionKind.PROMETHEUS, ConnectionKind.HTTP])
def test_other_systems_see_a_bearer_token(kind):
    door = door_for(a_connection("c", kind, account=""))
    assert dict(door.headers) == {"Authorization": f"Bearer {TOKEN}"}


@pytest.mark.parametrize("kind", [ConnectionKind.PROMETHEUS, ConnectionKind.HTTP])
def test_where_no_secret_is_needed_no_header_is_sent(kind):
    assert dict(door_for(a_connection("c", kind, account="", secret=None)).headers) == {}


@pytest.mark.parametrize("kind", [ConnectionKind.JENKINS, ConnectionKind.KUBERNETES])
@pytest.mark.parametrize("secret", [None, ""])
def test_where_one_is_needed_the_connection_is_refused_without(kind, secret):
    with pytest.raises(Invalid) as caught:
        a_connection("c", kind, secret=secret)
    assert list(caught.value.fields) == ["secret"]
    assert not Connection.objects.exists()


def test_the_secret_is_in_no_column_no_event_no_card_and_no_text_of_anything():
    row = a_connection("ci")
    door = door_for(row)
    basic = base64.b64encode(f"gmud:{TOKEN}".encode()).decode()
    stored = str(Connection.objects.filter(pk=row.pk).values()[0])
    seen = [
        stored,
        repr(row),
        str(row),
        repr(queries.connection_card(Connection.objects.get(pk=row.pk))),
        repr(door),
        f"{door.headers} {door.headers!r}",
        str(audit.story(row.stream)),
        repr(row.__dict__),
    ]
    for text in seen:
        assert TOKEN not in text
        assert basic not in text
    assert TOKEN.encode() not in bytes(row.secret_box or b"")
    assert queries.connection_card(Connection.objects.get(pk=row.pk)).secret_last4 == "WXYZ"
    assert queries.connection_card(Connection.objects.get(pk=row.pk)).has_secret


def test_a_secret_that_was_typed_or_opened_is_blotted_out_of_logs_in_every_form(caplog):
    door_for(a_connection("ci", secret="canary/with+signs-0123456789"))
    basic = base64.b64encode(b"gmud:canary/with+signs-0123456789").decode()
    for text in ("canary/with+signs-0123456789", "canary%2Fwith%2Bsigns-0123456789", basic):
        assert redaction.redact(f"GET https://x/?token={text} failed") == "GET https://x/?token=[secret] failed"


def test_another_address_asks_for_the_secret_again(now):
    row = a_connection("ci")
    with pytest.raises(Invalid) as caught:
        a_connection("ci", origin="https://evil.example", secret=None)
    assert list(caught.value.fields) == ["secret"]
    row.refresh_from_db()
    assert row.origin == "https://ci.example.com"
    assert dict(door_for(row).headers)

    a_connection("ci", origin="https://new.example.com", secret="another-secret-0123")
    assert "another-secret" not in repr(door_for(row))
    assert door_for(row).origin == "https://new.example.com"


@pytest.mark.parametrize("origin", ["https://ci.example.com:8443", "http://ci.example.com", "https://ci.example.com/x"])
def test_another_port_scheme_or_path_is_another_address(origin):
    a_connection("ci")
    with pytest.raises(Invalid) as caught:
        a_connection("ci", origin=origin, secret=None)
    assert list(caught.value.fields) == ["secret"]


def test_another_kind_asks_for_the_secret_again():
    a_connection("ci")
    with pytest.raises(Invalid) as caught:
        a_connection("ci", ConnectionKind.HTTP, secret=None)
    assert list(caught.value.fields) == ["secret"]


def test_the_same_address_in_another_spelling_keeps_the_secret():
    row = a_connection("ci")
    a_connection("ci", origin="HTTPS://CI.example.com:443/", secret=None)
    assert dict(door_for(row).headers)
    assert kinds(row) == ["connection.opened"]


def test_an_address_flipped_by_sql_does_not_take_the_secret_along_and_the_attempt_is_written_down():
    row = a_connection("ci")
    sql("UPDATE releases_connection SET origin = %s WHERE name = %s", "https://evil.example", "ci")
    for _ in range(2):
        with pytest.raises(Refused, match="evil") as caught:
            door_for(row)
        assert caught.value.code == "secret_unreadable"
        assert TOKEN not in str(caught.value)
    assert kinds(row) == ["connection.opened", "connection.secret_unreadable", "connection.secret_unreadable"]

    sql("UPDATE releases_connection SET origin = %s WHERE name = %s", "https://ci.example.com", "ci")
    assert dict(door_for(row).headers)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE releases_connection SET secret_version = 2 WHERE name = 'ci'",
        "UPDATE releases_connection SET secret_box = (SELECT secret_box FROM releases_connection WHERE name = 'other')"
        " WHERE name = 'ci'",
    ],
)
def test_a_box_of_another_connection_or_version_does_not_open(statement):
    row = a_connection("ci")
    a_connection("other", secret="other-secret-0123456")
    sql(statement)
    with pytest.raises(Refused):
        door_for(row)


def test_an_older_secret_put_back_by_sql_does_not_open():
    row = a_connection("ci")
    old = bytes(Connection.objects.get(pk=row.pk).secret_box or b"")
    a_connection("ci", secret="a-newer-secret-0123")
    Connection.objects.filter(pk=row.pk).update(secret_box=old)
    with pytest.raises(Refused):
        door_for(row)


def test_a_failure_to_open_is_logged_without_the_secret(caplog):
    row = a_connection("ci")
    sql("UPDATE releases_connection SET origin = 'https://evil.example'")
    with caplog.at_level(logging.DEBUG), pytest.raises(Refused):
        door_for(row)
    assert "ci" in caplog.text
    assert TOKEN not in caplog.text


def test_a_typed_secret_replaces_the_old_one_and_an_empty_one_takes_it_away():
    row = a_connection("metrics", ConnectionKind.PROMETHEUS, account="")
    a_connection("metrics", ConnectionKind.PROMETHEUS, account="", secret="a-newer-secret-0123")
    assert dict(door_for(row).headers) == {"Authorization": "Bearer a-newer-secret-0123"}
    a_connection("metrics", ConnectionKind.PROMETHEUS, account="", secret="")
    assert dict(door_for(row).headers) == {}
    card = queries.connection_card(Connection.objects.get(pk=row.pk))
    assert (card.has_secret, card.secret_last4) == (False, "")
    assert kinds(row) == ["connection.opened", "connection.changed", "connection.changed"]


def test_saying_the_same_again_leaves_no_event():
    row = a_connection("ci")
    assert a_connection("ci", secret=None).pk == row.pk
    assert kinds(row) == ["connection.opened"]


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"origin": "ftp://ci"}, "origin"),
        ({"origin": "https://user:pass@ci.example.com"}, "origin"),
        ({"origin": "https://ci.example.com/?x=1"}, "origin"),
        ({"account": ""}, "account"),
        ({"account": "a:b"}, "account"),
        ({"secret": "two\nlines-of-it"}, "secret"),
        ({"secret": "changeme"}, "secret"),
        ({"name": "My CI"}, "name"),
    ],
)
def test_bad_input_names_its_field_and_never_repeats_a_secret(given, field):
    with pytest.raises(Invalid) as caught:
        a_connection(**{"name": "ci", **given})
    assert list(caught.value.fields) == [field]
    assert "pass@" not in str(caught.value) + str(caught.value.fields)
    assert "lines-of-it" not in str(caught.value) + str(caught.value.fields)


def test_a_host_that_the_operator_does_not_allow_is_refused_when_it_is_typed(monkeypatch):
    monkeypatch.setenv("GMUD_OUTBOUND_HOSTS", "ci.example.com")
    a_connection("ci")
    with pytest.raises(Invalid) as caught:
        a_connection("evil", origin="https://evil.example")
    assert "GMUD_OUTBOUND_HOSTS" in str(caught.value.fields["origin"][0])


@pytest.mark.parametrize("role", [Role.ENGINEER, Role.ON_CALL, Role.AUDITOR])
def test_only_those_who_edit_the_catalogue_connect(now, role):
    with pytest.raises(NotPermitted):
        services.connect(
            actor=an_actor(role),
            name="ci",
            kind=ConnectionKind.HTTP,
            origin="https://ci.example.com",
            now=now,
        )


def test_the_digest_of_a_connection_follows_its_meaning_and_not_its_secret():
    row = a_connection("ci")
    first = row.config_digest
    a_connection("ci", secret="a-newer-secret-0123")
    row.refresh_from_db()
    assert row.config_digest == first == queries.connection_card(Connection.objects.get(pk=row.pk)).config_digest
    digests = {first}
    for given in ({"account": "other"}, {"origin": "https://b.example.com"}, {"kind": ConnectionKind.HTTP}):
        a_connection("ci", **{"secret": "a-newer-secret-0123", **given})
        row.refresh_from_db()
        digests.add(row.config_digest)
    services.connect(
        actor=SETUP, name="ci", kind=ConnectionKind(row.kind), origin=row.origin, config={"depth": 2}, now=NOW
    )
    row.refresh_from_db()
    digests.add(row.config_digest)
    assert len(digests) == 5


def test_after_a_rotation_old_secrets_open_and_are_sealed_again(now, ring):
    first, second = a_connection("ci"), a_connection("other", secret="other-secret-0123456")
    old = keyring.load(ring).first
    name = keyring.rotate(ring)
    assert dict(door_for(first).headers)
    assert services.reseal_secrets(actor=SETUP, now=now) == 2
    assert services.reseal_secrets(actor=SETUP, now=now) == 0
    keyring.drop(ring, old)
    for row in (first, second):
        row.refresh_from_db()
        assert secrets.is_sealed_with_first_key(row)
        assert keyring.key_name(bytes(row.secret_box or b"")) == name
        assert dict(door_for(row).headers)
    assert kinds(first) == ["connection.opened", "connection.resealed"]


def test_a_secret_that_does_not_open_stops_the_resealing_of_all(now, ring):
    good, bad = a_connection("a-good-one"), a_connection("bad", secret="other-secret-0123456")
    before = bytes(Connection.objects.get(pk=good.pk).secret_box or b"")
    Connection.objects.filter(pk=bad.pk).update(origin="https://evil.example")
    keyring.rotate(ring)
    with pytest.raises(Refused):
        services.reseal_secrets(actor=SETUP, now=now)
    assert bytes(Connection.objects.get(pk=good.pk).secret_box or b"") == before


def test_without_the_ring_a_secret_is_refused_and_never_guessed(ring):
    row = a_connection("ci")
    (ring / keyring.FILE).unlink()
    with pytest.raises(Refused):
        door_for(row)


def test_a_door_to_a_connection_that_is_gone_is_said():
    row = a_connection("ci")
    card = queries.connection_card(Connection.objects.get(pk=row.pk))
    row.delete()
    with pytest.raises(Missing):
        door_for(card)


def test_the_ring_of_the_settings_is_the_one_that_is_used(ring):
    a_connection("ci")
    assert (ring / keyring.FILE).exists()
    assert str(ring) == django_settings.GMUD_KEYS

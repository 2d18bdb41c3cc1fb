"""What people wrote can be erased from the shell; the record tells that, and still verifies."""

import json
from io import StringIO

import pytest
from django.core.management import call_command

from releases.accounts import services as accounts
from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.audit import queries
from releases.audit.models import AuditText
from releases.audit.queries import verify
from releases.audit.services import seal
from tests.factories.accounts import SETUP, a_person

pytestmark = pytest.mark.django_db

REASON = ("--reason", "LGPD request 12")


@pytest.fixture
def gone(now) -> Person:
    """Return a person whose name and address stand beside two events."""
    person = accounts.register_person(actor=SETUP, name="Rui Prado", email="rui@example.com", now=now)
    accounts.rename_person(actor=SETUP, person_id=person.pk, name="Somebody who left", now=now)
    seal()
    return person


def name_of(role: Role) -> str:
    """Return the user name of somebody who has the role."""
    return a_person("", role).accounts.get().username


def told(*arguments: str) -> tuple[int, str]:
    said = StringIO()
    try:
        call_command("audit", "erase", *arguments, stdout=said, stderr=said)
    except SystemExit as end:
        return int(end.code), said.getvalue()
    return 0, said.getvalue()


def texts(person: Person) -> list[str]:
    return [text for one in queries.written(person.stream).values() for text in one.values()]


def test_everything_beside_the_events_of_a_person_is_erased_and_the_record_verifies(gone):
    owner = a_person("Ana Souza", Role.OWNER)

    code, said = told("--stream", gone.stream, "--by", owner.accounts.get().username.upper(), *REASON)

    assert (code, "Rui Prado" in said, "ok" in said) == (0, True, True), said
    assert texts(gone) == []
    assert not AuditText.objects.filter(body__contains="Rui").exists()
    seal()
    assert verify().ok
    story = queries.story(gone.stream)
    erasures = [one for one in story if one.kind == "audit.text_erased"]
    assert [(one.actor_name, one.data["reason"]) for one in erasures] == [(owner.name, REASON[1])] * 2
    assert [one.erased for one in story if one.kind == "person.registered"] == [("email", "name")]


def test_a_dry_run_shows_what_would_go_and_erases_nothing(gone):
    before = texts(gone)

    code, said = told("--stream", gone.stream, "--by", name_of(Role.OWNER), "--dry-run")

    assert code == 0
    assert [text for text in before if text not in said] == []
    assert texts(gone) == before
    assert [one for one in queries.story(gone.stream) if one.kind == "audit.text_erased"] == []


@pytest.mark.parametrize(("more", "key"), [((), "erased"), (("--dry-run",), "would_erase")])
def test_for_machines_what_goes_is_part_of_the_one_document(gone, more, key):
    before = texts(gone)

    code, said = told("--stream", gone.stream, "--by", name_of(Role.OWNER), *REASON, "--json", *more)

    document = json.loads(said)
    assert code == 0
    assert [one["text"] for one in document[key]] == before
    assert set(document[key][0]) == {"event", "field", "text"}
    assert (document.get("verdict") == "ok") is (not more)


def test_one_field_of_one_event_can_be_erased_alone(gone):
    first = queries.story(gone.stream)[0]
    by = ("--stream", gone.stream, "--by", name_of(Role.OWNER))

    assert told(*by, *REASON, "--event", str(first.id), "--field", "email")[0] == 0

    assert "rui@example.com" not in texts(gone)
    assert {"Rui Prado", "Somebody who left"} <= set(texts(gone))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"--by": ""}, "Name with --by who decides this."),
        ({"--reason": " "}, "name nobody: the reason stays"),
        ({"--stream": "person:nobody"}, "There is no such text"),
        ({"--event": "01a1fcc1-8122-7295-b3f0-5a99d46f3d76"}, "There is no such text"),
        ({"--field": "nickname"}, "There is no such text"),
    ],
)
def test_whoever_asks_wrongly_is_told_so_and_nothing_is_erased(gone, wrong, said):
    before = texts(gone)
    asked = {"--stream": gone.stream, "--by": name_of(Role.OWNER), "--reason": REASON[1], **wrong}

    code, answer = told(*(word for pair in asked.items() for word in pair))

    assert (code, said in answer) == (3, True), answer
    assert texts(gone) == before


@pytest.mark.parametrize("role", [Role.AUDITOR, Role.RELEASE_MANAGER, Role.ENGINEER])
def test_whoever_may_only_read_the_record_erases_nothing_of_it(gone, role):
    before = texts(gone)

    assert told("--stream", gone.stream, "--by", name_of(role), *REASON)[0] == 3
    assert told("--stream", gone.stream, "--by", name_of(role), "--dry-run")[0] == 3
    assert texts(gone) == before

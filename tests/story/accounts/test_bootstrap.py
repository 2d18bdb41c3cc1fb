"""The first owner of an empty installation."""

import io

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from releases.accounts import queries
from releases.accounts.models import Person, User
from releases.accounts.roles import Role
from releases.audit import queries as audit
from tests.factories.accounts import a_person

pytestmark = pytest.mark.django_db
WHO = ("--username", "Olga", "--name", "Olga Prado", "--email", "olga@example.com")


def bootstrap(*arguments: str) -> str:
    out = io.StringIO()
    call_command("bootstrap", *arguments, stdout=out)
    return out.getvalue()


def test_the_first_owner_gets_a_password_that_works_and_is_shown_once():
    out = bootstrap(*WHO)
    password = out.strip().rsplit(" ", 1)[1]
    user = authenticate(None, username="olga", password=password)
    assert isinstance(user, User)
    assert queries.roles_of(user.person_id) == {Role.OWNER}
    story = audit.story(user.person.stream)
    assert [entry.kind for entry in story] == ["person.registered", "account.added", "role.granted"]
    assert password not in str(story)


def test_a_given_password_is_read_from_standard_input_and_not_shown(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("a long enough pass phrase\n"))
    out = bootstrap(*WHO, "--password-stdin")
    assert "pass phrase" not in out
    assert authenticate(None, username="olga", password="a long enough pass phrase") is not None


def test_a_second_owner_is_not_made_this_way():
    bootstrap(*WHO)
    with pytest.raises(CommandError, match="has an owner already"):
        bootstrap("--username", "eve", "--name", "Eve")
    assert not Person.objects.filter(name="Eve").exists()


def test_people_without_an_owner_do_not_stop_it():
    a_person("Ana", Role.ENGINEER)
    assert "first owner" in bootstrap(*WHO)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [(("--username", "not plain", "--name", "Olga"), "username"), (("--username", "olga", "--name", " "), "name")],
)
def test_bad_input_names_the_field_and_leaves_nothing(arguments, field):
    with pytest.raises(CommandError, match=f"{field}: "):
        bootstrap(*arguments)
    assert not Person.objects.exists()


def test_a_weak_password_leaves_nothing(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("short\n"))
    with pytest.raises(CommandError, match="password: "):
        bootstrap(*WHO, "--password-stdin")
    assert not Person.objects.exists()

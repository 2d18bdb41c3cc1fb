"""What was approved before an upgrade stays approved: a document is held against the schema it was written in."""

import pytest

from releases.changes import document
from releases.changes.queries.differences import between
from releases.changes.states import State
from releases.gate.states import Verdict
from tests.factories.accounts import a_person
from tests.factories.changes import a_change
from tests.factories.gate import ask, codes

pytestmark = pytest.mark.django_db

NAMES = {
    1: {
        "schema", "change", "revision", "type", "title", "why", "plan", "parameters", "test_evidence", "window",
        "requester", "authors", "implementers", "items", "assessment", "policy",
    },
}  # fmt: skip
NAMES[2] = NAMES[1] | {"committers"}


@pytest.fixture
def change(house, monkeypatch):
    with monkeypatch.context() as before:
        before.setattr(document, "SCHEMA", 1)
        return a_change(house, at=State.SCHEDULED)


def test_the_gate_opens_for_what_was_approved_in_the_first_schema(house, change):
    assert change.content_digest != document.digest_of(change)
    decision = ask(house, change)

    assert codes(decision) == set()
    assert decision.verdict == Verdict.ALLOW


def test_what_the_first_schema_left_unsaid_does_not_slip_past_the_vote(house, change):
    change.committers.add(a_person("Rita Lopes").pk)

    assert "approval_void" in codes(ask(house, change))


def test_an_edit_of_what_it_did_say_is_found_and_named_alone(house, change):
    change.title = "Something else"
    change.save(update_fields=("title",))

    assert "approval_void" in codes(ask(house, change))
    assert len(between(change, change.content_digest)) == 1


@pytest.mark.parametrize("schema", document.SCHEMAS)
def test_a_schema_never_changes_its_names(house, change, schema):
    """A new name needs a new schema: else every approval falls with the upgrade that brings it."""
    assert set(document.content(change, schema=schema)) == NAMES[schema]

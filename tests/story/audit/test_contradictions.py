"""What speaks against the record is found by whoever looks, kept, and taken back when the record is right again."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.db.models import F

from releases.audit import queries, services
from releases.audit.models import AuditEvent, LastLook, Leaf
from releases.audit.queries import contradiction
from releases.audit.sealer import Inconsistent, KeyGone
from releases.management.commands import sealer as command
from tests.factories.audit import an_event

pytestmark = pytest.mark.django_db
REWRITTEN = "CASE substr(leaf_hash, 1, 1) WHEN 'a' THEN 'b' ELSE 'a' END || substr(leaf_hash, 2)"  # never the same


def told() -> list[tuple[str, str]]:
    """Return what the record itself tells of contradictions, oldest first: the kind and who found it."""
    return [(entry.kind, entry.data["by"]) for entry in queries.story("audit:record")]


def rewrite(witness, **changes: object) -> None:
    """Edit the last line of the witness by hand."""
    *first, last = witness.read_text().splitlines()
    witness.write_text("\n".join([*first, json.dumps({**json.loads(last), **changes}), ""]))


def test_nothing_speaks_against_a_record_without_events_nor_against_one_that_is_sealed(sealer):
    assert contradiction() is None
    an_event()
    assert contradiction() is None
    services.seal_with(sealer)
    assert contradiction() is None
    assert services.verify().ok
    assert contradiction() is None
    assert told() == []


def test_an_edited_event_is_found_by_the_verification_and_kept(a_record, by_sql, django_assert_max_num_queries):
    victim = a_record[1]
    by_sql(f"UPDATE audit_event SET body = replace(body, 'draft', 'DRAFT') WHERE leaf_hash = '{victim.leaf_hash}'")
    assert contradiction() is None  # nobody looked

    services.verify()

    assert not queries.sealing().agrees
    with django_assert_max_num_queries(2):
        found = contradiction()
    assert found.by == "verification"
    assert str(victim.event_id) in str(found.what)
    assert found.since is not None
    assert told() == [("audit.contradicted", "verification")]


def test_what_was_found_is_told_once_and_taken_back_once_when_the_record_is_right_again(a_record, by_sql):
    body = AuditEvent.objects.get(pk=a_record[1].pk).body
    by_sql(f"UPDATE audit_event SET body = replace(body, 'draft', 'DRAFT') WHERE leaf_hash = '{a_record[1].leaf_hash}'")
    services.verify()
    since = contradiction().since
    services.verify()
    assert contradiction().since == since

    by_sql(("UPDATE audit_event SET body = %s WHERE leaf_hash = %s", [body, a_record[1].leaf_hash]))
    services.verify()
    services.verify()

    assert contradiction() is None
    assert told() == [("audit.contradicted", "verification"), ("audit.agreed", "verification")]


@pytest.mark.parametrize("change", [{"root": "ab" * 32}, {"size": 7}])
def test_an_edited_end_of_the_witness_speaks_against_the_record_at_once(a_record, witness, change):
    before = witness.read_text()
    rewrite(witness, **change)

    assert contradiction().by == "witness"

    witness.write_text(before)
    assert contradiction() is None


def test_checkpoints_that_are_gone_speak_against_the_record_at_once(a_record, by_sql):
    by_sql("DELETE FROM audit_checkpoint WHERE tree_size = 6")

    assert contradiction().by == "witness"


def test_a_witness_that_cannot_be_read_speaks_against_the_record(a_record, witness):
    witness.unlink()
    witness.mkdir()

    assert "directory" in str(contradiction().what)
    assert not queries.sealing().agrees


def test_without_a_witness_nothing_speaks_against_the_record(a_record, witness):
    witness.unlink()

    assert contradiction() is None


def test_what_the_sealer_finds_is_kept_until_the_whole_tree_agrees_again(sealer, a_record, by_sql):
    right = Leaf.objects.get(tree_index=2).leaf_hash
    by_sql(f"UPDATE audit_leaf SET leaf_hash = {REWRITTEN} WHERE tree_index = 2")
    an_event()
    for _turn in range(2):
        with pytest.raises(Inconsistent):
            services.seal()  # a new sealer reads all leaves
    assert contradiction().by == "sealer"

    with pytest.raises(Inconsistent):
        services.seal_with(sealer)  # one that has read them before looks again because somebody doubted
    assert contradiction().by == "sealer"

    by_sql(("UPDATE audit_leaf SET leaf_hash = %s WHERE tree_index = 2", [right]))
    services.seal()

    assert contradiction() is None
    assert told() == [("audit.contradicted", "sealer"), ("audit.agreed", "sealer")]


def test_a_lost_key_says_nothing_against_the_record(a_record, tmp_path):
    (tmp_path / "keys" / "checkpoint.pem").unlink()
    an_event()

    with pytest.raises(KeyGone):
        services.seal()

    assert contradiction() is None


def test_what_merely_waits_or_lacks_its_guard_does_not_speak_against_the_record(a_record, monkeypatch):
    an_event()
    monkeypatch.setattr("releases.audit.verification.written.GRACE_US", -1)

    assert services.verify().findings
    assert contradiction() is None


def test_the_command_keeps_what_it_finds(a_record, by_sql, capsys):
    by_sql("DELETE FROM audit_leaf WHERE tree_index = 5")

    with pytest.raises(SystemExit):
        call_command("audit", "verify")

    assert contradiction() is not None


def test_the_sealers_process_verifies_once_a_day(a_record, by_sql, monkeypatch):
    monkeypatch.setattr(command.connection, "close", lambda: None)  # it is the test's own here
    by_sql(f"UPDATE audit_event SET body = replace(body, 'draft', 'DRAFT') WHERE leaf_hash = '{a_record[1].leaf_hash}'")

    command.verify_if_due()
    assert contradiction().by == "verification"

    by_sql(f"UPDATE audit_event SET body = replace(body, 'DRAFT', 'draft') WHERE leaf_hash = '{a_record[1].leaf_hash}'")
    command.verify_if_due()
    assert contradiction() is not None  # a day has not passed

    LastLook.objects.update(looked_us=F("looked_us") - 86_400_000_000)
    assert queries.is_verification_due(timedelta(days=1))
    command.verify_if_due()
    assert contradiction() is None

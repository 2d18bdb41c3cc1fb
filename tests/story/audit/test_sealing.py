"""The sealer gives every committed event one place, signs, and hands over to the witness."""

import json

import pytest
from django.db import connection

from releases.audit import merkle, notes
from releases.audit.keys import public_keys
from releases.audit.models import Checkpoint, Leaf, Unsealed
from releases.audit.queries import sealing, verify
from releases.audit.sealer import Inconsistent, Sealer
from releases.audit.services import seal
from tests.factories.audit import an_event

pytestmark = pytest.mark.django_db


def lines(witness) -> list[dict]:
    return [json.loads(line) for line in witness.read_text().splitlines()]


def test_events_get_dense_leaves_in_the_order_of_their_streams_and_a_signed_root(a_record, tmp_path):
    leaves = list(Leaf.objects.order_by("tree_index"))
    newest = Checkpoint.objects.order_by("-tree_size").first()
    said = notes.read(newest.note, public_keys(tmp_path / "keys"))

    assert [leaf.tree_index for leaf in leaves] == list(range(6))
    for stream in ("change:1", "change:2"):
        mine = [event.event_id for event in a_record if event.stream == stream]
        assert [leaf.event_id for leaf in leaves if leaf.event_id in mine] == mine
    assert said.root == newest.root == merkle.root([bytes.fromhex(leaf.leaf_hash) for leaf in leaves]).hex()
    assert not Unsealed.objects.exists()


def test_every_checkpoint_reaches_the_witness_with_its_note(a_record, witness):
    assert [(line["size"], line["root"], line["note"]) for line in lines(witness)] == list(
        Checkpoint.objects.order_by("tree_size").values_list("tree_size", "root", "note")
    )


def test_without_news_nothing_is_signed(sealer, a_record, witness):
    before = witness.read_text()

    assert sealer.turn() is None
    assert (Checkpoint.objects.count(), witness.read_text()) == (2, before)


def test_the_key_is_made_once_and_only_its_owner_can_read_it(a_record, tmp_path):
    place = tmp_path / "keys" / "checkpoint.pem"
    made = place.read_bytes()
    an_event()
    seal()

    assert place.stat().st_mode & 0o777 == 0o600
    assert place.read_bytes() == made


def test_a_lost_key_is_not_replaced_by_a_new_one(a_record, tmp_path):
    (tmp_path / "keys" / "checkpoint.pem").unlink()
    an_event()

    with pytest.raises(Inconsistent, match="key"):
        seal()
    assert Leaf.objects.count() == 6


def test_a_key_open_to_others_is_not_used(a_record, tmp_path):
    (tmp_path / "keys" / "checkpoint.pem").chmod(0o644)
    an_event()

    with pytest.raises(Exception, match="0600"):
        seal()


def test_two_sealers_by_turns_make_one_tree(witness):
    one, two = Sealer.of_settings(), Sealer.of_settings()
    for turn in range(6):
        an_event(f"change:{turn}")
        (one, two)[turn % 2].turn()

    assert [line["size"] for line in lines(witness)] == [1, 2, 3, 4, 5, 6]
    assert not verify().findings


def test_a_new_sealer_goes_on_where_the_last_one_ended(a_record, witness):
    an_event()
    seal()

    assert lines(witness)[-1]["size"] == 7
    assert verify().ok


def test_what_the_witness_missed_is_handed_over_later(sealer, witness):
    witness.parent.mkdir()
    witness.mkdir()  # a folder stands where the file should be: writing fails
    an_event()
    with pytest.raises(OSError, match="directory"):
        sealer.turn()
    witness.rmdir()

    sealer.turn()

    assert [line["size"] for line in lines(witness)] == [1]
    assert verify().ok


def test_a_line_torn_by_a_power_cut_does_not_spoil_the_next_one(sealer, a_record, witness):
    with witness.open("a") as file:
        file.write('{"epoch": 1, "si')
    an_event()
    sealer.turn()

    report = verify()
    assert (report.ok, report.witnessed_size) == (True, 7)
    assert "Line 3" in str(report.notes[0])


@pytest.mark.parametrize("fresh", [True, False], ids=["a new sealer", "the same sealer"])
def test_a_tree_that_was_rewritten_behind_the_witness_is_not_signed(sealer, a_record, by_sql, witness, fresh):
    by_sql("DELETE FROM audit_leaf WHERE tree_index = 5", "DELETE FROM audit_checkpoint WHERE tree_size = 6")
    an_event()

    with pytest.raises(Inconsistent):
        (Sealer.of_settings() if fresh else sealer).turn()
    assert [line["size"] for line in lines(witness)] == [3, 6]
    assert Checkpoint.objects.count() == 1


def test_a_tail_that_was_cut_before_the_witness_saw_it_is_not_signed_over(sealer, a_record, by_sql, witness):
    witness.write_text(witness.read_text().splitlines()[0] + "\n")
    by_sql("DELETE FROM audit_leaf WHERE tree_index = 5", "DELETE FROM audit_checkpoint WHERE tree_size = 6")
    an_event()

    with pytest.raises(Inconsistent, match="cut off"):
        sealer.turn()


def test_other_leaves_than_the_witness_saw_are_not_signed(a_record, by_sql):
    by_sql(f"UPDATE audit_leaf SET leaf_hash = '{'ab' * 32}' WHERE tree_index = 2")
    an_event()

    with pytest.raises(Inconsistent, match="rewritten"):
        seal()


def test_a_forged_checkpoint_is_not_handed_to_the_witness(sealer, a_record, by_sql, witness):
    by_sql(f"INSERT INTO audit_checkpoint (epoch, tree_size, root, note) VALUES (1, 9, '{'ab' * 32}', 'trust me')")

    with pytest.raises(Inconsistent):
        sealer.turn()
    assert lines(witness)[-1]["size"] == 6


def test_how_sealing_goes_is_known_without_reading_the_record(a_record, by_sql):
    an_event()
    state = sealing()
    assert (state.sealed_size, state.witnessed_size, state.waiting, state.agrees) == (6, 6, 1, True)
    assert 0 <= state.oldest_waits_seconds < 60

    by_sql(f"UPDATE audit_checkpoint SET root = '{'ab' * 32}' WHERE tree_size = 6")
    assert not sealing().agrees


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one writer")
@pytest.mark.django_db(transaction=True)
def test_a_sealer_leaves_the_field_to_the_one_that_is_at_work(sealer):
    an_event()
    other = connection.copy("default")
    with other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 1)", [0x61756469])
        assert sealer.turn() is None
        cursor.execute("ROLLBACK")
    other.close()

    assert sealer.turn() is not None

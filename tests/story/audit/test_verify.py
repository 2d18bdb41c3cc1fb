"""Whoever holds the database can change a row; nobody can change one unseen."""

import json
from collections.abc import Sequence
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from releases.audit import notes
from releases.audit.envelope import leaf_hash
from releases.audit.merkle import root
from releases.audit.models import AuditEvent, AuditText, Checkpoint, Leaf, Unsealed
from releases.audit.queries import replay, verify
from releases.audit.sealer import Sealer
from releases.audit.services import erase_text
from releases.core import keyfile
from releases.core.ids import uuid7
from tests.factories.audit import ANOTHER, a_person, an_event, edited, name_of, underived

pytestmark = pytest.mark.django_db
SQLITE = connection.vendor == "sqlite"


def found() -> list[tuple[str, str, str]]:
    return [(one.table, one.row, one.column) for one in verify().findings]


def key(event: AuditEvent) -> str:
    return event.event_id.hex if SQLITE else str(event.event_id)


def exit_code(*arguments: str) -> tuple[int, str]:
    told = StringIO()
    try:
        call_command("audit", *arguments, stdout=told, stderr=told)
    except SystemExit as end:
        return int(end.code), told.getvalue()
    return 0, told.getvalue()


def test_a_record_nobody_touched_is_ok(a_record):
    report = verify()

    assert (report.findings, report.notes, report.ok, report.exit_code) == ([], [], True, 0)
    assert (report.events, report.sealed_size, report.witnessed_size, report.unsealed) == (6, 6, 6, 0)


def test_a_fresh_event_that_is_not_sealed_yet_is_no_finding(a_record):
    an_event()

    assert (verify().ok, verify().unsealed) == (True, 1)


# one edit of each column of each table

BY_HAND = [
    ("event_id", f"'{'0' * 32}'"),
    ("stream", "'change:9'"),
    ("stream_version", "7"),
    ("kind", "'change.closed'"),
    ("actor_kind", "'system'"),
    ("actor_id", "'somebody else'"),
    ("operation", "'op-1'"),
    ("occurred_us", "1700000000000000"),
]


@pytest.mark.parametrize(("column", "value"), BY_HAND)
def test_no_column_of_an_event_can_be_edited_unseen(a_record, by_sql, column, value):
    victim = a_record[1]
    by_sql(*underived(column), f"UPDATE audit_event SET {column} = {value} WHERE leaf_hash = '{victim.leaf_hash}'")

    assert ("audit_event", name_of(victim), column) in found()


def test_every_column_of_an_event_is_among_those_edited_here_and_on_the_journey():
    columns = {field.column for field in AuditEvent._meta.concrete_fields}

    assert columns == set(ANOTHER) == {"body", "leaf_hash", *(column for column, _value in BY_HAND)}


@pytest.mark.parametrize(("column", "value"), BY_HAND)
def test_a_derived_column_cannot_even_be_set(a_record, by_sql, column, value):
    with (
        pytest.raises(Exception, match=r"can only be updated to DEFAULT|cannot UPDATE generated column"),
        transaction.atomic(),
    ):
        by_sql(f"UPDATE audit_event SET {column} = {value}")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "change.closed"},
        {"actor": {"kind": "person", "id": "x", "name": "Eve"}},
        {"data": {"state": "approved"}},
        {"occurred_us": 1},
        {"prev": "0" * 63 + "1"},
        {"request": "another"},
        {"cause": "another"},
        {"text": {}},
        {"extra": 1},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_an_edited_body_names_its_event(a_record, by_sql, changes):
    victim = a_record[3]
    by_sql(("UPDATE audit_event SET body = %s WHERE leaf_hash = %s", [edited(victim, **changes), victim.leaf_hash]))

    assert ("audit_event", name_of(victim), "body") in found()


def test_a_body_with_the_same_meaning_and_other_bytes_names_its_event(a_record, by_sql):
    victim = a_record[3]
    body = json.dumps(json.loads(victim.body), ensure_ascii=False)
    by_sql(("UPDATE audit_event SET body = %s WHERE leaf_hash = %s", [body, victim.leaf_hash]))

    assert ("audit_event", name_of(victim), "body") in found()


def test_an_edited_hash_names_its_event(a_record, by_sql):
    victim = a_record[3]
    by_sql(f"UPDATE audit_event SET leaf_hash = '{'ab' * 32}' WHERE leaf_hash = '{victim.leaf_hash}'")

    assert found() == [("audit_event", name_of(victim), "leaf_hash")]


def test_a_body_edited_together_with_its_hash_names_its_event(a_record, by_sql):
    victim = a_record[5]
    body = edited(victim, data={"state": "approved"})
    by_sql(
        (
            "UPDATE audit_event SET body = %s, leaf_hash = %s WHERE leaf_hash = %s",
            [body, leaf_hash(body), victim.leaf_hash],
        )
    )

    assert found() == [("audit_event", name_of(victim), "body")]


@pytest.mark.parametrize(
    ("table", "column", "value", "where", "expected"),
    [
        ("audit_leaf", "tree_index", "17", "tree_index = 2", ("audit_leaf", "leaf 2", "")),
        ("audit_leaf", "leaf_hash", f"'{'ab' * 32}'", "tree_index = 2", ("audit_leaf", "leaf 2, ", "leaf_hash")),
        ("audit_leaf", "leaf_hash", "'no hash'", "tree_index = 2", ("audit_leaf", "leaf 2", "leaf_hash")),
        ("audit_leaf", "event_id", f"'{'0' * 32}'", "tree_index = 2", ("audit_leaf", "leaf 2, event ", "event_id")),
        ("audit_checkpoint", "epoch", "2", "tree_size = 3", ("audit_checkpoint", "checkpoint of 3 events", "epoch")),
        (
            "audit_checkpoint",
            "tree_size",
            "4",
            "tree_size = 3",
            ("audit_checkpoint", "checkpoint of 4 events", "tree_size"),
        ),
        (
            "audit_checkpoint",
            "root",
            f"'{'ab' * 32}'",
            "tree_size = 3",
            ("audit_checkpoint", "checkpoint of 3 events", "root"),
        ),
        (
            "audit_checkpoint",
            "note",
            "replace(note, 'time 1', 'time 2')",
            "tree_size = 3",
            ("audit_checkpoint", "checkpoint of 3 events", "note"),
        ),
        ("audit_text", "event_id", f"'{'0' * 32}'", "body = 'First'", ("audit_text", "reason, event 0", "event_id")),
        ("audit_text", "field", "'remark'", "body = 'First'", ("audit_text", "change:1 #1 ", "field")),
        ("audit_text", "salt", "'00'", "body = 'First'", ("audit_text", "change:1 #1 ", "body")),
        ("audit_text", "body", "'Approved'", "body = 'First'", ("audit_text", "change:1 #1 ", "body")),
    ],
)
def test_no_column_beside_the_events_can_be_edited_unseen(a_record, by_sql, table, column, value, where, expected):
    by_sql(f"UPDATE {table} SET {column} = {value} WHERE {where}")

    hits = [(t, r, c) for t, r, c in found() if t == expected[0] and r.startswith(expected[1]) and c == expected[2]]
    assert hits, found()


def test_a_waiting_entry_can_be_neither_edited_nor_removed_unseen(a_record, by_sql):
    waiting = an_event()
    Unsealed.objects.update(event_id=uuid7())
    assert {(table, column) for table, _row, column in found()} == {("audit_event", ""), ("audit_unsealed", "event_id")}

    Unsealed.objects.all().delete()
    assert found() == [("audit_event", name_of(waiting), "")]


# rows removed, added, exchanged


def test_a_removed_event_is_named_by_its_leaf_and_by_its_stream(a_record, by_sql):
    victim, follower = a_record[1], a_record[3]
    by_sql(f"DELETE FROM audit_event WHERE leaf_hash = '{victim.leaf_hash}'")

    assert found() == [
        ("audit_event", name_of(follower), "stream_version"),
        ("audit_leaf", f"leaf {Leaf.objects.get(event_id=victim.event_id).pk}, event {victim.event_id}", "event_id"),
    ]


def test_an_event_removed_with_its_leaf_leaves_a_gap(a_record, by_sql):
    leaf = Leaf.objects.get(event_id=a_record[1].event_id)
    by_sql(
        f"DELETE FROM audit_leaf WHERE tree_index = {leaf.pk}",
        f"DELETE FROM audit_event WHERE leaf_hash = '{a_record[1].leaf_hash}'",
    )

    assert ("audit_leaf", f"leaf {leaf.pk}", "") in found()


def test_an_unsealed_event_that_is_removed_leaves_its_waiting_entry(a_record, by_sql):
    victim = an_event("change:3")
    by_sql(f"DELETE FROM audit_event WHERE leaf_hash = '{victim.leaf_hash}'")

    assert found() == [("audit_unsealed", f"waiting, event {victim.event_id}", "event_id")]


def test_an_inserted_event_that_never_went_through_the_sealer_is_named(a_record, by_sql):
    last = a_record[5]
    body = edited(last, event_id=str(uuid7()), stream_version=last.stream_version + 1, prev=last.leaf_hash)
    by_sql(("INSERT INTO audit_event (leaf_hash, body) VALUES (%s, %s)", [leaf_hash(body), body]))

    assert found() == [("audit_event", name_of(AuditEvent.objects.get(body=body)), "")]


def test_a_backdated_event_is_found_even_when_the_sealer_took_it(a_record, by_sql, sealer):
    event_id, long_ago = uuid7(), 1_700_000_000_000_000
    body = edited(
        a_record[2], event_id=str(event_id), stream="change:3", stream_version=1, prev="0" * 64, occurred_us=long_ago
    )
    by_sql(("INSERT INTO audit_event (leaf_hash, body) VALUES (%s, %s)", [leaf_hash(body), body]))
    Unsealed.objects.create(event_id=event_id)
    sealer.turn()

    assert found() == [("audit_event", f"change:3 #1 (event {event_id})", "occurred_us")]


@pytest.mark.parametrize(("changes", "column"), [({"prev": "0" * 64}, "body"), ({"occurred_us": -1}, "occurred_us")])
def test_an_event_that_does_not_follow_the_one_before_is_found_even_when_the_sealer_took_it(
    a_record, by_sql, sealer, changes, column
):
    last, event_id = a_record[5], uuid7()
    follows = {"stream_version": last.stream_version + 1, "prev": last.leaf_hash, "occurred_us": last.occurred_us}
    if "occurred_us" in changes:
        changes = {"occurred_us": last.occurred_us - 1_000}
    body = edited(last, event_id=str(event_id), **{**follows, **changes})
    by_sql(("INSERT INTO audit_event (leaf_hash, body) VALUES (%s, %s)", [leaf_hash(body), body]))
    Unsealed.objects.create(event_id=event_id)
    sealer.turn()

    assert found() == [("audit_event", f"change:2 #4 (event {event_id})", column)]


def test_an_event_from_the_future_is_found(a_record, by_sql):
    event_id = uuid7()
    body = edited(
        a_record[2],
        event_id=str(event_id),
        stream="change:3",
        stream_version=1,
        prev="0" * 64,
        occurred_us=4_000_000_000_000_000,
    )
    by_sql(("INSERT INTO audit_event (leaf_hash, body) VALUES (%s, %s)", [leaf_hash(body), body]))
    Unsealed.objects.create(event_id=event_id)

    assert found() == [("audit_event", f"change:3 #1 (event {event_id})", "occurred_us")]


def test_exchanged_leaves_are_found(a_record, by_sql):
    by_sql(
        "UPDATE audit_leaf SET tree_index = 99 WHERE tree_index = 3",
        "UPDATE audit_leaf SET tree_index = 3 WHERE tree_index = 4",
        "UPDATE audit_leaf SET tree_index = 4 WHERE tree_index = 99",
    )

    findings = verify().findings
    assert findings
    assert all("leaves 3 to 5 " in str(one.message) for one in findings)


def test_exchanged_bodies_are_found(a_record, by_sql):
    one, two = a_record[2], a_record[4]
    statement = "UPDATE audit_event SET body = %s WHERE leaf_hash = %s"
    by_sql(
        (statement, [edited(one, event_id=str(uuid7()), stream="x"), one.leaf_hash]),
        (statement, [one.body, two.leaf_hash]),
        (statement, [two.body, one.leaf_hash]),
    )

    assert {("audit_event", name_of(one)), ("audit_event", name_of(two))} <= {hit[:2] for hit in found()}


@pytest.mark.parametrize("with_checkpoints", [False, True])
def test_a_tail_that_was_cut_off_is_found(a_record, by_sql, with_checkpoints):
    newest = [event.leaf_hash for event in a_record[3:]]
    by_sql(
        *(f"DELETE FROM audit_event WHERE leaf_hash = '{one}'" for one in newest),
        *(f"DELETE FROM audit_leaf WHERE leaf_hash = '{one}'" for one in newest),
        f"DELETE FROM audit_text WHERE event_id = '{key(a_record[3])}'",
        *(["DELETE FROM audit_checkpoint WHERE tree_size = 6"] if with_checkpoints else []),
    )

    hits = found()
    assert ("audit_leaf", "leaves 3 to 5", "") in hits
    assert (("audit_checkpoint", "checkpoint of 6 events", "") in hits) is with_checkpoints


def test_leaves_that_no_checkpoint_covers_are_found(a_record, by_sql):
    late = an_event()
    Unsealed.objects.all().delete()
    by_sql(("INSERT INTO audit_leaf VALUES (6, %s, %s)", [key(late), late.leaf_hash]))

    assert found() == [("audit_leaf", "leaves 6 to 6", "")]


def rewrite_everything(by_sql, settings, events: Sequence[AuditEvent]) -> None:
    """Do what somebody can who holds the database and every key: a new history that agrees with itself."""
    signing = keyfile.load(Sealer.of_settings().key)
    heads: dict[str, str] = {}
    statements: list[tuple[str, list[object]]] = []
    digests: dict[str, str] = {}
    for event in events:
        body = edited(event, prev=heads.get(event.stream, "0" * 64), data={"state": "approved"}, text={})
        heads[event.stream] = digests[event.leaf_hash] = leaf_hash(body)
        statements.append(
            ("UPDATE audit_event SET body = %s, leaf_hash = %s WHERE leaf_hash = %s", [body, leaf_hash(body), event.pk])
        )
    leaves = [digests[leaf.leaf_hash] for leaf in Leaf.objects.order_by("tree_index")]
    for index, digest in enumerate(leaves):
        statements.append(("UPDATE audit_leaf SET leaf_hash = %s WHERE tree_index = %s", [digest, index]))
    for one in Checkpoint.objects.all():
        new = root([bytes.fromhex(digest) for digest in leaves[: one.tree_size]]).hex()
        at_us = notes.read(one.note, [signing.public_key()]).at_us
        note = notes.sign(notes.Statement(epoch=1, size=one.tree_size, root=new, at_us=at_us), signing)
        statements.append(
            ("UPDATE audit_checkpoint SET root = %s, note = %s WHERE tree_size = %s", [new, note, one.tree_size])
        )
    by_sql("DELETE FROM audit_text", *statements)


def test_a_full_rewrite_with_every_key_is_seen_by_the_witness_alone(a_record, by_sql, settings, witness):
    rewrite_everything(by_sql, settings, a_record)
    assert [(hit[0], hit[2]) for hit in found()] == [("witness", "root")]

    witness.unlink()
    report = verify()
    assert (report.findings, report.exit_code) == ([], 2)


# texts


def test_an_erased_text_is_no_finding(a_record):
    erase_text(event_id=a_record[0].event_id, actor=a_person(), reason="LGPD request 12")

    assert verify().ok


def test_a_text_that_is_gone_without_an_erasing_event_is_found(a_record):
    AuditText.objects.filter(event_id=a_record[0].event_id).delete()

    assert found() == [("audit_text", f"{name_of(a_record[0])}, reason", "")]


def test_an_erased_text_that_is_back_is_found(a_record):
    event = a_record[0]
    text = AuditText.objects.get(event_id=event.event_id)
    erase_text(event_id=event.event_id, actor=a_person(), reason="LGPD request 12")
    AuditText.objects.create(event_id=event.event_id, field="reason", salt=text.salt, body=text.body)

    assert found() == [("audit_text", f"event {event.event_id}, reason", "")]


# the witness


@pytest.mark.parametrize(
    ("field", "value", "column"), [("size", 4, "size"), ("root", "ab" * 32, "root"), ("note", "trust me", "note")]
)
def test_an_edited_line_of_the_witness_is_found(a_record, witness, field, value, column):
    first, *rest = witness.read_text().splitlines()
    witness.write_text("\n".join([json.dumps({**json.loads(first), field: value}), *rest, ""]))

    assert ("witness", "line 1", column) in found()


def test_a_line_of_the_witness_that_is_there_twice_is_found(a_record, witness):
    lines = witness.read_text().splitlines()
    witness.write_text("\n".join([*lines, lines[0], ""]))

    assert found() == [("witness", "line 3", "size")]


def test_a_checkpoint_that_is_older_than_the_one_before_is_found(a_record, by_sql):
    signing = keyfile.load(Sealer.of_settings().key)
    one = Checkpoint.objects.get(tree_size=6)
    note = notes.sign(notes.Statement(epoch=1, size=6, root=one.root, at_us=1), signing)
    by_sql(("UPDATE audit_checkpoint SET note = %s WHERE tree_size = 6", [note]))

    assert ("audit_checkpoint", "checkpoint of 6 events", "note") in found()


def test_a_note_signed_by_another_key_is_found(a_record, by_sql, tmp_path):
    stranger = keyfile.load_or_make(tmp_path / "stranger.pem")
    one = Checkpoint.objects.get(tree_size=3)
    note = notes.sign(notes.Statement(epoch=1, size=3, root=one.root, at_us=1), stranger)
    by_sql(("UPDATE audit_checkpoint SET note = %s WHERE tree_size = 3", [note]))

    assert ("audit_checkpoint", "checkpoint of 3 events", "note") in found()


def test_checkpoints_that_wait_too_long_for_their_witness_are_unwitnessed(a_record, witness, monkeypatch):
    witness.write_text(witness.read_text().splitlines()[0] + "\n")
    assert verify().exit_code == 0

    monkeypatch.setattr("releases.audit.verification.sealed.LAG_US", 0)
    assert verify().exit_code == 2


def test_an_event_that_waits_too_long_for_its_leaf_is_found(a_record, monkeypatch):
    late = an_event()
    monkeypatch.setattr("releases.audit.verification.written.GRACE_US", -1)

    assert found() == [("audit_unsealed", name_of(late), "")]


# the command


def test_the_command_ends_with_0_when_all_is_well(a_record):
    assert exit_code("verify") == (0, "6 events, 6 sealed, 0 waiting, witnessed up to 6: ok\n")


def test_the_command_ends_with_1_and_names_the_row(a_record, by_sql):
    by_sql("UPDATE audit_text SET body = 'Approved' WHERE body = 'First'")
    code, told = exit_code("verify")

    assert code == 1
    assert f"✗ audit_text, {name_of(a_record[0])}, reason, body: The text or its salt was changed." in told


def test_the_command_ends_with_2_without_a_witness(a_record, witness):
    witness.unlink()
    code, told = exit_code("verify", "--json")

    assert (code, json.loads(told)["verdict"]) == (2, "unwitnessed")


def test_the_command_ends_with_3_without_the_key(a_record, tmp_path):
    (tmp_path / "keys" / "checkpoint.pem").unlink()
    code, told = exit_code("verify", "--json")

    assert (code, json.loads(told)["verdict"]) == (3, "cannot_run")


def test_a_record_with_nothing_in_it_is_unwitnessed_and_never_ok():
    assert verify().exit_code == 2


@pytest.mark.django_db(transaction=True)
def test_the_record_is_looked_at_in_one_snapshot_while_others_write(a_record):
    assert verify().ok
    an_event()
    assert verify().unsealed == 1


# replay


def test_replay_equals_the_tables_or_names_the_subject(a_record):
    an_event("change:2", state="submitted")
    tables = {"change:1": "draft", "change:2": "submitted"}
    assert replay({"change": tables.items}).exit_code == 0

    report = replay({"change": {**tables, "change:2": "approved", "change:3": "draft"}.items})
    assert [str(one) for one in report.findings] == [
        "change, change:2, state: The table says approved, the events say submitted.",
        "change, change:3, state: The table says draft, the events say nothing.",
    ]


def test_replay_runs_as_a_command_over_the_tables_of_the_rooms_above():
    assert exit_code("replay") == (0, "0 subjects replayed: ok\n")

    an_event("change:2", state="submitted")
    assert exit_code("replay") == (
        1,
        "✗ change, change:2, state: The table says nothing, the events say submitted.\n"
        "1 subjects replayed: NOT AS WRITTEN\n",
    )

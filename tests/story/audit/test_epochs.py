"""A record restored from an older copy: nothing is signed until somebody owns up to it; then what was lost is named."""

import json
from collections.abc import Callable
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection, transaction

from releases.accounts.roles import Role
from releases.audit import notes
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, Checkpoint, Leaf
from releases.audit.queries import contradiction, sealing, verify
from releases.audit.report import Lost
from releases.audit.sealer import Inconsistent, Sealer
from releases.audit.services import begin_epoch, record, seal, seal_with
from releases.audit.services import verify as keep_what_verify_finds
from releases.core import keyfile
from releases.core.errors import Invalid, Refused
from tests.factories.accounts import a_person as somebody
from tests.factories.audit import a_person, an_event

pytestmark = pytest.mark.django_db
TABLES = ("audit_event", "audit_text", "audit_unsealed", "audit_leaf", "audit_checkpoint")
COLUMNS = {"audit_event": ("leaf_hash", "body")}  # the others follow


@pytest.fixture
def restore(by_sql) -> Callable[[dict], None]:
    """Put the tables of the record back to what they were in a copy."""

    def put_back(copy: dict[str, tuple[str, list[tuple]]]) -> None:
        statements: list = [f"DELETE FROM {table}" for table in TABLES]
        for table, (columns, rows) in copy.items():
            marks = ", ".join(["%s"] * len(columns.split(",")))
            statements += [(f"INSERT INTO {table} ({columns}) VALUES ({marks})", row) for row in rows]
        by_sql(*statements)

    return put_back


def copied() -> dict[str, tuple[str, list[tuple]]]:
    """Copy the tables of the record, as a backup does."""
    found = {}
    with connection.cursor() as cursor:
        for table in TABLES:
            cursor.execute(f"SELECT {', '.join(COLUMNS.get(table, ('*',)))} FROM {table}")
            found[table] = (", ".join(column[0] for column in cursor.description), cursor.fetchall())
    return found


def grow(times: int) -> None:
    for _ in range(times):
        an_event("change:1")
        seal()


def sizes(witness) -> list[tuple[int, int]]:
    lines = [json.loads(line) for line in witness.read_text().splitlines()]
    return [(line["epoch"], line["size"]) for line in lines]


@pytest.fixture
def lost_two(restore, witness) -> None:
    """Three events sealed and copied, two more sealed and witnessed, then the copy restored."""
    grow(3)
    copy = copied()
    grow(2)
    restore(copy)


def test_a_restored_record_is_not_signed_on_and_verify_names_what_is_missing(lost_two, witness):
    an_event("change:1")

    with pytest.raises(Inconsistent, match="cut off"):
        seal()
    report = verify()

    assert [(one.table, one.row) for one in report.findings if one.table == "audit_leaf"] == [
        ("audit_leaf", "leaves 3 to 4")
    ]
    assert "manage.py audit epoch" in str(report.notes[-1])
    assert not sealing().agrees
    assert len(sizes(witness)) == 5


def test_after_a_new_epoch_began_the_record_is_whole_and_says_what_was_lost(lost_two, witness):
    late = an_event("change:2")  # recorded after the restore, before somebody owned up to it
    made = begin_epoch(actor=a_person(), reason="The disk of the database broke.")

    report = verify()
    assert (report.findings, report.exit_code, report.epoch) == ([], 0, 2)
    assert report.lost == [Lost(1, 3, 4)]
    assert [str(note) for note in report.notes] == ["Events 3 to 4 of epoch 1 were lost with a restore."]
    assert report.as_json()["lost"] == [{"epoch": 1, "first": 3, "last": 4}]
    assert sealing().agrees
    assert (made.epoch, made.tree_size) == (2, 5)
    assert sizes(witness) == [(1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (2, 5)]
    first, second = Leaf.objects.order_by("tree_index")[3:]
    assert AuditEvent.objects.get(event_id=first.event_id).kind == "audit.epoch_begun"
    assert second.event_id == late.event_id


def test_the_first_event_of_the_epoch_tells_from_where_to_where_who_and_why(lost_two):
    before = Checkpoint.objects.get(tree_size=3)
    begin_epoch(actor=a_person("Ana Souza"), reason="The disk of the database broke.")

    body = json.loads(AuditEvent.objects.get(kind="audit.epoch_begun").body)
    assert body["data"]["epoch"] == 2
    assert body["data"]["restored"] == {"epoch": 1, "size": 3, "root": before.root}
    assert (body["data"]["witnessed"]["epoch"], body["data"]["witnessed"]["size"]) == (1, 5)
    assert (body["actor"]["name"], list(body["text"])) == ("Ana Souza", ["reason"])


def test_the_record_goes_on_in_the_new_epoch_with_new_and_old_sealers(lost_two, witness):
    old = Sealer.of_settings()
    an_event("change:1")
    with pytest.raises(Inconsistent):
        old.turn()
    begin_epoch(actor=a_person(), reason="Disk.")
    an_event("change:1")
    old.turn()
    an_event("change:1")
    Sealer.of_settings().turn()

    assert sizes(witness)[5:] == [(2, 5), (2, 6), (2, 7)]
    assert verify().exit_code == 0


def test_a_sealer_that_slept_through_it_all_signs_the_right_tree(restore, witness):
    grow(3)
    copy = copied()
    sleeper = Sealer.of_settings()
    an_event("change:1")
    sleeper.turn()
    an_event("change:1")
    sleeper.turn()
    restore(copy)
    for _ in range(4):
        an_event("change:3")  # as many as the sleeper remembers, and more
    begin_epoch(actor=a_person(), reason="Disk.")
    an_event("change:3")
    sleeper.turn()

    assert verify().exit_code == 0


def test_an_epoch_whose_first_checkpoint_did_not_reach_the_witness_is_handed_over_later(lost_two, witness):
    before = witness.read_text()
    begin_epoch(actor=a_person(), reason="Disk.")
    witness.write_text(before)  # killed in between
    assert sealing().agrees
    assert verify().findings == []

    an_event("change:1")
    seal()

    assert sizes(witness)[5:] == [(2, 4), (2, 5)]
    assert verify().exit_code == 0


def test_a_second_restore_keeps_the_first_one_told(lost_two, restore):
    begin_epoch(actor=a_person(), reason="Disk.")
    grow(2)
    copy = copied()
    grow(1)
    restore(copy)
    begin_epoch(actor=a_person(), reason="Disk again.")
    grow(1)

    report = verify()
    assert (report.findings, report.epoch) == ([], 3)
    assert report.lost == [Lost(1, 3, 4), Lost(2, 6, 6)]


def test_a_copy_from_before_the_last_restore_leaves_that_epoch_as_a_whole(restore):
    grow(2)
    oldest = copied()
    grow(1)
    copy = copied()
    grow(2)
    restore(copy)
    begin_epoch(actor=a_person(), reason="Disk.")
    grow(1)
    restore(oldest)
    an_event("change:1")
    with pytest.raises(Inconsistent, match="epoch 2"):
        seal()
    assert ("witness", "epoch") in {(one.table, one.column) for one in verify().findings}
    begin_epoch(actor=a_person(), reason="The wrong copy first.")

    report = verify()
    assert (report.findings, report.epoch) == ([], 3)
    assert report.lost == [Lost(1, 2, 4), Lost(2, None, 4)]


def test_a_copy_from_before_the_first_seal_can_go_on(restore):
    an_event("change:1")
    copy = copied()
    seal()
    grow(1)
    restore(copy)
    begin_epoch(actor=a_person(), reason="Disk.")

    report = verify()
    assert (report.findings, report.epoch, report.lost) == ([], 2, [Lost(1, None, 1)])


def test_nothing_is_decided_before_somebody_owned_up_to_it_and_everything_after(lost_two):
    sealer = Sealer.of_settings()
    an_event("change:1")
    with pytest.raises(Inconsistent):
        seal_with(sealer)
    assert contradiction() is not None

    begin_epoch(actor=a_person(), reason="Disk.")
    seal_with(sealer)
    keep_what_verify_finds()

    assert contradiction() is None


# who would hide a rewrite behind it


def test_a_rewritten_record_gets_no_new_epoch(lost_two, by_sql):
    by_sql(f"UPDATE audit_leaf SET leaf_hash = '{'ab' * 32}' WHERE tree_index = 1")

    with pytest.raises(Inconsistent, match="rewritten"):
        begin_epoch(actor=a_person(), reason="Disk.")
    assert not AuditEvent.objects.filter(kind="audit.epoch_begun").exists()


def test_a_record_signed_anew_gets_no_new_epoch(lost_two, by_sql):
    key = keyfile.load(Sealer.of_settings().key)
    forged = notes.sign(notes.Statement(epoch=1, size=3, root="cd" * 32, at_us=1), key)
    by_sql(("UPDATE audit_checkpoint SET root = %s, note = %s WHERE tree_size = 3", ["cd" * 32, forged]))

    with pytest.raises(Inconsistent, match="rewritten"):
        begin_epoch(actor=a_person(), reason="Disk.")


def test_a_record_that_misses_nothing_gets_no_new_epoch():
    grow(2)

    with pytest.raises(Refused, match="Nothing is missing"):
        begin_epoch(actor=a_person(), reason="Just so.")
    assert (verify().epoch, verify().exit_code) == (1, 0)


def test_a_record_without_a_witness_gets_no_new_epoch(lost_two, witness):
    witness.unlink()

    with pytest.raises(Refused):
        begin_epoch(actor=a_person(), reason="Disk.")


def test_without_a_reason_nothing_begins(lost_two):
    with pytest.raises(Invalid, match="Say why"):
        begin_epoch(actor=a_person(), reason="  ")


def test_a_line_of_the_old_epoch_after_the_new_one_began_is_a_finding(lost_two, witness):
    begin_epoch(actor=a_person(), reason="Disk.")
    lines = witness.read_text().splitlines()
    witness.write_text("\n".join([*lines, lines[4], ""]))

    assert [(one.table, one.row, one.column) for one in verify().findings] == [("witness", "line 7", "size")]


def test_an_epoch_that_hides_what_the_witness_saw_last_is_a_finding(lost_two, witness):
    lines = witness.read_text().splitlines()
    witness.write_text("\n".join([*lines[:4], ""]))
    begin_epoch(actor=a_person(), reason="Disk.")  # it owns up to four events only
    begun = witness.read_text().splitlines()[-1]
    witness.write_text("\n".join([*lines, begun, ""]))

    assert [(one.table, one.row) for one in verify().findings] == [("audit_event", "beginning of epoch 2")]


def test_an_event_that_claims_an_epoch_in_the_middle_of_one_is_a_finding(witness):
    grow(2)
    here = Checkpoint.objects.get(tree_size=1)
    place = {"epoch": 1, "size": 1, "root": here.root}
    claim = {"epoch": 2, "restored": place, "witnessed": place}
    with transaction.atomic():
        record(stream="audit:epochs", kind=Kind.AUDIT_EPOCH_BEGUN, actor=a_person(), data=claim)

    assert ("audit_event", "beginning of epoch 2") in {(one.table, one.row) for one in verify().findings}


# the command


def told(*arguments: str) -> tuple[int, str]:
    said = StringIO()
    try:
        call_command("audit", *arguments, stdout=said, stderr=said)
    except SystemExit as end:
        return int(end.code), said.getvalue()
    return 0, said.getvalue()


def test_the_command_begins_an_epoch_and_verifies_at_once(restore):
    user = somebody("", Role.AUDITOR).accounts.get()
    grow(1)
    copy = copied()
    grow(1)
    restore(copy)

    code, said = told("epoch", "--by", user.username.upper(), "--reason", "The disk of the database broke.")

    assert code == 0, said
    assert "were lost with a restore" in said
    assert "ok" in said


def test_the_command_asks_who_decides_and_lets_only_those_who_may_read_the_record(lost_two):
    engineer = somebody("", Role.ENGINEER).accounts.get()

    assert told("epoch", "--reason", "Disk.") == (3, "cannot run: Name with --by who decides this.\n")
    assert told("epoch", "--by", engineer.username, "--reason", "Disk.")[0] == 3
    assert not AuditEvent.objects.filter(kind="audit.epoch_begun").exists()

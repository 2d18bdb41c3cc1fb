"""The audit page finds events, verifies the record on a click and hands it out so that others can check it."""

import base64
import csv
import hashlib
import io
import json
import re
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from django.db import connection
from django.utils.html import escape

from releases.audit import guards, services
from releases.audit.export import DOMAIN, harmless
from releases.audit.keys import public_keys
from releases.audit.models import AuditEvent
from releases.changes.states import State
from releases.core import canonical
from tests.factories.changes import a_change


@pytest.fixture(autouse=True)
def own_folders(settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path / "keys")
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")


@pytest.fixture
def auditor(house, browse):
    """Return the browser of somebody who may read the record; some changes were filed, everything is sealed."""
    a_change(house, at=State.AUTHORIZING, title="=cmd|' /C calc'!A0 is a fine title")
    for _more in range(12):
        a_change(house, at=State.DRAFT)
    services.seal()
    return browse(house.manager)


def rows(answer) -> list[str]:
    return re.findall(r"<code>([a-z_]+\.[a-z_]+)</code>", answer.content.decode())


def test_the_newest_events_come_first_and_older_ones_follow_without_a_gap(auditor):
    found, address = [], "/audit"
    while address:
        answer = auditor.get(address)
        found += rows(answer)
        older = re.search(r'href="(/audit\?before=[^"]+)"', answer.content.decode())
        address = older[1] if older else ""

    told = AuditEvent.objects.order_by("-occurred_us", "-event_id").values_list("kind", flat=True)
    assert found == list(told)
    assert len(found) > 50


def test_it_finds_what_happened_to_one_change_whatever_it_is_called_by(auditor):
    by_name, by_number = rows(auditor.get("/audit?subject=CHG-1001")), rows(auditor.get("/audit?subject=1001"))

    assert by_name == by_number
    assert by_name[-1] == "change.drafted"
    assert by_name[0] == "change.assessed"
    assert rows(auditor.get("/audit?subject=CHG-9999")) == []


def test_it_finds_what_one_person_did_and_one_kind_of_thing(auditor, house):
    asked = rows(auditor.get("/audit?who=ana+reis&kind=change"))

    assert asked.count("change.drafted") == 13
    assert {kind.partition(".")[0] for kind in asked} == {"change"}
    assert rows(auditor.get("/audit?who=nobody")) == []
    assert set(rows(auditor.get("/audit?kind=change.drafted"))) == {"change.drafted"}


@pytest.mark.parametrize(
    "before", ["", "x", "1.x", "99999999999999999999999.x", "-1.00000000-0000-0000-0000-000000000000"]
)
def test_an_address_that_was_typed_wrong_is_still_answered(auditor, before):
    assert auditor.get(f"/audit?before={before}").status_code == 200


def test_a_click_verifies_all_of_it_and_is_recorded(auditor):
    answer = auditor.post("/audit/verify")

    assert "Every row is as it was written, and the witness agrees." in answer.content.decode()
    event = AuditEvent.objects.order_by("occurred_us").last()
    assert event.kind == "audit.verified"
    assert json.loads(event.body)["data"]["verdict"] == "ok"


@pytest.mark.django_db(transaction=True)
def test_a_click_names_the_row_that_somebody_edited(auditor):
    event = AuditEvent.objects.filter(kind="change.drafted").first()
    with connection.cursor() as cursor:
        guards.lower(cursor, connection.vendor)
        cursor.execute("UPDATE audit_event SET leaf_hash = %s WHERE leaf_hash = %s", ["0" * 64, event.leaf_hash])
        guards.lift(cursor, connection.vendor)
    text = auditor.post("/audit/verify").content.decode()

    assert "not as written" in text
    assert event.stream in text or str(event.event_id) in text


def whole(answer) -> bytes:
    return b"".join(answer.streaming_content)


def signed_by(settings, end: dict) -> None:
    (key,) = public_keys(Path(settings.GMUD_KEYS))
    key.verify(base64.b64decode(end["signature"]), DOMAIN + canonical.encode(end["export"]))


def test_the_export_is_every_event_as_it_was_hashed_and_is_signed(auditor, settings):
    before = AuditEvent.objects.count()
    content = whole(auditor.post("/audit/export", {"form": "jsonl"}))
    *lines, end = content.splitlines(keepends=True)
    told, last = [json.loads(line) for line in lines], json.loads(end)

    assert len(told) == last["export"]["events"] == before + 1  # that it was taken out is in it
    assert all(hashlib.sha256(b"\x00" + one["body"].encode()).hexdigest() == one["leaf_hash"] for one in told)
    assert last["export"]["sha256"] == hashlib.sha256(b"".join(lines)).hexdigest()
    signed_by(settings, last)
    last["export"]["events"] -= 1
    with pytest.raises(InvalidSignature):
        signed_by(settings, last)


def test_the_export_holds_what_the_filter_shows_and_says_which(auditor):
    content = whole(auditor.post("/audit/export", {"form": "jsonl", "subject": "CHG-1001"}))
    *lines, end = (json.loads(line) for line in content.splitlines())

    streams = {json.loads(one["body"])["stream"] for one in lines}
    assert streams == {end["export"]["asked"]["stream"]}


def test_the_table_computes_nothing(auditor):
    content = whole(auditor.post("/audit/export", {"form": "csv"})).decode()
    head, *lines = csv.reader(io.StringIO(content))

    assert head[0] == "time"
    assert len(lines) > 50
    assert not [cell for line in lines for cell in line if cell.lstrip().startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1"])
def test_no_cell_begins_as_a_formula(cell):
    assert harmless(cell) == f"'{cell}"


def test_a_form_that_does_not_exist_is_refused_by_name(auditor):
    answer = auditor.post("/audit/export", {"form": "xlsx"})

    assert answer.status_code == 400
    assert escape("Choose jsonl or csv.") in answer.content.decode()


@pytest.mark.parametrize(
    ("method", "address"), [("get", "/audit"), ("post", "/audit/verify"), ("post", "/audit/export")]
)
def test_who_may_not_read_the_record_is_told_whom_to_ask(house, browse, method, address):
    answer = getattr(browse(house.engineer), method)(address, {"form": "jsonl"})

    assert answer.status_code == 403
    assert "Marta" in answer.content.decode()
    assert not AuditEvent.objects.filter(kind__startswith="audit.").exists()


def test_without_the_key_nothing_is_handed_out_unsigned(house, browse):
    answer = browse(house.manager).post("/audit/export", {"form": "jsonl"})

    assert answer.status_code == 409
    assert not AuditEvent.objects.filter(kind="audit.exported").exists()

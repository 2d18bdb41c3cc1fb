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

from releases.accounts.roles import Role
from releases.audit import guards, queries, services
from releases.audit.export import DOMAIN, harmless
from releases.audit.keys import public_keys
from releases.audit.models import AuditEvent
from releases.changes.states import State
from releases.core import canonical
from releases.web.pages import audit as pages
from tests.factories.accounts import a_person
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


def standing(answer) -> tuple[str, str, tuple[int, ...]]:
    """Return the headline, its badge, and what is sealed, seen by the witness and waiting."""
    html = answer.content.decode()
    head = html[html.index("<h1>") : html.index("</header>", html.index("<h1>"))]
    badge = re.search(r'class="badge"\s+data-tone="(\w*)".*?>([^<>]*)</span>', head, re.DOTALL)
    figures = [
        re.search(rf"<dt>{name}</dt>\s*<dd[^>]*>(.*?)</dd>", html, re.DOTALL)[1]
        for name in ("Sealed", "Seen by the witness", "Waiting for the seal")
    ]
    counted = tuple(int(re.sub(r"<[^>]+>|\D", "", one)) for one in figures)
    return re.search(r"<h1>(.*?)</h1>", html)[1], f"{badge[1]} {badge[2]}", counted


def test_a_record_that_is_sealed_and_witnessed_says_so_with_its_figures(auditor):
    size = AuditEvent.objects.count()

    assert standing(auditor.get("/audit")) == (
        f"{size} events are sealed, and the witness agrees",
        "go witnessed",
        (size, size, 0),
    )


def test_what_is_not_sealed_yet_waits_and_is_counted_and_late_it_is_behind(auditor, house, monkeypatch):
    size = AuditEvent.objects.count()
    a_change(house, at=State.DRAFT)
    waiting = AuditEvent.objects.count() - size

    assert standing(auditor.get("/audit"))[1:] == ("go witnessed", (size, size, waiting))
    monkeypatch.setattr(pages, "LATE_SECONDS", -1)
    assert standing(auditor.get("/audit")) == (
        "The witness has not seen the newest events yet",
        "wait behind",
        (size, size, waiting),
    )


def test_without_its_witness_the_record_is_behind_and_a_click_says_unwitnessed(auditor, settings):
    Path(settings.GMUD_WITNESS_FILE).unlink()
    size = AuditEvent.objects.count()

    assert standing(auditor.get("/audit")) == (
        "The witness has not seen the newest events yet",
        "wait behind",
        (size, 0, 0),
    )
    html = auditor.post("/audit/verify").content.decode()
    assert "unwitnessed" in html
    assert "nobody outside the database can say so yet" in html
    assert f"{size} looked at, {size} sealed, 0 witnessed." in html
    assert queries.story("audit:record")[-1].data["verdict"] == "unwitnessed"


def test_a_witness_that_saw_something_else_contradicts_the_record(auditor, settings):
    witness = Path(settings.GMUD_WITNESS_FILE)
    witness.write_text(witness.read_text().replace('"root": "', '"root": "ab'))

    assert standing(auditor.get("/audit"))[:2] == ("The record contradicts its witness", "stop contradicted")


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


def test_the_table_computes_nothing(auditor, house):
    house.engineer = a_person("=1+1", Role.ENGINEER)
    a_change(house, at=State.DRAFT, title="\n=1")
    content = whole(auditor.post("/audit/export", {"form": "csv"})).decode()
    head, *lines = csv.reader(io.StringIO(content))

    assert head[0] == "time"
    assert len(lines) > 50
    assert {line[6] for line in lines if line[3] == "change.drafted"} == {"Ana Reis", "'=1+1"}
    assert not [cell for line in lines for cell in line if cell.lstrip().startswith(("=", "+", "-", "@"))]


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", " \n\t =1", "\n1", "\u00a0=1", "\v@A1"]
)
def test_no_cell_begins_as_a_formula(cell):
    assert harmless(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["", "1", "a=1", " plain", '{"a": "=1"}', "(=1)"])
def test_what_computes_nothing_stays_as_it_is(cell):
    assert harmless(cell) == cell


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

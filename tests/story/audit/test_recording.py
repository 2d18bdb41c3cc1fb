"""Events go to the end of their stream, inside the transaction of what they tell."""

import hashlib
import json
from datetime import UTC, datetime
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.audit.models import AuditEvent, AuditText, Unsealed
from releases.audit.queries import states_from_events, stories, story, verify
from releases.audit.services import Happened, erase_text, record, record_all
from releases.core import canonical
from releases.core.errors import Invalid, Missing, Refused
from releases.core.ids import uuid7
from tests.factories.audit import a_person, an_event

pytestmark = pytest.mark.django_db


def test_the_body_is_canonical_and_its_hash_is_the_leaf_hash_of_rfc_6962():
    event = an_event()

    assert canonical.encode(json.loads(event.body)).decode() == event.body
    assert event.leaf_hash == hashlib.sha256(b"\x00" + event.body.encode()).hexdigest()


def test_every_column_follows_from_the_body():
    actor = a_person()
    with transaction.atomic():
        record(stream="gate:pay/prod", kind=Kind.GATE_DECIDED, actor=actor, data={"a": [1, "é"]}, operation="op-7")
    row = AuditEvent.objects.get()
    body = json.loads(row.body)

    assert (str(row.event_id), row.stream, row.stream_version) == (body["event_id"], "gate:pay/prod", 1)
    assert (row.kind, row.actor_kind, row.actor_id, row.operation) == ("gate.decided", "person", actor.id, "op-7")
    assert row.occurred_us == body["occurred_us"]


def test_each_event_names_the_hash_of_the_one_before_and_streams_do_not_mix():
    first, second, other = an_event("change:1"), an_event("change:1"), an_event("change:2")

    assert json.loads(first.body)["prev"] == "0" * 64
    assert json.loads(second.body)["prev"] == first.leaf_hash
    assert json.loads(other.body)["prev"] == "0" * 64
    assert (second.stream_version, other.stream_version) == (2, 1)


def test_time_is_the_databases_and_never_runs_backwards_in_a_stream():
    times = [an_event().occurred_us for _ in range(5)]

    assert times == sorted(times)
    assert abs(times[-1] - canonical.microseconds(datetime.now(UTC))) < 60_000_000


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"why": "a\0b"}, "data.why"),
        ({"list": [{"x": "\ud800"}]}, "data.list[0].x"),
        ({"big": 2**53}, "data.big"),
        ({"nan": float("nan")}, "data.nan"),
        ({"ke\0y": 1}, "data.ke\\0y"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_its_field_and_nothing_is_written(data, field):
    with pytest.raises(Invalid) as refused, transaction.atomic():
        record(stream="change:1", kind=Kind.CHANGE_DRAFTED, actor=a_person(), data=data)

    assert list(refused.value.fields) == [field]
    assert not AuditEvent.objects.exists()


def test_free_text_with_a_nul_is_refused_by_its_field():
    with pytest.raises(Invalid) as refused, transaction.atomic():
        an_event(text={"reason": "a\0b"})

    assert list(refused.value.fields) == ["text.reason"]


def test_what_is_not_json_is_a_mistake_of_the_programmer():
    with pytest.raises(TypeError, match=r"data\.at is a datetime"), transaction.atomic():
        record(stream="s", kind=Kind.CHANGE_DRAFTED, actor=a_person(), data={"at": datetime.now(UTC)})


def test_free_text_stands_beside_and_the_body_holds_only_a_commitment():
    event = an_event(text={"reason": "Because Maria said so."})
    text = AuditText.objects.get(event_id=event.event_id)

    assert "Maria" not in event.body
    assert json.loads(event.body)["text"]["reason"] == hashlib.sha256((text.salt + text.body).encode()).hexdigest()
    assert story("change:1")[0].text == {"reason": "Because Maria said so."}


def test_an_erased_text_is_gone_and_the_story_tells_who_erased_it():
    event = an_event(text={"reason": "Because Maria said so.", "note": "Fine."})

    erase_text(event_id=event.event_id, actor=a_person("Rui"), reason="LGPD request 12", fields=["reason"])

    first, erasure = story("change:1")
    assert (dict(first.text), first.erased) == ({"note": "Fine."}, ("reason",))
    assert (erasure.kind, erasure.actor_name) == ("audit.text_erased", "Rui")
    assert erasure.data == {"event": str(event.event_id), "fields": ["reason"], "reason": "LGPD request 12"}


def test_a_text_cannot_be_erased_twice_nor_without_an_event():
    event = an_event(text={"reason": "x"})
    erase_text(event_id=event.event_id, actor=a_person(), reason="r")

    with pytest.raises(Refused):
        erase_text(event_id=event.event_id, actor=a_person(), reason="r")
    with pytest.raises(Missing):
        erase_text(event_id=uuid7(), actor=a_person(), reason="r")


def test_the_last_state_of_each_stream_is_known_from_events_of_its_own_subject():
    an_event("change:1", state="draft")
    an_event("change:1", Kind.CHANGE_SUBMITTED, state="assessing")
    an_event("change:1", Kind.GATE_DECIDED, state="not the change's")
    an_event("change:2", state="draft")

    states = {stream: data["state"] for stream, data in states_from_events().items()}
    assert states == {"change:1": "assessing", "change:2": "draft"}


@pytest.mark.django_db(transaction=True)
def test_without_a_transaction_nothing_is_recorded():
    with pytest.raises(transaction.TransactionManagementError):
        record(stream="s", kind=Kind.CHANGE_DRAFTED, actor=system("worker"), data={})


@pytest.mark.django_db(transaction=True)
def test_an_event_goes_away_with_the_transaction_it_belongs_to():
    with transaction.atomic():
        an_event(text={"reason": "x"})
        transaction.set_rollback(True)

    assert [table.objects.count() for table in (AuditEvent, AuditText, Unsealed)] == [0, 0, 0]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_in_one_stream_make_one_chain_without_gaps():
    start = Barrier(4)

    def write() -> None:
        start.wait()
        for _ in range(5):
            an_event("policy:1")
        connection.close()

    threads = [Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    chain = list(AuditEvent.objects.order_by("stream_version").values_list("stream_version", "leaf_hash", "body"))
    assert [version for version, _, _ in chain] == list(range(1, 21))
    assert [json.loads(body)["prev"] for *_, body in chain] == ["0" * 64, *[leaf for _, leaf, _ in chain[:-1]]]


def test_many_things_recorded_at_once_are_the_same_chain_as_one_by_one(sealer):
    actor = a_person()
    an_event(stream="catalog:1")
    events = [Happened(f"catalog:{n % 3}", Kind.SERVICE_DESCRIBED, {"n": n}, text={"name": f"N{n}"}) for n in range(7)]
    with transaction.atomic():
        record_all(actor=actor, events=events)
    an_event(stream="catalog:1")

    assert [one.version for one in story("catalog:1")] == [1, 2, 3, 4]
    assert [one.data.get("n") for one in story("catalog:0")] == [0, 3, 6]
    assert story("catalog:2")[1].text == {"name": "N5"}
    assert sum(map(len, stories(["catalog:0", "catalog:9"], [Kind.SERVICE_DESCRIBED]).values())) == 3
    sealer.turn()
    assert not verify().findings


def test_many_things_are_recorded_inside_a_transaction_only(transactional_db):
    with pytest.raises(transaction.TransactionManagementError):
        record_all(actor=a_person(), events=[])

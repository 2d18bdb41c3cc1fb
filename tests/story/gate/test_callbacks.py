"""Who waits for the gate and gave an address is told there, once, that the answer would be another one now."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

import pytest

from gmud.sandbox.server import running
from releases.audit.models import AuditEvent, AuditText
from releases.audit.queries import story
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core import clock as clocks
from releases.core.errors import Invalid
from releases.gate import services
from releases.gate.models import Callback, GateDecision
from releases.gate.states import CallbackState, Verdict
from releases.notify import occasions
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.operations import services as operations
from releases.operations.models import OutboxMessage
from releases.operations.ports import Message
from releases.worker.reactions import REACTIONS
from releases.worker.sweeper import Sweeper
from releases.worker.tasks import answers_due
from tests.factories.changes import House, a_change, a_house, inside
from tests.factories.gate import CI, a_question
from tests.factories.notify import Clock, Listener

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
ELSEWHERE = "https://ci.example.com/gate/called"


@pytest.fixture
def listener():
    """Return who is called, on loopback."""
    return Listener()


@pytest.fixture
def url(listener):
    with running(listener) as origin:
        yield f"{origin}/gate/called"


@pytest.fixture
def change(house: House) -> ChangeRequest:
    return a_change(house, at=State.SCHEDULED)


def waits(house: House, change: ChangeRequest, url: str, **changed) -> GateDecision:
    """Ask ten minutes too early."""
    request = a_question(house, change, **changed)
    asked_at = change.starts_at - 10 * MINUTE
    decision = services.ask(actor=CI, request=request, callback_url=url, now=asked_at).decision
    assert decision.verdict == Verdict.WAIT
    return decision


def work(clock: Clock) -> None:
    """Deliver what waits in the outbox at this moment, as a worker does whose clock this is."""

    def call(message: Message) -> None:
        occasions.call_back(callback_id=message.ref, now=clock)

    for message in OutboxMessage.objects.due(clock()):
        reactions = {**REACTIONS, "gate.callback": (call,)}
        operations.deliver(message_id=message.pk, worker="one", reactions=reactions, now=clock)


def look(at: datetime) -> Clock:
    """Look again at a moment, and let a worker do what follows."""
    clock = Clock(at)
    services.look_again(now=clock())
    work(clock)
    return clock


def test_who_waits_is_told_once_that_the_gate_would_open_and_nothing_that_opens_it(house, change, url, listener):
    decision = waits(house, change, url)
    look(change.starts_at - MINUTE)
    assert listener.heard == []

    look(inside(change))
    look(inside(change) + MINUTE)

    (call,) = listener.heard
    said = json.loads(call.body)
    assert (call.method, call.path) == ("POST", "/gate/called")
    assert said["type"] == "gate.answer_changed"
    assert said["data"] == {"decision_id": str(decision.pk), "change_request": change.name, "verdict": "allow"}
    assert GateDecision.objects.count() == 1  # looking stores nothing, and gives no permit
    assert [one.kind for one in story(change.stream)][-2:] == ["callback.ready", "callback.arrived"]


def test_who_waits_is_told_of_a_no_as_well(house, change, url, listener):
    waits(house, change, url)
    changes.cancel(change_id=change.pk, actor=house.actor("engineer"), now=house.now)

    look(inside(change))

    assert [body["data"]["verdict"] for body in listener.bodies()] == ["deny"]


def test_who_is_looked_after_late_is_told_what_holds_then(house, change, url, listener):
    waits(house, change, url)

    look(change.ends_at + timedelta(days=2))

    assert [body["data"]["verdict"] for body in listener.bodies()] == ["deny"]


def test_it_is_looked_at_again_no_more_often_than_somebody_would_ask(house, change):
    waits(house, change, ELSEWHERE)
    row = Callback.objects.get()
    assert row.look_at == change.starts_at - 5 * MINUTE

    assert services.look_again(now=row.look_at - timedelta(microseconds=1)) == 0
    assert services.look_again(now=row.look_at) == 0
    row.refresh_from_db()
    assert (row.state, row.look_at) == (CallbackState.WAITING, change.starts_at)


@pytest.mark.parametrize("moment", ["allowed", "denied"])
def test_who_has_an_answer_is_not_called(house, change, moment):
    now = inside(change) if moment == "allowed" else change.ends_at
    services.ask(actor=CI, request=a_question(house, change), callback_url=ELSEWHERE, now=now)

    assert not Callback.objects.exists()


def test_the_same_question_for_the_same_address_is_one_call_about_the_latest_answer(house, change, url, listener):
    waits(house, change, url)
    latest = waits(house, change, url)

    look(inside(change))

    assert [body["data"]["decision_id"] for body in listener.bodies()] == [str(latest.pk)]


def test_a_message_that_comes_twice_tells_once(house, change, url, listener):
    waits(house, change, url)
    clock = look(inside(change))
    operations.post(kind="gate.callback", ref=Callback.objects.get().pk, now=clock())
    work(clock)

    assert len(listener.heard) == 1


def test_who_does_not_answer_now_is_called_again_under_the_same_id(house, change, url, listener):
    waits(house, change, url)
    listener.status = 503
    clock = look(inside(change))
    assert len(listener.heard) == 1

    work(clock)
    assert len(listener.heard) == 1, "not before its time"
    listener.status = 204
    clock.tick(seconds=11)
    work(clock)
    clock.tick(hours=9)
    work(clock)

    assert len(listener.heard) == 2
    assert len({call.headers["webhook-id"] for call in listener.heard}) == 1
    row = Callback.objects.get()
    assert (row.state, row.attempts) == (CallbackState.TOLD, 2)
    assert not Notice.objects.filter(topic=Topic.CALLBACK_FAILED).exists()


def test_who_never_answers_is_given_up_and_people_hear_of_it(house, change, url, listener):
    waits(house, change, url)
    listener.status = 500
    clock = look(inside(change))
    for _hour in range(9):
        clock.tick(hours=1)
        work(clock)

    assert len(listener.heard) == 5
    row = Callback.objects.get()
    assert (row.state, row.attempts) == (CallbackState.UNDELIVERED, 5)
    assert "500" in row.last_error
    (notice,) = Notice.objects.filter(topic=Topic.CALLBACK_FAILED)
    assert (notice.person, notice.link) == (house.engineer, f"/changes/{change.number}")
    assert story(change.stream)[-1].kind == "callback.failed"
    assert not OutboxMessage.objects.filter(dead_at__isnull=False).exists()


@pytest.mark.parametrize("status", [204, 404])
def test_an_address_whose_path_is_a_secret_stands_in_no_event_and_is_gone_when_the_call_is_over(
    house, change, url, listener, status
):
    secret = f"{url}/T024/xoxb-hush"
    waits(house, change, secret)
    listener.status, listener.body = status, "Cannot POST /gate/called/T024/xoxb-hush"  # as many servers say it
    look(inside(change))

    assert [call.path for call in listener.heard] == ["/gate/called/T024/xoxb-hush"]
    row = Callback.objects.get()
    assert row.state in (CallbackState.TOLD, CallbackState.UNDELIVERED)
    assert (row.url, "hush" in f"{row}{row.last_error}") == ("", False)
    entries = [one for one in story(change.stream) if "callback" in one.data]
    digest = f"sha256:{sha256(secret.encode()).hexdigest()}"
    assert [one.data["callback"] for one in entries] == [{"host": "127.0.0.1", "digest": digest}] * 3
    assert not AuditEvent.objects.filter(body__contains="hush").exists()
    assert not AuditText.objects.filter(body__contains="hush").exists()


@pytest.mark.parametrize("status", [302, 404])
def test_a_clear_no_is_not_repeated_and_people_hear_of_it(house, change, url, listener, status):
    waits(house, change, url)
    listener.status = status
    listener.headers = {"Location": "/elsewhere"}
    look(inside(change))

    assert len(listener.heard) == 1
    assert Callback.objects.get().state == CallbackState.UNDELIVERED
    assert Notice.objects.filter(topic=Topic.CALLBACK_FAILED).count() == 1


def test_a_name_that_leads_to_a_private_address_is_not_called(house, change, url, listener, monkeypatch):
    waits(house, change, url.replace("http://127.0.0.1", "https://localhost"))
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", "10.9.9.0/24")
    look(inside(change))

    assert listener.heard == []
    row = Callback.objects.get()
    assert row.state == CallbackState.UNDELIVERED
    assert "GMUD_OUTBOUND_NETWORKS" in row.last_error
    assert Notice.objects.filter(topic=Topic.CALLBACK_FAILED).count() == 1


@pytest.mark.parametrize(
    "address",
    [
        "ci.example.com/called",
        "ftp://ci.example.com/called",
        "http://ci.example.com/called",
        "http://192.0.2.7/called",
        "https://ana:secret@ci.example.com/called",
        "https://ci.example.com/called?token=secret",
        "https://ci.example.com/called#here",
        "https://ci.example.com/../called",
        "https://10.0.0.7/called",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.7]/called",
        "https://2130706433/called",
        f"https://ci.example.com/{'a' * 500}",
    ],
)
def test_an_address_nobody_may_be_called_at_is_refused_by_its_field_and_nothing_is_decided(house, change, address):
    with pytest.raises(Invalid) as caught:
        services.ask(actor=CI, request=a_question(house, change), callback_url=address, now=house.now)

    assert list(caught.value.fields) == ["callback_url"]
    assert not GateDecision.objects.exists()


def test_a_host_the_operator_does_not_allow_is_refused_at_once(house, change, monkeypatch):
    monkeypatch.setenv("GMUD_OUTBOUND_HOSTS", "jenkins.example.com")

    with pytest.raises(Invalid, match=r"Some fields") as caught:
        services.ask(actor=CI, request=a_question(house, change), callback_url=ELSEWHERE, now=house.now)
    assert "GMUD_OUTBOUND_HOSTS" in str(caught.value.fields["callback_url"][0])


def test_without_a_key_to_sign_with_the_answer_is_no(house, change, url, listener, settings, tmp_path):
    waits(house, change, url)
    settings.GMUD_KEYS = str(tmp_path / "nothing")

    look(inside(change))

    assert [body["data"]["verdict"] for body in listener.bodies()] == ["deny"]


def test_a_question_that_cannot_be_asked_any_more_keeps_no_other_from_its_turn(house, change, url, listener):
    first = waits(house, change, url)
    GateDecision.objects.filter(pk=first.pk).update(intent="rollback", run={"unheard": "of"})
    later = replace(house, now=house.now)
    waits(later, change, f"{url}/other")

    look(inside(change))

    assert [call.path for call in listener.heard] == ["/gate/called/other"]
    assert Callback.objects.get(decision=first).state == CallbackState.WAITING


@pytest.mark.parametrize("who", ["the clock", "the sweep"])
def test_time_alone_moves_it_also_where_no_bell_rings(db, who):
    now = clocks.now()
    house = a_house(now - timedelta(hours=1, minutes=5))
    change = a_change(house, at=State.SCHEDULED)
    waits(house, change, ELSEWHERE)

    answers_due() if who == "the clock" else Sweeper(worker="w", queues=["default"]).turn()

    row = Callback.objects.get()
    assert (row.state, row.verdict) == (CallbackState.READY, Verdict.ALLOW)
    assert OutboxMessage.objects.filter(kind="gate.callback", ref=row.pk, queue="notify", done_at=None).count() == 1


def test_whoever_takes_rollbacks_over_looks_after_no_questions(db):
    now = clocks.now()
    house = a_house(now - timedelta(hours=1, minutes=5))
    waits(house, a_change(house, at=State.SCHEDULED), ELSEWHERE)

    Sweeper(worker="w", queues=["rollback"]).turn()

    assert Callback.objects.get().state == CallbackState.WAITING


def test_so_many_wait_about_one_change_and_no_more_and_the_same_question_is_none_more(house, change):
    for number in range(20):
        waits(house, change, f"{ELSEWHERE}/{number}")

    with pytest.raises(Invalid) as caught:
        waits(house, change, f"{ELSEWHERE}/20")
    waits(house, change, f"{ELSEWHERE}/7")

    assert set(caught.value.fields) == {"callback_url"}
    assert Callback.objects.count() == 20


@pytest.mark.django_db(transaction=True)
def test_no_transaction_is_open_while_somebody_is_called(house, change, url, listener):
    waits(house, change, url)

    look(inside(change))  # the door refuses to speak inside one

    assert len(listener.heard) == 1
    assert isinstance(Callback.objects.get().pk, UUID)

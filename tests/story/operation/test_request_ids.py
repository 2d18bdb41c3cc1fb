"""One id leads from a click through the record and the outbox to what a worker writes about it."""

import json
import logging
from io import StringIO
from types import SimpleNamespace

import pytest
import structlog
from django.db import transaction
from django.test import Client

from gmud import logs
from releases.audit.models import AuditEvent
from releases.changes.states import State
from releases.core import clock, redaction, request_id
from releases.core.ids import uuid7
from releases.operations import services
from releases.operations.models import Operation, OutboxMessage
from releases.operations.ports import StepPlan
from tests.factories.changes import a_change, a_house
from tests.factories.operations import KIND, Outside, an_operation

pytestmark = pytest.mark.django_db


class Lines(StringIO):
    """What is logged, as production writes it."""

    def read_all(self) -> list[dict]:
        return [json.loads(line) for line in self.getvalue().splitlines()]

    def of(self, event: str) -> list[dict]:
        return [line for line in self.read_all() if line["event"] == event]


@pytest.fixture
def lines():
    written = Lines()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.line(structlog.processors.JSONRenderer()))
    for name in ("releases", "django"):
        logging.getLogger(name).addHandler(handler)
    yield written
    for name in ("releases", "django"):
        logging.getLogger(name).removeHandler(handler)


@pytest.fixture
def house(db):
    return a_house(clock.now())


@pytest.fixture
def signed_in(house) -> Client:
    browser = Client()
    browser.force_login(house.engineer.accounts.get(), backend="releases.accounts.backends.PersonBackend")
    return browser


def a_click(browser: Client, house, **headers: str):
    change = a_change(house, at=State.DRAFT)
    before = set(OutboxMessage.objects.values_list("pk", flat=True))
    answer = browser.post(f"/changes/{change.number}/do/submit", headers=headers)
    assert answer.status_code < 400, answer.content
    message = OutboxMessage.objects.exclude(pk__in=before).order_by("pk").first()
    event = AuditEvent.objects.filter(stream=change.stream).order_by("-stream_version").first()
    return answer.headers["X-Request-ID"], message, json.loads(event.body)


def test_a_click_leaves_its_id_in_the_answer_the_record_and_the_outbox(house, signed_in, lines):
    name, message, event = a_click(signed_in, house)

    assert (message.request, event["request"]) == (name, name)
    assert lines.of("request_finished")[-1]["request_id"] == name


def test_the_id_of_a_proxy_is_taken_over(house, signed_in):
    name, message, event = a_click(signed_in, house, **{"X-Request-ID": "edge-2026.11_21-a"})

    assert (name, message.request, event["request"]) == ("edge-2026.11_21-a",) * 3


@pytest.mark.parametrize("given", ["short", "x" * 65, "a b c d e f g h", "<script>alert</script>", "two\tcolumns", ""])
def test_an_id_that_nobody_should_write_into_a_log_is_replaced(client, given):
    assert client.get("/sign-in", headers={"X-Request-ID": given}).headers["X-Request-ID"] != given


def test_a_machine_s_call_is_followed_too(house, client):
    answer = client.get("/api/v1/gate/jwks.json")

    assert len(answer.headers["X-Request-ID"]) == 36


def test_who_reacts_works_for_the_same_request_and_so_does_what_follows(lines):
    with request_id.bound("click-0001"), transaction.atomic():
        first = services.post(kind="test.first", ref=uuid7(), now=clock.now())

    def react(_message) -> None:
        with transaction.atomic():
            services.post(kind="test.second", ref=uuid7(), now=clock.now())
            an_operation(now=clock.now())
        raise OSError("it stumbles")

    services.deliver(message_id=first.pk, worker="w", reactions={"test.first": [react]}, now=clock.now)

    assert OutboxMessage.objects.get(kind="test.second").request == "click-0001"
    assert Operation.objects.get().request == "click-0001"
    told = lines.of("reaction_failed")[0]
    assert (told["request_id"], told["message"]) == ("click-0001", str(first.pk))
    assert "it stumbles" in told["exception"]
    assert request_id.current() == ""


def test_a_step_works_for_the_request_that_began_its_operation(lines):
    seen: list[str] = []
    outside = Outside(before_send=lambda: seen.append(request_id.current()))
    with request_id.bound("click-0002"), transaction.atomic():
        operation = an_operation(now=clock.now(), steps=[StepPlan(name="a", kind=KIND)])

    services.run(operation_id=operation.pk, worker="w", handlers={KIND: outside}, now=clock.now)

    assert seen == ["click-0002"]
    worked = AuditEvent.objects.filter(stream=operation.stream).order_by("stream_version").last()
    assert json.loads(worked.body)["request"] == "click-0002"


def test_the_log_names_the_path_and_never_the_query(client, lines):
    client.get("/sign-in?next=/&code=one-time-code-1234")

    told = lines.of("request_finished")[0]
    assert (told["method"], told["path"], told["status"]) == ("GET", "/sign-in", 200)
    assert "one-time-code" not in lines.getvalue()


def test_a_page_that_breaks_is_logged_with_its_id(house, signed_in, lines, monkeypatch):
    def broken(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    monkeypatch.setattr("releases.web.pages.today.clock", SimpleNamespace(now=broken))
    signed_in.raise_request_exception = False
    answer = signed_in.get("/")

    told = next(line for line in lines.read_all() if "nobody foresaw this" in line.get("exception", ""))
    assert (answer.status_code, told["request_id"]) == (500, answer.headers["X-Request-ID"])


def test_a_live_secret_shows_in_no_line(lines):
    redaction.remember("s3cr3t-canary-value")
    try:
        raise OSError("could not sign in with s3cr3t-canary-value")
    except OSError:
        structlog.get_logger("releases.test").exception("failed", given="s3cr3t-canary-value")

    assert "canary" not in lines.getvalue()
    assert "[secret]" in lines.getvalue()

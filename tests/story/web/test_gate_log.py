"""Gate log: asking again answers for now and leaves nothing behind; the command asks the same and holds no secret."""

import html
import json
import re
import shlex
from datetime import timedelta
from uuid import uuid4

import pytest

from releases.accounts import services as accounts
from releases.accounts.rights import Right
from releases.audit.models import AuditEvent
from releases.calendar import services as calendar
from releases.changes.states import ChangeType, State
from releases.gate.models import GateDecision, Permit
from releases.operations.models import OutboxMessage
from tests.factories.accounts import a_person, a_token
from tests.factories.catalog import a_budget, a_digest
from tests.factories.changes import a_change
from tests.factories.gate import RUN, ask, with_keys

PUBLIC = "https://gmud.example.com"


@pytest.fixture
def open_change(house, now, settings, tmp_path):
    """Return a change that the gate lets pass now."""
    with_keys(settings, tmp_path / "keys")
    settings.PUBLIC_URL = PUBLIC
    return a_change(house, at=State.SCHEDULED, starts_at=now + timedelta(milliseconds=1))


@pytest.fixture
def allowed(house, now, open_change):
    """Return the answer that let it pass."""
    return ask(house, open_change, now=now + timedelta(seconds=1))


def again(browser, decision):
    return browser.post(f"/gate/{decision.pk}/again", headers={"HX-Request": "true"})


def written():
    """Count everything that an answer of the gate writes."""
    return [table.objects.count() for table in (GateDecision, Permit, AuditEvent, OutboxMessage)]


def commands(text: str) -> list[list[str]]:
    """Return the words of every command that can be copied, as a shell reads them."""
    return [shlex.split(html.unescape(one)) for one in re.findall(r'data-copy="([^"]+)"', text)]


def body_of(command: list[str]) -> dict:
    return json.loads(command[command.index("--json") + 1])


def test_each_answer_offers_to_ask_again_and_to_be_copied(house, allowed, browse):
    text = browse(house.engineer).get("/gate").content.decode()

    assert f'hx-post="/gate/{allowed.pk}/again"' in text
    assert "Ask again now" in text
    assert "Copy as curl" in text
    assert "no permit is given out here" in text


def test_an_answer_that_allows_with_a_warning_says_so_first(house, now, browse, settings, tmp_path):
    with_keys(settings, tmp_path / "keys")
    a_budget(house.service, house.environment, left=-1, now=now)
    soon = now + timedelta(milliseconds=1)
    change = a_change(house, at=State.SCHEDULED, type=ChangeType.EMERGENCY.value, starts_at=soon)
    assert ask(house, change, now=now + timedelta(seconds=1)).verdict == "allow"

    text = " ".join(browse(house.engineer).get("/gate").content.decode().split())

    assert text.count("The error budget of ledgerwriter in production is spent.") == 2  # in the line, and inside
    assert "rules hold" not in text


def test_asking_again_says_what_the_gate_says_now_and_leaves_nothing_behind(house, now, allowed, browse):
    browser = browse(house.engineer)
    assert allowed.verdict == "allow"
    before = written()

    while_open = again(browser, allowed)

    assert written() == before
    assert while_open.status_code == 200
    text = while_open.content.decode()
    assert "Asked again now:" in text
    assert 'data-tone="go"' in text

    calendar.lock(actor=house.actor("manager"), reason="Odd errors", environment_id=house.environment.pk, now=house.now)
    before = written()
    locked = again(browser, allowed).content.decode()

    assert written() == before
    assert 'data-tone="go"' not in locked.split("</c-badge>")[0].split("checks")[0]
    assert "Odd errors" in locked
    assert GateDecision.objects.get(pk=allowed.pk).verdict == "allow"


def test_asking_again_about_a_refusal_keeps_its_reasons_until_they_are_gone(house, now, open_change, browse):
    refused = ask(house, open_change, now=now + timedelta(seconds=1), digest=a_digest())
    assert refused.verdict == "deny"

    text = again(browse(house.engineer), refused).content.decode()

    assert refused.reasons[0]["code"] in {"artifact_mismatch", "no_change"}
    assert "Asked again now:" in text
    assert 'data-tone="stop"' in text


def test_asking_again_about_what_no_answer_was_given_to_is_not_there(house, allowed, browse):
    answer = browse(house.engineer).post(f"/gate/{uuid4()}/again", headers={"HX-Request": "true"})

    assert answer.status_code == 404


def test_asking_again_is_never_a_link_and_needs_the_right_to_read_changes(house, allowed, browse):
    stranger = a_person("Nobody")

    assert browse(house.engineer).get(f"/gate/{allowed.pk}/again").status_code == 405
    assert again(browse(stranger), allowed).status_code == 403


def test_the_copied_command_asks_the_same_question_at_the_public_address_and_names_no_secret(
    house, open_change, allowed, browse
):
    (command,) = commands(browse(house.engineer).get("/gate").content.decode())

    assert command[:3] == ["curl", "-sS", f"{PUBLIC}/api/v1/gate/decisions"]
    assert "Authorization: Bearer $GMUD_TOKEN" in command
    assert body_of(command) == {
        "service": house.service.name,
        "environment": "production",
        "intent": "deploy",
        "artifact": {"name": house.service.name, "digest": allowed.digest},
        "run": {"provider": RUN.provider, "id": RUN.id, "url": RUN.url},
        "change_request": open_change.name,
    }


def test_what_the_command_sends_is_taken_by_the_gate_as_it_stands(house, open_change, allowed, browse, client, now):
    (command,) = commands(browse(house.engineer).get("/gate").content.decode())
    _row, token = a_token(Right.GATE_ASK, now=now)
    assert accounts.use_token(token=token, now=now)

    answer = client.post(
        "/api/v1/gate/decisions",
        json.dumps(body_of(command)),
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}"},
    )

    assert answer.status_code == 200, answer.content
    assert answer.json()["verdict"] == "allow"
    assert answer.json()["change_request"] == open_change.name


def test_a_name_with_a_quote_in_it_breaks_out_of_neither_the_shell_nor_the_page(house, open_change, browse, now):
    hostile = "it's \"><script>alert(1)</script>$(id)`id`"
    ask(house, open_change, now=now + timedelta(seconds=1), artifact_name=hostile)

    text = browse(house.engineer).get("/gate").content.decode()

    assert "<script>alert(1)" not in text
    (command,) = commands(text)
    assert body_of(command)["artifact"]["name"] == hostile

"""Somebody rewrote the record or what its witness saw: the gate denies by name, nothing is decided or edited."""

import json
from pathlib import Path

import pytest
from django.db import connection

from releases.audit import guards
from releases.audit import services as audit
from releases.audit.models import AuditEvent
from releases.audit.queries import story
from releases.audit.services import Contradicted
from releases.changes import services as changes
from releases.changes.states import State
from releases.committee import services as committee
from releases.committee.models import Vote
from releases.core.errors import Refused
from releases.gate import queries
from releases.gate.models import Permit
from releases.gate.states import Verdict
from releases.rollout import services as rollout
from tests.factories.changes import POLICY, a_change, approve, fields, inside
from tests.factories.gate import a_permit, ask, codes, redeem

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def witness(settings, tmp_path: Path) -> Path:
    settings.GMUD_WITNESS_FILE = str(tmp_path / "elsewhere" / "checkpoints.jsonl")
    return Path(settings.GMUD_WITNESS_FILE)


@pytest.fixture
def change(house):
    found = a_change(house, at=State.SCHEDULED)
    audit.seal()
    assert ask(house, found).verdict == Verdict.ALLOW
    return found


def edit_an_event(change, before: str = '"decision":"approve"', after: str = '"decision":"reject"') -> None:
    """Rewrite a vote in the record, as the owner of the tables can."""
    victim = AuditEvent.objects.filter(stream=change.stream, kind="change.voted").order_by("stream_version")[0]
    assert before in victim.body
    with connection.cursor() as cursor:
        guards.lower(cursor, connection.vendor)
        body = victim.body.replace(before, after)
        cursor.execute("UPDATE audit_event SET body = %s WHERE leaf_hash = %s", [body, victim.leaf_hash])
        guards.lift(cursor, connection.vendor)


def edit_the_witness(witness: Path) -> None:
    """Rewrite what the witness saw last."""
    *first, last = witness.read_text().splitlines()
    witness.write_text("\n".join([*first, json.dumps({**json.loads(last), "root": "ab" * 32}), ""]))


def test_an_event_that_was_edited_closes_the_gate_once_somebody_verified(house, change):
    edit_an_event(change)
    audit.verify()

    decision = ask(house, change)

    assert (decision.verdict, codes(decision)) == (Verdict.DENY, {"record_contradicted"})
    assert not Permit.objects.filter(decision=decision).exists()
    reason = queries.card(decision).reasons[0]
    assert change.stream in str(reason.message)
    assert "audit verify" in str(reason.fix)
    assert story(change.stream)[-1].data["reasons"] == ["record_contradicted"]

    edit_an_event(change, '"decision":"reject"', '"decision":"approve"')
    audit.verify()
    assert ask(house, change).verdict == Verdict.ALLOW


def test_a_witness_that_was_edited_closes_the_gate_at_once_also_for_permits_that_were_given(house, change, witness):
    permit = a_permit(house, change)
    edit_the_witness(witness)

    assert codes(ask(house, change)) == {"record_contradicted"}
    with pytest.raises(Refused) as refused:
        redeem(permit)
    assert [reason.code for reason in refused.value.reasons] == ["record_contradicted"]
    assert story(change.stream)[-1].kind == "permit.refused"


def test_nothing_is_verified_when_the_gate_is_asked(house, change, monkeypatch):
    def never(*_how, **_else):
        raise AssertionError("the gate verified the record")

    monkeypatch.setattr("releases.audit.verification.Verification.run", never)

    assert ask(house, change).verdict == Verdict.ALLOW


def test_nothing_is_decided_or_edited_and_no_vote_is_lost(house, witness):
    change = a_change(house, at=State.AUTHORIZING)
    draft = a_change(house, title="Another")
    audit.seal()
    edit_the_witness(witness)
    events, votes = AuditEvent.objects.count(), Vote.objects.count()
    ana, now = house.actor("engineer"), house.now

    for attempt in (
        lambda: approve(house, change, "engineering"),
        lambda: changes.draft(actor=ana, fields=fields(house), now=now),
        lambda: changes.revise(change_id=draft.pk, actor=ana, fields=fields(house), now=now),
        lambda: changes.submit(change_id=draft.pk, actor=ana, now=now),
        lambda: changes.withdraw(change_id=change.pk, actor=ana, now=now),
        lambda: committee.save_policy(actor=house.actor("manager"), name="Mine", rules=POLICY, now=now),
        lambda: committee.delegate(
            actor=house.actor("security"),
            to_person=house.engineering.pk,
            seat="seat_security",
            starts_at=now,
            ends_at=inside(change),
            now=now,
        ),
    ):
        with pytest.raises(Contradicted) as refused:
            attempt()
        assert refused.value.status == 503
        assert refused.value.reasons[0].code == "record_contradicted"

    assert (AuditEvent.objects.count(), Vote.objects.count()) == (events, votes)


def test_no_release_begins_and_one_can_be_stopped(house, change, witness):
    edit_the_witness(witness)
    manager = house.actor("manager")

    with pytest.raises(Contradicted):
        rollout.start(change_id=change.pk, actor=manager, now=inside(change))

    changes.hold(change_id=change.pk, actor=manager, reason="The record was rewritten.", now=house.now)
    change.refresh_from_db()
    assert (change.state, change.is_on_hold) == (State.SCHEDULED, True)

"""What the gate says to those who ask, and what it keeps of it."""

import contextlib
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from releases.accounts import services as accounts
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.actor import system
from releases.audit.queries import story
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import services as catalog
from releases.changes import services as changes
from releases.changes.states import State
from releases.committee.models import Policy, Vote
from releases.committee.rules import Decision
from releases.core import canonical
from releases.core.errors import Invalid, NotPermitted, Refused
from releases.core.ownfile import BadFile
from releases.gate import permits, queries, services
from releases.gate.models import GateDecision, Permit
from releases.gate.services import KeyReused
from releases.gate.states import Intent, Verdict
from releases.rollout import services as rollout
from tests.factories.accounts import SETUP, a_person, a_token
from tests.factories.catalog import a_digest, a_service, an_environment
from tests.factories.changes import a_change, a_house, approve, inside
from tests.factories.gate import CI, a_question, ask, codes

pytestmark = pytest.mark.django_db
MICROSECOND = timedelta(microseconds=1)


def test_an_authorized_change_inside_its_window_gets_one_permit(house):
    change = a_change(house, at=State.SCHEDULED)
    answer = services.ask(actor=CI, request=a_question(house, change), now=inside(change))

    permit = Permit.objects.get()
    claims = permits.verify(
        answer.permit,
        keys=queries.public_keys(now=inside(change)),
        audience=f"deploy:production:{house.service.name}",
        now=inside(change),
    )
    assert answer.decision.verdict == Verdict.ALLOW
    assert claims["jti"] == str(permit.jti)
    assert claims["dig"] == change.content_digest
    assert (claims["art"], claims["sub"]) == (answer.decision.digest, change.name)


def test_nothing_is_allowed_without_a_change_request(house):
    decision = ask(house)

    assert decision.verdict == Verdict.DENY
    assert codes(decision) == {"no_change_request"}


@pytest.mark.parametrize("rules", ["[]", "{", '[{"seats": {"seat_engineering": 1}, "unless": "friday"}]'])
def test_a_policy_that_cannot_be_read_or_is_not_what_its_digest_names_closes_the_gate(house, rules):
    change = a_change(house, at=State.SCHEDULED)
    Policy.objects.filter(is_current=True).update(rules=rules)

    assert "policy_error" in codes(ask(house, change))

    with contextlib.suppress(ValueError):  # a digest that fits does not make it readable
        Policy.objects.filter(is_current=True).update(digest=canonical.digest(json.loads(rules)))
    assert "policy_error" in codes(ask(house, change))


def test_another_artifact_than_the_approved_one_is_denied(house):
    change = a_change(house, at=State.SCHEDULED)

    decision = ask(house, change, digest=a_digest())

    assert decision.verdict == Verdict.DENY
    assert codes(decision) == {"artifact_mismatch"}


def test_another_environment_than_the_approved_one_is_denied_even_when_the_change_is_named(house):
    change = a_change(house, at=State.SCHEDULED)
    an_environment("drill")

    assert codes(ask(house, change, environment="drill")) == {"no_change_request"}
    assert codes(ask(house, change, environment="drill", change_number=change.number)) == {"artifact_mismatch"}


def test_another_service_than_the_approved_one_is_denied_even_when_the_change_is_named(house):
    change = a_change(house, at=State.SCHEDULED)
    other = a_service("contacts")

    assert codes(ask(house, change, service=other.name, change_number=change.number)) == {"artifact_mismatch"}


@pytest.mark.parametrize(
    ("edge", "step", "verdict"),
    [
        ("starts_at", -MICROSECOND, Verdict.WAIT),
        ("starts_at", timedelta(0), Verdict.ALLOW),
        ("ends_at", -MICROSECOND, Verdict.ALLOW),
        ("ends_at", timedelta(0), Verdict.DENY),
    ],
)
def test_the_window_holds_to_the_microsecond(house, edge, step, verdict):
    change = a_change(house, at=State.SCHEDULED)

    decision = ask(house, change, now=getattr(change, edge) + step)

    assert decision.verdict == verdict
    assert codes(decision) <= {"outside_window"}


def test_a_permit_given_just_before_the_window_ends_ends_with_it(house):
    change = a_change(house, at=State.SCHEDULED)

    ask(house, change, now=change.ends_at - timedelta(seconds=10))

    assert Permit.objects.get().expires_at == change.ends_at


@pytest.mark.parametrize("name", ["service", "environment"])
def test_what_does_not_exist_is_named_and_nothing_is_stored(house, name):
    with pytest.raises(Invalid) as refused:
        ask(house, **{name: "nowhere"})

    assert set(refused.value.fields) == {name}
    assert not GateDecision.objects.exists()


def test_a_token_without_the_right_to_ask_is_refused_and_nothing_is_stored(house, now):
    _client, plaintext = a_token(Right.CHANGE_READ)
    actor = accounts.use_token(token=plaintext, now=now)

    with pytest.raises(NotPermitted):
        ask(house, actor=actor)

    assert not GateDecision.objects.exists()


@pytest.mark.parametrize(
    ("state", "verdict", "code"),
    [
        (State.DRAFT, Verdict.DENY, "not_authorized"),
        (State.AUTHORIZING, Verdict.WAIT, "approvals_missing"),
        (State.WATCHING, Verdict.DENY, "not_authorized"),
        (State.REVIEWING, Verdict.DENY, "not_authorized"),
    ],
)
def test_a_change_that_is_elsewhere_in_its_life_opens_nothing(house, state, verdict, code):
    change = a_change(house, at=state)

    decision = ask(house, change, change_number=change.number)

    assert decision.verdict == verdict
    assert code in codes(decision)
    assert not Permit.objects.filter(decision=decision).exists()


def test_every_answer_is_stored_and_in_the_record(house):
    change = a_change(house, at=State.AUTHORIZING)

    waiting = ask(house, change)
    denied = ask(house, service=a_service("contacts").name)

    told = [entry.data for entry in story(change.stream) if entry.kind == "gate.decided"]
    untold = [entry.data for entry in story("gate:contacts/production") if entry.kind == "gate.decided"]
    assert [(one["decision"], one["verdict"]) for one in told] == [(str(waiting.pk), "wait")]
    assert set(told[0]["reasons"]) == {"approvals_missing"}
    assert [(one["decision"], one["verdict"], one["reasons"]) for one in untold] == [
        (str(denied.pk), "deny", ["no_change_request"])
    ]
    assert GateDecision.objects.count() == 2


def test_a_freeze_a_lock_and_a_hold_are_waited_for_all_at_once(house):
    change = a_change(house, at=State.SCHEDULED)
    manager = house.actor("manager")
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=manager,
        environment_id=house.environment.pk,
        title="End of the quarter",
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        now=house.now,
    )
    calendar.lock(actor=manager, reason="Odd errors", service_id=house.service.pk, now=house.now)
    changes.hold(change_id=change.pk, actor=manager, reason="Waiting for the bank", now=house.now)

    decision = ask(house, change)

    assert decision.verdict == Verdict.WAIT
    assert codes(decision) == {"blackout", "lock_active", "on_hold"}
    assert decision.retry_after_seconds == 300


def test_an_artifact_in_quarantine_is_denied_until_a_person_clears_it(house):
    change = a_change(house, at=State.SCHEDULED)
    artifact = change.items.get().artifact
    catalog.quarantine(actor=house.actor("on_call"), artifact_id=artifact.pk, reason="Broke", now=house.now)
    assert codes(ask(house, change)) >= {"quarantined_artifact"}

    catalog.clear_quarantine(actor=house.actor("manager"), artifact_id=artifact.pk, reason="Was us", now=house.now)
    assert ask(house, change).verdict == Verdict.ALLOW


def test_another_change_under_watch_in_the_place_is_waited_for(house):
    a_change(house, at=State.WATCHING)
    change = a_change(house, at=State.SCHEDULED)

    decision = ask(house, change)

    assert decision.verdict == Verdict.WAIT
    assert "watch_in_progress" in codes(decision)


def test_who_booked_first_goes_first(house):
    first = a_change(house, at=State.SCHEDULED)
    second = a_change(house, at=State.SCHEDULED)

    assert ask(house, first).verdict == Verdict.ALLOW
    assert codes(ask(house, second)) == {"conflict"}


def test_who_booked_later_cannot_start_before_who_booked_first(house):
    first = a_change(house, at=State.SCHEDULED)
    late = a_change(replace(house, now=house.now + timedelta(minutes=1)), at=State.SCHEDULED)

    with pytest.raises(Refused) as refused:
        rollout.start(change_id=late.pk, actor=house.actor("manager"), now=inside(late))

    assert [reason.code for reason in refused.value.reasons] == ["conflict"]
    late.refresh_from_db()
    assert late.state == State.SCHEDULED
    assert ask(house, first, now=inside(late)).verdict == Verdict.ALLOW


@pytest.mark.parametrize("who", ["engineering", "security"])
def test_an_approval_stops_counting_when_its_person_leaves(house, who):
    change = a_change(house, at=State.SCHEDULED)
    accounts.deactivate(actor=SETUP, person_id=getattr(house, who).pk, now=house.now)

    decision = ask(house, change)

    assert decision.verdict == Verdict.DENY
    assert codes(decision) == {"approvals_missing"}


def test_an_approval_stops_counting_when_the_seat_is_taken_away(house):
    change = a_change(house, at=State.SCHEDULED)
    accounts.revoke(actor=SETUP, person_id=house.security.pk, role=Role.SEAT_SECURITY, now=house.now)

    assert codes(ask(house, change)) == {"approvals_missing"}


def test_a_request_for_changes_counts_again_when_its_person_has_the_seat_back(house):
    change = a_change(house, at=State.AUTHORIZING)
    approve(house, change, "engineering")
    doubter = a_person("Dora", Role.SEAT_ENGINEERING)
    # Dora's seat is taken away right after her vote: it counts for nothing, and the others go on.
    lost = {"actor": SETUP, "person_id": doubter.pk, "role": Role.SEAT_ENGINEERING, "now": house.now}
    Vote.objects.create(
        round=change.round,
        subject=change.pk,
        content_digest=change.content_digest,
        person=doubter,
        seat="seat_engineering",
        decision=Decision.REQUEST_CHANGES,
        reason="Say more.",
        cast_at=house.now,
    )
    accounts.revoke(**lost)
    approve(house, change, "security")
    assert ask(house, change).verdict == Verdict.ALLOW

    accounts.grant(**lost)
    assert ask(house, change).verdict == Verdict.DENY


def test_without_a_key_to_sign_with_nothing_is_allowed(house, settings, tmp_path):
    change = a_change(house, at=State.SCHEDULED)
    settings.GMUD_KEYS = str(tmp_path / "none")

    decision = ask(house, change)

    assert decision.verdict == Verdict.DENY
    assert codes(decision) == {"policy_error"}
    assert not Permit.objects.exists()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [(lambda place: place.write_bytes(b"no key at all"), "PEM"), (lambda place: place.chmod(0o644), "0600")],
)
def test_a_key_that_cannot_be_used_allows_nothing_and_stores_nothing(house, settings, spoil, says):
    change = a_change(house, at=State.SCHEDULED)
    for place in Path(settings.GMUD_KEYS).iterdir():
        spoil(place)

    with pytest.raises(BadFile, match=says):
        ask(house, change)

    assert not GateDecision.objects.exists()
    assert not Permit.objects.exists()


def test_the_same_key_gets_the_same_decision_and_the_same_permit_again(house):
    change = a_change(house, at=State.SCHEDULED)
    question, now = a_question(house, change), inside(change)
    first = services.ask(actor=CI, request=question, key="build-77-a", now=now)

    again = services.ask(actor=CI, request=question, key="build-77-a", now=now + timedelta(minutes=1))

    assert again == first
    assert first.permit is not None
    assert GateDecision.objects.count() == Permit.objects.count() == 1


def test_the_same_key_for_another_question_is_refused(house):
    change = a_change(house, at=State.SCHEDULED)
    ask(house, change, key="build-77-a")

    with pytest.raises(KeyReused):
        ask(house, change, key="build-77-a", intent=Intent.ROLLBACK)

    assert GateDecision.objects.count() == 1


def test_a_key_belongs_to_whoever_gave_it(house):
    change = a_change(house, at=State.SCHEDULED)
    first = ask(house, change, key="build-77-a", actor=CI)

    second = ask(house, change, key="build-77-a", actor=system("another machine"))

    assert first.pk != second.pk


def test_looking_whether_the_gate_would_open_leaves_no_trace(house):
    change = a_change(house, at=State.SCHEDULED)

    outlook = queries.would_open(change, now=inside(change))

    assert [one.decision.verdict for one in outlook] == [Verdict.ALLOW]
    assert not GateDecision.objects.exists()


@pytest.mark.parametrize("spoil", [Path.unlink, lambda place: place.chmod(0o644)], ids=["gone", "open to others"])
def test_looking_says_what_the_gate_would_say_without_a_key_to_sign_with(house, settings, spoil):
    change = a_change(house, at=State.SCHEDULED)
    for place in Path(settings.GMUD_KEYS).iterdir():
        spoil(place)

    (outlook,) = queries.would_open(change, now=inside(change))

    assert outlook.decision.verdict == Verdict.DENY
    assert [str(reason.message) for reason in outlook.decision.reasons] == ["There is no key to sign permits with."]


def test_a_receipt_of_any_verdict_verifies_offline(house):
    decision = ask(house)

    claims = permits.verify_receipt(services.receipt_of(decision), keys=queries.public_keys(now=house.now))

    assert (claims["decision"], claims["verdict"]) == (str(decision.pk), "deny")


def test_asking_costs_no_more_queries_when_there_are_more_changes(house, django_assert_max_num_queries):
    for _ in range(5):
        a_change(a_house(house.now, service=f"other-{_}"), at=State.SCHEDULED)
    change = a_change(house, at=State.SCHEDULED)

    with django_assert_max_num_queries(65):
        assert ask(house, change).verdict == Verdict.ALLOW

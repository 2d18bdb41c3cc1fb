"""What a policy asks of a release itself: how risky it may be, where it comes from, and how long it stood there."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from django.db import transaction

from releases.audit.actor import system
from releases.catalog import services as catalog
from releases.catalog.kinds import EnvironmentKind
from releases.catalog.models import Environment
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.services import ItemDraft
from releases.changes.services.moving import locked, move
from releases.changes.states import ChangeType, Outcome, State
from releases.committee import services as committee
from releases.committee.seats import Decision
from releases.core.errors import Invalid, Refused
from releases.gate import queries
from releases.gate.models import GateDecision, Permit
from releases.gate.queries import reason_from
from releases.gate.states import Intent, Verdict
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.ports import StepPlan
from releases.operations.states import OperationState
from tests.factories.accounts import SETUP
from tests.factories.catalog import a_connection, a_digest, a_service, an_artifact, an_environment
from tests.factories.changes import House, a_change, inside
from tests.factories.gate import a_permit, ask, bind_job, codes, redeem
from tests.factories.operations import KIND

pytestmark = pytest.mark.django_db
HOUR, DAY, MICROSECOND = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
DIGEST = a_digest()
SEATS = {"seats": {"seat_engineering": 1, "seat_security": 1}}
BASE = [
    {"when": {"type": ["standard", "normal"]}, **SEATS},
    {"when": {"type": ["emergency"]}, "seats": {"seat_operations": 1}},
]
IN_PRODUCTION = {"when": {"environment_kind": ["production"], "type": ["normal"]}, **SEATS}
AFTER_STAGING = {**IN_PRODUCTION, "after_environment": "staging", "soak_hours": 24}


def in_force(house: House, *rules: dict) -> None:
    """Put rules in force by the committee of those before."""
    proposed = committee.save_policy(
        actor=house.actor("manager"), name="Stricter", rules=[*BASE, *rules], now=house.now
    )
    for voter in ("engineering", "security"):
        committee.vote_on_policy(
            policy_id=proposed.pk,
            actor=house.actor(voter),
            decision=Decision.APPROVE,
            seen_digest=proposed.digest,
            now=house.now,
        )
    proposed.refresh_from_db()
    assert proposed.is_current


@pytest.fixture
def staging(house: House) -> House:
    """Return the same people and service, in a staging environment where the version before runs."""
    there = replace(house, environment=an_environment("staging", EnvironmentKind.STAGING))
    bind_job(there, a_connection("jenkins-staging", now=house.now).pk)
    note(there, house.running)
    in_force(house, AFTER_STAGING)
    return there


def note(place: House, artifact, *, now: datetime | None = None) -> None:
    """Write down what runs there, without any change."""
    catalog.note_running(
        actor=SETUP,
        service_id=place.service.pk,
        environment_id=place.environment.pk,
        artifact_id=artifact.pk,
        now=now or place.now - DAY,
    )


def filed(place: House, at: State = State.SCHEDULED, *, digest: str = DIGEST, **more) -> ChangeRequest:
    """Return a change for the version in a place; if people say that they released it, the gate was never asked."""
    item = ItemDraft(place.service.name, place.environment.name, f"v-{digest[7:13]}", digest)
    return a_change(place, at=at, items=(item,), **more)


def released(place: House, at: State = State.REVIEWING, *, digest: str = DIGEST) -> ChangeRequest:
    """Return a change whose run redeemed a permit and released the version in a place."""
    change = filed(place, digest=digest)
    redeem(a_permit(place, change))
    if at != State.IMPLEMENTING:
        changes.deployed(change_id=change.pk, actor=place.actor("manager"), now=inside(change))
        change.refresh_from_db()
    if at == State.REVIEWING:
        assert changes.settle_due(now=change.watch_until_at) == 1
    change.refresh_from_db()
    assert change.state == at
    return change


def later(place: House, span: timedelta) -> House:
    """Return the same place at another time."""
    return replace(place, now=place.now + span)


def asked(house: House, span: timedelta, *, digest: str = DIGEST):
    """Ask for the version in production, so long after now, by a change whose window is open then."""
    then = later(house, span - HOUR - timedelta(minutes=1))
    change = filed(then, digest=digest)
    return ask(then, change, now=then.now + HOUR + timedelta(minutes=1))


def deployed_at(change: ChangeRequest) -> datetime:
    return inside(change)


def test_what_was_never_released_where_it_comes_from_is_denied_with_what_to_file(house, staging):
    decision = asked(house, DAY)

    assert (decision.verdict, codes(decision)) == (Verdict.DENY, {"prerequisite_missing"})
    reason = reason_from(decision.reasons[0])
    assert "released well in staging first" in str(reason.message)
    assert "File a change request that releases it in staging" in str(reason.fix)


@pytest.mark.parametrize(
    ("step", "verdict"), [(-MICROSECOND, Verdict.WAIT), (timedelta(0), Verdict.ALLOW), (DAY, Verdict.ALLOW)]
)
def test_it_waits_until_the_version_has_stood_its_hours_to_the_microsecond(house, staging, step, verdict):
    since = deployed_at(released(staging))

    decision = asked(house, since + DAY + step - house.now)

    assert decision.verdict == verdict
    if verdict == Verdict.WAIT:
        assert codes(decision) == {"soak_incomplete"}
        assert reason_from(decision.reasons[0]).until == since + DAY


@pytest.mark.parametrize("state", [State.IMPLEMENTING, State.WATCHING])
def test_what_is_still_on_its_way_there_does_not_count(house, staging, state):
    released(staging, state)

    assert codes(asked(house, 2 * DAY)) == {"prerequisite_missing"}


def test_what_is_only_planned_there_does_not_count(house, staging):
    filed(staging)

    assert codes(asked(house, 2 * DAY)) == {"prerequisite_missing"}


@pytest.mark.parametrize("redeemed", ["nothing", "another artifact", "another place", "a shift", "nobody took it"])
def test_what_people_only_say_they_released_there_does_not_count(house, staging, redeemed):
    change = filed(staging, State.REVIEWING)
    if redeemed != "nothing":
        permit_of(staging, change, redeemed)

    assert codes(asked(house, 2 * DAY)) == {"prerequisite_missing"}


def test_what_people_say_they_released_there_counts_when_the_review_calls_it_well(house, staging):
    change = filed(staging, State.REVIEWING)
    close_well(staging, change)

    assert codes(asked(house, 2 * DAY)) == set()


def permit_of(place: House, change: ChangeRequest, which: str) -> None:
    """Leave a permit of a change that opens something else than its release, or that nobody redeemed."""
    what = {"digest": DIGEST, "environment": "staging", "intent": Intent.DEPLOY}
    what |= {
        "another artifact": {"digest": a_digest()},
        "another place": {"environment": "production"},
        "a shift": {"intent": Intent.TRAFFIC_SHIFT},
        "nobody took it": {},
    }[which]
    decision = GateDecision.objects.create(
        **what, service=place.service.name, change=change, verdict=Verdict.ALLOW, asked_by="ci", decided_at=place.now
    )
    taken = {} if which == "nobody took it" else {"redeemed_at": place.now, "redeemed_by": "ci:1"}
    Permit.objects.create(
        decision=decision, change=change, kid="k", issued_at=place.now, expires_at=place.now + HOUR, **taken
    )


def close_well(place: House, change: ChangeRequest) -> None:
    """Call a change successful in its review."""
    changes.close(
        change_id=change.pk,
        actor=place.actor("manager"),
        outcome=Outcome.SUCCESSFUL,
        summary="Looked at it.",
        now=place.now,
    )


def test_what_failed_there_does_not_count_nor_does_it_when_it_went_well_before(house, staging):
    released(staging)
    released(later(staging, DAY), digest=a_digest())
    again = later(staging, 2 * DAY)
    change = released(again, State.IMPLEMENTING)
    changes.failed(change_id=change.pk, actor=again.actor("manager"), now=inside(change))

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


def test_the_release_that_began_last_decides_whenever_it_was_planned(house, staging):
    well = released(staging)
    released(later(staging, DAY), digest=a_digest())
    again = later(staging, 2 * DAY)
    failed = released(again, State.IMPLEMENTING)
    changes.failed(change_id=failed.pk, actor=again.actor("manager"), now=inside(failed))
    ChangeRequest.objects.filter(pk=failed.pk).update(starts_at=well.starts_at - HOUR)

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


def went_back(place: House, change: ChangeRequest) -> None:
    """Take a change back, and write down what runs again, as the end of a rollback does."""
    at = inside(change) + HOUR / 4
    with transaction.atomic():
        row = locked(change.pk)
        move(row, "roll_back", actor=place.actor("on_call"), now=at)
        move(row, "rolled_back", actor=system("rollback"), now=at)
    note(place, row.items.get().way_back.target_artifact, now=at)


def test_what_was_rolled_back_there_does_not_count_however_long_it_stood(house, staging):
    went_back(staging, released(staging, State.WATCHING))

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


@pytest.mark.parametrize(
    ("stood", "expected"), [(DAY - MICROSECOND, {"prerequisite_missing"}), (DAY, set()), (2 * DAY, set())]
)
def test_a_version_that_another_one_replaced_counts_only_if_it_had_stood_its_hours(house, staging, stood, expected):
    since = deployed_at(released(staging))
    then = later(staging, since - staging.now + stood - HOUR - timedelta(minutes=1))
    released(then, digest=a_digest())

    decision = asked(house, 9 * DAY)

    assert codes(decision) == expected
    if expected:
        assert "Another version took its place in staging" in str(reason_from(decision.reasons[0]).message)


def test_when_what_replaced_it_is_taken_back_its_hours_begin_anew(house, staging):
    released(staging)
    then = later(staging, DAY / 2)
    other = released(then, State.WATCHING, digest=a_digest())
    went_back(then, other)

    decision = asked(house, DAY)

    assert codes(decision) == {"soak_incomplete"}
    assert reason_from(decision.reasons[0]).until == inside(other) + HOUR / 4 + DAY


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        (Outcome.SUCCESSFUL, set()),
        (Outcome.SUCCESSFUL_WITH_ISSUES, set()),
        (Outcome.FAILED, {"prerequisite_missing"}),
        (Outcome.NOT_IMPLEMENTED, {"prerequisite_missing"}),
    ],
)
def test_what_the_review_says_counts(house, staging, outcome, expected):
    change = released(staging)
    changes.close(
        change_id=change.pk, actor=staging.actor("manager"), outcome=outcome, summary="Looked at it.", now=staging.now
    )

    assert codes(asked(house, 2 * DAY)) == expected


@pytest.mark.parametrize(
    ("state", "reviewed", "expected"),
    [
        (OperationState.SUCCEEDED, False, set()),
        (OperationState.FAILED, False, {"prerequisite_missing"}),
        (OperationState.FAILED, True, set()),
    ],
)
def test_a_watch_that_ended_badly_counts_only_when_the_review_calls_it_well(house, staging, state, reviewed, expected):
    change = filed(staging, State.REVIEWING)
    with transaction.atomic():
        begun = operations.begin(
            kind="watch",
            target=change.stream,
            subject=change.pk,
            steps=[StepPlan("look", KIND)],
            actor=system("rollout"),
            deadline=staging.now + HOUR,
            key=f"watch:{change.pk}",
            now=staging.now,
        )
    Operation.objects.filter(pk=begun.pk).update(state=state, ended_at=staging.now)

    if reviewed:
        close_well(staging, change)

    assert codes(asked(house, 2 * DAY)) == expected


def test_what_is_found_running_there_was_not_released(house, staging):
    note(staging, an_artifact(house.service, "v1.5.0", DIGEST), now=staging.now)

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


def test_another_artifact_or_another_service_there_does_not_count(house, staging):
    released(staging, digest=a_digest())
    other = replace(staging, service=a_service("contacts"))
    note(other, an_artifact(other.service, "v1.0.0"))
    released(other, digest=DIGEST)

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


def test_an_environment_of_another_name_now_is_one_where_nothing_was_released(house, staging):
    released(staging)
    Environment.objects.filter(pk=staging.environment.pk).update(name="stage")  # past the services, which refuse it

    assert codes(asked(house, 9 * DAY)) == {"prerequisite_missing"}


def test_nobody_moves_the_name_that_a_policy_goes_by_to_another_environment(house, staging):
    sandbox = an_environment("sandbox", EnvironmentKind.DEVELOPMENT)

    def described(row, name):
        told = {"name": name, "kind": EnvironmentKind(row.kind), "rank": 7}
        return catalog.describe_environment(actor=SETUP, environment_id=row.pk, now=house.now, **told)

    for row, name in ((staging.environment, "staging-old"), (sandbox, "staging")):
        with pytest.raises(Invalid, match="version 2 of the policy") as caught:
            described(row, name)
        assert list(caught.value.fields) == ["name"]
    assert described(staging.environment, "staging").rank == 7
    assert described(sandbox, "playground").name == "playground"


def test_nobody_turns_an_environment_that_a_policy_goes_by_into_another_kind(house, staging):
    unused = an_environment("qa", EnvironmentKind.STAGING)
    in_force(house, {**IN_PRODUCTION, "after_environment": "qa"})

    with pytest.raises(Invalid, match="of the policy") as caught:
        catalog.describe_environment(
            actor=SETUP, environment_id=unused.pk, name="qa", kind=EnvironmentKind.DEVELOPMENT, rank=7, now=house.now
        )
    assert list(caught.value.fields) == ["kind"]


@pytest.mark.parametrize("verb", ["rename", "remove"])
def test_an_environment_that_a_proposed_policy_names_keeps_its_name(house, verb):
    row = an_environment("qa", EnvironmentKind.STAGING)
    rules = [*BASE, {**IN_PRODUCTION, "after_environment": "qa"}]
    manager = house.actor("manager")
    proposed = committee.save_policy(actor=manager, name="Proposed", rules=rules, now=house.now)

    def act():
        asked = {"actor": SETUP, "environment_id": row.pk, "now": house.now}
        if verb == "remove":
            return catalog.remove_environment(**asked)
        return catalog.describe_environment(**asked, name="quality", kind=EnvironmentKind.STAGING)

    with pytest.raises(Invalid, match=f"version {proposed.version} of the policy"):
        act()
    committee.withdraw_policy(policy_id=proposed.pk, actor=manager, now=house.now)
    act()


def test_the_policy_in_force_decides_also_on_what_was_approved_before(house):
    change = filed(house)
    an_environment("staging", EnvironmentKind.STAGING)
    assert ask(house, change).verdict == Verdict.ALLOW

    in_force(house, AFTER_STAGING)

    assert codes(ask(house, change)) == {"prerequisite_missing"}


def test_a_permit_is_not_redeemed_once_the_policy_asks_for_more(house):
    change = filed(house)
    an_environment("staging", EnvironmentKind.STAGING)
    permit = a_permit(house, change)

    in_force(house, AFTER_STAGING)

    with pytest.raises(Refused) as caught:
        redeem(permit)
    assert [reason.code for reason in caught.value.reasons] == ["prerequisite_missing"]


def test_the_risk_that_was_assessed_may_not_be_higher_than_the_policy_lets_in(house):
    change = filed(house)
    levels = ["low", "moderate", "high", "very_high"]
    at = levels.index(change.assessment.level)
    assert at > 0, "nothing lower to ask for"

    in_force(house, {**IN_PRODUCTION, "highest_risk": levels[at - 1]})
    decision = ask(house, change)
    assert (decision.verdict, codes(decision)) == (Verdict.DENY, {"risk_too_high"})
    assert "The policy lets no higher risk into production than:" in str(reason_from(decision.reasons[0]).message)

    if levels[at] != "very_high":
        in_force(house, {**IN_PRODUCTION, "highest_risk": levels[at]})
        assert ask(house, change).verdict == Verdict.ALLOW


def test_an_emergency_is_asked_only_what_a_rule_asks_of_emergencies(house, staging):
    change = filed(house, type=ChangeType.EMERGENCY)

    assert "prerequisite_missing" not in codes(ask(house, change))


def test_going_back_is_asked_for_nothing_of_it(house, staging):
    released(staging)
    then = later(house, 2 * DAY)
    change = released(then, State.WATCHING)
    in_force(then, {**AFTER_STAGING, "highest_risk": "low", "soak_hours": 24 * 90})
    back = change.items.get().way_back.target_artifact.digest

    decision = ask(then, change, digest=back, intent=Intent.ROLLBACK, now=inside(change))

    assert decision.verdict == Verdict.ALLOW


def test_looking_says_beforehand_what_the_gate_would_say(house, staging):
    change = filed(house)

    (outlook,) = queries.would_open(change, now=inside(change))

    assert {reason.code for reason in outlook.decision.reasons} == {"prerequisite_missing"}

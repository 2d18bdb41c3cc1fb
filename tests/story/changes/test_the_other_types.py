"""The whole life of what is not a normal change: standard, emergency and retroactive, through the services."""

from datetime import timedelta

import pytest

from releases.audit.queries import states_from_events, story
from releases.changes import queries, services
from releases.changes.models import Review
from releases.changes.services.moving import REVIEW_DUE
from releases.changes.states import ChangeType, Outcome, State
from releases.committee.models import Vote
from releases.committee.rules import Decision
from releases.core.errors import GmudError, NotPermitted, Refused
from releases.gate.states import Verdict
from tests.factories.catalog import a_digest, a_service
from tests.factories.changes import POLICY, ItemDraft, a_change, a_house, approve, fields, inside, start
from tests.factories.gate import ask, with_keys

pytestmark = pytest.mark.django_db


@pytest.fixture
def house(db, now):
    return a_house(now)


def submit(house, change, *, who="engineer", now=None):
    services.submit(change_id=change.pk, actor=house.actor(who), now=now or house.now)
    change.refresh_from_db()
    return change


def close(house, change, *, now):
    services.close(
        change_id=change.pk, actor=house.actor("manager"), outcome=Outcome.SUCCESSFUL, summary="It went well.", now=now
    )
    change.refresh_from_db()


def codes(error: GmudError) -> set[str]:
    return {str(reason.code) for reason in error.reasons}


def button(house, change, verb, *, who="engineer", now=None):
    found = queries.buttons(change, actor=house.actor(who), now=now or house.now)
    return next(one for one in found if one.verb == verb)


def kinds_of(change):
    return [event.kind for event in story(change.stream)]


def an_emergency(house, *, service=None, now=None, **changed):
    """Return a draft of an emergency whose window is open already."""
    now = now or house.now
    items = (ItemDraft(service or house.service.name, "production", "v1.5.0", a_digest(), "v1.4.2", a_digest()),)
    wanted = fields(
        house,
        type=ChangeType.EMERGENCY,
        items=items,
        starts_at=now - timedelta(minutes=5),
        ends_at=now + timedelta(hours=1),
        **changed,
    )
    return services.draft(actor=house.actor("engineer"), fields=wanted, now=now)


def reviewed_later(house, change):
    """Take an authorized emergency out and to its review; return the moment its review opened."""
    at = house.now + timedelta(minutes=1)
    start(change, actor=house.actor("manager"), now=at)
    services.deployed(change_id=change.pk, actor=house.actor("manager"), now=at)
    change.refresh_from_db()
    assert services.settle_due(now=change.watch_until_at) == 1
    change.refresh_from_db()
    assert change.state == State.REVIEWING
    return change.watch_until_at


# standard


def test_a_standard_change_is_scheduled_at_once_where_the_policy_asks_nobody_and_lives_to_its_end(
    house, settings, tmp_path
):
    with_keys(settings, tmp_path / "keys")
    change = a_change(house, type=ChangeType.STANDARD)
    assert button(house, change, "submit_standard").is_open

    submit(house, change)

    assert (change.state, change.revision_number, change.assessment is not None) == (State.SCHEDULED, 1, True)
    assert (change.round.is_pre_approved, Vote.objects.count()) == (True, 0)
    assert ask(house, change).verdict == Verdict.ALLOW

    at = inside(change)
    start(change, actor=house.actor("manager"), now=at)
    services.deployed(change_id=change.pk, actor=house.actor("manager"), now=at)
    change.refresh_from_db()
    assert services.settle_due(now=change.watch_until_at) == 1
    close(house, change, now=change.watch_until_at)
    assert (change.state, change.outcome) == (State.CLOSED, Outcome.SUCCESSFUL)
    assert states_from_events()[change.stream]["state"] == State.CLOSED


ASKS_SOMEBODY = {
    "about every standard change": [
        {**rule, "seats": {"seat_engineering": 1}} if rule["when"].get("type") == ["standard"] else rule
        for rule in POLICY
    ],
    "about a risk like this": [
        *POLICY,
        {"when": {"type": ["standard"], "risk_at_least": "moderate"}, "seats": {"seat_engineering": 1}},
    ],
    "about everything": [{"seats": {"seat_engineering": 1, "seat_security": 1}}],
}


@pytest.mark.parametrize("policy", ASKS_SOMEBODY.values(), ids=ASKS_SOMEBODY)
def test_a_standard_change_that_the_policy_asks_somebody_about_stays_a_draft(db, now, monkeypatch, policy):
    monkeypatch.setattr("tests.factories.changes.POLICY", policy)
    house = a_house(now)
    change = a_change(house, type=ChangeType.STANDARD)
    shown = button(house, change, "submit_standard")
    assert [reason.code for reason in shown.reasons] == ["pre_approved"]
    assert "file it as a normal one" in str(shown.reasons[0].message)

    with pytest.raises(Refused) as raised:
        submit(house, change)

    change.refresh_from_db()
    assert codes(raised.value) == {"pre_approved"}
    assert (change.state, change.round, change.revision_number) == (State.DRAFT, None, 0)


def test_what_a_standard_change_lacks_is_said_as_for_any_other(house):
    change = a_change(house, type=ChangeType.STANDARD, plan="", tests_passed=None)

    with pytest.raises(Refused) as raised:
        submit(house, change)

    assert codes(raised.value) == {"plan", "evidence"}
    assert {reason.code for reason in button(house, change, "submit_standard").reasons} == {"plan", "evidence"}


def test_an_edit_takes_a_scheduled_standard_change_back_to_a_draft_without_its_pre_approval(house):
    change = submit(house, a_change(house, type=ChangeType.STANDARD))

    services.revise(
        change_id=change.pk,
        actor=house.actor("engineer"),
        fields=fields(house, type=ChangeType.NORMAL),
        now=house.now,
    )

    change.refresh_from_db()
    assert (change.state, change.round) == (State.DRAFT, None)
    assert submit(house, change).state == State.AUTHORIZING


# emergency


def test_an_emergency_goes_to_its_own_committee_out_at_once_and_to_a_review_with_a_date(house, settings, tmp_path):
    with_keys(settings, tmp_path / "keys")
    change = an_emergency(house)
    assert button(house, change, "submit_emergency").is_open

    submit(house, change)

    assert change.state == State.AUTHORIZING
    assert change.round.needed == {"seat_operations": 1}
    with pytest.raises(NotPermitted):
        services.vote(
            change_id=change.pk,
            actor=house.actor("security"),
            decision=Decision.APPROVE,
            seen_digest=change.content_digest,
            now=house.now,
        )
    approve(house, change, "operations")
    change.refresh_from_db()
    assert change.state == State.SCHEDULED
    assert ask(house, change, now=house.now + timedelta(minutes=1)).verdict == Verdict.ALLOW

    opened_at = reviewed_later(house, change)

    assert Review.objects.get(change=change).due_at == opened_at + REVIEW_DUE[ChangeType.EMERGENCY]
    close(house, change, now=opened_at + timedelta(hours=1))
    assert change.state == State.CLOSED
    assert kinds_of(change)[:5] == [
        "change.drafted",
        "change.submitted",
        "change.vote_refused",
        "change.voted",
        "change.authorized",
    ]


def test_an_overdue_review_blocks_the_next_emergency_until_it_is_written(house):
    first = submit(house, an_emergency(house))
    approve(house, first, "operations")
    first.refresh_from_db()
    opened_at = reviewed_later(house, first)
    due_at = Review.objects.get(change=first).due_at
    assert due_at > opened_at
    house.now = due_at
    second = an_emergency(house, service=a_service("contacts").name)

    with pytest.raises(Refused) as raised:
        submit(house, second)

    assert codes(raised.value) == {"overdue_review"}
    assert first.name in str(raised.value.detail)
    second.refresh_from_db()
    assert (second.state, second.round) == (State.DRAFT, None)
    assert [one.code for one in button(house, second, "submit_emergency").reasons] == ["overdue_review"]

    close(house, first, now=due_at)
    assert submit(house, second).state == State.AUTHORIZING


@pytest.mark.parametrize("early", [timedelta(microseconds=1), timedelta(days=1)])
def test_a_review_that_is_not_overdue_yet_blocks_nobody(house, early):
    first = submit(house, an_emergency(house))
    approve(house, first, "operations")
    first.refresh_from_db()
    reviewed_later(house, first)
    house.now = Review.objects.get(change=first).due_at - early

    assert submit(house, an_emergency(house, service=a_service("contacts").name)).state == State.AUTHORIZING


def test_an_overdue_review_of_an_emergency_blocks_no_normal_change(house):
    first = submit(house, an_emergency(house))
    approve(house, first, "operations")
    first.refresh_from_db()
    reviewed_later(house, first)
    house.now = Review.objects.get(change=first).due_at + timedelta(hours=1)

    assert a_change(house, at=State.AUTHORIZING).state == State.AUTHORIZING


# retroactive


def a_report(house, *, who="engineer", **changed):
    """Return the draft of something that ran yesterday, with nothing more than is known."""
    known = {
        "plan": "",
        "tests_passed": None,
        "tests_failed": None,
        "tests_url": "",
        "starts_at": house.now - timedelta(days=1),
        "ends_at": house.now - timedelta(hours=23),
    }
    wanted = fields(house, type=ChangeType.RETROACTIVE, **{**known, **changed})
    return services.draft(actor=house.actor(who), fields=wanted, now=house.now)


def test_what_ran_without_approval_is_reported_goes_to_its_review_with_a_clock_and_is_closed(house, settings, tmp_path):
    with_keys(settings, tmp_path / "keys")
    change = a_report(house)
    assert [check.code for check in queries.checklist(queries.gather(change, now=house.now))] == [
        "title",
        "why",
        "items",
    ]
    assert button(house, change, "report").is_open

    submit(house, change)

    assert (change.state, change.revision_number) == (State.REVIEWING, 1)
    assert (change.round, change.assessment, Vote.objects.count()) == (None, None, 0)
    review = Review.objects.get(change=change)
    assert (review.due_at, review.written_at) == (house.now + REVIEW_DUE[ChangeType.RETROACTIVE], None)
    assert kinds_of(change) == ["change.drafted", "change.reported"]
    assert ask(house, change, now=house.now).verdict == Verdict.DENY

    close(house, change, now=house.now + timedelta(hours=1))
    review.refresh_from_db()
    assert (change.state, review.summary) == (State.CLOSED, "It went well.")


@pytest.mark.parametrize("missing", [{"title": ""}, {"why": ""}, {"items": ()}], ids=["title", "why", "items"])
def test_a_report_says_at_least_what_ran_and_why(house, missing):
    change = a_report(house, **missing)

    with pytest.raises(Refused) as raised:
        submit(house, change)

    change.refresh_from_db()
    assert codes(raised.value) == set(missing)
    assert (change.state, Review.objects.count()) == (State.DRAFT, 0)


def test_a_report_is_never_put_before_the_committee_nor_started(house):
    change = submit(house, a_report(house))

    for verb in ("start", "deployed"):
        with pytest.raises(Refused) as raised:
            services.may_move(change, verb, actor=house.actor("manager"), now=house.now)
        assert codes(raised.value) == {"wrong_state"}
    with pytest.raises(Refused):
        services.vote(
            change_id=change.pk,
            actor=house.actor("security"),
            decision=Decision.APPROVE,
            seen_digest=change.content_digest,
            now=house.now,
        )


@pytest.mark.parametrize(
    ("type_", "verb"),
    [
        (ChangeType.NORMAL, "submit"),
        (ChangeType.STANDARD, "submit_standard"),
        (ChangeType.EMERGENCY, "submit_emergency"),
        (ChangeType.RETROACTIVE, "report"),
    ],
)
def test_a_draft_shows_the_one_way_in_of_its_type(house, type_, verb):
    change = a_change(house, type=type_)

    ways_in = {"submit", "submit_standard", "submit_emergency", "report"}
    assert ways_in & {one.verb for one in queries.buttons(change, actor=house.actor("engineer"), now=house.now)} == {
        verb
    }
    other = next(one for one in ways_in - {verb})
    with pytest.raises(Refused) as raised:
        services.may_move(change, other, actor=house.actor("engineer"), now=house.now)
    assert "type" in codes(raised.value)

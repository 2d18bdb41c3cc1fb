"""What customers asked for, what they were promised, and what is left of an error budget: the gate looks at it all."""

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction

from releases.audit.queries import story
from releases.calendar import services as calendar
from releases.catalog import services as catalog
from releases.catalog.cards import BUDGET_HOLDS
from releases.catalog.kinds import DependencySource, EnvironmentKind
from releases.changes import queries as changes_queries
from releases.changes import services as changes
from releases.changes.models import CustomerNotice
from releases.changes.states import ChangeType, State
from releases.core.errors import Invalid, NotPermitted, Refused, Stale
from releases.gate.states import Intent, Verdict
from tests.factories.accounts import SETUP
from tests.factories.calendar import a_freeze_for
from tests.factories.catalog import a_budget, a_customer, a_service, an_environment
from tests.factories.changes import a_change, approve, fields, inside, tell
from tests.factories.gate import ask, codes, redeem

pytestmark = pytest.mark.django_db
HOURS = 48
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture
def banks(house):
    return a_customer(house.service, notice_hours=HOURS)


@pytest.fixture
def change(house):
    return a_change(house, at=State.SCHEDULED, filed_at=early(house))


def early(house, hours=HOURS):
    """Return a moment so long before the window of the house."""
    return house.now - timedelta(hours=hours)


# --- freezes that customers asked for ---


def test_a_freeze_of_a_customer_holds_up_what_hurts_it_until_it_ends(house, change):
    customer = a_customer(house.service)
    freeze = a_freeze_for(customer_id=customer.pk, ends=2)

    decision = ask(house, change)

    assert decision.verdict == Verdict.WAIT
    assert codes(decision) == {"customer_freeze"}
    assert ask(house, change, now=freeze.ends_at).verdict == Verdict.ALLOW


def test_a_freeze_of_a_segment_holds_up_what_hurts_any_customer_of_it(house, change):
    a_customer(house.service, segment="payroll")
    a_freeze_for(segment="payroll", ends=2)

    assert codes(ask(house, change)) == {"customer_freeze"}


def test_a_freeze_reaches_who_is_served_by_what_calls_the_service(house, change):
    front = a_service("frontend")
    catalog.link(
        actor=SETUP,
        caller_id=front.pk,
        callee_id=house.service.pk,
        source=DependencySource.MANUAL,
        detail="",
        now=house.now,
    )
    customer = a_customer(front)
    a_freeze_for(customer_id=customer.pk, ends=2)

    assert codes(ask(house, change)) == {"customer_freeze"}


def test_a_freeze_of_somebody_else_or_one_that_was_lifted_holds_up_nothing(house, change):
    a_freeze_for(customer_id=a_customer(a_service("contacts"), name="Notaries").pk, ends=2)
    lifted = a_freeze_for(customer_id=a_customer(house.service).pk, ends=2)
    calendar.lift(window_id=lifted.pk, actor=SETUP, now=house.now)

    assert ask(house, change).verdict == Verdict.ALLOW


def test_nobody_is_hurt_outside_production(house):
    staging = an_environment("staging", EnvironmentKind.STAGING)
    customer = a_customer(house.service, notice_hours=HOURS)
    a_freeze_for(customer_id=customer.pk, ends=2)
    catalog.note_running(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=staging.pk,
        artifact_id=house.running.pk,
        now=house.now - timedelta(days=3),
    )
    there = replace(house, environment=staging)
    change = a_change(there, at=State.AUTHORIZING)
    approve(there, change, "engineering")

    assert ask(there, change).verdict == Verdict.ALLOW


def test_a_release_begins_neither_in_a_freeze_nor_before_the_customers_were_told(house, change, banks):
    def why(now):
        buttons = changes_queries.buttons(change, actor=house.actor("engineer"), now=now)
        return {reason.code for one in buttons if one.verb == "start" for reason in one.reasons}

    a_freeze_for(customer_id=banks.pk, ends=2)

    assert why(inside(change)) == {"closed", "customers"}
    tell(house, change, banks, told_at=early(house))
    assert why(house.now + timedelta(hours=2)) == set()


# --- notice that customers were promised ---


def test_it_is_denied_until_the_customer_was_told_and_waits_for_the_promised_hours(house, change, banks):
    assert codes(ask(house, change)) == {"customer_notice_missing"}
    assert ask(house, change).verdict == Verdict.DENY

    told_at = inside(change) - timedelta(hours=HOURS) + timedelta(minutes=5)
    tell(house, change, banks, told_at=told_at)
    waiting = ask(house, change)

    assert (waiting.verdict, codes(waiting)) == (Verdict.WAIT, {"customer_notice_missing"})
    good_from = told_at + timedelta(hours=HOURS)
    assert ask(house, change, now=good_from - MICROSECOND).verdict == Verdict.WAIT
    assert ask(house, change, now=good_from).verdict == Verdict.ALLOW


def test_whoever_was_told_twice_was_told_the_first_time(house, change, banks):
    tell(house, change, banks, told_at=early(house))
    tell(house, change, banks, told_at=house.now)

    assert ask(house, change).verdict == Verdict.ALLOW


@pytest.mark.parametrize(
    ("edited", "is_void"),
    [
        (lambda draft: {"starts_at": draft.starts_at + timedelta(minutes=1)}, True),
        (lambda draft: {"ends_at": draft.ends_at + timedelta(minutes=1)}, True),
        (lambda draft: {"items": (replace(draft.items[0], digest=f"sha256:{'e' * 64}", version="v1.5.1"),)}, True),
        (lambda draft: {"title": "Another title", "plan": "Another plan", "tests_passed": 215}, False),
    ],
    ids=["starts later", "ends later", "another artifact", "other words"],
)
def test_an_edit_of_items_or_window_voids_a_notice_and_nothing_else_does(house, banks, edited, is_void):
    change = a_change(house, filed_at=early(house))
    tell(house, change, banks, told_at=early(house))
    before = fields(house, items=tuple(replace(one) for one in fields(house).items))
    item = change.items.get()
    same = replace(before, items=(replace(before.items[0], digest=item.artifact.digest),))
    changes.revise(
        change_id=change.pk,
        actor=house.actor("engineer"),
        fields=replace(same, **edited(same)),
        now=house.now,
    )
    change.refresh_from_db()

    [promise] = changes_queries.gather(change, now=house.now).promises

    assert (promise.told_at is None) is is_void


def test_a_notice_is_kept_with_its_event_and_is_told_in_the_story(house, change, banks):
    notice = tell(house, change, banks, told_at=early(house), evidence=" MAIL-4711 ")

    event = story(change.stream)[-1]
    assert str(event.kind) == "change.customer_told"
    assert event.data["notice"] == str(notice.pk)
    assert event.text == {"name": banks.name, "told_by": "Ana Reis", "evidence": "MAIL-4711"}
    assert banks.name not in str(event.data)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"told_by": " "}, "told_by"),
        ({"evidence": ""}, "evidence"),
        ({"told_at": "later"}, "told_at"),
    ],
)
def test_a_notice_says_who_when_and_where_it_can_be_looked_up(house, change, banks, wrong, field):
    if field == "told_at":
        wrong = {"told_at": house.now + MICROSECOND}

    with pytest.raises(Invalid) as found:
        tell(house, change, banks, **wrong)

    assert list(found.value.fields) == [field]
    assert not CustomerNotice.objects.exists()


def test_what_was_told_is_what_counts_and_not_what_stands_when_it_is_recorded(house, banks):
    monday, tuesday = early(house), early(house) + timedelta(days=1)
    change = a_change(house, filed_at=monday)
    told_of_a = changes_queries.told_of(change)
    item = change.items.get()
    draft = fields(house, items=tuple(fields(house).items))
    same = replace(draft, items=(replace(draft.items[0], digest=item.artifact.digest),))
    window_b = replace(same, ends_at=same.ends_at + timedelta(minutes=1))
    changes.revise(change_id=change.pk, actor=house.actor("engineer"), fields=window_b, now=tuesday)
    words = replace(window_b, plan="Other words")
    changes.revise(change_id=change.pk, actor=house.actor("engineer"), fields=words, now=house.now)

    with pytest.raises(Stale):
        tell(house, change, banks, told_at=monday, seen_digest=told_of_a)
    with pytest.raises(Invalid) as found:
        tell(house, change, banks, told_at=tuesday - timedelta(minutes=1))
    assert list(found.value.fields) == ["told_at"]
    assert not CustomerNotice.objects.exists()

    tell(house, change, banks, told_at=tuesday)
    change.refresh_from_db()
    [promise] = changes_queries.gather(change, now=house.now).promises
    assert promise.told_at == tuesday


def test_nobody_was_told_of_a_change_before_it_was_filed(house, change, banks):
    with pytest.raises(Invalid) as found:
        tell(house, change, banks, told_at=early(house) - timedelta(minutes=1))

    assert list(found.value.fields) == ["told_at"]


def test_only_whoever_files_changes_records_a_notice_and_only_while_it_can_help(house, change, banks):
    with pytest.raises(NotPermitted):
        tell(house, change, banks, actor=house.actor("security"))
    changes.cancel(change_id=change.pk, actor=house.actor("engineer"), reason="No more.", now=house.now)
    with pytest.raises(Refused, match="has ended"):
        tell(house, change, banks)
    with pytest.raises(Refused, match="window first"):
        tell(house, a_change(house, starts_at=None, ends_at=None), banks)


def test_the_tables_keep_no_notice_from_the_future_or_without_evidence(house, change, banks):
    notice = tell(house, change, banks)
    for wrong in ({"told_at": house.now + MICROSECOND}, {"evidence": ""}, {"told_digest": "sha256:x"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            CustomerNotice.objects.filter(pk=notice.pk).update(**wrong)


def test_a_customer_who_was_told_or_asked_for_a_freeze_stays(house, change, banks):
    tell(house, change, banks)
    a_freeze_for(customer_id=banks.pk)

    with pytest.raises(Refused, match="1 recorded notice and 1 window or freeze"):
        catalog.remove_customer(actor=SETUP, customer_id=banks.pk, now=house.now)


# --- error budgets ---


@pytest.mark.parametrize(
    ("left", "verdict"), [(0.4, Verdict.ALLOW), (0.0, Verdict.DENY), (-0.6, Verdict.DENY), (None, Verdict.ALLOW)]
)
def test_a_spent_error_budget_stops_what_goes_forward(house, left, verdict):
    a_budget(house.service, house.environment)
    change = a_change(house, at=State.SCHEDULED)
    a_budget(house.service, house.environment, left=left, now=inside(change))

    decision = ask(house, change)

    assert decision.verdict == verdict
    assert codes(decision) == ({"error_budget_exhausted"} if verdict == Verdict.DENY else set())


def test_a_reading_that_is_too_old_is_not_known_and_stops_nothing(house):
    a_budget(house.service, house.environment)
    change = a_change(house, at=State.SCHEDULED)
    a_budget(house.service, house.environment, left=-1, now=inside(change) - BUDGET_HOLDS)

    assert ask(house, change).verdict == Verdict.DENY
    assert ask(house, change, now=inside(change) + MICROSECOND).verdict == Verdict.ALLOW


def test_the_budget_of_another_place_stops_nothing(house, change):
    a_budget(a_service("contacts"), house.environment, left=-1, now=inside(change))

    assert ask(house, change).verdict == Verdict.ALLOW


def test_an_emergency_goes_on_and_the_warning_is_kept_with_the_answer(house):
    a_budget(house.service, house.environment)
    change = a_change(house, at=State.SCHEDULED, type=ChangeType.EMERGENCY.value)
    a_budget(house.service, house.environment, left=-1, now=inside(change))

    decision = ask(house, change)

    assert decision.verdict == Verdict.ALLOW
    assert [(one["code"], one["severity"]) for one in decision.reasons] == [("error_budget_exhausted", "warn")]


def test_going_back_is_held_up_by_none_of_them(house, banks):
    a_budget(house.service, house.environment)
    change = a_change(house, at=State.SCHEDULED, filed_at=early(house))
    tell(house, change, banks, told_at=early(house))
    now = inside(change)
    redeem(ask_for_permit(house, change, now), now=now)
    change.refresh_from_db()
    CustomerNotice.objects.all().delete()
    a_freeze_for(customer_id=banks.pk, ends=9)
    a_budget(house.service, house.environment, left=-1, now=now)

    forward = ask(house, change, now=now)
    back = ask(house, change, now=now, intent=Intent.ROLLBACK, digest=house.running.digest)

    assert codes(forward) == {"customer_freeze", "customer_notice_missing", "error_budget_exhausted"}
    assert back.verdict == Verdict.ALLOW


def ask_for_permit(house, change, now):
    return ask(house, change, now=now).permit


def test_what_was_read_through_another_binding_says_nothing(house):
    row = a_budget(house.service, house.environment, left=-1)
    catalog.rebind(
        actor=SETUP,
        binding_id=row.pk,
        connection_id=row.connection_id,
        settings={"query": "another"},
        now=house.now,
    )
    change = a_change(house, at=State.SCHEDULED)

    assert ask(house, change).verdict == Verdict.ALLOW


def test_an_assessment_says_what_is_left_or_that_nobody_knows(house):
    a_budget(house.service, house.environment, left=-1)
    spent = a_change(house, at=State.AUTHORIZING)
    house.now += BUDGET_HOLDS + MICROSECOND
    unknown = a_change(house, at=State.AUTHORIZING)

    def said(change):
        factor = change.assessment.factors.get(code="budget")
        return factor.is_known, factor.points, factor.text

    assert said(spent) == (True, 2, "The error budget is spent.")
    assert said(unknown) == (False, 2, "What is left of the error budget is not known.")

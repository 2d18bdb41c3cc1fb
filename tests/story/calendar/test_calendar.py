"""What closes a place and until when, who booked first, and who may touch the calendar."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from releases.accounts.roles import Role
from releases.audit.models import AuditEvent, AuditText
from releases.calendar import queries, services
from releases.calendar.models import Booking, Lock, Window
from releases.catalog import queries as catalog
from releases.catalog.kinds import EnvironmentKind
from releases.core.errors import Invalid, Missing, NotPermitted
from releases.operations.models import OutboxMessage
from tests.factories.accounts import NOW, an_actor
from tests.factories.calendar import HOUR, a_booking, a_freeze, a_freeze_for, a_lock, a_window
from tests.factories.catalog import a_customer, a_service, an_environment

pytestmark = pytest.mark.django_db
TICK = timedelta(microseconds=1)


@pytest.fixture
def production():
    return an_environment()


@pytest.fixture
def staging():
    return an_environment("staging", EnvironmentKind.STAGING)


@pytest.fixture
def ledger():
    return a_service("ledgerwriter")


@pytest.fixture
def contacts():
    return a_service("contacts")


def asked(service, environment, *, starts=0.0, ends=4.0, now=NOW, subject=None):
    return queries.constraints(
        places=[(service.pk, environment.pk)],
        starts_at=NOW + starts * HOUR,
        ends_at=NOW + ends * HOUR,
        now=now,
        subject=subject,
    )


def closed(service, environment, at=NOW):
    return [one.kind for one in queries.closures(places=[(service.pk, environment.pk)], at=at)]


def test_an_empty_calendar_closes_nothing(ledger, production):
    found = asked(ledger, production)
    assert found.opens_at == NOW
    assert (found.freezes, found.conflicts, found.opens) == ((), (), ())
    assert closed(ledger, production) == []


def test_a_freeze_closes_its_environment_and_says_when_it_opens(ledger, production, staging):
    a_freeze(production, starts=-1, ends=2)
    found = queries.closures(places=[(ledger.pk, production.pk)], at=NOW)
    assert [str(one.sentence) for one in found] == ["Frozen, production: Black Friday"]
    assert [one.until for one in found] == [NOW + 2 * HOUR]
    assert asked(ledger, production).opens_at == NOW + 2 * HOUR
    assert closed(ledger, staging) == []


@pytest.mark.parametrize(
    ("offset", "kinds"), [(-TICK, []), (0 * TICK, ["freeze"]), (2 * HOUR - TICK, ["freeze"]), (2 * HOUR, [])]
)
def test_a_freeze_holds_from_its_start_up_to_its_end(ledger, production, offset, kinds):
    a_freeze(production, starts=0, ends=2)
    assert closed(ledger, production, NOW + offset) == kinds


def test_a_freeze_beyond_the_window_leaves_no_opening_in_it(ledger, production):
    a_freeze(production, starts=-1, ends=9)
    assert asked(ledger, production, ends=4).opens_at is None
    assert asked(ledger, production, ends=24).opens_at == NOW + 9 * HOUR


def test_a_freeze_of_one_service_leaves_the_others(ledger, contacts, production):
    a_freeze(production, service_id=ledger.pk)
    assert closed(ledger, production) == ["freeze"]
    assert closed(contacts, production) == []
    assert asked(contacts, production).freezes == ()


def test_a_freeze_to_come_is_shown_but_closes_nothing_yet(ledger, production):
    a_freeze(production, starts=3, ends=5)
    found = asked(ledger, production)
    assert len(found.freezes) == 1
    assert closed(ledger, production) == []


def test_a_lifted_freeze_closes_nothing_and_stays_on_the_record(ledger, production):
    freeze = a_freeze(production)
    manager = an_actor(Role.RELEASE_MANAGER, name="Helena Costa")
    services.lift(window_id=freeze.pk, actor=manager, now=NOW)
    services.lift(window_id=freeze.pk, actor=manager, now=NOW + HOUR)
    assert closed(ledger, production) == []
    kept = Window.objects.get()
    assert (kept.lifted_by, kept.lifted_at) == ("Helena Costa", NOW)
    kinds = AuditEvent.objects.filter(stream=freeze.stream).order_by("stream_version").values_list("kind", flat=True)
    assert list(kinds) == ["freeze.set", "freeze.lifted"]
    assert list(OutboxMessage.objects.filter(ref=freeze.pk).values_list("kind", flat=True).order_by("kind")) == [
        "freeze.lifted",
        "freeze.set",
    ]


def test_with_a_window_the_environment_is_shut_outside_it(ledger, contacts, production, staging):
    a_window(production, starts=2, ends=3, service_id=ledger.pk)
    assert closed(ledger, production) == ["window"]
    assert closed(ledger, production, NOW + 2 * HOUR) == []
    assert closed(ledger, production, NOW + 3 * HOUR) == ["window"]
    assert closed(contacts, production) == []
    assert closed(ledger, staging) == []
    assert asked(ledger, production).opens_at == NOW + 2 * HOUR


def test_the_calendar_of_a_span_lists_windows_and_freezes(production):
    a_window(production, starts=-2, ends=1)
    a_freeze(production, starts=5, ends=6)
    assert len(queries.windows_between(NOW, NOW + HOUR)) == 1
    assert queries.windows_between(NOW + HOUR, NOW + 2 * HOUR) == []
    assert len(queries.freezes_between(NOW, NOW + 6 * HOUR)) == 1
    assert queries.freezes_between(NOW, NOW + 5 * HOUR) == []


# Locks


def test_a_lock_stops_everything_until_it_is_released(ledger, production, staging):
    lock = a_lock()
    assert closed(ledger, production) == closed(ledger, staging) == ["lock"]
    assert asked(ledger, production).opens_at is None

    services.unlock(lock_id=lock.pk, actor=an_actor(Role.ON_CALL, name="Caio Dias"), now=NOW + HOUR)

    assert closed(ledger, production, NOW + HOUR) == []
    assert Lock.objects.get().released_by == "Caio Dias"


def test_a_lock_with_an_end_opens_by_itself(ledger, production):
    a_lock(until_at=NOW + HOUR)
    assert asked(ledger, production).opens_at == NOW + HOUR
    assert closed(ledger, production, NOW + HOUR - TICK) == ["lock"]
    assert closed(ledger, production, NOW + HOUR) == []


def test_a_lock_reaches_what_it_names_and_no_more(ledger, contacts, production, staging):
    a_lock(service_id=ledger.pk, environment_id=production.pk)
    assert closed(ledger, production) == ["lock"]
    assert closed(contacts, production) == closed(ledger, staging) == []


def test_what_closes_one_place_is_not_said_of_another(ledger, contacts, production, staging):
    a_freeze(production, service_id=ledger.pk)
    a_window(staging, starts=2, ends=3)
    a_lock(service_id=contacts.pk)
    places = [(service.pk, where.pk) for service in (ledger, contacts) for where in (production, staging)]

    found = queries.closures_in(places=places, at=NOW)

    assert [[one.kind for one in found[place]] for place in places] == [
        ["freeze"],
        ["window"],
        ["lock"],
        ["lock", "window"],
    ]


def test_why_a_line_was_stopped_is_in_the_record_as_text_that_can_be_erased(production):
    lock = a_lock(environment_id=production.pk)
    event = AuditEvent.objects.get(stream=lock.stream)
    assert event.kind == "lock.set"
    assert "on fire" not in event.body
    assert [text.body for text in AuditText.objects.filter(event_id=event.event_id)] == ["The ledger is on fire."]


# Bookings


def test_two_changes_in_one_place_see_each_other_and_the_first_is_ahead(ledger, contacts, production):
    first = a_booking(1001, [(ledger.pk, production.pk)], starts=0, ends=2)
    second = a_booking(
        1002, [(ledger.pk, production.pk), (contacts.pk, production.pk)], starts=1, ends=3, now=NOW + HOUR
    )

    of_first = asked(ledger, production, ends=2, subject=first.subject).conflicts
    of_second = asked(ledger, production, starts=1, ends=3, subject=second.subject).conflicts

    assert [(one.number, one.is_ahead) for one in of_first] == [(1002, False)]
    assert [(one.number, one.is_ahead) for one in of_second] == [(1001, True)]
    assert asked(ledger, production, starts=1, ends=3, subject=second.subject).opens_at == NOW + 2 * HOUR
    assert asked(ledger, production, starts=1, ends=2, subject=first.subject).opens_at == NOW + HOUR


def test_who_was_ahead_is_said_place_by_place_and_moment_by_moment(ledger, contacts, production):
    here, there = (ledger.pk, production.pk), (contacts.pk, production.pk)
    first = a_booking(1001, [here], starts=0, ends=2)
    second = a_booking(1002, [here, there], starts=1, ends=3, now=NOW + HOUR)

    def ahead_of(booking, at):
        return queries.booked_before(subject=booking.subject, places=[here, there], at=at)

    assert ahead_of(second, NOW + 2 * HOUR - TICK) == {here: (1001,), there: ()}
    assert ahead_of(second, NOW + 2 * HOUR) == ahead_of(first, NOW + HOUR) == {here: (), there: ()}


def test_who_has_not_booked_is_behind_all_who_have(ledger, production):
    a_booking(1001, [(ledger.pk, production.pk)])
    assert [one.is_ahead for one in asked(ledger, production).conflicts] == [True]


@pytest.mark.parametrize(
    ("starts", "ends", "clashes"), [(2, 3, False), (1.999, 3, True), (-1, 0, False), (-1, 0.001, True)]
)
def test_bookings_that_only_touch_do_not_clash(ledger, production, starts, ends, clashes):
    a_booking(1001, [(ledger.pk, production.pk)], starts=0, ends=2)
    assert bool(asked(ledger, production, starts=starts, ends=ends).conflicts) is clashes


def test_a_released_booking_is_in_nobodys_way(ledger, production):
    booking = a_booking(1001, [(ledger.pk, production.pk)])
    with transaction.atomic():
        services.release(subject=booking.subject, now=NOW)
        services.release(subject=uuid4(), now=NOW)
    assert asked(ledger, production).conflicts == ()
    assert queries.booking_of(booking.subject) is None


def test_booking_the_same_again_keeps_the_turn_and_another_span_loses_it(ledger, production):
    place = [(ledger.pk, production.pk)]
    first = a_booking(1001, place)
    a_booking(1001, place, subject=first.subject, now=NOW + HOUR)
    assert Booking.objects.get().booked_at == NOW
    a_booking(1001, place, subject=first.subject, ends=3, now=NOW + HOUR)
    assert Booking.objects.get().booked_at == NOW + HOUR
    with transaction.atomic():
        services.release(subject=first.subject, now=NOW)
    a_booking(1001, place, subject=first.subject, ends=3, now=NOW + 2 * HOUR)
    assert (Booking.objects.get().released_at, Booking.objects.get().booked_at) == (None, NOW + 2 * HOUR)


# Who may, and what makes no sense


def test_who_may_not_set_freezes_touches_nothing_in_the_calendar(production):
    engineer = an_actor(Role.ENGINEER)
    freeze, lock = a_freeze(production), a_lock()
    for attempt in (
        lambda: a_freeze(production, actor=engineer),
        lambda: a_window(production, actor=engineer),
        lambda: a_lock(actor=engineer),
        lambda: services.lift(window_id=freeze.pk, actor=engineer, now=NOW),
        lambda: services.unlock(lock_id=lock.pk, actor=engineer, now=NOW),
    ):
        with pytest.raises(NotPermitted):
            attempt()
    assert (Window.objects.count(), Lock.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"title": " "}, "title"),
        ({"starts": 2, "ends": 2}, "ends_at"),
        ({"starts": 3, "ends": 2}, "ends_at"),
        ({"starts": -3, "ends": 0}, "ends_at"),
    ],
)
def test_a_freeze_that_makes_no_sense_is_refused_by_field(production, more, field):
    with pytest.raises(Invalid) as caught:
        a_freeze(production, **more)
    assert list(caught.value.fields) == [field]


@pytest.mark.parametrize(("more", "field"), [({"reason": " "}, "reason"), ({"until_at": NOW}, "until_at")])
def test_a_lock_that_makes_no_sense_is_refused_by_field(more, field):
    with pytest.raises(Invalid) as caught:
        a_lock(**more)
    assert list(caught.value.fields) == [field]


def test_what_is_not_there_is_missing(production):
    actor = an_actor(Role.RELEASE_MANAGER)
    for attempt in (
        lambda: a_freeze(production, environment_id=uuid4()),
        lambda: a_freeze(production, service_id=uuid4()),
        lambda: a_lock(service_id=uuid4()),
        lambda: services.lift(window_id=uuid4(), actor=actor, now=NOW),
        lambda: services.unlock(lock_id=uuid4(), actor=actor, now=NOW),
    ):
        with pytest.raises(Missing):
            attempt()


def test_the_tables_refuse_spans_that_end_before_they_start(ledger, production):
    a_freeze(production)
    a_lock()
    a_booking(1001, [(ledger.pk, production.pk)])
    for model, values in (
        (Window, {"ends_at": NOW - 9 * HOUR}),
        (Window, {"kind": "other"}),
        (Lock, {"until_at": NOW - HOUR}),
        (Lock, {"reason": ""}),
        (Booking, {"ends_at": NOW - HOUR}),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            model.objects.update(**values)


# --- freezes that customers asked for ---


def test_a_freeze_of_customers_closes_no_place_and_is_found_for_them(production, ledger):
    banks = a_customer(ledger)
    cards = catalog.customers_of([ledger.pk])
    a_freeze_for(customer_id=banks.pk, title="Audit")
    a_freeze_for(segment="partner", title="Payroll", ends=2)
    a_freeze_for(segment="partner", title="Over by then", starts=-2, ends=0.5)

    place = (ledger.pk, production.pk)
    assert queries.closures(places=[place], at=NOW) == ()
    found = queries.asked_for(customers=cards, at=NOW + HOUR - TICK)
    assert [(one.kind, str(one.sentence)) for one in found] == [
        ("customer", "Partner banks asked for a freeze: Audit"),
        ("customer", "A freeze for every customer of partner: Payroll"),
    ]
    assert [one.until for one in queries.asked_for(customers=cards, at=NOW + HOUR)] == [NOW + 2 * HOUR]
    assert queries.asked_for_in({place: cards}, at=NOW + HOUR)[place] == queries.asked_for(
        customers=cards, at=NOW + HOUR
    )


def test_it_opens_when_the_freeze_of_whoever_would_be_hurt_is_over(production, ledger):
    banks = a_customer(ledger)
    a_freeze_for(customer_id=banks.pk, ends=3)

    def opens(customers):
        found = queries.constraints(
            places=[(ledger.pk, production.pk)],
            starts_at=NOW,
            ends_at=NOW + 4 * HOUR,
            now=NOW,
            customers=customers,
        )
        return len(found.freezes), found.opens_at

    assert opens(catalog.customers_of([ledger.pk])) == (1, NOW + 3 * HOUR)
    assert opens([]) == (0, NOW)


def test_a_freeze_of_customers_is_set_by_who_may_and_for_somebody(ledger):
    banks = a_customer(ledger)
    with pytest.raises(NotPermitted):
        a_freeze_for(customer_id=banks.pk, actor=an_actor(Role.ENGINEER))
    with pytest.raises(Missing):
        a_freeze_for(customer_id=uuid4())
    for wrong, field in (
        ({}, "segment"),
        ({"customer_id": banks.pk, "segment": "partner"}, "segment"),
        ({"segment": "nobody"}, "segment"),
        ({"customer_id": banks.pk, "title": " "}, "title"),
        ({"customer_id": banks.pk, "ends": -1}, "ends_at"),
    ):
        with pytest.raises(Invalid) as found:
            a_freeze_for(**wrong)
        assert list(found.value.fields) == [field]
    assert not Window.objects.exists()


def test_a_window_is_of_a_place_or_of_customers_never_of_both(production, ledger):
    banks = a_customer(ledger)
    row = a_freeze(production)
    for wrong in (
        {"customer": banks},
        {"segment": "partner"},
        {"environment": None},
        {"environment": None, "customer": banks, "segment": "partner"},
        {"environment": None, "customer": banks, "service": ledger},
        {"environment": None, "customer": banks, "kind": "open"},
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            Window.objects.filter(pk=row.pk).update(**wrong)

"""Freeze, open, lock, book: everything that can be done to the calendar."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.calendar.kinds import WindowKind
from releases.calendar.models import Booking, Lock, Window
from releases.catalog.kinds import Place
from releases.catalog.models import Customer, Environment, Service
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.words import mark as _
from releases.operations.services import post

SET = {WindowKind.FREEZE: Kind.FREEZE_SET, WindowKind.OPEN: Kind.WINDOW_OPENED}
LIFTED = {WindowKind.FREEZE: Kind.FREEZE_LIFTED, WindowKind.OPEN: Kind.WINDOW_CLOSED}


@transaction.atomic(durable=True)
def set_window(
    *,
    kind: WindowKind,
    actor: Actor,
    environment_id: UUID,
    title: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    service_id: UUID | None = None,
) -> Window:
    """Keep changes out of an environment, or of one service there, for a span (a freeze), or let them in only then.

    With the first open window, all other time is shut there.

    :raises NotPermitted: the actor may not set freezes and windows
    :raises Invalid: the title is empty, or the span is over or ends before it starts
    :raises Missing: there is no such environment or service
    """
    require(actor, Right.FREEZE_SET)
    _check(title, starts_at, ends_at, now)
    _known(environment_id, service_id)
    window = Window(
        kind=kind,
        environment_id=environment_id,
        service_id=service_id,
        title=title.strip(),
        starts_at=starts_at,
        ends_at=ends_at,
    )
    of = {"environment": str(environment_id), "service": str(service_id or "")}
    return _set(window, actor=actor, of=of, now=now)


@transaction.atomic(durable=True)
def freeze_for(
    *,
    actor: Actor,
    title: str,
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
    customer_id: UUID | None = None,
    segment: str = "",
) -> Window:
    """Keep out of production, for a span, what hurts a customer who asked for it, or anybody of a segment.

    :raises NotPermitted: the actor may not set freezes
    :raises Invalid: not exactly one of customer and segment is named, no customer is of that segment, the title is
        empty, or the span is over or ends before it starts
    :raises Missing: there is no such customer
    """
    require(actor, Right.FREEZE_SET)
    _check(title, starts_at, ends_at, now)
    if (customer_id is None) != bool(segment):
        raise _invalid("segment", Sentence(_("Name either one customer or a whole segment.")))
    if customer_id is not None and not Customer.objects.filter(pk=customer_id).exists():
        raise Missing(Sentence(_("There is no such customer.")))
    if segment and not Customer.objects.filter(segment=segment).exists():
        text = _("No customer is of the segment %(segment)s: mend the name.")
        raise _invalid("segment", Sentence(text, {"segment": segment}))
    window = Window(
        kind=WindowKind.FREEZE,
        customer_id=customer_id,
        segment=segment,
        title=title.strip(),
        starts_at=starts_at,
        ends_at=ends_at,
    )
    return _set(window, actor=actor, of={"customer": str(customer_id or ""), "segment": segment}, now=now)


def _check(title: str, starts_at: datetime, ends_at: datetime, now: datetime) -> None:
    if not title.strip():
        raise _invalid("title", Sentence(_("Give it a title: those who wait will read it.")))
    if not starts_at < ends_at or ends_at <= now:
        raise _invalid("ends_at", Sentence(_("Let it end after it starts, and in the future.")))


def _set(window: Window, *, actor: Actor, of: Mapping[str, JSON], now: datetime) -> Window:
    """Save a new window with its event and its message, inside the caller's transaction."""
    window.created_by, window.created_at = actor.name, now
    window.save(force_insert=True)
    data = {
        **of,
        "title": window.title,
        "starts_at": window.starts_at.isoformat(),
        "ends_at": window.ends_at.isoformat(),
    }
    kind = SET[WindowKind(window.kind)]
    record(stream=window.stream, kind=kind, actor=actor, data=data)
    post(kind=kind.value, ref=window.pk, now=now)
    return window


@transaction.atomic(durable=True)
def lift(*, window_id: UUID, actor: Actor, now: datetime) -> Window:
    """Take a window or a freeze out of the calendar; it stays in the record. Lifting it again changes nothing.

    :raises NotPermitted: the actor may not set freezes
    :raises Missing: there is no such window
    """
    require(actor, Right.FREEZE_SET)
    window = Window.objects.select_for_update().filter(pk=window_id).first()
    if window is None:
        raise Missing(Sentence(_("There is no such window.")))
    if window.lifted_at is None:
        window.lifted_at, window.lifted_by = now, actor.name
        window.save(update_fields=["lifted_at", "lifted_by"])
        kind = LIFTED[WindowKind(window.kind)]
        record(stream=window.stream, kind=kind, actor=actor, data={"title": window.title})
        post(kind=kind.value, ref=window.pk, now=now)
    return window


@transaction.atomic(durable=True)
def lock(
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    environment_id: UUID | None = None,
    service_id: UUID | None = None,
    until_at: datetime | None = None,
) -> Lock:
    """Stop the line now: everywhere, in an environment, for a service, or for a service in an environment.

    :raises NotPermitted: the actor may not stop the line
    :raises Invalid: the reason is empty, or the end is over
    :raises Missing: there is no such environment or service
    """
    require(actor, Right.FREEZE_SET)
    if not reason.strip():
        raise _invalid("reason", Sentence(_("Say why the line stops: those who wait will read it.")))
    if until_at is not None and until_at <= now:
        raise _invalid("until_at", Sentence(_("Let the lock end in the future, or leave its end open.")))
    _known(environment_id, service_id)
    row = Lock.objects.create(
        environment_id=environment_id,
        service_id=service_id,
        reason=reason.strip(),
        locked_by=actor.name,
        locked_at=now,
        until_at=until_at,
    )
    data = {
        "environment": str(environment_id or ""),
        "service": str(service_id or ""),
        "until_at": until_at.isoformat() if until_at else None,
    }
    record(stream=row.stream, kind=Kind.LOCK_SET, actor=actor, data=data, text={"reason": row.reason})
    post(kind="lock.set", ref=row.pk, now=now)
    return row


@transaction.atomic(durable=True)
def unlock(*, lock_id: UUID, actor: Actor, now: datetime) -> Lock:
    """Release a lock; releasing it again changes nothing.

    :raises NotPermitted: the actor may not stop the line, nor let it go on
    :raises Missing: there is no such lock
    """
    require(actor, Right.FREEZE_SET)
    row = Lock.objects.select_for_update().filter(pk=lock_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such lock.")))
    if row.released_at is None:
        row.released_at, row.released_by = now, actor.name
        row.save(update_fields=["released_at", "released_by"])
        record(stream=row.stream, kind=Kind.LOCK_RELEASED, actor=actor, data={})
        post(kind="lock.released", ref=row.pk, now=now)
    return row


def book(
    *,
    subject: UUID,
    number: int,
    places: Iterable[Place],
    starts_at: datetime,
    ends_at: datetime,
    now: datetime,
) -> Booking:
    """Take places for a span, inside the caller's transaction; the caller's event tells of it.

    The same places and span again keep their turn; others go behind who booked meanwhile. Nobody is refused: two
    changes that clash are shown to both, and who booked first is ahead.
    """
    wanted = {
        "number": number,
        "places": sorted([str(service), str(environment)] for service, environment in set(places)),
        "starts_at": starts_at,
        "ends_at": ends_at,
    }
    booking = Booking.objects.select_for_update().filter(subject=subject).first()
    if booking is None:
        return Booking.objects.create(subject=subject, booked_at=now, **wanted)
    is_same = booking.released_at is None and all(getattr(booking, name) == value for name, value in wanted.items())
    if not is_same:
        for name, value in {**wanted, "booked_at": now, "released_at": None}.items():
            setattr(booking, name, value)
        booking.save()
    return booking


def release(*, subject: UUID, now: datetime) -> None:
    """Give up what the subject has booked, if anything, inside the caller's transaction."""
    Booking.objects.filter(subject=subject, released_at=None).update(released_at=now)


def _known(environment_id: UUID | None, service_id: UUID | None) -> None:
    if environment_id is not None and not Environment.objects.filter(pk=environment_id).exists():
        raise Missing(Sentence(_("There is no such environment.")))
    if service_id is not None and not Service.objects.filter(pk=service_id).exists():
        raise Missing(Sentence(_("There is no such service.")))


def _invalid(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})

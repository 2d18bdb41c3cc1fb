"""Lending a seat for a while, and taking it back."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.models import Person
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import agree, record
from releases.committee import queries
from releases.committee.models import Delegation
from releases.committee.seats import SEATS, title_of
from releases.core.errors import Invalid, Missing, NotPermitted, Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.operations.services import post


@transaction.atomic(durable=True)
def delegate(
    *, actor: Actor, to_person: UUID, seat: str, starts_at: datetime, ends_at: datetime, now: datetime
) -> Delegation:
    """Lend one's own seat to somebody who sits in the committee too.

    :raises Invalid: the span is over or ends before it starts, or there is no such seat
    :raises NotPermitted: the seat is not the actor's own: what was lent cannot be lent on
    :raises Refused: the other holds no seat, is the actor, or the seat is lent in that span already
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    """
    agree()
    lender = actor.person_id
    if seat not in SEATS:
        raise _invalid("seat", Sentence(_("There is no such seat: %(seat)s."), {"seat": seat}))
    if not now < ends_at or not starts_at < ends_at:
        raise _invalid("ends_at", Sentence(_("Let it end after it starts, and in the future.")))
    if lender is not None:
        Person.objects.select_for_update().get(pk=lender)  # closes the race of two loans of one seat
    members = queries.members()
    if lender is None or lender not in members or seat not in members[lender].seats:
        sentence = Sentence(
            _("You do not hold the seat %(seat)s yourself, so you cannot lend it."), {"seat": title_of(seat)}
        )
        raise NotPermitted(sentence, reasons=[Reason("no_seat", sentence)])
    if to_person == lender or to_person not in members:
        raise _refused("no_seat", Sentence(_("Choose somebody else who holds a seat in the committee.")))
    lent = Delegation.objects.filter(from_person_id=lender, seat=seat, revoked_at=None)
    if lent.filter(starts_at__lt=ends_at, ends_at__gt=starts_at).exists():
        raise _refused("lent_already", Sentence(_("You lent this seat in that span already: take it back first.")))
    delegation = Delegation.objects.create(
        from_person_id=lender,
        to_person_id=to_person,
        seat=seat,
        starts_at=starts_at,
        ends_at=ends_at,
        delegated_at=now,
    )
    data = {
        "delegation": str(delegation.pk),
        "to": str(to_person),
        "seat": seat,
        "starts_at": starts_at.isoformat(),
        "ends_at": ends_at.isoformat(),
    }
    record(stream=delegation.stream, kind=Kind.DELEGATION_GIVEN, actor=actor, data=data)
    post(kind="delegation.given", ref=delegation.pk, now=now)
    return delegation


@transaction.atomic(durable=True)
def revoke_delegation(*, delegation_id: UUID, actor: Actor, now: datetime) -> Delegation:
    """Take a lent seat back; what was decided on it counts no more, also where it was counted already.

    :raises Missing: there is no such delegation
    :raises NotPermitted: it is not the actor's seat
    """
    delegation = Delegation.objects.select_for_update().filter(pk=delegation_id).first()
    if delegation is None:
        raise Missing(Sentence(_("There is no such delegation.")))
    if delegation.from_person_id != actor.person_id:
        raise NotPermitted(Sentence(_("Only who lent a seat takes it back.")))
    if delegation.revoked_at is None:
        delegation.revoked_at = now
        delegation.save(update_fields=["revoked_at"])
        data = {"delegation": str(delegation.pk), "seat": delegation.seat}
        record(stream=delegation.stream, kind=Kind.DELEGATION_REVOKED, actor=actor, data=data)
        post(kind="delegation.revoked", ref=delegation.pk, now=now)
    return delegation


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])


def _invalid(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})

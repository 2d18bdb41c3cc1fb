"""Write down that a customer was told of a change."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import one_line
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.catalog.models import Customer
from releases.changes.document import items_of
from releases.changes.models import CustomerNotice
from releases.changes.promises import told_digest
from releases.changes.services.moving import locked
from releases.changes.states import ENDED
from releases.core.errors import Invalid, Missing, Refused, Sentence, Stale
from releases.core.words import mark as _
from releases.operations import services as operations

LONGEST_NAME, LONGEST_EVIDENCE = 120, 300


@transaction.atomic(durable=True)
def tell_customer(
    *,
    change_id: UUID,
    customer_id: UUID,
    actor: Actor,
    seen_digest: str,
    told_at: datetime,
    told_by: str,
    evidence: str,
    now: datetime,
) -> CustomerNotice:
    """Record that a customer was told what goes where and when; it is never edited.

    ``seen_digest`` names what they were told (see :func:`~releases.changes.promises.told_digest`). It counts until an
    edit of the items or of the window: then they have to be told again.

    :raises NotPermitted: the actor may not file changes
    :raises Missing: there is no such change or customer
    :raises Refused: the change has ended, or has nothing yet that anybody could be told
    :raises Stale: items or window are others by now
    :raises Invalid: who told them or where that can be looked up is missing, or the moment is in the future or before
        items and window were these
    """
    change = locked(change_id)
    require(actor, Right.CHANGE_FILE)
    customer = Customer.objects.filter(pk=customer_id).first()
    if customer is None:
        raise Missing(Sentence(_("There is no such customer.")))
    items = items_of(change)
    if change.state in ENDED:
        raise Refused(Sentence(_("%(name)s has ended: nobody needs to be told."), {"name": change.name}))
    if not items or change.starts_at is None or change.ends_at is None:
        raise Refused(Sentence(_("Choose the items and the window first: they are what a customer is told.")))
    if seen_digest != (digest := told_digest(change, items)):
        raise Stale(Sentence(_("Items or window of %(name)s are others by now: look again."), {"name": change.name}))
    told_by, evidence = one_line(told_by)[:LONGEST_NAME], one_line(evidence)[:LONGEST_EVIDENCE]
    wrong: dict[str, list[Sentence | str]] = {}
    if not told_by:
        wrong["told_by"] = [Sentence(_("Say who told them."))]
    if not evidence:
        wrong["evidence"] = [Sentence(_("Say where it can be looked up: the number of a mail, a ticket, a page."))]
    if told_at > now:
        wrong["told_at"] = [Sentence(_("Record it once they were told: this moment is in the future."))]
    since = change.told_from_at or change.created_at
    if told_at < since.replace(second=0, microsecond=0):  # forms give whole minutes
        early = _("%(name)s says what it says only since %(since)s: what they heard before was something else.")
        wrong["told_at"] = [Sentence(early, {"name": change.name, "since": since})]
    if wrong:
        raise Invalid(Sentence(_("Some fields need your attention.")), fields=wrong)
    notice = CustomerNotice.objects.create(
        change=change,
        customer=customer,
        told_digest=digest,
        told_at=told_at,
        told_by=told_by,
        evidence=evidence,
        recorded_by=actor.name,
        recorded_at=now,
    )
    data = {
        "number": change.number,
        "state": change.state,
        "notice": str(notice.pk),
        "customer": str(customer.pk),
        "told_at": told_at.isoformat(),
        "told_digest": digest,
    }
    text = {"name": customer.name, "told_by": told_by, "evidence": evidence}
    record(stream=change.stream, kind=Kind.CHANGE_CUSTOMER_TOLD, actor=actor, data=data, text=text)
    operations.post(kind=Kind.CHANGE_CUSTOMER_TOLD.value, ref=change.pk, now=now)
    return notice

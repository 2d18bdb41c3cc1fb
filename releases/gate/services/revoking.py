"""Revoke the permits that an edit, or somebody's leaving, broke."""

from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.changes.facts import tally_of
from releases.changes.models import ChangeRequest
from releases.changes.services import locked
from releases.gate.models import Permit
from releases.gate.rules import OPEN_FOR
from releases.gate.states import Intent


def revoke_for(*, change_id: UUID, now: datetime) -> int:
    """Mark the open permits of a change that do not cover it as it stands now revoked; return how many.

    This may come late: a permit given since, for what was approved anew or for the way back, stays good. Redeeming
    decides again in any case.
    """
    with transaction.atomic(durable=True):
        change = locked(change_id)
        may_pass = [intent for intent, states in OPEN_FOR.items() if change.state in states]
        covered = Q(decision__intent__in=may_pass, decision__content_digest=change.content_digest)
        return _revoke(change, _open_permits(now).filter(change=change).exclude(covered), now=now)


def revoke_broken(*, now: datetime) -> int:
    """Mark the open permits of changes whose authorization no longer stands revoked; return how many.

    Somebody left, lost a seat or took one back, and with them goes a vote that counted. A way back needs no vote now.
    """
    forward = _open_permits(now).exclude(decision__intent=Intent.ROLLBACK)
    count = 0
    for change_id in forward.values_list("change", flat=True).distinct():
        with transaction.atomic(durable=True):
            change = locked(change_id)
            tally = tally_of(change, now=now)
            if tally is None or not tally.approved:
                count += _revoke(change, forward.filter(change=change), now=now)
    return count


def _open_permits(now: datetime) -> QuerySet[Permit]:
    return Permit.objects.filter(redeemed_at__isnull=True, revoked_at__isnull=True, expires_at__gt=now)


def _revoke(change: ChangeRequest, open_permits: QuerySet[Permit], *, now: datetime) -> int:
    """Mark permits of a locked change revoked and tell of it; inside the caller's transaction."""
    count = open_permits.update(revoked_at=now)
    if count:
        record(
            stream=change.stream,
            kind=Kind.PERMIT_REVOKED,
            actor=system("gate"),
            data={"number": change.number, "state": change.state, "permits": count},
        )
    return count

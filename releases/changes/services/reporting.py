"""What somebody who deploys by their own means reports: deployed, failed. Starting is for the gate, or a rollout."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.audit.actor import Actor
from releases.changes.models import ChangeRequest
from releases.changes.services.moving import locked, move


@transaction.atomic(durable=True)
def deployed(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> ChangeRequest:
    """Report that everything is deployed: the watch begins.

    :raises Refused: a rollout reports this by itself, or the change is elsewhere
    :raises NotPermitted: the actor may not release
    """
    return _report(change_id, "deployed", actor=actor, now=now, reason=reason)


@transaction.atomic(durable=True)
def failed(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> ChangeRequest:
    """Report that it failed before any traffic: the review begins.

    :raises Refused: a rollout reports this by itself, or the change is elsewhere
    :raises NotPermitted: the actor may not release
    """
    return _report(change_id, "failed", actor=actor, now=now, reason=reason)


def _report(change_id: UUID, verb: str, *, actor: Actor, now: datetime, reason: str = "") -> ChangeRequest:
    change = locked(change_id)
    move(change, verb, actor=actor, now=now, text={"reason": reason} if reason else {})
    return change

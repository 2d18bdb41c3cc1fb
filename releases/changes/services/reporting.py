"""What somebody who deploys by their own means reports: started, deployed, failed."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.audit.actor import Actor
from releases.audit.services import agree
from releases.changes.models import ChangeRequest
from releases.changes.services.moving import locked, move


@transaction.atomic(durable=True)
def start(*, change_id: UUID, actor: Actor, now: datetime) -> ChangeRequest:
    """Begin a scheduled change inside its window.

    :raises Refused: with every reason why it may not begin now
    :raises NotPermitted: the actor may not release
    :raises Contradicted: the record contradicts its witness, so nothing begins
    """
    agree()
    return _report(change_id, "start", actor=actor, now=now)


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

"""How changes end: canceled, superseded, expired, settled, reviewed and closed."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.changes.models import ChangeRequest, Review
from releases.changes.services.drafting import own
from releases.changes.services.moving import locked, move
from releases.changes.states import Outcome, State
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.words import mark as _
from releases.operations import queries as operations


@transaction.atomic(durable=True)
def cancel(*, change_id: UUID, actor: Actor, now: datetime, reason: str = "") -> ChangeRequest:
    """Give a change up before it starts.

    :raises Refused: it has started or ended
    :raises NotPermitted: it is somebody else's change
    """
    change = locked(change_id)
    own(change, actor)
    change.outcome = Outcome.NOT_IMPLEMENTED
    move(change, "cancel", actor=actor, now=now, text={"reason": reason} if reason else {})
    return change


@transaction.atomic(durable=True)
def supersede(*, change_id: UUID, successor_number: int, actor: Actor, now: datetime) -> ChangeRequest:
    """End a change because another one takes its place.

    :raises Invalid: the successor is not there, or is the change itself
    :raises Refused: it has started or ended
    :raises NotPermitted: it is somebody else's change
    """
    change = locked(change_id)
    own(change, actor)
    successor = ChangeRequest.objects.filter(number=successor_number).exclude(pk=change.pk).first()
    if successor is None:
        sentence = Sentence(_("There is no other change CHG-%(number)s."), {"number": successor_number})
        raise Invalid(sentence, fields={"successor": [sentence]})
    change.superseded_by, change.outcome = successor, Outcome.NOT_IMPLEMENTED
    move(change, "supersede", actor=actor, now=now, data={"successor": successor.number})
    return change


@transaction.atomic(durable=True)
def close(*, change_id: UUID, actor: Actor, outcome: Outcome, summary: str, now: datetime) -> ChangeRequest:
    """Write the review and close the change.

    A change that was rolled back or that failed keeps that outcome.

    :raises Invalid: the summary is empty
    :raises Refused: the change is not under review
    :raises NotPermitted: the actor may not close changes
    """
    change = locked(change_id)
    require(actor, Right.CHANGE_RELEASE)
    if not summary.strip():
        sentence = Sentence(_("Write the review: what happened, and what we learned."))
        raise Invalid(sentence, fields={"summary": [sentence]})
    if change.outcome not in {Outcome.FAILED, Outcome.ROLLED_BACK}:
        change.outcome = outcome
    person = accounts.person_behind(actor)
    move(
        change,
        "close",
        actor=actor,
        now=now,
        data={"outcome": change.outcome},
        text={"summary": summary},
        known={"has_review": True},
    )
    Review.objects.filter(change=change).update(
        summary=summary, outcome=change.outcome, written_by=person, written_at=now
    )
    return change


def settle_due(*, now: datetime) -> int:
    """Send every change whose watch is over to its review; return how many went."""
    due = ChangeRequest.objects.filter(state=State.WATCHING, watch_until_at__lte=now)
    return sum(_try(pk, "settled", now=now) for pk in due.values_list("pk", flat=True))


def expire_due(*, now: datetime) -> int:
    """End every change whose window passed before it started; return how many ended."""
    states = [State.ASSESSING, State.AUTHORIZING, State.SCHEDULED]
    due = ChangeRequest.objects.filter(state__in=states, ends_at__lte=now)
    return sum(_try(pk, "expire", now=now) for pk in due.values_list("pk", flat=True))


def settle(change: ChangeRequest, *, now: datetime) -> None:
    """Send a watched change to its review, inside the caller's transaction; the event says how the watch had ended."""
    move(change, "settled", actor=system("clock"), now=now, data=_how_watched(change))


def _how_watched(change: ChangeRequest) -> dict[str, Any]:
    """Return the latest work that held the change, how it ended, and what the step that failed says."""
    latest = next((one for one in operations.operations_of(change.pk) if one.target == change.stream), None)
    if latest is None:
        return {"work": "", "work_state": ""}
    why = next((step.note for step in latest.steps if step.note), None)
    told = {"why": why.as_json()} if why else {}
    return {"work": latest.kind, "work_state": latest.state.value, **told}


def _try(change_id: UUID, verb: str, *, now: datetime) -> bool:
    """Make a move of time itself; whoever was faster wins."""
    try:
        with transaction.atomic(durable=True):
            change = locked(change_id)
            if verb == "settled":
                settle(change, now=now)
            else:
                move(change, verb, actor=system("clock"), now=now)
    except GmudError:
        return False
    return True

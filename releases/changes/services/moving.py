"""The one place that writes a state: a row of the table, its right, its guards, the event and the message."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.audit.services import record
from releases.calendar import services as calendar
from releases.catalog import services as catalog
from releases.catalog.models import Service
from releases.changes.document import items_of
from releases.changes.facts import gather
from releases.changes.machine import LIFE
from releases.changes.models import ChangeRequest, Item, Review
from releases.changes.rules import Facts
from releases.changes.states import ENDED, ChangeType, Outcome, State
from releases.core.errors import Missing, Reason, Refused, Sentence
from releases.core.machine import Move
from releases.core.words import mark as _
from releases.operations import services as operations

KIND_OF = {
    "submit": Kind.CHANGE_SUBMITTED,
    "submit_standard": Kind.CHANGE_SUBMITTED,
    "submit_emergency": Kind.CHANGE_SUBMITTED,
    "report": Kind.CHANGE_REPORTED,
    "assessed": Kind.CHANGE_ASSESSED,
    "request_changes": Kind.CHANGE_RETURNED,
    "authorized": Kind.CHANGE_AUTHORIZED,
    "reject": Kind.CHANGE_REJECTED,
    "revise": Kind.CHANGE_REVISED,
    "withdraw": Kind.CHANGE_WITHDRAWN,
    "cancel": Kind.CHANGE_CANCELED,
    "supersede": Kind.CHANGE_SUPERSEDED,
    "expire": Kind.CHANGE_EXPIRED,
    "start": Kind.CHANGE_STARTED,
    "deployed": Kind.CHANGE_DEPLOYED,
    "failed": Kind.CHANGE_FAILED,
    "settled": Kind.CHANGE_SETTLED,
    "roll_back": Kind.CHANGE_ROLL_BACK_BEGUN,
    "rolled_back": Kind.CHANGE_ROLLED_BACK,
    "back_by_hand": Kind.CHANGE_BACK_BY_HAND,
    "stay": Kind.CHANGE_STAYED,
    "close": Kind.CHANGE_CLOSED,
}
RIGHT_OF = {row.verb: Right(row.right) for row in LIFE}
REVIEW_DUE = {ChangeType.EMERGENCY: timedelta(days=2), ChangeType.RETROACTIVE: timedelta(days=2)}
REVIEW_DUE_OTHERWISE = timedelta(days=5)
OUTCOME_OF = {
    "failed": Outcome.FAILED,
    "rolled_back": Outcome.ROLLED_BACK,
    "back_by_hand": Outcome.ROLLED_BACK,
    "stay": Outcome.FAILED,
}


def locked(change_id: UUID) -> ChangeRequest:
    """Return the change with its row locked; runs inside the caller's transaction.

    The lock closes the races of vote, edit, move and redeem on one change.

    :raises Missing: there is no such change
    """
    change = ChangeRequest.objects.select_for_update().filter(pk=change_id).first()
    if change is None:
        raise Missing(Sentence(_("There is no such change request.")))
    return change


def move(
    change: ChangeRequest,
    verb: str,
    *,
    actor: Actor,
    now: datetime,
    data: Mapping[str, Any] | None = None,
    text: Mapping[str, str] | None = None,
    known: Mapping[str, Any] | None = None,
) -> None:
    """Make one move of the table on a locked change; runs inside the caller's transaction.

    ``known`` replaces facts that the caller is just about to make true, by the names of the facts.

    :raises Refused: the move does not start here, or guards refuse it, with every reason
    :raises NotPermitted: the actor lacks the right of this move
    """
    row = may_move(change, verb, actor=actor, now=now, known=known)
    before, change.state = change.state, row.target
    _on_arrival(change, verb, now=now)
    change.updated_at = now
    change.save()
    record(
        stream=change.stream,
        kind=KIND_OF[verb],
        actor=actor,
        data={
            "number": change.number,
            "verb": verb,
            "from": before,
            "state": change.state,
            "revision": change.revision_number,
            "content_digest": change.content_digest,
            **(data or {}),
        },
        text=text or {},
    )
    operations.post(kind=f"change.{verb}", ref=change.pk, now=now, data={"state": change.state})


def may_move(
    change: ChangeRequest, verb: str, *, actor: Actor, now: datetime, known: Mapping[str, Any] | None = None
) -> Move[Facts]:
    """Return the row of the table that a move would take, and write nothing; parameters as for :func:`move`.

    :raises Refused: the move does not start here, or guards refuse it, with every reason
    :raises NotPermitted: the actor lacks the right of this move
    """
    require(actor, RIGHT_OF[verb])
    row = LIFE.find(verb, change.state)
    if row is None:
        raise wrong_state(change, verb)
    if verb == "start":
        _hold_places(change)
    if row.guards:
        reasons = row.refusals(replace(gather(change, now=now), **(known or {})))
        if reasons:
            raise Refused(reasons[0].message, reasons=reasons)
    return row


def _hold_places(change: ChangeRequest) -> None:
    """Lock the services of a change, in one order: of two that start there at once, the second sees the first."""
    touched = Item.objects.filter(change=change).values("service_id")
    list(Service.objects.select_for_update().filter(pk__in=touched).order_by("pk"))


def wrong_state(change: ChangeRequest, verb: str) -> Refused:
    """Return the refusal of a verb that does not start where the change stands."""
    sentence = Sentence(
        _("%(name)s is %(state)s now: “%(verb)s” does not start there."),
        {"name": change.name, "state": change.state.replace("_", " "), "verb": verb.replace("_", " ")},
    )
    return Refused(sentence, reasons=[Reason("wrong_state", sentence)])


def _book(change: ChangeRequest, now: datetime) -> None:
    items = items_of(change)
    if change.starts_at is None or change.ends_at is None:
        return
    calendar.book(
        subject=change.pk,
        number=change.number,
        places=[item.place for item in items],
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        now=now,
    )


def _open_review(change: ChangeRequest, now: datetime) -> None:
    due_at = now + REVIEW_DUE.get(ChangeType(change.type), REVIEW_DUE_OTHERWISE)
    Review.objects.get_or_create(change=change, defaults={"due_at": due_at, "outcome": change.outcome})
    _release(change, now)


def _watch(change: ChangeRequest, now: datetime) -> None:
    """Write down what runs from now on, whoever deployed it, and begin the watch."""
    for item in items_of(change):
        catalog.note_running(
            actor=system("changes"),
            service_id=item.service_id,
            environment_id=item.environment_id,
            artifact_id=item.artifact_id,
            change_number=change.number,
            now=now,
        )
    change.watch_until_at = now + timedelta(seconds=settings.GMUD_WATCH_SECONDS)


def _release(change: ChangeRequest, now: datetime) -> None:
    calendar.release(subject=change.pk, now=now)


def _end(change: ChangeRequest, now: datetime) -> None:
    change.closed_at = now
    _release(change, now)


ON_ARRIVAL: dict[State, Callable[[ChangeRequest, datetime], None]] = {
    State.DRAFT: _release,
    State.SCHEDULED: _book,
    State.WATCHING: _watch,
    State.REVIEWING: _open_review,
    **dict.fromkeys(ENDED, _end),
}


def _on_arrival(change: ChangeRequest, verb: str, *, now: datetime) -> None:
    change.outcome = OUTCOME_OF.get(verb, change.outcome)
    arrive = ON_ARRIVAL.get(State(change.state))
    if arrive:
        arrive(change, now)

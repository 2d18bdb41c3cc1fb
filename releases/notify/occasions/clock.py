"""What time alone brings: windows that come near, reviews that are overdue, pages nobody takes."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from releases.changes import queries as changes
from releases.changes.models import ChangeRequest, ChangeRequests, Review
from releases.changes.states import State
from releases.notify import services
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.notify.occasions.changes import called_for_votes, case_of, review_due, window_soon
from releases.notify.occasions.connections import secrets_end
from releases.notify.occasions.work import record_contradicted, settle_messages, settle_second_person, settle_work
from releases.notify.services.telling import DUE, QUEUE
from releases.operations import services as operations
from releases.operations.models import OutboxMessage
from releases.operations.trouble import AWAY, tell

SOON = timedelta(minutes=30)
LEFT_BEHIND = timedelta(minutes=1)


def foresee(*, now: datetime) -> None:
    """Tell what became due, call the next ones, take back what is over; as often as one likes.

    One step that fails does not keep the others from their turn, and comes again with the next look.
    """
    for step in STEPS:
        try:
            step(now=now)
        except AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - a page climbs whatever else goes wrong
            tell("foresight_failed", error, step=step.__name__)


def windows_soon(*, now: datetime) -> None:
    """Tell of the windows that are about to start."""
    soon = ChangeRequest.objects.filter(state=State.SCHEDULED, starts_at__gt=now, starts_at__lte=now + SOON)
    for change in _not_told(soon, Topic.WINDOW_SOON):
        window_soon(change, now=now)


def reviews_overdue(*, now: datetime) -> None:
    """Tell of the reviews that nobody wrote in time."""
    late = Review.objects.filter(written_at=None, due_at__lte=now).values("change")
    reviewing = ChangeRequest.objects.filter(state=State.REVIEWING, pk__in=late)
    for change in _not_told(reviewing, Topic.REVIEW_OVERDUE):
        review_due(change, now=now)


def _not_told(found: ChangeRequests, topic: Topic) -> Iterator[ChangeRequest]:
    """Yield the changes of which nobody was told yet."""
    cases = {case_of(change, topic): change.pk for change in found.only("pk", "revision_number")}
    known = set(Notice.objects.filter(case__in=cases).values_list("case", flat=True))
    for case, pk in cases.items():
        if case not in known:
            yield changes.by_id(pk)


def call_for_what_is_left(*, now: datetime) -> None:
    """Call a worker for what should have gone out a while ago: whoever had it died."""
    late = now - LEFT_BEHIND
    left = Notice.objects.due(now).filter(Q(claimed_until=None) | Q(claimed_until__lte=late), due_at__lte=late)
    with transaction.atomic(durable=True):
        first = left.order_by("due_at").first()
        if first is not None and not OutboxMessage.objects.undone().filter(kind=DUE, available_at__lte=now).exists():
            operations.post(kind=DUE, ref=first.pk, now=now, queue=QUEUE)


STEPS: tuple[Callable[..., object], ...] = (
    services.escalate,
    windows_soon,
    reviews_overdue,
    secrets_end,
    called_for_votes,
    settle_work,
    settle_messages,
    settle_second_person,
    record_contradicted,
    call_for_what_is_left,
    services.forget,
)

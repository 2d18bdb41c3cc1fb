"""Tell once, and take back what is settled. What is sent is a row first; a worker is called for it."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Count

from releases.accounts import queries as accounts
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.notify import rules, wording
from releases.notify.facts import Occasion, Preferences
from releases.notify.kinds import Sink, Topic
from releases.notify.models import Notice
from releases.notify.rules.timing import STORM_SPAN
from releases.notify.services import addressing
from releases.notify.states import NoticeState
from releases.operations import services as operations

DUE = "notice.due"
QUEUE = "notify"
MOST_LINES = 12
FOLLOWS = frozenset({Sink.EMAIL, Sink.WEBHOOK})
"""Where a letter can follow another one."""


@transaction.atomic(durable=True)
def tell(*, occasion: Occasion, people: Iterable[UUID], now: datetime, again: bool = False) -> int:
    """Tell these people, and the channels that subscribed to it; return how many hear of it for the first time.

    Whoever was told of the case is left alone. ``again`` revives what was withdrawn before it was sent.
    A page that is for nobody begins on the first rung of the ladder where somebody stands.
    """
    return tell_inside(occasion=occasion, people=people, now=now, again=again)


def tell_inside(*, occasion: Occasion, people: Iterable[UUID], now: datetime, again: bool = False) -> int:
    """Tell, inside the caller's transaction."""
    rung, wanted = 0, addressing.of_people(people)
    while rules.MANNERS[occasion.topic].is_page and not wanted and rung + 1 < len(rules.LADDER):
        rung += 1
        wanted = addressing.of_people(holders_on(rung))
    channels = addressing.of_channels(occasion.topic, occasion.services)
    return write(occasion=occasion, people=wanted, channels=channels, rung=rung, now=now, again=again)


def write(
    *,
    occasion: Occasion,
    people: Mapping[UUID, Preferences],
    channels: Mapping[UUID, Preferences],
    rung: int,
    now: datetime,
    again: bool = False,
) -> int:
    """Write the notices that are not there yet, inside the caller's transaction, and have them sent.

    Nobody more is called for a page that somebody took.
    """
    if Notice.objects.of_case(occasion.case).filter(acknowledged_at__isnull=False).exists():
        return 0
    rows = [_row(occasion, one, now, rung, person=pk) for pk, one in people.items()]
    rows += [_row(occasion, one, now, rung, channel=pk) for pk, one in channels.items()]
    _space_out(rows, {**people, **channels}, now)
    Notice.objects.bulk_create(rows, ignore_conflicts=True)  # whoever was told by another worker keeps that notice
    told = list(Notice.objects.filter(pk__in=[row.pk for row in rows]))
    if again:
        told += _revived({row.key: row.due_at for row in rows})
    call_for(told, now=now)
    return len(told)


@transaction.atomic(durable=True)
def withdraw(
    *,
    case: str,
    now: datetime,
    people: Iterable[UUID] | None = None,
    knowing: Iterable[UUID] = (),
    why: Sentence | None = None,
) -> int:
    """Take back what was told of a case, to everybody or to some; return how many notices that were.

    What was not sent is dropped. Whoever was asked to act and has the letter is told that it is settled, where a
    letter can follow another one; not those ``knowing``, who settled it themselves.
    """
    rows = Notice.objects.select_for_update().of_case(case).asked().filter(settled_at=None).order_by("pk")
    if people is not None:
        rows = rows.filter(person_id__in=set(people))
    found, silent = list(rows), frozenset(knowing)
    following = [settle(row, why=why, silent=row.person_id in silent, now=now) for row in found]
    call_for(filter(None, following), now=now)
    return len(found)


def settle(row: Notice, *, now: datetime, why: Sentence | None = None, silent: bool = False) -> Notice | None:
    """Write that the reason of a locked notice is gone and return what follows it; inside the caller's transaction.

    While a worker has it in hand nobody knows whether it arrived: that worker looks again when it does.
    """
    row.settled_at = now
    if row.state != NoticeState.ACKNOWLEDGED:
        row.state = NoticeState.WITHDRAWN
    row.save(update_fields=("settled_at", "state"))
    return None if row.sent_at is None or silent else follow(row, why=why, now=now)


def follow(row: Notice, *, now: datetime, why: Sentence | None = None) -> Notice | None:
    """Write the notice that tells the same addressee that this one is settled, if that makes sense where it went."""
    if row.sink not in FOLLOWS or not rules.MANNERS[Topic(row.topic)].asks:
        return None
    settled = Sentence(_("Settled, nothing is left to do: %(what)s"), {"what": wording.read(row.reason)})
    made, _is_new = Notice.objects.get_or_create(
        key=f"{row.key}:settled",
        defaults={
            "case": row.case,
            "topic": row.topic,
            "person_id": row.person_id,
            "channel_id": row.channel_id,
            "sink": row.sink,
            "reason": wording.keep(why or settled),
            "link": row.link,
            "follows": row,
            "told_at": now,
            "due_at": _calm(row, now),
        },
    )
    return made


def call_for(rows: Iterable[Notice], *, now: datetime) -> None:
    """Have a worker called at each moment at which one of these is due, inside the caller's transaction."""
    waiting = {row.due_at: row.pk for row in rows if row.state == NoticeState.PENDING}
    for due_at, pk in waiting.items():
        operations.post(kind=DUE, ref=pk, now=now, queue=QUEUE, available_at=due_at)


def holders_on(rung: int) -> list[UUID]:
    """Return who stands on a rung of the ladder."""
    return [card.id for card in accounts.holders_of(rules.LADDER[rung])]


def _row(
    occasion: Occasion,
    wanted: Preferences,
    now: datetime,
    rung: int,
    *,
    person: UUID | None = None,
    channel: UUID | None = None,
) -> Notice:
    sink = rules.where(occasion.topic, wanted=wanted, services=occasion.services)
    is_here = sink is Sink.HERE
    return Notice(
        key=f"{occasion.case}:{f'channel:{channel}' if channel else f'person:{person}'}",
        case=occasion.case,
        topic=occasion.topic,
        person_id=person,
        channel_id=channel,
        sink=sink,
        reason=wording.keep(occasion.reason),
        lines=[wording.keep(line) for line in occasion.lines[:MOST_LINES]],
        link=occasion.link,
        rung=rung,
        state=NoticeState.SENT if is_here else NoticeState.PENDING,
        told_at=now,
        due_at=now,
        sent_at=now if is_here else None,
    )


def _space_out(rows: list[Notice], wanted: Mapping[UUID, Preferences], now: datetime) -> None:
    """Give every row that is sent its moment."""
    since = rules.storm_slot(now) - STORM_SPAN
    lately: dict[UUID | None, int] = {}
    for field in ("person_id", "channel_id"):
        told = Notice.objects.filter(told_at__gte=since).exclude(sink=Sink.HERE).order_by()
        addressees = [getattr(row, field) for row in rows if getattr(row, field)]
        counted = told.filter(**{f"{field}__in": addressees}).values_list(field).annotate(Count("pk"))
        lately |= dict(counted)
    for row in rows:
        pk = row.person_id or row.channel_id
        if pk and row.state == NoticeState.PENDING:
            row.due_at = rules.when(Topic(row.topic), wanted=wanted[pk], now=now, lately=lately.get(pk, 0))


def _revived(due: Mapping[str, datetime]) -> list[Notice]:
    """Bring back what was withdrawn before it was sent, and return it."""
    rows = Notice.objects.select_for_update().filter(key__in=due, state=NoticeState.WITHDRAWN, sent_at=None)
    found = list(rows)
    for row in found:
        row.state, row.settled_at, row.due_at = NoticeState.PENDING, None, due[row.key]
        row.save(update_fields=("state", "settled_at", "due_at"))
    return found


def _calm(row: Notice, now: datetime) -> datetime:
    """Return when its addressee wants to hear of what can wait."""
    wanted = addressing.of_channel(row.channel) if row.channel else addressing.of_person(row.person_id)
    return rules.when(Topic.APPROVED, wanted=wanted, now=now, lately=0)

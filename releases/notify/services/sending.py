"""Send what is due: claim with a lease, count the try, speak outside any transaction, write how it went."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.core.errors import GmudError, Sentence, Unreachable
from releases.core.ids import uuid7
from releases.core.words import mark as _
from releases.notify import letters, mail, rules, sinks
from releases.notify.facts import Due, Occasion
from releases.notify.kinds import Sink, Topic
from releases.notify.models import Channel, Notice
from releases.notify.ports import Later
from releases.notify.services import addressing, taking, telling
from releases.notify.states import NoticeState
from releases.operations import services as operations

LOOK_AT = 200
WORKS = timedelta(seconds=20)
"""How long one worker goes on before it lets others work; a single letter may take as long again."""
LONGEST_ERROR = 500
_log = structlog.get_logger(__name__)
Clock = Callable[[], datetime]


def send_due(*, now: Clock) -> int:
    """Send what is due, and return how many letters were tried; safe to call at any time, from anywhere.

    One worker at a time sends what can wait, so that a slow sink holds up one of them; a page goes at once.
    """
    began, tried = now(), 0
    while (batch := _claim(now())) is not None:
        tried += 1
        _hand_over(batch, now)
        if now() - began > WORKS:
            _go_on_elsewhere(batch, now())
            break
    return tried


@dataclass(frozen=True, slots=True)
class _Batch:
    """What one letter carries, claimed by us."""

    notices: tuple[Notice, ...]
    claim: UUID

    @property
    def is_page(self) -> bool:
        """Say whether it carries a page."""
        return rules.MANNERS[Topic(self.notices[0].topic)].is_page


def _claim(now: datetime) -> _Batch | None:
    """Claim the next letter, pages first, and count the try before it is made: what kills its worker counts, too."""
    with transaction.atomic(durable=True):
        due = Notice.objects.due(now).order_by("due_at", "pk").select_for_update(of=("self",), skip_locked=True)
        due = due.select_related("person", "channel", "follows")
        if batch := _first(due.filter(topic__in=taking.PAGES)[:LOOK_AT], now):
            return batch
        calm = Notice.objects.exclude(topic__in=taking.PAGES)
        if calm.filter(state=NoticeState.PENDING, claimed_until__gt=now).exists():
            return None
        return _first(due.exclude(topic__in=taking.PAGES)[:LOOK_AT], now)


def _first(due: QuerySet[Notice], now: datetime) -> _Batch | None:
    rows = {row.pk: row for row in due}
    for letter in rules.gathered(_due(row) for row in rows.values()):
        mine = [row for one in letter if not _given_up(row := rows[one.id], now=now)]
        if mine:
            claim = uuid7()
            for row in mine:
                row.attempts += 1
                row.claim, row.claimed_until = claim, now + 2 * timedelta(seconds=settings.GMUD_LEASE_SECONDS)
                row.save(update_fields=("attempts", "claim", "claimed_until"))
            return _Batch(tuple(mine), claim)
    return None


def _given_up(row: Notice, *, now: datetime) -> bool:
    """Give up what killed every worker that took it, or whose reader is gone; say whether that is so."""
    if row.attempts >= rules.ATTEMPTS:
        _fail(row, row.last_error or "Every worker that took it died.", now=now)
        return True
    gone = (row.channel and row.channel.removed_at) or (row.person and not row.person.is_active)
    if gone:
        row.state, row.settled_at = NoticeState.WITHDRAWN, now
        row.save(update_fields=("state", "settled_at"))
    return bool(gone)


def _hand_over(batch: _Batch, now: Clock) -> None:
    try:
        _speak(batch.notices, now())
    except Exception as error:  # noqa: BLE001 - whatever one sink raises, the others get their letters
        if not isinstance(error, GmudError):
            _log.exception("letter_failed", notice=str(batch.notices[0].pk))
        _failed(batch, error, now())
    else:
        _arrived(batch, now())


def _speak(notices: Sequence[Notice], now: datetime) -> None:
    first = notices[0]
    if first.channel is not None:
        wanted, language = addressing.of_channel(first.channel), first.channel.language
    elif first.person is not None:
        wanted, language = addressing.of_person(first.person_id), addressing.language_of(first.person)
    letter = letters.compose(notices, language=language, zone=wanted.zone)
    if first.channel is not None:
        sinks.to_channel(letter, first.channel, now=now)
    elif first.person is not None:
        mail.send(letter, to=first.person.email)


def _arrived(batch: _Batch, now: datetime) -> None:
    """Write that it is there; what was settled meanwhile is followed by word of that."""
    with transaction.atomic(durable=True):
        following = []
        for row in _ours(batch):
            row.sent_at, row.last_error = now, ""
            row.state = NoticeState.SENT if row.state == NoticeState.PENDING else row.state
            _let_go(row)
            if row.settled_at is not None:
                following.append(telling.follow(row, now=now))
        telling.call_for(filter(None, following), now=now)
        _note(batch.notices[0], now=now)


def _failed(batch: _Batch, error: Exception, now: datetime) -> None:
    """Write why it is not there, and when it is tried again; a clear no and a fifth failure are the end of it."""
    asked = timedelta(seconds=error.seconds) if isinstance(error, Later) else None
    given_up = False
    with transaction.atomic(durable=True):
        again = []
        for row in _ours(batch):
            row.last_error = str(error)[:LONGEST_ERROR]
            wait = rules.next_try(row.attempts, is_page=batch.is_page, asked=asked)
            if row.state != NoticeState.PENDING:
                _let_go(row)
            elif wait is None or _is_final(error):
                _fail(row, row.last_error, now=now)
                given_up = True
            else:
                row.due_at = now + wait
                _let_go(row)
                again.append(row)
        telling.call_for(again, now=now)
        _note(batch.notices[0], error=str(error), now=now)
    if given_up and batch.is_page:
        taking.escalate(now=now)


def _is_final(error: Exception) -> bool:
    """Say whether trying again makes no sense: a no of the other side, or one of ours (the secret does not open)."""
    return isinstance(error, GmudError) and not isinstance(error, Unreachable)


def _ours(batch: _Batch) -> list[Notice]:
    """Return the rows of a batch that are still ours, locked; another worker may have taken them when we were slow."""
    return list(Notice.objects.select_for_update().filter(claim=batch.claim).order_by("pk"))


def _let_go(row: Notice) -> None:
    row.claim = row.claimed_until = None
    row.save(update_fields=("state", "sent_at", "due_at", "last_error", "claim", "claimed_until"))


def _fail(row: Notice, error: str, *, now: datetime) -> None:
    """Give a notice up, and page those who can mend the way it should have gone; inside the caller's transaction."""
    row.state, row.last_error = NoticeState.FAILED, error[:LONGEST_ERROR]
    _let_go(row)
    who = row.channel or row.person
    data = {"notice": str(row.pk), "topic": row.topic, "sink": row.sink, "attempts": row.attempts}
    if who is not None:
        audit.record(
            stream=who.stream, kind=Kind.NOTICE_FAILED, actor=system("notices"), data=data, text={"error": error}
        )
    if row.topic != Topic.SINK_FAILED:
        telling.tell_inside(occasion=_way_is_broken(row, error, now), people=_menders(), now=now)


def _menders() -> list[UUID]:
    return telling.holders_on(1)


def _way_is_broken(row: Notice, error: str, now: datetime) -> Occasion:
    """Return the page about a way that letters do not go: told once a day for each channel, and for e-mail."""
    way = f"channel:{row.channel_id}" if row.channel_id else "email"
    reason = Sentence(_("Notices by e-mail do not arrive. The last error: %(error)s"), {"error": error})
    if row.channel:
        sentence = _("Notices to the channel %(name)s do not arrive. The last error: %(error)s")
        reason = Sentence(sentence, {"name": row.channel.name, "error": error})
    elif row.person:
        sentence = _("Notices by e-mail to %(name)s do not arrive. The last error: %(error)s")
        reason = Sentence(sentence, {"name": row.person.name, "error": error})
    link = f"/settings/channels/{row.channel_id}" if row.channel_id else "/notices"
    return Occasion(Topic.SINK_FAILED, f"sink:{way}:{now:%Y-%m-%d}", reason, link=link)


def _note(row: Notice, *, now: datetime, error: str = "") -> None:
    """Keep how a channel does, for its page."""
    if row.channel_id:
        values = {"last_error": error[:LONGEST_ERROR]} if error else {"last_error": "", "heard_at": now}
        Channel.objects.filter(pk=row.channel_id).update(**values)


def _go_on_elsewhere(batch: _Batch, now: datetime) -> None:
    """Have another worker called, or this one again, after others had their turn."""
    with transaction.atomic(durable=True):
        operations.post(kind=telling.DUE, ref=batch.notices[0].pk, now=now, queue=telling.QUEUE)


def _due(row: Notice) -> Due:
    return Due(row.pk, Topic(row.topic), Sink(row.sink), row.addressee)

"""Take a page on, or call the next ones when nobody does."""

from datetime import datetime, timedelta
from uuid import UUID

from django.conf import settings
from django.db import transaction

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.core.errors import Missing, NotPermitted, Refused, Sentence
from releases.core.words import mark as _
from releases.notify import rules, wording
from releases.notify.facts import Occasion, Rung
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.notify.services import addressing, telling
from releases.notify.states import NoticeState

PAGES = tuple(topic for topic, manner in rules.MANNERS.items() if manner.is_page)


@transaction.atomic(durable=True)
def acknowledge(*, notice_id: UUID, actor: Actor, now: datetime) -> Notice:
    """Take a page on: nobody else is called, what was not sent is dropped. Taking it twice changes nothing.

    :raises Missing: there is no such notice
    :raises Refused: it is no page, or it is settled already
    :raises NotPermitted: the actor was not called, and may not go back either
    """
    if actor.person_id is None:
        require(actor, Right.ROLLBACK_BEGIN)  # before it learns what there is
    notice = Notice.objects.filter(pk=notice_id).first()
    if notice is None:
        raise Missing(Sentence(_("There is no such notice.")))
    rows = _locked(notice.case)
    person = accounts.person_behind(actor)
    _may_take(actor, person.pk, rows)
    if not rules.MANNERS[Topic(notice.topic)].is_page:
        raise Refused(Sentence(_("Nobody needs to take this on: it is no page.")))
    mine = next(row for row in rows if row.pk == notice.pk) if notice.follows_id is None else rows[0]
    if mine.acknowledged_at is not None:
        return mine
    if mine.settled_at is not None:
        raise Refused(Sentence(_("This is settled already.")))
    for row in rows:
        row.state, row.acknowledged_at, row.acknowledged_by = NoticeState.ACKNOWLEDGED, now, person.name[:120]
        row.save(update_fields=("state", "acknowledged_at", "acknowledged_by"))
    data = {"case": notice.case, "topic": notice.topic, "rung": max(row.rung for row in rows)}
    audit.record(stream=f"notice:{notice.case}", kind=Kind.NOTICE_ACKNOWLEDGED, actor=actor, data=data)
    return mine


def escalate(*, now: datetime) -> int:
    """Call the next rung of every page that nobody took in time; return how many rungs were called."""
    rows = Notice.objects.asked().filter(topic__in=PAGES, settled_at=None, acknowledged_at=None)
    cases = list(rows.order_by("case").values_list("case", flat=True).distinct())
    return sum(_escalate(case, now=now) for case in cases)


def _escalate(case: str, *, now: datetime) -> int:
    wait = timedelta(seconds=settings.GMUD_ESCALATE_SECONDS)
    called = 0
    with transaction.atomic(durable=True):
        rows = [row for row in _locked(case) if row.settled_at is None]
        rung = rules.next_rung(
            [Rung(row.rung, row.told_at, NoticeState(row.state)) for row in rows], now=now, wait=wait
        )
        while rung is not None and rung < len(rules.LADDER) and not called:
            people = addressing.of_people(telling.holders_on(rung))
            called = telling.write(occasion=_again(rows[0]), people=people, channels={}, rung=rung, now=now)
            rung += 1
        if called:
            data = {"case": case, "topic": rows[0].topic, "rung": rung - 1 if rung else 0}
            audit.record(stream=f"notice:{case}", kind=Kind.NOTICE_ESCALATED, actor=system("notices"), data=data)
    return int(bool(called))


def _locked(case: str) -> list[Notice]:
    """Return everything that was told of a case, locked until the caller's transaction ends.

    The second look also sees whom another worker called while the first one waited for it.
    """
    rows = Notice.objects.select_for_update().of_case(case).asked().order_by("pk")
    list(rows)
    return list(rows.all())


def _again(row: Notice) -> Occasion:
    lines = tuple(wording.read(line) for line in row.lines)
    return Occasion(Topic(row.topic), row.case, wording.read(row.reason), lines, row.link)


def _may_take(actor: Actor, person_id: UUID, rows: list[Notice]) -> None:
    """Let pass who was called, and whoever may go back: on-call and release managers, their machines included.

    :raises NotPermitted: somebody else
    """
    was_called = actor.person_id is not None and any(row.person_id == person_id for row in rows)
    if not was_called and not accounts.can(actor, Right.ROLLBACK_BEGIN):
        raise NotPermitted(Sentence(_("You were not called for this. Ask somebody on call.")))

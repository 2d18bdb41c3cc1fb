"""What is known of notices: what somebody was told, which pages are open, how somebody hears."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import QuerySet

from releases.accounts.models import Person
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.notify import mail, rules, wording
from releases.notify.facts import Preferences
from releases.notify.kinds import Sink, Topic
from releases.notify.models import Channel, Notice, Subscription
from releases.notify.services import addressing
from releases.notify.states import NoticeState

MOST = 50


@dataclass(frozen=True, slots=True)
class NoticeCard:
    """One notice, ready to print."""

    id: UUID
    case: str
    topic: Topic
    title: str
    reason: Sentence
    lines: tuple[Sentence, ...]
    link: str
    sink: Sink
    state: NoticeState
    told_at: datetime
    due_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    last_error: str
    rung: int
    is_page: bool

    @property
    def waits(self) -> bool:
        """Say whether somebody still has to take it on."""
        return self.is_page and self.settled_at is None and self.acknowledged_at is None


@dataclass(frozen=True, slots=True)
class Page:
    """An open page: its newest notice, and who was called so far."""

    card: NoticeCard
    called: tuple[str, ...]


def own(person_id: UUID, *, before: datetime | None = None) -> list[NoticeCard]:
    """Return what one person was told, newest first, at most :data:`MOST`."""
    rows = Notice.objects.filter(person_id=person_id)
    return [_card(row) for row in (rows.filter(told_at__lt=before) if before else rows)[:MOST]]


def notice(notice_id: UUID) -> NoticeCard:
    """Return one notice.

    :raises Missing: there is none
    """
    row = Notice.objects.filter(pk=notice_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such notice.")))
    return _card(row)


def open_pages(*, person_id: UUID | None = None) -> list[Page]:
    """Return the pages nobody has taken, oldest first: those of one person, or all of them."""
    waiting = _pages().filter(settled_at=None, acknowledged_at=None)
    if person_id is not None:
        waiting = waiting.filter(case__in=waiting.filter(person_id=person_id).values("case"))
    found: dict[str, list[Notice]] = {}
    for row in waiting.select_related("person", "channel").order_by("told_at", "pk"):
        found.setdefault(row.case, []).append(row)
    return [Page(_card(_theirs(rows, person_id)), _names(rows)) for rows in found.values()]


def pages_waiting(person_id: UUID) -> int:
    """Return how many pages this person was called for and nobody has taken."""
    return _pages().filter(person_id=person_id, settled_at=None, acknowledged_at=None).count()


def preferences(person: Person) -> tuple[Preferences, Subscription | None]:
    """Return how a person hears, and their choice when they made one."""
    return addressing.of_person(person.pk), Subscription.objects.filter(person=person).first()


def why_no_mail(person: Person) -> Sentence | None:
    """Return why this person is told nothing by e-mail, or ``None``."""
    if why := mail.why_not_offered():
        return why
    return None if person.email else Sentence(_("No e-mail address is known of you. Ask an owner to write one down."))


def channels(search: str = "") -> QuerySet[Channel]:
    """Return the channels in use, by name, with what each subscribed to."""
    living = Channel.objects.filter(removed_at=None).select_related("subscription__team")
    return living.filter(name__icontains=search) if search else living


def open_cases(topic: Topic) -> list[str]:
    """Return the cases of a topic that are not settled."""
    rows = Notice.objects.asked().filter(topic=topic, settled_at=None)
    return list(rows.order_by("case").values_list("case", flat=True).distinct())


def open_cases_of(subject: str) -> list[tuple[Topic, str]]:
    """Return topic and case of what was told about a subject, such as ``change:<id>``, and is not settled."""
    rows = Notice.objects.asked().filter(case__startswith=f"{subject}:", settled_at=None)
    pairs = rows.order_by("case").values_list("topic", "case").distinct()
    return [(Topic(topic), case) for topic, case in pairs]


def people_told(case: str) -> set[UUID]:
    """Return the persons who were told of a case that is not settled for them."""
    rows = Notice.objects.of_case(case).asked().filter(settled_at=None, person__isnull=False)
    return {pk for pk in rows.values_list("person_id", flat=True) if pk}


def _pages() -> QuerySet[Notice]:
    topics = [topic for topic, manner in rules.MANNERS.items() if manner.is_page]
    return Notice.objects.asked().filter(topic__in=topics)


def _theirs(rows: Iterable[Notice], person_id: UUID | None) -> Notice:
    many = list(rows)
    return next((row for row in many if row.person_id == person_id), many[-1])


def _names(rows: Iterable[Notice]) -> tuple[str, ...]:
    """Return who was called, rung by rung."""
    called = sorted((row.rung, str(row.person or row.channel)) for row in rows)
    return tuple(name for _rung, name in called)


def _card(row: Notice) -> NoticeCard:
    manner = rules.MANNERS[Topic(row.topic)]
    return NoticeCard(
        id=row.pk,
        case=row.case,
        topic=Topic(row.topic),
        title=manner.title,
        reason=wording.read(row.reason),
        lines=tuple(wording.read(line) for line in row.lines),
        link=row.link,
        sink=Sink(row.sink),
        state=NoticeState(row.state),
        told_at=row.told_at,
        due_at=row.due_at,
        sent_at=row.sent_at,
        settled_at=row.settled_at,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledged_by,
        last_error=row.last_error,
        rung=row.rung,
        is_page=manner.is_page and row.follows_id is None,
    )

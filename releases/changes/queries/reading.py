"""Change requests as others read them: one, many, whose turn it is, and where all of them stand."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from releases.changes.back import splits_of
from releases.changes.models import ChangeRequest, ChangeRequests, Item, Review
from releases.changes.pace import Step, pace_of
from releases.changes.states import State
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _


@dataclass(frozen=True, slots=True)
class ItemCard:
    """One item ready to print; ``back_*`` is what it goes back to."""

    id: UUID
    service: str
    service_title: str
    environment: str
    environment_kind: str
    version: str
    digest: str
    back_version: str
    back_digest: str
    migration_class: str
    splits: Mapping[UUID, Mapping[str, int]]
    job: str


@dataclass(frozen=True, slots=True)
class ChangeCard:
    """One change in a list, ready to print."""

    id: UUID
    number: int
    title: str
    why: str
    type: str
    state: str
    level: str
    requester: str
    team: str
    items: tuple[ItemCard, ...]
    steps: tuple[Step, ...]
    starts_at: datetime | None
    ends_at: datetime | None
    updated_at: datetime
    is_on_hold: bool
    hold_reason: str
    outcome: str
    content_digest: str
    revision_number: int
    watch_until_at: datetime | None

    @property
    def name(self) -> str:
        """Return what people call it."""
        return f"CHG-{self.number}"


@dataclass(frozen=True, slots=True)
class Page:
    """Some changes, newest first, and where the next ones begin (a number), if any."""

    cards: tuple[ChangeCard, ...]
    next_before: int | None


PAGE_SIZE = 30
LONGEST_NUMBER = 10


def by_number(number: int) -> ChangeRequest:
    """Return a change by its number.

    :raises Missing: there is none
    """
    change = _whole().filter(number=number).first()
    if change is None:
        raise Missing(Sentence(_("There is no change CHG-%(number)s."), {"number": number}))
    return change


def by_id(change_id: UUID) -> ChangeRequest:
    """Return a change by its id.

    :raises Missing: there is none
    """
    change = _whole().filter(pk=change_id).first()
    if change is None:
        raise Missing(Sentence(_("There is no such change request.")))
    return change


def authorizing() -> list[ChangeRequest]:
    """Return the changes that are before the committee, newest first."""
    return list(_whole().filter(state=State.AUTHORIZING).order_by("-number"))


def page(
    *,
    states: tuple[str, ...] = (),
    service: str = "",
    environment: str = "",
    level: str = "",
    requester_id: UUID | None = None,
    implementer_id: UUID | None = None,
    before: int | None = None,
    search: str = "",
) -> Page:
    """Return changes that match, newest first, at most :data:`PAGE_SIZE`."""
    found = _whole()
    wanted: dict[str, object] = {
        "state__in": states,
        "items__service__name": service,
        "items__environment__name": environment,
        "assessment__level": level,
        "requester_id": requester_id,
        "implementers": implementer_id,
        "number__lt": before,
    }
    for name, value in wanted.items():
        if value:
            found = found.filter(**{name: value})
    if search:
        found = found.filter(_mentions(search.strip()))
    rows = list(found.distinct().order_by("-number")[: PAGE_SIZE + 1])
    more = rows[PAGE_SIZE - 1].number if len(rows) > PAGE_SIZE else None
    return Page(tuple(card(row) for row in rows[:PAGE_SIZE]), more)


def _mentions(text: str) -> Q:
    """Return what a search means: a number, a part of the title, a service or a person."""
    number = text.upper().removeprefix("CHG-")
    named = Q(title__icontains=text) | Q(items__service__name__icontains=text) | Q(requester__name__icontains=text)
    return named | Q(number=int(number)) if number.isdecimal() and len(number) < LONGEST_NUMBER else named


def card(change: ChangeRequest) -> ChangeCard:
    """Return a change ready to print."""
    team = change.requester.teams.first()
    return ChangeCard(
        id=change.pk,
        number=change.number,
        title=change.title,
        why=change.why,
        type=change.type,
        state=change.state,
        level=change.assessment.level if change.assessment else "",
        requester=change.requester.name,
        team=team.title if team else "",
        items=tuple(_item(item) for item in change.items.all()),
        steps=pace_of(change.steps),
        starts_at=change.starts_at,
        ends_at=change.ends_at,
        updated_at=change.updated_at,
        is_on_hold=change.is_on_hold,
        hold_reason=change.hold_reason,
        outcome=change.outcome,
        content_digest=change.content_digest,
        revision_number=change.revision_number,
        watch_until_at=change.watch_until_at,
    )


def review_of(change: ChangeRequest) -> Review | None:
    """Return the review, once it is open."""
    return Review.objects.select_related("written_by").filter(change=change).first()


def names_of_streams(streams: Iterable[str]) -> dict[str, str]:
    """Return what people call the changes whose audit streams these are, by stream; others are left out."""
    ids = {stream.removeprefix("change:") for stream in streams if stream.startswith("change:")}
    rows = ChangeRequest.objects.filter(pk__in=ids)
    return {row.stream: row.name for row in rows}


def states() -> Iterator[tuple[str, str]]:
    """Yield (audit stream, state) of every change, for the replay."""
    for pk, state in ChangeRequest.objects.values_list("pk", "state").iterator():
        yield f"change:{pk}", state


def _whole() -> ChangeRequests:
    found: ChangeRequests = ChangeRequest.objects.select_related(
        "requester", "assessment", "policy", "round__policy", "superseded_by"
    ).prefetch_related(
        "requester__teams",
        "items__service",
        "items__environment",
        "items__artifact",
        "items__way_back__target_artifact",
    )
    return found


def _item(item: Item) -> ItemCard:
    back = item.way_back
    target = back.target_artifact
    return ItemCard(
        id=item.pk,
        service=item.service.name,
        service_title=item.service.title,
        environment=item.environment.name,
        environment_kind=item.environment.kind,
        version=item.artifact.version,
        digest=item.artifact.digest,
        back_version=target.version if target else "",
        back_digest=target.digest if target else "",
        migration_class=back.migration_class,
        splits=splits_of(back.traffic_snapshot),
        job=back.job.get("job", ""),
    )

"""A freeze or a lock shuts a place, an artifact is refused: tell whoever that stops."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from releases.calendar.kinds import WindowKind
from releases.calendar.models import Lock, Window
from releases.catalog.models import Artifact
from releases.changes.models import ChangeRequest, ChangeRequests, Item
from releases.changes.promises import hurt_by
from releases.changes.states import State
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.notify import services
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import people

MOST_CHANGES = 8
WAITING = (State.ASSESSING, State.AUTHORIZING, State.SCHEDULED)


def line_shut(*, ref: UUID, now: datetime) -> None:
    """Tell who has a change that a freeze or a lock stops, unless it is over or lifted already."""
    windows = Window.objects.select_related("environment", "service", "customer")
    window = windows.filter(pk=ref, kind=WindowKind.FREEZE).first()
    if window is not None and window.lifted_at is None and window.ends_at > now:
        parts = {"title": window.title, "where": _place(window), "from": window.starts_at, "until": window.ends_at}
        reason = Sentence(_("Freeze of %(where)s from %(from)s until %(until)s: %(title)s"), parts)
        overlapping = Q(starts_at__lt=window.ends_at, ends_at__gt=window.starts_at)
        _tell(ref, reason, window, overlapping, now=now)
    lock = Lock.objects.select_related("environment", "service").filter(pk=ref, released_at=None).first()
    if lock is not None and (lock.until_at is None or lock.until_at > now):
        parts = {"who": lock.locked_by, "where": _place(lock), "why": lock.reason}
        reason = Sentence(_("%(who)s stopped the line, %(where)s: %(why)s"), parts)
        _tell(ref, reason, lock, Q(ends_at__gt=now), now=now)


def line_opened(*, ref: UUID, now: datetime) -> None:
    """Take back what was told of a freeze or a lock that is no longer there."""
    services.withdraw(case=_case(ref), now=now)


def artifact_quarantined(*, artifact_id: UUID, now: datetime) -> None:
    """Tell the team that owns a service that one of its artifacts is refused until a person clears it."""
    row = Artifact.objects.select_related("service").filter(pk=artifact_id).first()
    if row is None or not row.is_quarantined or row.quarantined_at is None:
        return
    about = frozenset({row.service_id})
    parts = {"service": row.service.name, "version": row.version, "who": row.quarantined_by}
    occasion = Occasion(
        Topic.QUARANTINED,
        _quarantine(row),
        Sentence(_("%(service)s %(version)s is in quarantine: the gate refuses it until a person clears it."), parts),
        (Sentence(_("Reason: %(reason)s"), {"reason": row.quarantine_reason}),),
        f"/catalog/{row.service.name}",
        about,
    )
    services.tell(occasion=occasion, people=people.of_services(Topic.QUARANTINED, about), now=now)


def artifact_cleared(*, artifact_id: UUID, now: datetime) -> None:
    """Take back what was told of an artifact that may be deployed again."""
    row = Artifact.objects.filter(pk=artifact_id).first()
    if row is not None and not row.is_quarantined:
        services.withdraw(case=_quarantine(row), now=now)


def _tell(ref: UUID, reason: Sentence, place: Window | Lock, when: Q, *, now: datetime) -> None:
    stopped = list(_stopped(place).filter(when).distinct().order_by("number"))
    lines = [
        Sentence(_("It stops %(name)s “%(title)s”."), {"name": change.name, "title": change.title})
        for change in stopped[:MOST_CHANGES]
    ]
    whom = {change.requester_id for change in stopped} | set(_implementers(stopped))
    about = frozenset({place.service_id} if place.service_id else ())
    services.tell(occasion=Occasion(Topic.FREEZE, _case(ref), reason, tuple(lines), "/", about), people=whom, now=now)


def _stopped(place: Window | Lock) -> ChangeRequests:
    found: ChangeRequests = ChangeRequest.objects.filter(state__in=WAITING)
    if isinstance(place, Window) and place.environment_id is None:
        return found.filter(pk__in=_hurting(place))
    if place.environment_id:
        found = found.filter(items__environment_id=place.environment_id)
    return found.filter(items__service_id=place.service_id) if place.service_id else found


def _hurting(freeze: Window) -> set[UUID]:
    """Return the changes that would hurt those for whom a freeze was asked."""
    items = list(Item.objects.filter(change__state__in=WAITING))
    hurt = hurt_by(items)
    return {
        item.change_id
        for item in items
        if any(freeze.customer_id == one.id or freeze.segment == one.segment for one in hurt[item.place])
    }


def _implementers(stopped: Iterable[ChangeRequest]) -> Iterable[UUID]:
    numbers = [change.pk for change in stopped]
    return ChangeRequest.implementers.through.objects.filter(changerequest_id__in=numbers).values_list(
        "person_id", flat=True
    )


def _place(place: Window | Lock) -> object:
    if isinstance(place, Window) and place.segment:
        return Sentence(_("customers of %(segment)s"), {"segment": place.segment})
    whose = place.customer if isinstance(place, Window) else None
    names = [one.name for one in (place.environment, place.service, whose) if one is not None]
    return "/".join(names) if names else Sentence(_("everywhere"))


def _case(ref: UUID) -> str:
    return f"place:{ref}:{Topic.FREEZE}"


def _quarantine(row: Artifact) -> str:
    at = int(row.quarantined_at.timestamp()) if row.quarantined_at else 0
    return f"artifact:{row.pk}:{Topic.QUARANTINED}:{at}"

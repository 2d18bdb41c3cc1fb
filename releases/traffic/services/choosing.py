"""Who decided that a route is shifted although Git or a chart holds it, or that Git is changed instead."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.catalog.models import Route
from releases.changes import queries as changes
from releases.changes.services import locked
from releases.changes.states import ENDED
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.traffic.models import OwnerChoice
from releases.traffic.ports import Owner, Reading
from releases.traffic.providers import provider_for, reference
from releases.traffic.services.looking import Provide
from releases.traffic.states import Choice

CODE = "owner_choice"


def choose(
    *,
    change_id: UUID,
    route_id: UUID,
    choice: Choice,
    actor: Actor,
    now: datetime,
    reason: str = "",
    provide: Provide = provider_for,
) -> OwnerChoice:
    """Keep what somebody chose for one route of a change, for the owner it has at this moment; the last choice counts.

    Looks at the route first, so it runs outside any transaction.

    :raises NotPermitted: the actor may not release
    :raises Refused: the change has ended or does not touch the route, or there is nothing to choose
    :raises External: the route cannot be read
    """
    require(actor, Right.CHANGE_RELEASE)
    route = catalog.route(route_id)
    _belongs(change_id, route)
    owner = provide(route).read(reference(route)).owner
    if owner is None or not needs_choice(owner):
        raise _refused("no_keeper", Sentence(_("Nothing else holds these weights: there is nothing to choose.")))
    return _keep(change_id, route, owner, choice, actor=actor, reason=reason, now=now)


@transaction.atomic(durable=True)
def _keep(
    change_id: UUID, route: RouteCard, owner: Owner, choice: Choice, *, actor: Actor, reason: str, now: datetime
) -> OwnerChoice:
    change = locked(change_id)
    if change.state in ENDED:
        raise _refused("ended", Sentence(_("%(name)s has ended."), {"name": change.name}))
    row = OwnerChoice.objects.create(
        route_id=route.id,
        change_id=change_id,
        owner=owner.system,
        choice=choice,
        reason=reason,
        chosen_by=actor.name,
        chosen_at=now,
    )
    service, environment = _place(route.id)
    data = {
        "number": change.number,
        "route": str(route.id),
        "service": service,
        "environment": environment,
        "owner": row.owner,
        "choice": row.choice,
    }
    text = {"reason": reason} if reason else {}
    audit.record(stream=change.stream, kind=Kind.SHIFT_OWNER_CHOSEN, actor=actor, data=data, text=text)
    return row


def needs_choice(owner: Owner) -> bool:
    """Say whether somebody puts weights back who is not asked: then a shift forward takes an explicit choice."""
    return not owner.drives


def chosen(*, change_id: UUID | None, route_id: UUID, owner: str, until: datetime | None = None) -> OwnerChoice | None:
    """Return the last choice for this route of a change and this very owner, made ``until`` then, if any was."""
    if change_id is None:
        return None
    rows = OwnerChoice.objects.filter(change_id=change_id, route_id=route_id, owner=owner)
    rows = rows.filter(chosen_at__lte=until) if until else rows
    return rows.order_by("-chosen_at", "-id").first()


def require_choices(
    change_id: UUID,
    readings: Mapping[UUID, Reading],
    choice: Choice | None = None,
    *,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> None:
    """Let a release begin only when somebody chose for every route, by id, that Git or a chart holds.

    ``choice`` is kept for every one of them that nobody chose for so far.

    :raises Refused: a choice is missing; each reason names the route and where to choose
    """
    missing = dict(_missing(change_id, readings))
    if missing and choice is None:
        reasons = [no_choice(route_id, owner) for route_id, owner in missing.items()]
        raise Refused(reasons[0].message, reasons=reasons)
    for route_id, owner in missing.items():
        _keep(change_id, catalog.route(route_id), owner, Choice(choice or ""), actor=actor, reason=reason, now=now)


def _missing(change_id: UUID, readings: Mapping[UUID, Reading]) -> Iterable[tuple[UUID, Owner]]:
    for route_id, reading in readings.items():
        owner = reading.owner
        if owner and needs_choice(owner) and chosen(change_id=change_id, route_id=route_id, owner=owner.system) is None:
            yield route_id, owner


def no_choice(route_id: UUID, owner: Owner) -> Reason:
    """Return what is missing, and where it is given."""
    text = _(
        "%(owner)s holds the route of %(service)s and would put the weights back. Choose on the page “Routes” of this "
        "change: shift it anyway, or change it in Git instead."
    )
    return Reason(CODE, Sentence(text, {"owner": owner.system, "service": _place(route_id)[0]}))


def facts_of(row: OwnerChoice) -> dict[str, Any]:
    """Return a choice as a shift keeps it."""
    return {
        "owner": row.owner,
        "choice": row.choice,
        "by": row.chosen_by,
        "at": row.chosen_at.isoformat(),
        "reason": row.reason,
    }


def _place(route_id: UUID) -> tuple[str, str]:
    return Route.objects.values_list("service__name", "environment__name").get(pk=route_id)


def _belongs(change_id: UUID, route: RouteCard) -> None:
    places = {item.place for item in changes.by_id(change_id).items.all()}
    if (route.service_id, route.environment_id) not in places:
        raise _refused("other_route", Sentence(_("This change does not touch that route.")))


def _refused(code: str, sentence: Sentence) -> Refused:
    return Refused(sentence, reasons=[Reason(code, sentence)])

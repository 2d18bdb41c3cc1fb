"""Who calls whom, where that was read, and what people say of it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts import queries as accounts
from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.accounts.rules import one_line
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog.kinds import DependencySource
from releases.catalog.models import Dependency, Service
from releases.catalog.services.rows import found, invalid
from releases.core.errors import NotPermitted, Sentence
from releases.core.words import mark as _


def link(
    *,
    actor: Actor,
    caller_id: UUID,
    callee_id: UUID,
    source: DependencySource,
    detail: str = "",
    now: datetime,
) -> Dependency:
    """Say that one service calls another, by one source; what that source said already stays as it is.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a service that would depend on itself
    :raises Missing: there is no such service
    """
    require(actor, Right.CATALOG_EDIT)
    if caller_id == callee_id:
        raise invalid("callee", Sentence(_("A service does not depend on itself. Name another one.")))
    with transaction.atomic():
        caller, callee = found(Service, caller_id), found(Service, callee_id)
        row, is_new = Dependency.objects.get_or_create(
            caller=caller,
            callee=callee,
            source=source.value,
            defaults={"detail": one_line(detail)[:250], "seen_at": now},
        )
        if is_new:
            _tell(row, Kind.DEPENDENCY_LINKED, actor)
        return row


def confirm_dependency(*, actor: Actor, dependency_id: UUID, now: datetime) -> Dependency:
    """Put one's name under an edge, which makes a hint a fact.

    May be called inside the caller's transaction.

    :raises NotPermitted: neither in the team of one end nor a person who may edit the catalogue
    :raises Missing: there is no such edge
    """
    with transaction.atomic():
        row = found(Dependency, dependency_id, lock=True)
        person = _judge(actor, row)
        if row.confirmed_at is None:
            row.confirmed_by, row.confirmed_at, row.denied_by, row.denied_at = person, now, None, None
            row.save()
            _tell(row, Kind.DEPENDENCY_CONFIRMED, actor)
        return row


def deny_dependency(*, actor: Actor, dependency_id: UUID, now: datetime) -> Dependency:
    """Say that an edge is not real; it counts no longer, also when the same source says it again.

    :raises NotPermitted: neither in the team of one end nor a person who may edit the catalogue
    :raises Missing: there is no such edge
    """
    with transaction.atomic(durable=True):
        row = found(Dependency, dependency_id, lock=True)
        person = _judge(actor, row)
        if row.denied_at is None:
            row.denied_by, row.denied_at, row.confirmed_by, row.confirmed_at = person, now, None, None
            row.save()
            _tell(row, Kind.DEPENDENCY_DENIED, actor)
        return row


def _judge(actor: Actor, row: Dependency) -> Person:
    """Return the person who judges an edge: one of its owners, or somebody who may edit the catalogue.

    :raises NotPermitted: neither
    """
    person = Person.objects.filter(pk=actor.person_id, is_active=True).first() if actor.person_id else None
    if person is None:
        raise NotPermitted(Sentence(_("A person confirms or denies a dependency. Sign in.")))
    teams = {row.caller.team_id, row.callee.team_id}
    if not person.teams.filter(pk__in=teams).exists() or not accounts.rights_of(actor):
        require(actor, Right.CATALOG_EDIT)
    return person


def edge_facts(row: Dependency) -> dict[str, JSON]:
    """Return what the record says of an edge."""
    return {
        "dependency": str(row.pk),
        "caller": row.caller.name,
        "callee": row.callee.name,
        "source": row.source,
        "detail": row.detail,
    }


def _tell(row: Dependency, kind: Kind, actor: Actor) -> None:
    audit.record(stream=row.stream, kind=kind, actor=actor, data=edge_facts(row))

"""Services, environments and customers."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.accounts.rules import folded, is_slug, one_line, visible
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog.kinds import DataClass, EnvironmentKind
from releases.catalog.models import Customer, Environment, Service
from releases.catalog.services.rows import found, invalid, saved
from releases.catalog.services.uses import must_not_be_spoken_of
from releases.core.errors import Sentence
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _

_LEVELS = range(1, 5)


def register_service(
    *,
    actor: Actor,
    name: str,
    team_id: UUID,
    title: str = "",
    tier: str = "",
    criticality: int = 2,
    data_classes: Iterable[DataClass] = (),
    description: str = "",
    now: datetime,
) -> Service:
    """Add a service. May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken or not a slug, a criticality outside 1 to 4
    :raises Missing: there is no such team
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _must_be_slug(name)
    _must_be_level(criticality)
    with transaction.atomic():
        row = Service(
            name=name,
            title=one_line(title)[:120] or name,
            team=found(Team, team_id),
            tier=one_line(tier)[:32],
            criticality=criticality,
            data_classes=sorted(data_classes),
            description=visible(description),
        )
        saved(row, taken=Sentence(_("The service %(name)s exists already."), {"name": name}))
        audit.record(stream=row.stream, kind=Kind.SERVICE_REGISTERED, actor=actor, data=service_facts(row))
        return row


def describe_service(
    *,
    actor: Actor,
    service_id: UUID,
    name: str | None = None,
    title: str | None = None,
    team_id: UUID | None = None,
    tier: str | None = None,
    criticality: int | None = None,
    data_classes: Collection[DataClass] | None = None,
    description: str | None = None,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Service:
    """Change what is said of a service; what is not given stays. Its id stays too, so approvals still mean it.

    May be called inside the caller's transaction.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken or not a slug, a criticality outside 1 to 4
    :raises Missing: there is no such service or team
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    if name is not None:
        _must_be_slug(name)
    if criticality is not None:
        _must_be_level(criticality)
    with transaction.atomic():
        row = found(Service, service_id, lock=True)
        unchanged()
        before = service_facts(row)
        given = {
            "name": name,
            "title": None if title is None else one_line(title)[:120] or name,
            "team": None if team_id is None else found(Team, team_id),
            "tier": None if tier is None else one_line(tier)[:32],
            "criticality": criticality,
            "data_classes": None if data_classes is None else sorted(data_classes),
            "description": None if description is None else visible(description),
        }
        for field, value in given.items():
            if value is not None:
                setattr(row, field, value)
        after = service_facts(row)
        if after != before:
            saved(row, taken=Sentence(_("The service %(name)s exists already."), {"name": row.name}))
            audit.record(stream=row.stream, kind=Kind.SERVICE_DESCRIBED, actor=actor, data=after)
        return row


def retire(*, actor: Actor, service_id: UUID, now: datetime) -> Service:
    """Take a service out of use; its history stays. Twice changes nothing.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such service
    """
    require(actor, Right.CATALOG_EDIT)
    with transaction.atomic(durable=True):
        row = found(Service, service_id, lock=True)
        if row.retired_at is None:
            row.retired_at = now
            row.save(update_fields=("retired_at",))
            audit.record(stream=row.stream, kind=Kind.SERVICE_RETIRED, actor=actor, data=service_facts(row))
        return row


def register_environment(
    *, actor: Actor, name: str, kind: EnvironmentKind, rank: int = 0, now: datetime
) -> Environment:
    """Add an environment; a lower rank comes first. May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken, not a slug, or already spoken of by a policy
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _must_be_slug(name)
    with transaction.atomic():
        must_not_be_spoken_of(name)
        row = Environment(name=name, kind=kind.value, rank=rank)
        saved(row, taken=Sentence(_("The environment %(name)s exists already."), {"name": name}))
        data = {"environment": str(row.pk), "name": name, "kind": kind.value, "rank": rank}
        audit.record(stream=row.stream, kind=Kind.ENVIRONMENT_REGISTERED, actor=actor, data=data)
        return row


def register_customer(
    *,
    actor: Actor,
    name: str,
    segment: str,
    service_ids: Iterable[UUID],
    size: int = 1,
    notice_hours: int = 0,
    now: datetime,
) -> Customer:
    """Add a customer and the services that serve it; ``size`` counts the people or firms behind the name.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken (whatever its case) or empty, a segment that is not a slug
    :raises Missing: there is no such service
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    name = one_line(name)
    if not name:
        raise invalid("name", Sentence(_("Write the customer's name.")))
    _must_be_slug(segment, field="segment")
    if size < 0 or notice_hours < 0:
        raise invalid("size", Sentence(_("Size and hours of notice are zero or more.")))
    with transaction.atomic():
        served = [found(Service, service_id) for service_id in service_ids]
        row = Customer(name=name, folded_name=folded(name), segment=segment, size=size, notice_hours=notice_hours)
        saved(row, taken=Sentence(_("The customer %(name)s exists already."), {"name": name}))
        row.services.set(served)
        data = {
            "customer": str(row.pk),
            "segment": segment,
            "size": size,
            "notice_hours": notice_hours,
            "services": sorted(str(one.pk) for one in served),
        }
        audit.record(stream=row.stream, kind=Kind.CUSTOMER_REGISTERED, actor=actor, data=data, text={"name": name})
        return row


def service_facts(row: Service) -> dict[str, JSON]:
    """Return what the record says of a service."""
    return {
        "service": str(row.pk),
        "name": row.name,
        "title": row.title,
        "team": row.team.name,
        "tier": row.tier,
        "criticality": row.criticality,
        "data_classes": list(row.data_classes),
        "description": row.description,
        "retired": row.retired_at is not None,
    }


def _must_be_slug(name: str, *, field: str = "name") -> None:
    if not is_slug(name):
        raise invalid(
            field, Sentence(_("A name has lower-case letters a to z, digits and hyphens only, up to 63 of them."))
        )


def _must_be_level(criticality: int) -> None:
    if criticality not in _LEVELS:
        raise invalid("criticality", Sentence(_("Criticality goes from 1 (low) to 4 (the bank stands still).")))

"""Edit and take away what exists: environments, customers, services, dependencies.

Everything here may be called inside the caller's transaction.
"""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import folded, is_slug, one_line
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog.kinds import EnvironmentKind
from releases.catalog.models import Customer, Dependency, Environment, Service
from releases.catalog.services.rows import found, invalid, saved
from releases.catalog.services.uses import must_be_unused, must_not_be_spoken_of, together, uses_of
from releases.core.errors import Sentence
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _

_MOST = 2**31 - 1  # what the column holds
_LAST_RANK = 2**15 - 1


def reinstate(*, actor: Actor, service_id: UUID, now: datetime) -> Service:
    """Take a retired service into use again. Twice changes nothing.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such service
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Service, service_id, lock=True)
        if row.retired_at is not None:
            row.retired_at = None
            row.save(update_fields=("retired_at",))
            data = {"service": str(row.pk), "name": row.name}
            audit.record(stream=row.stream, kind=Kind.SERVICE_REINSTATED, actor=actor, data=data)
        return row


def remove_service(*, actor: Actor, service_id: UUID, now: datetime) -> None:
    """Take a service away that nothing refers to; one with a history is retired instead.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: something refers to it, with what and how many
    :raises Missing: there is no such service
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Service, service_id, lock=True)
        must_be_unused(row)
        stream, data = row.stream, {"service": str(row.pk), "name": row.name, "team": row.team.name}
        row.delete()
        audit.record(stream=stream, kind=Kind.SERVICE_REMOVED, actor=actor, data=data)


def describe_environment(
    *,
    actor: Actor,
    environment_id: UUID,
    name: str,
    kind: EnvironmentKind,
    rank: int = 0,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Environment:
    """Give an environment another name, kind or rank. The kind decides who must approve: it stays once in use.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken or not a slug, another name or kind while a policy speaks of it, a rank
        below zero, another kind while it is in use
    :raises Missing: there is no such environment
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _must_be_slug(name)
    if not 0 <= rank <= _LAST_RANK:
        raise invalid("rank", Sentence(_("A rank is zero or more; a lower one comes first.")))
    with transaction.atomic():
        row = found(Environment, environment_id, lock=True)
        unchanged()
        if row.kind != kind.value and (uses := uses_of(row)):
            text = _("The kind decides who must approve, so it stays: %(uses)s. Add another environment instead.")
            raise invalid("kind", Sentence(text, {"uses": together(uses)}))
        if row.name != name:
            must_not_be_spoken_of(row.name, name)
        if row.kind != kind.value:
            must_not_be_spoken_of(row.name, field="kind")
        if (row.name, row.kind, row.rank) == (name, kind.value, rank):
            return row
        row.name, row.kind, row.rank = name, kind.value, rank
        saved(row, taken=Sentence(_("The environment %(name)s exists already."), {"name": name}))
        audit.record(stream=row.stream, kind=Kind.ENVIRONMENT_DESCRIBED, actor=actor, data=_environment_facts(row))
        return row


def remove_environment(*, actor: Actor, environment_id: UUID, now: datetime) -> None:
    """Take an environment away that nothing refers to.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a policy speaks of it
    :raises Refused: something refers to it, with what and how many
    :raises Missing: there is no such environment
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Environment, environment_id, lock=True)
        must_be_unused(row)
        must_not_be_spoken_of(row.name)
        stream, data = row.stream, _environment_facts(row)
        row.delete()
        audit.record(stream=stream, kind=Kind.ENVIRONMENT_REMOVED, actor=actor, data=data)


def describe_customer(
    *,
    actor: Actor,
    customer_id: UUID,
    name: str,
    segment: str,
    service_ids: Iterable[UUID],
    size: int = 1,
    notice_hours: int = 0,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Customer:
    """Change what is said of a customer, and which services serve it.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: a name that is taken (whatever its case) or empty, a segment that is not a slug, figures below zero
    :raises Missing: there is no such customer or service
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    name = one_line(name)
    if not name:
        raise invalid("name", Sentence(_("Write the customer's name.")))
    _must_be_slug(segment, field="segment")
    for field, figure in (("size", size), ("notice_hours", notice_hours)):
        if not 0 <= figure <= _MOST:
            raise invalid(field, Sentence(_("Size and hours of notice are zero or more.")))
    with transaction.atomic():
        row = found(Customer, customer_id, lock=True)
        unchanged()
        before = (row.name, customer_facts(row))
        row.name, row.folded_name, row.segment = name, folded(name), segment
        row.size, row.notice_hours = size, notice_hours
        saved(row, taken=Sentence(_("The customer %(name)s exists already."), {"name": name}))
        row.services.set([found(Service, service_id) for service_id in service_ids])
        after = (row.name, customer_facts(row))
        if after != before:
            kind = Kind.CUSTOMER_DESCRIBED
            audit.record(stream=row.stream, kind=kind, actor=actor, data=after[1], text={"name": name})
        return row


def remove_customer(*, actor: Actor, customer_id: UUID, now: datetime) -> None:
    """Take a customer away who never was told of a change and never asked for a freeze.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: something refers to it, with what and how many
    :raises Missing: there is no such customer
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Customer, customer_id, lock=True)
        must_be_unused(row)
        stream, data, text = row.stream, customer_facts(row), {"name": row.name}
        row.delete()
        audit.record(stream=stream, kind=Kind.CUSTOMER_REMOVED, actor=actor, data=data, text=text)


def unlink(*, actor: Actor, dependency_id: UUID, now: datetime) -> None:
    """Forget what one source said of an edge. When that source says it again it counts again: deny it to stop that.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such edge
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Dependency, dependency_id, lock=True)
        stream = row.stream
        data = {
            "dependency": str(row.pk),
            "caller": row.caller.name,
            "callee": row.callee.name,
            "source": row.source,
            "detail": row.detail,
        }
        row.delete()
        audit.record(stream=stream, kind=Kind.DEPENDENCY_UNLINKED, actor=actor, data=data)


def _environment_facts(row: Environment) -> dict[str, JSON]:
    return {"environment": str(row.pk), "name": row.name, "kind": row.kind, "rank": row.rank}


def customer_facts(row: Customer, served: Iterable[UUID] | None = None) -> dict[str, JSON]:
    """Return what the record says of a customer; ``served`` are the ids of its services when they are known."""
    if served is None:
        served = row.services.values_list("pk", flat=True)
    return {
        "customer": str(row.pk),
        "segment": row.segment,
        "size": row.size,
        "notice_hours": row.notice_hours,
        "services": sorted(str(pk) for pk in served),
    }


def _must_be_slug(name: str, *, field: str = "name") -> None:
    if not is_slug(name):
        text = _("A name has lower-case letters a to z, digits and hyphens only, up to 63 of them.")
        raise invalid(field, Sentence(text))

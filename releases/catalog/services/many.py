"""Add and change many things at once, as an import does: the same rows and events as one by one, in few statements.

Everything here runs inside the caller's transaction, which holds the rows that change; whoever calls has checked the
right and the values, and the database holds the rest. ``origin`` says in each event what was read.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction

from releases.accounts.models import Team
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog.models import Customer, Dependency, Service
from releases.catalog.services.editing import customer_facts
from releases.catalog.services.graph import edge_facts
from releases.catalog.services.things import service_facts
from releases.core.errors import Sentence, Stale
from releases.core.words import mark as _

BATCH = 500
_FIELDS = ("title", "team", "tier", "criticality", "data_classes", "description")
_CUSTOMER_FIELDS = ("segment", "size", "notice_hours")
_SERVED = Customer.services.through


def add_services(*, actor: Actor, rows: Sequence[tuple[Service, str]]) -> None:
    """Insert services, each with what it was read from.

    :raises Stale: somebody added one of them at this moment
    """
    _insert(Service, [row for row, _origin in rows])
    _tell_services(actor, Kind.SERVICE_REGISTERED, rows)


def change_services(*, actor: Actor, rows: Sequence[tuple[Service, str]]) -> None:
    """Write services that were locked and changed."""
    _overwrite(Service, [row for row, _origin in rows], _FIELDS)
    _tell_services(actor, Kind.SERVICE_DESCRIBED, rows)


def add_edges(*, actor: Actor, rows: Sequence[tuple[Dependency, str]]) -> None:
    """Insert edges.

    :raises Stale: somebody added one of them at this moment
    """
    _insert(Dependency, [row for row, _origin in rows])
    events = [
        audit.Happened(row.stream, Kind.DEPENDENCY_LINKED, {**edge_facts(row), "import": origin})
        for row, origin in rows
    ]
    audit.record_all(actor=actor, events=events)


def add_customers(*, actor: Actor, rows: Sequence[tuple[Customer, str]], served: Mapping[UUID, Iterable[UUID]]) -> None:
    """Insert customers, with the ids of the services that serve each.

    :raises Stale: somebody added one of them at this moment
    """
    _insert(Customer, [row for row, _origin in rows])
    _serve(served)
    _tell_customers(actor, Kind.CUSTOMER_REGISTERED, rows, served)


def change_customers(
    *, actor: Actor, rows: Sequence[tuple[Customer, str]], served: Mapping[UUID, Iterable[UUID]]
) -> None:
    """Write customers that were locked and changed, with the ids of the services that serve each."""
    _overwrite(Customer, [row for row, _origin in rows], _CUSTOMER_FIELDS)
    changed = list(served)
    for begin in range(0, len(changed), BATCH):
        _SERVED._default_manager.filter(customer_id__in=changed[begin : begin + BATCH]).delete()
    _serve(served)
    _tell_customers(actor, Kind.CUSTOMER_DESCRIBED, rows, served)


def a_service(*, name: str, team: Team, values: Mapping[str, Any]) -> Service:
    """Return a service that is not inserted yet."""
    given = {field: values[field] for field in _FIELDS if field in values and field != "team"}
    return Service(name=name, team=team, **{"title": name, **given})


def an_edge(*, caller: Service, callee: Service, source: str, detail: str, now: datetime) -> Dependency:
    """Return an edge that is not inserted yet."""
    return Dependency(caller=caller, callee=callee, source=source, detail=detail, seen_at=now)


def _insert(model: type[Service] | type[Dependency] | type[Customer], rows: Sequence[Any]) -> None:
    try:
        with transaction.atomic():
            model._default_manager.bulk_create(rows, batch_size=BATCH)
    except IntegrityError as error:
        raise Stale(Sentence(_("Somebody changed the catalogue at this moment: look at the plan again."))) from error


def _overwrite(model: type[Service] | type[Customer], rows: Sequence[Any], fields: Sequence[str]) -> None:
    """Write rows that are there and locked: an insert that meets each of them, four times as fast as an update."""
    model._default_manager.bulk_create(
        rows, batch_size=BATCH, update_conflicts=True, unique_fields=("id",), update_fields=fields
    )


def _serve(served: Mapping[UUID, Iterable[UUID]]) -> None:
    rows = [_SERVED(customer_id=pk, service_id=one) for pk, many in served.items() for one in many]
    _SERVED._default_manager.bulk_create(rows, batch_size=BATCH)


def _tell_services(actor: Actor, kind: Kind, rows: Iterable[tuple[Service, str]]) -> None:
    events = [audit.Happened(row.stream, kind, {**service_facts(row), "import": origin}) for row, origin in rows]
    audit.record_all(actor=actor, events=events)


def _tell_customers(
    actor: Actor, kind: Kind, rows: Iterable[tuple[Customer, str]], served: Mapping[UUID, Iterable[UUID]]
) -> None:
    events = [
        audit.Happened(
            row.stream, kind, {**customer_facts(row, served[row.pk]), "import": origin}, text={"name": row.name}
        )
        for row, origin in rows
    ]
    audit.record_all(actor=actor, events=events)

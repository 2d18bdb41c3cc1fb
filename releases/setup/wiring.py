"""Look at a job before it is bound: what there is, what it takes, and what stands in the way of an order."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import filling
from releases.catalog import queries as catalog
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection, Environment, Service
from releases.core.errors import External, Missing, Rejected, Sentence
from releases.core.words import mark as _
from releases.delivery.ports import DeliveryProvider, Listed, Parameter
from releases.delivery.providers import PROVIDERS, target_of_way

MOST_LISTED = 500
Settings = Mapping[str, Any]
NOT_KNOWN = "0"  # where nothing runs yet, no version is known to look with


@dataclass(frozen=True, slots=True)
class Looked:
    """What a CI system tells of a job that is about to be bound.

    ``folder`` is what ``listed`` stands in; ``parameters`` are those of the job, and ``obstacles`` what must be mended
    before it takes an order, forward and back.
    """

    folder: str
    listed: tuple[Listed, ...]
    parameters: tuple[Parameter, ...] = ()
    obstacles: tuple[Sentence, ...] = ()
    is_job: bool = False


def look(
    *,
    actor: Actor,
    connection_id: UUID,
    service_id: UUID | None,
    environment_id: UUID | None,
    settings: Mapping[str, Any],
) -> Looked:
    """Ask the CI system for the jobs around the one that is named, for its parameters, and whether it takes orders.

    Nothing is changed there. It speaks outside of any transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such connection that deploys
    :raises Unreachable: no answer that can be trusted
    :raises Rejected: the account may not read it
    """
    require(actor, Right.CATALOG_EDIT)
    row = Connection.objects.filter(pk=connection_id, kind__in=PROVIDERS).first()
    if row is None:
        raise Missing(Sentence(_("There is no such connection that deploys.")))
    system, job = PROVIDERS[ConnectionKind(row.kind)](door_for(row, urgent=True)), str(settings.get("job", ""))
    folder = job.rpartition("/")[0]
    listed = tuple(system.jobs(folder)[:MOST_LISTED])
    if not job or job.endswith("/"):
        return Looked(folder, listed)
    try:
        parameters = tuple(system.parameters(job))
    except Rejected as error:
        return Looked(folder, listed, obstacles=(error.detail,))
    service = Service.objects.filter(pk=service_id).first() if service_id else None
    environment = Environment.objects.filter(pk=environment_id).first() if environment_id else None
    found = obstacles(row, system, service, environment, settings)
    return Looked(folder, listed, parameters, tuple(found), is_job=True)


def obstacles(
    connection: Connection,
    system: DeliveryProvider,
    service: Service | None,
    environment: Environment | None,
    settings: Settings,
) -> Sequence[Sentence]:
    """Return what stands in the way of an order by a binding, forward or back, each once."""
    item = _item(service, environment)
    reasons = (one for way in ways(settings) for one in system.preflight(target_of_way(connection, way, item)).reasons)
    return once(reasons)


def stood_there(
    connection: Connection, system: DeliveryProvider, service: Service, environment: Environment, settings: Settings
) -> Sentence | None:
    """Return which version stands there and which stood there before, by the CI system; ``None`` when it cannot say."""
    target = target_of_way(connection, ways(settings)[-1], _item(service, environment))
    try:
        now, before = [one.name or one.ref for one in system.versions(target)][:2]
    except (External, ValueError):  # no answer, or fewer than two
        return None
    text = _("%(service)s in %(environment)s: %(now)s stands there, and %(before)s stood there before it.")
    parts = {"service": service.name, "environment": environment.name, "now": now, "before": before}
    return Sentence(text, parts)


def ways(settings: Settings) -> Sequence[Settings]:
    """Return the way forward of a binding, and the way back where it has one of its own."""
    return [filling.forward(settings), *([filling.backward(settings)] if settings.get(filling.BACK) else [])]


def _item(service: Service | None, environment: Environment | None) -> dict[str, str]:
    """Return what an order is filled with: what runs there now."""
    running = catalog.running(service.pk, environment.pk) if service and environment else None
    return {
        "service": service.name if service else NOT_KNOWN,
        "environment": environment.name if environment else NOT_KNOWN,
        "version": running.artifact.version if running else NOT_KNOWN,
        "digest": running.artifact.digest if running else NOT_KNOWN,
        "slot": "stable",
    }


def once(sentences: Iterable[Sentence]) -> Sequence[Sentence]:
    """Return the sentences in their order, each once."""
    return list({str(one): one for one in sentences}.values())

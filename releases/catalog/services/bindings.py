"""What a service in an environment uses connections for; where its traffic is split and how it was last seen."""

import re
from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Binding, Connection, Environment, Reading, Route, Service
from releases.catalog.services.rows import found, invalid
from releases.core.errors import Sentence
from releases.core.words import mark as _

_SERVES: Mapping[Purpose, frozenset[ConnectionKind]] = {
    Purpose.DEPLOY: frozenset({ConnectionKind.JENKINS}),
    Purpose.TRAFFIC: frozenset({ConnectionKind.KUBERNETES}),
    Purpose.HEALTH: frozenset({ConnectionKind.PROMETHEUS, ConnectionKind.HTTP}),
}
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_TARGET = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")


def bind(
    *,
    actor: Actor,
    service_id: UUID,
    environment_id: UUID,
    purpose: Purpose,
    connection_id: UUID,
    settings: Mapping[str, object],
    now: datetime,
) -> Binding:
    """Say what a service there uses a connection for; it replaces what was said for this purpose.

    Settings: ``deploy`` has ``job`` and ``parameters``; ``health`` has ``url``, or ``query`` and ``limit``.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``connection`` or ``settings``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    if problem := _settings_problem(purpose, settings):
        raise invalid("settings", problem)
    with transaction.atomic(durable=True):
        service = found(Service, service_id, lock=True)
        environment = found(Environment, environment_id)
        connection = _serving(connection_id, purpose)
        row = Binding.objects.filter(service=service, environment=environment, purpose=purpose.value).first()
        if row is not None and (row.connection_id, row.settings) == (connection.pk, dict(settings)):
            return row
        row = row or Binding(service=service, environment=environment, purpose=purpose.value)
        row.connection, row.settings = connection, dict(settings)
        row.save()
        data = {
            "binding": str(row.pk),
            "service": service.name,
            "environment": environment.name,
            "purpose": purpose.value,
            "connection": connection.name,
            "settings": dict(settings),
            "config_digest": row.config_digest,
        }
        audit.record(stream=service.stream, kind=Kind.BINDING_SET, actor=actor, data=data)
        return row


def register_route(
    *,
    actor: Actor,
    service_id: UUID,
    environment_id: UUID,
    connection_id: UUID,
    locator: Mapping[str, str],
    stable: str,
    canary: str,
    now: datetime,
) -> Route:
    """Say where a service's traffic is split; it replaces what was said before and forgets the last reading.

    ``locator`` names the object: ``namespace``, ``name`` and, where it has several, ``route``.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``locator``, ``connection``, ``stable`` or ``canary``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _check_route(locator, stable, canary)
    with transaction.atomic(durable=True):
        service = found(Service, service_id, lock=True)
        environment = found(Environment, environment_id)
        connection = _serving(connection_id, Purpose.TRAFFIC)
        row = Route.objects.filter(service=service, environment=environment).first()
        row = row or Route(service=service, environment=environment, connection=connection)
        told = (connection.pk, dict(locator), stable, canary)
        if (row.connection_id, row.locator, row.stable, row.canary) == told:
            return row
        row.connection, row.locator, row.stable, row.canary = connection, dict(locator), stable, canary
        row.save()
        Reading.objects.filter(route=row).delete()  # it was of another object, perhaps
        data = {
            "route": str(row.pk),
            "service": service.name,
            "environment": environment.name,
            "connection": connection.name,
            "locator": dict(locator),
            "stable": stable,
            "canary": canary,
            "config_digest": row.config_digest,
        }
        audit.record(stream=service.stream, kind=Kind.ROUTE_REGISTERED, actor=actor, data=data)
        return row


def note_reading(
    *, route_id: UUID, weights: Mapping[str, int], version: str, healthy: bool | None, now: datetime
) -> Reading:
    """Keep the last look at a route; an older look than the one that is kept changes nothing.

    May be called inside the caller's transaction; asks for no right and leaves no event: it is a look, not an act.

    :raises Missing: there is no such route
    """
    with transaction.atomic():
        route = found(Route, route_id, lock=True)
        row = Reading.objects.filter(route=route).first() or Reading(route=route, seen_at=now)
        if row.seen_at <= now:
            row.weights, row.version, row.healthy, row.seen_at = dict(weights), version, healthy, now
            row.save()
        return row


def _serving(connection_id: UUID, purpose: Purpose) -> Connection:
    row = found(Connection, connection_id)
    kinds = _SERVES[purpose]
    if ConnectionKind(row.kind) not in kinds:
        raise invalid(
            "connection",
            Sentence(
                _("%(name)s is a connection to %(kind)s; for %(purpose)s take one to %(kinds)s."),
                {"name": row.name, "kind": row.kind, "purpose": purpose.value, "kinds": ", ".join(sorted(kinds))},
            ),
        )
    return row


def _settings_problem(purpose: Purpose, settings: Mapping[str, object]) -> Sentence | None:
    if purpose is Purpose.DEPLOY:
        parameters = settings.get("parameters", {})
        named = isinstance(settings.get("job"), str) and settings["job"]
        if not named or not isinstance(parameters, dict):
            return Sentence(_("Deploying needs the name of a job, and parameters by name."))
        if not all(isinstance(value, str) for value in parameters.values()):
            return Sentence(_("The parameters of a job are texts."))
    if purpose is Purpose.HEALTH and not (_is_text(settings, "url") or _has_limit(settings)):
        return Sentence(_("Health needs an address to probe (url), or a query and its limit."))
    return None


def _is_text(settings: Mapping[str, object], key: str) -> bool:
    return isinstance(settings.get(key), str) and bool(settings[key])


def _has_limit(settings: Mapping[str, object]) -> bool:
    limit = settings.get("limit")
    return _is_text(settings, "query") and isinstance(limit, int | float) and not isinstance(limit, bool)


def _check_route(locator: Mapping[str, str], stable: str, canary: str) -> None:
    for key in ("namespace", "name"):
        if not isinstance(locator.get(key), str) or _OBJECT_NAME.fullmatch(locator[key]) is None:
            raise invalid("locator", Sentence(_("A route is found by namespace and name, as Kubernetes writes them.")))
    for field, target in (("stable", stable), ("canary", canary)):
        if _TARGET.fullmatch(target) is None:
            raise invalid(field, Sentence(_("Name the target as the mesh does: letters, digits and . _ - only.")))
    if stable == canary:
        raise invalid("canary", Sentence(_("Stable and canary are two different targets.")))

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
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import rules
from releases.catalog.cards import BindingCard
from releases.catalog.kinds import ConnectionKind, Figure, Purpose
from releases.catalog.models import Binding, BudgetReading, Connection, Environment, Reading, Route, Service
from releases.catalog.services.rows import found, invalid
from releases.catalog.services.uses import must_be_unused
from releases.core.errors import Sentence
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _

_SERVES: Mapping[Purpose, frozenset[ConnectionKind]] = {
    Purpose.DEPLOY: frozenset({ConnectionKind.JENKINS}),
    Purpose.TRAFFIC: frozenset({ConnectionKind.KUBERNETES}),
    Purpose.HEALTH: frozenset({ConnectionKind.PROMETHEUS, ConnectionKind.HTTP}),
    Purpose.BUDGET: frozenset({ConnectionKind.PROMETHEUS}),
}
_FIGURES = tuple(sorted(set(Figure) - {Figure.ANSWER}))
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
    must_be_new: bool = False,
    now: datetime,
) -> Binding:
    """Say what a service there uses a connection for; it replaces what was said for this purpose.

    Settings: ``deploy`` has ``job`` and ``parameters``; ``health`` has ``url``, or ``query`` and ``limit``; ``budget``
    has ``query``: which share of the error budget is left, 1 for all of it.
    ``must_be_new`` refuses to replace anything.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``connection`` or ``settings``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    if problem := _settings_problem(purpose, settings):
        raise invalid("settings", problem)
    with transaction.atomic():
        service = found(Service, service_id, lock=True)
        environment = found(Environment, environment_id)
        connection = _serving(connection_id, purpose)
        row = Binding.objects.filter(service=service, environment=environment, purpose=purpose.value).first()
        if row is not None and must_be_new:
            raise invalid("purpose", Sentence(_("This is bound already. Edit the binding that is there.")))
        row = row or Binding(service=service, environment=environment, purpose=purpose.value)
        return _put_binding(row, connection, settings, actor)


def rebind(
    *,
    actor: Actor,
    binding_id: UUID,
    connection_id: UUID,
    settings: Mapping[str, object],
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Binding:
    """Let a binding use another connection, or the same in another way; its place and purpose stay.

    May be called inside the caller's transaction.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``connection`` or ``settings``
    :raises Missing: there is no such binding or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Binding, binding_id, lock=True)
        unchanged()
        purpose = Purpose(row.purpose)
        if problem := _settings_problem(purpose, settings):
            raise invalid("settings", problem)
        return _put_binding(row, _serving(connection_id, purpose), settings, actor)


def unbind(*, actor: Actor, binding_id: UUID, now: datetime) -> None:
    """Take a binding away; approvals of changes that went there no longer count, because their wiring is another.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such binding
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Binding, binding_id, lock=True)
        stream, data = row.service.stream, _binding_facts(row)
        row.delete()
        audit.record(stream=stream, kind=Kind.BINDING_REMOVED, actor=actor, data=data)


def _put_binding(row: Binding, connection: Connection, settings: Mapping[str, object], actor: Actor) -> Binding:
    """Save what a binding uses from now on, inside the caller's transaction; the same again is no event."""
    if not row._state.adding and (row.connection_id, row.settings) == (connection.pk, dict(settings)):
        return row
    row.connection, row.settings = connection, dict(settings)
    row.save()
    BudgetReading.objects.filter(binding=row).delete()  # it answered another question, perhaps
    audit.record(stream=row.service.stream, kind=Kind.BINDING_SET, actor=actor, data=_binding_facts(row))
    return row


def _binding_facts(row: Binding) -> dict[str, JSON]:
    return {
        "binding": str(row.pk),
        "service": row.service.name,
        "environment": row.environment.name,
        "purpose": row.purpose,
        "connection": row.connection.name,
        "settings": row.settings,
        "config_digest": row.config_digest,
    }


def register_route(
    *,
    actor: Actor,
    service_id: UUID,
    environment_id: UUID,
    connection_id: UUID,
    locator: Mapping[str, str],
    stable: str,
    canary: str,
    must_be_new: bool = False,
    now: datetime,
) -> Route:
    """Say where a service's traffic is split; it replaces what was said before and forgets the last reading.

    ``locator`` names the object: ``namespace``, ``name`` and, where it has several, ``route``. ``must_be_new`` refuses
    to replace anything.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``locator``, ``connection``, ``stable`` or ``canary``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _check_route(locator, stable, canary)
    with transaction.atomic():
        service = found(Service, service_id, lock=True)
        environment = found(Environment, environment_id)
        connection = _serving(connection_id, Purpose.TRAFFIC)
        row = Route.objects.filter(service=service, environment=environment).first()
        if row is not None and must_be_new:
            raise invalid(
                "environment", Sentence(_("Its traffic is split there already. Edit the route that is there."))
            )
        row = row or Route(service=service, environment=environment)
        return _put_route(row, connection, locator, stable, canary, actor)


def describe_route(
    *,
    actor: Actor,
    route_id: UUID,
    connection_id: UUID,
    locator: Mapping[str, str],
    stable: str,
    canary: str,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Route:
    """Let a route name another object or other targets; its place stays, and the last reading is forgotten.

    May be called inside the caller's transaction.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``locator``, ``connection``, ``stable`` or ``canary``
    :raises Missing: there is no such route or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _check_route(locator, stable, canary)
    with transaction.atomic():
        row = found(Route, route_id, lock=True)
        unchanged()
        return _put_route(row, _serving(connection_id, Purpose.TRAFFIC), locator, stable, canary, actor)


def remove_route(*, actor: Actor, route_id: UUID, now: datetime) -> None:
    """Take a route away that never carried a shift of traffic, with its last reading.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: traffic was shifted there, with how often
    :raises Missing: there is no such route
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Route, route_id, lock=True)
        must_be_unused(row, called=f"{row.service.name}/{row.environment.name}")
        stream, data = row.service.stream, _route_facts(row)
        row.delete()
        audit.record(stream=stream, kind=Kind.ROUTE_REMOVED, actor=actor, data=data)


def _put_route(
    row: Route, connection: Connection, locator: Mapping[str, str], stable: str, canary: str, actor: Actor
) -> Route:
    """Save where traffic is split from now on, inside the caller's transaction; the same again is no event."""
    told = (connection.pk, dict(locator), stable, canary)
    if not row._state.adding and (row.connection_id, row.locator, row.stable, row.canary) == told:
        return row
    row.connection, row.locator, row.stable, row.canary = connection, dict(locator), stable, canary
    row.save()
    Reading.objects.filter(route=row).delete()  # it was of another object, perhaps
    audit.record(stream=row.service.stream, kind=Kind.ROUTE_REGISTERED, actor=actor, data=_route_facts(row))
    return row


def _route_facts(row: Route) -> dict[str, JSON]:
    return {
        "route": str(row.pk),
        "service": row.service.name,
        "environment": row.environment.name,
        "connection": row.connection.name,
        "locator": row.locator,
        "stable": row.stable,
        "canary": row.canary,
        "config_digest": row.config_digest,
    }


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


def note_budget(*, binding: BindingCard, left: float, now: datetime) -> None:
    """Keep the last look at an error budget; an older one, or one through what is bound no more, changes nothing.

    May be called inside the caller's transaction; asks for no right and leaves no event: it is a look, not an act.
    """
    with transaction.atomic():
        row = Binding.objects.select_for_update().filter(pk=binding.id).first()
        if row is None or row.config_digest != binding.config_digest:
            return
        there = BudgetReading.objects.filter(binding=row).first() or BudgetReading(binding=row, seen_at=now)
        if there.seen_at <= now:
            there.left, there.seen_at = left, now
            there.save()


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
    if telling := rules.secret_named(settings):
        return Sentence(
            _("“%(name)s” looks like a secret. It belongs in the field for the secret of a connection."),
            {"name": telling},
        )
    if purpose is Purpose.DEPLOY:
        parameters = settings.get("parameters", {})
        named = isinstance(settings.get("job"), str) and settings["job"]
        if not named or not isinstance(parameters, dict):
            return Sentence(_("Deploying needs the name of a job, and parameters by name."))
        if not all(isinstance(value, str) for value in parameters.values()):
            return Sentence(_("The parameters of a job are texts."))
    if purpose is Purpose.HEALTH and not (_is_text(settings, "url") or _has_limit(settings)):
        return Sentence(_("Health needs an address to probe (url), or a query and its limit."))
    if purpose is Purpose.HEALTH and settings.get("figure", Figure.ERRORS) not in _FIGURES:
        return Sentence(_("The figure of a query is one of: %(names)s."), {"names": ", ".join(_FIGURES)})
    if purpose is Purpose.BUDGET and not _is_text(settings, "query"):
        return Sentence(_("An error budget needs the query that says which share of it is left."))
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

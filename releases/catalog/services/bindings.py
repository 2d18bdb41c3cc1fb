"""What a service in an environment uses connections for; where its traffic is split and how it was last seen."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import is_slug
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import filling, rules
from releases.catalog.cards import BindingCard
from releases.catalog.filling import BACK, OF_A_JOB
from releases.catalog.kinds import ConnectionKind, Figure, Purpose
from releases.catalog.models import Binding, BudgetReading, Connection, Environment, Reading, Route, Service
from releases.catalog.services.rows import found, invalid
from releases.catalog.services.uses import must_be_unused
from releases.core.errors import Sentence
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _

_SERVES: Mapping[Purpose, frozenset[ConnectionKind]] = {
    Purpose.DEPLOY: frozenset({ConnectionKind.JENKINS, ConnectionKind.SPINNAKER}),
    Purpose.TRAFFIC: frozenset(kind for kind in ConnectionKind if kind.splits_traffic),
    Purpose.HEALTH: frozenset({ConnectionKind.PROMETHEUS, ConnectionKind.HTTP}),
    Purpose.BUDGET: frozenset({ConnectionKind.PROMETHEUS}),
}
_FIGURES = tuple(sorted(set(Figure) - {Figure.ANSWER}))
_OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_TARGET = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_GATEWAY_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._~-]{0,252}")
_GATEWAY_TARGET = re.compile(r"[A-Za-z0-9_\[][A-Za-z0-9._:\[\]-]{0,62}")


@dataclass(frozen=True, slots=True)
class _Naming:
    """How a system names its objects and targets, and what to say of a name that it cannot have.

    ``keys`` are those of the locator that name the object, and whether each must be there.
    """

    keys: Mapping[str, bool]
    name: re.Pattern[str]
    target: re.Pattern[str]
    wrong_name: Sentence
    wrong_target: Sentence


_HOST_AND_PORT = Sentence(_("Name the target as the gateway does: host:port, or the id of its upstream."))
_NAMINGS: Mapping[ConnectionKind, _Naming] = {
    ConnectionKind.KUBERNETES: _Naming(
        {"namespace": True, "name": True},
        _OBJECT_NAME,
        _TARGET,
        Sentence(_("A route is found by namespace and name, as Kubernetes writes them.")),
        Sentence(_("Name the target as the mesh does: letters, digits and . _ - only.")),
    ),
    ConnectionKind.KONG: _Naming(
        {"namespace": False, "name": True},
        _GATEWAY_NAME,
        _GATEWAY_TARGET,
        Sentence(_("A route is found by the name of its upstream, and by its workspace where Kong has several.")),
        _HOST_AND_PORT,
    ),
    ConnectionKind.APISIX: _Naming(
        {"name": True},
        _GATEWAY_NAME,
        _GATEWAY_TARGET,
        Sentence(_("A route is found by the id of the object that holds its weights; it has no namespace.")),
        _HOST_AND_PORT,
    ),
}


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

    Settings: ``deploy`` has ``job`` and ``parameters``, with places that are filled in later
    (:mod:`~releases.catalog.filling`), and in ``back`` what of that is otherwise on the way back; ``health`` has
    ``url``, or ``query`` and ``limit``; ``budget`` has ``query``: which share of the error budget is left, 1 for all.
    ``must_be_new`` refuses to replace anything.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``connection``, ``settings``, ``parameters`` or ``back_parameters``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    _check_settings(purpose, settings)
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
    :raises Invalid: with the fields ``connection``, ``settings``, ``parameters`` or ``back_parameters``
    :raises Missing: there is no such binding or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Binding, binding_id, lock=True)
        unchanged()
        purpose = Purpose(row.purpose)
        _check_settings(purpose, settings)
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
    label: str = "",
    must_be_new: bool = False,
    now: datetime,
) -> Route:
    """Say where a service's traffic is split; it replaces what was said before and forgets the last reading.

    ``locator`` names the object: ``namespace`` (Kong: its workspace), ``name`` and, where it has several, ``route``.
    ``label`` tells several routes of one place apart. ``must_be_new`` refuses to replace anything.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``locator``, ``connection``, ``stable``, ``canary`` or ``label``
    :raises Missing: there is no such service, environment or connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        service = found(Service, service_id, lock=True)
        environment = found(Environment, environment_id)
        connection = _serving(connection_id, Purpose.TRAFFIC)
        _check_route(ConnectionKind(connection.kind), locator, stable, canary)
        there = {one.label: one for one in Route.objects.filter(service=service, environment=environment)}
        row = there.pop(label, None)
        if row is not None and must_be_new:
            text = _("Its traffic is split there already. Edit the route that is there, or give this one a label.")
            raise invalid("label", Sentence(text))
        _check_label(label, (connection.pk, dict(locator)), there.values())
        row = row or Route(service=service, environment=environment, label=label)
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
    with transaction.atomic():
        row = found(Route, route_id, lock=True)
        unchanged()
        connection = _serving(connection_id, Purpose.TRAFFIC)
        _check_route(ConnectionKind(connection.kind), locator, stable, canary)
        return _put_route(row, connection, locator, stable, canary, actor)


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
        "label": row.label,
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
                {"name": row.name, "kind": row.kind, "purpose": purpose.value, "kinds": sorted(kinds)},
            ),
        )
    return row


def _check_settings(purpose: Purpose, settings: Mapping[str, object]) -> None:
    """Refuse what a binding cannot say.

    :raises Invalid: with the fields ``settings``, ``parameters`` or ``back_parameters``
    """
    if problem := _settings_problem(purpose, settings):
        raise invalid("settings", problem)
    for name, said in (("parameters", settings), ("back_parameters", settings.get(BACK))):
        given = said.get("parameters") if isinstance(said, Mapping) else None
        if isinstance(given, Mapping) and (wrong := filling.problem(given)):
            raise invalid(name, wrong)


def _settings_problem(purpose: Purpose, settings: Mapping[str, object]) -> Sentence | None:
    if telling := rules.secret_named(settings):
        return Sentence(
            _("“%(name)s” looks like a secret. It belongs in the field for the secret of a connection."),
            {"name": telling},
        )
    if purpose is Purpose.DEPLOY:
        return _job_problem(settings) or _back_problem(settings.get(BACK, {}))
    if purpose is Purpose.HEALTH and not (_is_text(settings, "url") or _has_limit(settings)):
        return Sentence(_("Health needs an address to probe (url), or a query and its limit."))
    if purpose is Purpose.HEALTH and settings.get("figure", Figure.ERRORS) not in _FIGURES:
        return Sentence(_("The figure of a query is one of: %(names)s."), {"names": ", ".join(_FIGURES)})
    if purpose is Purpose.HEALTH and not isinstance(settings.get("split", ""), str):
        return Sentence(_("The query that counts the split is a text."))
    if purpose is Purpose.BUDGET and not _is_text(settings, "query"):
        return Sentence(_("An error budget needs the query that says which share of it is left."))
    return None


def _job_problem(settings: Mapping[str, object]) -> Sentence | None:
    parameters = settings.get("parameters", {})
    if not _is_text(settings, "job") or not isinstance(parameters, dict):
        return Sentence(_("Deploying needs the name of a job, and parameters by name."))
    if not all(isinstance(value, str) for value in parameters.values()):
        return Sentence(_("The parameters of a job are texts."))
    if not isinstance(settings.get("options", {}), dict):
        return Sentence(_("The options of a job are given by name."))
    return None


def _back_problem(back: object) -> Sentence | None:
    if not isinstance(back, dict) or set(back) - OF_A_JOB:
        return Sentence(_("The way back (back) says by name what is otherwise then: job, parameters or options."))
    return _job_problem({"job": "as it goes forward", **back})


def _is_text(settings: Mapping[str, object], key: str) -> bool:
    return isinstance(settings.get(key), str) and bool(settings[key])


def _has_limit(settings: Mapping[str, object]) -> bool:
    limit = settings.get("limit")
    return _is_text(settings, "query") and isinstance(limit, int | float) and not isinstance(limit, bool)


def _check_label(label: str, spot: tuple[UUID, dict[str, str]], others: Iterable[Route]) -> None:
    """Refuse a label that is no word, and a second route to the very same spot."""
    if label and not is_slug(label):
        raise invalid("label", Sentence(_("Use small letters, digits and hyphens, such as partners.")))
    if same := next((one for one in others if (one.connection_id, one.locator) == spot), None):
        text = _("The route %(label)s leads to the very same object.")
        raise invalid("locator", Sentence(text, {"label": same.label or "—"}))


def _check_route(kind: ConnectionKind, locator: Mapping[str, str], stable: str, canary: str) -> None:
    naming = _NAMINGS[kind]
    for key in ("namespace", "name"):
        said, must = locator.get(key, ""), naming.keys.get(key)
        is_named = isinstance(said, str) and must is not None and naming.name.fullmatch(said) is not None
        if not is_named and (said != "" or must):
            raise invalid("locator", naming.wrong_name)
    for field, target in (("stable", stable), ("canary", canary)):
        if naming.target.fullmatch(target) is None:
            raise invalid(field, naming.wrong_target)
    if stable == canary:
        raise invalid("canary", Sentence(_("Stable and canary are two different targets.")))

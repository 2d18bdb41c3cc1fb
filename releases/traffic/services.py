"""What is done with traffic: look, preview, and write the ledger of every shift."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.models import Route
from releases.core.errors import Sentence
from releases.traffic.models import Shift
from releases.traffic.ports import Reading, TrafficProvider, Version
from releases.traffic.providers import provider_for, reference
from releases.traffic.states import ShiftState

Weights = Mapping[str, int | None]
Provide = Callable[..., TrafficProvider]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shift asks for, as the ledger keeps it."""

    route_id: UUID
    weights: Weights
    op_key: str
    change_id: UUID | None = None
    asked_by: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a shift ended: the weights before and now, the object's version, and a sentence unless all went well."""

    state: ShiftState
    before: Weights
    observed: Weights
    version: str = ""
    verification: str = ""
    audit_id: str = ""
    detail: Sentence | None = None


def look(*, route_id: UUID, now: datetime, provide: Provide = provider_for) -> Reading:
    """Look at a route and keep what was seen as its last reading.

    :raises Missing: there is no such route
    :raises Rejected: a clear no, as the adapter says
    :raises Unreachable: no answer
    """
    route = catalog.route(route_id)
    reading = provide(route).read(reference(route))
    with transaction.atomic(durable=True):
        note(route_id=route_id, weights=reading.weights, version=reading.version.token, now=now)
    return reading


def ask(*, asked: Asked, actor: Actor, now: datetime) -> Shift:
    """Write that a shift is asked for, inside the caller's transaction; the same ``op_key`` is the same shift.

    :raises Missing: there is no such route
    """
    known = Shift.objects.filter(op_key=asked.op_key).first()
    if known:
        return known
    shift = _row(asked, actor=actor, now=now)
    shift.save(force_insert=True)
    _tell(Kind.SHIFT_ASKED, shift, actor)
    return shift


def end(*, asked: Asked, ended: Ended, actor: Actor, now: datetime) -> Shift:
    """Write how a shift ended, tell its change's story and keep the reading, inside the caller's transaction.

    A shift that nobody wrote down when it was asked for is written now. One that was confirmed stays so.

    :raises Missing: there is no such route
    """
    shift = Shift.objects.select_for_update().filter(op_key=asked.op_key).first() or _row(asked, actor=actor, now=now)
    if shift.state == ShiftState.CONFIRMED:
        return shift
    shift.state = ended.state
    shift.confirmed_at = now if ended.state is ShiftState.CONFIRMED else None
    shift.before, shift.observed, shift.version = dict(ended.before), dict(ended.observed), ended.version
    shift.verification, shift.audit_id = ended.verification, ended.audit_id
    shift.detail = ended.detail.as_json() if ended.detail else {}
    shift.save()
    _tell(Kind.SHIFT_ENDED, shift, actor)
    if ended.observed:
        seen = {name: weight or 0 for name, weight in ended.observed.items()}
        note(route_id=asked.route_id, weights=seen, version=ended.version, now=now)
    return shift


def supersede(*, op_keys: list[str], actor: Actor) -> None:
    """Write that shifts which had not ended were taken over, inside the caller's transaction."""
    open_states = (ShiftState.ASKED, ShiftState.NEEDS_HUMAN)
    for shift in Shift.objects.select_for_update().filter(op_key__in=op_keys, state__in=open_states):
        shift.state = ShiftState.SUPERSEDED
        shift.save(update_fields=["state"])
        _tell(Kind.SHIFT_ENDED, shift, actor)


def note(*, route_id: UUID, weights: Mapping[str, int], version: str, now: datetime) -> None:
    """Keep a reading in the catalogue, inside the caller's transaction; its health is not known from here."""
    catalog_services.note_reading(route_id=route_id, weights=weights, version=version, healthy=None, now=now)


def version_in(facts: Mapping[str, Any]) -> Version | None:
    """Return the version a snapshot kept, or ``None``."""
    return Version.from_facts(facts["version"]) if facts.get("version") else None


def _row(asked: Asked, *, actor: Actor, now: datetime) -> Shift:
    catalog.route(asked.route_id)
    return Shift(
        route_id=asked.route_id,
        change_id=asked.change_id,
        asked=dict(asked.weights),
        op_key=asked.op_key,
        asked_by=asked.asked_by or actor.name,
        asked_at=now,
    )


def _tell(kind: Kind, shift: Shift, actor: Actor) -> None:
    """Record an event in the change's story; ``shift_state`` is not the change's own state."""
    route = Route.objects.select_related("service", "environment").get(pk=shift.route_id)
    data = {
        "shift": str(shift.pk),
        "shift_state": str(shift.state),
        "service": route.service.name,
        "environment": route.environment.name,
        "route": str(shift.route_id),
        "asked": shift.asked,
        "asked_by": shift.asked_by,
        "before": shift.before,
        "observed": shift.observed,
        "version": shift.version,
        "remote_audit": shift.audit_id,
        "why": shift.detail,
    }
    audit.record(stream=shift.stream, kind=kind, actor=actor, data=data)

"""Write the ledger: what is asked of a route before anything is sent, and every way it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.catalog.models import Route
from releases.core import request_id
from releases.core.errors import Sentence
from releases.core.ids import uuid7
from releases.traffic import queries
from releases.traffic.facts import Seen
from releases.traffic.models import Shift, ShiftEnd
from releases.traffic.ports import Reading, Verification, Version
from releases.traffic.providers import object_of
from releases.traffic.services.drifting import hold
from releases.traffic.services.looking import keep
from releases.traffic.states import ShiftState

Weights = Mapping[str, int | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a shift asks for, as the ledger keeps it; ``before``, ``revision`` and ``uid`` are what stood there."""

    route_id: UUID
    weights: Weights
    op_key: str
    change_id: UUID | None = None
    operation_id: UUID | None = None
    asked_by: str = ""
    reason: str = ""
    before: Weights = field(default_factory=dict)
    revision: str = ""
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a shift ended: the raw weights, the revision and the route that stood then.

    ``detail`` says what went wrong, or what was counted of the requests when all is well.

    ``seen`` is the look that says so, if anybody looked; ``choice`` what somebody chose where Git or a chart holds it.
    """

    state: ShiftState
    after: Weights = field(default_factory=dict)
    revision: str = ""
    uid: str = ""
    fingerprint: str = ""
    verification: str = ""
    audit_id: str = ""
    detail: Sentence | None = None
    seen: Seen | None = None
    choice: Mapping[str, Any] | None = None


def ask(*, asked: Asked, actor: Actor, now: datetime) -> Shift:
    """Write that a shift is asked for, inside the caller's transaction; the same ``op_key`` is the same shift.

    :raises Missing: there is no such route
    """
    hold(asked.route_id)
    known = Shift.objects.filter(op_key=asked.op_key).first()
    if known:
        return known
    shift = _written(asked, actor=actor, now=now)
    _tell(Kind.SHIFT_ASKED, shift, actor)
    return shift


def end(*, asked: Asked, ended: Ended, actor: Actor, now: datetime) -> Shift:
    """Add how a shift ended, tell its change's story and keep what was seen, inside the caller's transaction.

    A shift that nobody wrote down when it was asked for is written now. One that was confirmed stays so.

    :raises Missing: there is no such route
    """
    hold(asked.route_id)
    shift = Shift.objects.filter(op_key=asked.op_key).first() or _written(asked, actor=actor, now=now)
    last = shift.ends.order_by("-turn").first()
    if last is not None and last.state == ShiftState.CONFIRMED:
        return shift
    row = ShiftEnd.objects.create(
        shift=shift,
        turn=last.turn + 1 if last else 1,
        state=ended.state,
        after=dict(ended.after),
        counted=dict(ended.seen.weights) if ended.seen else {},
        revision=ended.revision,
        uid=ended.uid,
        fingerprint=ended.fingerprint,
        verification=ended.verification,
        audit_id=ended.audit_id,
        detail=ended.detail.as_json() if ended.detail else {},
        choice=dict(ended.choice) if ended.choice else None,
        ended_at=now,
    )
    _tell(Kind.SHIFT_ENDED, shift, actor, row)
    if ended.seen:
        keep(route_id=asked.route_id, seen=ended.seen, by=actor.name, now=now)
    return shift


def accept(*, route_id: UUID, change_id: UUID, reading: Reading, actor: Actor, now: datetime, reason: str = "") -> None:
    """Write that what stands is what is to stand, on a person's word, inside the caller's transaction.

    Where nothing was ever asked for, or just this, there is nothing to say.
    """
    hold(route_id)
    standing, version = queries.asked_of(route_id), reading.version
    if standing is None or standing.is_met_by(reading.weights):
        return
    asked = Asked(
        route_id=route_id,
        weights=reading.weights,
        op_key=f"word:{uuid7()}",
        change_id=change_id,
        asked_by=actor.name,
        reason=reason[:500],
        before=version.weights,
        revision=version.token,
        uid=version.uid,
    )
    ended = Ended(
        ShiftState.CONFIRMED,
        after=version.weights,
        revision=version.token,
        uid=version.uid,
        fingerprint=version.fingerprint,
        verification=Verification.STORED.value,
        seen=Seen.in_reading(reading),
    )
    end(asked=asked, ended=ended, actor=actor, now=now)


def version_in(facts: Mapping[str, Any]) -> Version | None:
    """Return the version a snapshot kept, or ``None``."""
    return Version.from_facts(facts["version"]) if facts.get("version") else None


def _written(asked: Asked, *, actor: Actor, now: datetime) -> Shift:
    return Shift.objects.create(
        route_id=asked.route_id,
        change_id=asked.change_id,
        operation_id=asked.operation_id,
        request=request_id.current(),
        object={**object_of(catalog.route(asked.route_id)), "uid": asked.uid},
        asked=dict(asked.weights),
        before=dict(asked.before),
        revision=asked.revision,
        op_key=asked.op_key,
        reason=asked.reason,
        asked_by=asked.asked_by or actor.name,
        asked_at=now,
    )


def _tell(kind: Kind, shift: Shift, actor: Actor, ended: ShiftEnd | None = None) -> None:
    """Record an event in the change's story; ``shift_state`` is not the change's own state."""
    route = Route.objects.select_related("service", "environment").get(pk=shift.route_id)
    data = {
        "shift": str(shift.pk),
        "shift_state": str(ended.state if ended else ShiftState.ASKED),
        "service": route.service.name,
        "environment": route.environment.name,
        "route": str(shift.route_id),
        "object": shift.object,
        "asked": shift.asked,
        "asked_by": shift.asked_by,
        "reason": shift.reason,
        "choice": (ended.choice if ended else None) or {},
        "before": shift.before,
        "observed": ended.after if ended else {},
        "version": ended.revision if ended else shift.revision,
        "remote_audit": ended.audit_id if ended else "",
        "why": ended.detail if ended else {},
    }
    operation = str(shift.operation_id or "")
    audit.record(stream=shift.stream, kind=kind, actor=actor, data=data, operation=operation)

"""The step that sets the weights of a route: desired state, guarded, read back, and looked at once more.

``desired``: ``route`` (id), ``weights``; optional ``change`` (id; else the operation's subject, empty for none),
``asked_by`` (else who began the operation), ``expect`` (weights that must stand before), ``literal`` (numbers instead
of shares; a restore asks so).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from releases.audit.actor import system
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.core.errors import Reason, Sentence, Stale, Unreachable
from releases.core.words import mark as _
from releases.operations import queries as operations
from releases.operations.models import Operation
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepPlan, StepView
from releases.traffic import services
from releases.traffic.ports import Conflict, Contended, NotEditable, Reading, Split, TrafficProvider, Verification
from releases.traffic.providers import provider_for, reference
from releases.traffic.rules import as_asked
from releases.traffic.services import Asked, Ended, Provide
from releases.traffic.states import ShiftState

_log = structlog.get_logger(__name__)
STEP_KIND = "traffic.shift"
ALREADY = "already"
HOLD_SECONDS = 2.0
CONTENTION_SECONDS = 8.0
_STATES = {Done: ShiftState.CONFIRMED, Failed: ShiftState.FAILED, NeedsHuman: ShiftState.NEEDS_HUMAN}


def plan(
    *,
    route: RouteCard,
    weights: Mapping[str, int | None],
    change_id: UUID | None = None,
    asked_by: str = "",
    name: str = "shift traffic",
    stage: int = 1,
    expect: Mapping[str, int | None] | None = None,
    literal: bool = False,
) -> StepPlan:
    """Return the step that brings these weights about; repeating its send is harmless."""
    desired: dict[str, Any] = {"route": str(route.id), "weights": dict(weights)}
    desired["change"] = str(change_id) if change_id else ""
    desired |= {"asked_by": asked_by} if asked_by else {}
    desired |= {"expect": dict(expect)} if expect is not None else {}
    desired |= {"literal": True} if literal else {}
    return StepPlan(name, STEP_KIND, desired, stage=stage, connection=route.connection.name, repeatable=True)


@dataclass(frozen=True, slots=True)
class ShiftStep:
    """The StepHandler of ``traffic.shift``.

    ``hold_seconds`` is how long weights must stand before they count as confirmed; ``contention_seconds`` how long to
    try against a writer that keeps touching the object without touching our route.
    """

    provide: Provide = provider_for
    hold_seconds: float = HOLD_SECONDS
    contention_seconds: float = CONTENTION_SECONDS
    clock: Callable[[], float] = time.monotonic

    def probe(self, step: StepView) -> str | None:
        """Look whether the desired weights stand: then they are adopted, whoever wrote them.

        :raises Unreachable: no answer
        """
        reading = self._read(step)
        return _token(reading) if _is_as_desired(reading, step) else None

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return the weights and the version that stand there now.

        :raises Unreachable: no answer
        :raises Rejected: the route cannot be read
        :raises Stale: the weights are not the ones the step was planned on
        """
        reading = self._read(step)
        expected = step.desired.get("expect")
        if expected is not None and not _is_as_desired(reading, step) and not _same(reading, expected):
            raise _drift(reading, expected)
        return {**_seen(reading), "owner": reading.owner, "warnings": [_told(one) for one in reading.warnings]}

    def send(self, step: StepView) -> str:
        """Have the server try the write out, then write the weights if the route is still as in the snapshot.

        Asking and trying out take their time: whoever took the work over meanwhile, to go back, has the last word.

        :raises Unreachable: whether they were written is not known
        :raises Rejected: a clear no, nothing was written
        :raises Stale: somebody changed the route meanwhile; nothing was overwritten
        """
        route, provider = self._at(step)
        seen = services.version_in(step.prev or {}) or provider.read(reference(route)).version
        _try_out(step, route, provider)
        until = self.clock() + self.contention_seconds
        while True:
            if not operations.is_held(step):
                raise Stale(Sentence(_("Somebody took this over meanwhile; nothing was written.")))
            try:
                reading = provider.write(reference(route), _split(step), seen=seen)
            except Contended as contended:
                if self.clock() < until:
                    continue
                raise _stale(contended) from contended
            except Conflict as conflict:
                raise _stale(conflict) from conflict
            return _token(reading)

    def observe(self, step: StepView) -> Outcome:
        """Compare what stands with what is desired, twice with a moment between.

        :raises Unreachable: no answer
        :raises Rejected: we may not look any more
        """
        reading = self._read(step)
        seen = _seen(reading)
        if not _is_as_desired(reading, step):
            return NeedsHuman(_undone(reading, step.desired["weights"]), seen)
        if not step.data.get("stored") and self.hold_seconds > 0:
            return Pending(self.hold_seconds, {**seen, "stored": True, "verification": Verification.STORED.value})
        return Done({**seen, "stored": True, "verification": Verification.HELD.value})

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write the shift's end into the ledger, with its audit event and the reading."""
        before = step.prev or {}
        seen = outcome.seen or step.data
        version: Mapping[str, Any] = seen.get("version") or {}
        services.end(
            asked=asked_by_step(step),
            ended=Ended(
                state=_STATES[type(outcome)],
                before=(before.get("version") or {}).get("weights", {}),
                observed=version.get("weights", {}),
                version=version.get("token", ""),
                verification=seen.get("verification", ""),
                audit_id=step.remote_ref.partition(" ")[2],
                detail=None if isinstance(outcome, Done) else outcome.sentence,
            ),
            actor=system("worker"),
            now=now,
        )

    def _at(self, step: StepView) -> tuple[RouteCard, TrafficProvider]:
        route = catalog.route(UUID(step.desired["route"]))
        return route, self.provide(route, urgent=step.urgent)

    def _read(self, step: StepView) -> Reading:
        route, provider = self._at(step)
        return provider.read(reference(route))


def asked_by_step(step: StepView) -> Asked:
    """Return what a step asks for, as the ledger keeps it; reads who began the operation."""
    change = step.desired.get("change", str(step.subject))
    begun_by = Operation.objects.values_list("begun_by", flat=True).get(pk=step.op_id)
    return Asked(
        route_id=UUID(step.desired["route"]),
        weights=step.desired["weights"],
        op_key=step.op_key,
        change_id=UUID(change) if change else None,
        asked_by=step.desired.get("asked_by") or begun_by,
    )


def moved(reading: Reading, wanted: Mapping[str, int | None]) -> Sentence | None:
    """Return who moved the traffic away from these weights, or ``None`` when they stand."""
    return None if _same(reading, wanted) else _undone(reading, wanted)


def _try_out(step: StepView, route: RouteCard, provider: TrafficProvider) -> None:
    """Ask the server what it would say to the write; it stores nothing. What stands already needs no trial.

    Going back, silence is no reason to wait: the write has every guard itself, and its own answer counts.

    :raises Unreachable: no answer, and nothing was written; going forward only
    :raises NotEditable: a clear no, and nothing was written
    """
    try:
        preview = provider.preview(reference(route), _split(step))
    except Unreachable as silence:
        if not step.urgent:
            raise
        _log.warning("dry_run_skipped", step=str(step.step_id), why=str(silence))
        return
    if preview.obstacles and not _is_as_desired(preview.before, step):
        text = _("Nothing was written, the cluster would refuse it: %(why)s")
        raise NotEditable(Sentence(text, {"why": Sentence.of_all(preview.obstacles)}))


def _split(step: StepView) -> Split:
    return Split(step.desired["weights"], literal=bool(step.desired.get("literal")))


def _is_as_desired(reading: Reading, step: StepView) -> bool:
    wanted = step.desired["weights"]
    if step.desired.get("literal"):
        return all(reading.version.weights.get(name, 0) == weight for name, weight in wanted.items())
    return _same(reading, wanted)


def _same(reading: Reading, wanted: Mapping[str, int | None]) -> bool:
    there = reading.weights
    names = sorted(there)
    return wanted.keys() <= there.keys() and as_asked(
        [there[name] for name in names], [wanted.get(name) or 0 for name in names]
    )


def _seen(reading: Reading) -> dict[str, Any]:
    return {"version": reading.version.as_facts(), "weights": reading.weights, "hosts": list(reading.hosts)}


def _token(reading: Reading) -> str:
    return f"{reading.version.token} {reading.audit_id}".strip()


def _told(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "parts": dict(sentence.parts)}


def _stale(conflict: Conflict) -> Stale:
    return Stale(conflict.detail, reasons=[Reason(type(conflict).code, conflict.detail)])


def _drift(reading: Reading, expected: Mapping[str, int | None]) -> Stale:
    parts = {"found": _printed(reading.weights), "expected": _printed(expected), "who": _who(reading)}
    text = _("The weights are %(found)s instead of %(expected)s; %(who)s wrote last. Decide which ones are to stand.")
    sentence = Sentence(text, parts)
    return Stale(sentence, reasons=[Reason("traffic_drift", sentence)])


def _undone(reading: Reading, wanted: Mapping[str, int | None]) -> Sentence:
    parts = {"found": _printed(reading.weights), "wanted": _printed(wanted), "who": _who(reading)}
    text = _(
        "The weights were set to %(wanted)s and are %(found)s again; %(who)s wrote last. Ask there before retrying."
    )
    return Sentence(text, parts)


def _who(reading: Reading) -> str:
    writer = reading.writer
    if writer is None:
        return "?"
    return f"{writer.name} ({writer.at:%Y-%m-%d %H:%M} UTC)" if writer.at else writer.name


def _printed(weights: Mapping[str, int | None]) -> str:
    return ", ".join(f"{name} {weight or 0}" for name, weight in sorted(weights.items(), reverse=True))

"""What a release asks at each step: the gate before traffic moves, the verdict or else a person, then the watch.

The watch looks at the weights, too, at each of its measures: what sets them back is seen within ten seconds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog import queries as catalog
from releases.changes import queries as changes
from releases.changes.back import splits_of
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest, Item
from releases.core import clock
from releases.core.errors import External, Reason, Refused, Rejected, Sentence
from releases.core.words import mark as _
from releases.gate import queries as gate_queries
from releases.gate import services as gate
from releases.gate.rules import Request, Run
from releases.gate.states import Intent, Verdict
from releases.health.steps import VerdictStep, WatchStep
from releases.operations import queries as operations
from releases.operations import services as operations_services
from releases.operations.ports import Done, Ending, Failed, Outcome, Pending, StepPlan, StepView
from releases.operations.queries import StepLine
from releases.operations.states import StepState
from releases.rollout.models import Rollout
from releases.rollout.rules import split
from releases.rollout.states import ALL_PERCENT, Work
from releases.traffic import queries as traffic_queries
from releases.traffic import services as traffic
from releases.traffic.providers import provider_for
from releases.traffic.services import Provide
from releases.traffic.steps import STEP_KIND, ShiftStep, moved

_log = structlog.get_logger(__name__)
PAUSE_KIND, JUDGED_PAUSE_KIND = "rollout.pause", "rollout.judged_pause"
VERDICT_KIND = "health.verdict"
PAUSES = frozenset({VERDICT_KIND, JUDGED_PAUSE_KIND, PAUSE_KIND})
ROUTE_ENDED = "rollout.route_ended"
LOOK_SECONDS = 5.0
FALLEN = frozenset({StepState.FAILED, StepState.NEEDS_HUMAN})


def pause(*, name: str, stage: int, seconds: float = 0.0) -> StepPlan:
    """Return the step that waits so many seconds, without any until a person advances: nothing is bound that judges."""
    return StepPlan(name, PAUSE_KIND, {"lasts": seconds}, stage=stage, repeatable=True)


@dataclass(frozen=True, slots=True)
class AdvanceableVerdict(VerdictStep):
    """The StepHandler of ``health.verdict``: a measure that is bad still fails it, waiting for more can be ended.

    A change on hold goes no further than its verdict.
    """

    def observe(self, step: StepView) -> Outcome:
        """Take a measure; when somebody advanced the rollout, what is not unhealthy is enough."""
        outcome = super(AdvanceableVerdict, self).observe(step)
        if not isinstance(outcome, Pending | Done):
            return outcome
        row = _rollout_of(step)
        if row is None:
            return outcome
        if row.change.is_on_hold:
            return Pending(float(step.desired["every"]), {**outcome.seen, "held": _held(row)})
        if isinstance(outcome, Done) or not _is_advanced(row, step):
            return outcome
        return Done({**outcome.seen, "advanced": _advanced(row)})


@dataclass(frozen=True, slots=True)
class JudgedPause(AdvanceableVerdict, WatchStep):
    """The StepHandler of ``rollout.judged_pause``: as a verdict, but it lasts as long as the pace says."""


@dataclass(frozen=True, slots=True)
class GatedShift(ShiftStep):
    """The StepHandler of ``traffic.shift``: going forward, the gate decides once more before the weights are written.

    Whatever closed it since the deployment (a lock, a freeze, a hold, a quarantine) leaves the traffic where it is and
    asks a person, who tries again once it opens. A rollback does not ask here: nothing that closes holds it up.

    Of several routes none begins a move that another one could not make. What puts them back never just fails: where
    that is refused, a person is asked.
    """

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return the weights and the version that stand there now; raises as its parent does."""
        with _a_person_asked(step):
            return super(GatedShift, self).snapshot(step)

    def send(self, step: StepView) -> str:
        """Pass the gate, then write the weights.

        :raises Unreachable: whether they were written is not known
        :raises Rejected: a clear no
        :raises Refused: the gate does not open, or somebody changed the route meanwhile; nothing was written
        """
        if step.operation_kind == Work.ROLLOUT:
            _stay_together(step)
        if step.operation_kind == Work.ROLLOUT or step.desired.get("gated"):
            _pass_the_gate(step, now=self.now)
        with _a_person_asked(step):
            return super(GatedShift, self).send(step)

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write the shift's end; of several routes, have looked whether all of them made the move."""
        super(GatedShift, self).settle(step, outcome, now)
        if step.operation_kind == Work.ROLLOUT and len(_of_the_same_move(step)) > 1:
            operations_services.post(kind=ROUTE_ENDED, ref=step.subject, now=now, data={"operation": str(step.op_id)})


@dataclass(frozen=True, slots=True)
class HeldWatch(WatchStep):
    """The StepHandler of ``health.watch``: it looks at the weights with each measure, and keeps what it saw.

    Weights that somebody set back ask a person, once; nothing is written, and the measuring goes on. A mesh that does
    not answer ends no watch. With the time of the watch it ends in any case: badly, if they still stand elsewhere.
    """

    mesh: Provide = provider_for

    def observe(self, step: StepView) -> Outcome:
        """Take a measure, then look whether all traffic is still where the release put it."""
        outcome = super(HeldWatch, self).observe(step)
        row = Rollout.objects.select_related("change").filter(watch_operation=step.op_id).first()
        if row is None or not isinstance(outcome, Pending | Done):
            return outcome
        undone = self._undone(step, row.change)
        if undone is None:
            return outcome
        if "undone" not in step.data:
            _ask(row.change, step, undone, now=self.now())
        seen = {**outcome.seen, "undone": undone.as_json()}
        if isinstance(outcome, Done) or self._is_over(step):
            return Failed(undone, seen)
        return Pending(outcome.after_seconds, seen)

    def _is_over(self, step: StepView) -> bool:
        """Say whether the time of the watch has passed: where nobody goes any more, nothing is measured, either."""
        lasts = timedelta(seconds=float(step.desired["lasts"]))
        return step.sent_at is not None and self.now() - step.sent_at >= lasts

    def _undone(self, step: StepView, change: ChangeRequest) -> Sentence | None:
        """Return who moved the traffic of the item that is watched; unseen, what was last known of it."""
        place = (step.desired["service"], step.desired["environment"])
        item = next((one for one in items_of(change) if (one.service.name, one.environment.name) == place), None)
        splits = splits_of(item.way_back.traffic_snapshot) if item else {}
        try:
            for route_id, weights in splits.items():
                reading = traffic.look(route_id=route_id, now=self.now(), provide=self.mesh)
                stands = traffic_queries.confirmed_of(change.pk, route_id) or split(weights, ALL_PERCENT)
                if undone := moved(reading, stands):
                    return undone
        except (External, Refused) as error:
            _log.warning("weights_unseen", step=str(step.step_id), why=str(error))
            return Sentence.from_json(step.data["undone"]) if "undone" in step.data else None
        return None


@dataclass(frozen=True, slots=True)
class PauseStep:
    """The StepHandler of ``rollout.pause``: it ends after its time, if it has one, or when a person advances."""

    now: Callable[[], datetime] = clock.now

    def probe(self, step: StepView) -> str | None:
        """Return nothing: waiting can always begin anew."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return nothing: there is nothing to go back to."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside."""
        return f"pause:{step.step_id}"

    def observe(self, step: StepView) -> Outcome:
        """Look whether its time is over or somebody advanced it, and nobody holds the change."""
        row = _rollout_of(step)
        if row is not None and row.change.is_on_hold:
            return Pending(LOOK_SECONDS, {"held": _held(row)})
        if row is not None and _is_advanced(row, step):
            return Done({"advanced": _advanced(row)})
        lasts = timedelta(seconds=step.desired.get("lasts", 0))
        left = lasts - (self.now() - step.sent_at) if step.sent_at else lasts
        if not lasts:
            return Pending(LOOK_SECONDS)
        return Pending(min(LOOK_SECONDS, left.total_seconds())) if left > timedelta() else Done()

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write nothing: who advanced stands in the change's story already."""


@contextmanager
def _a_person_asked(step: StepView) -> Iterator[None]:
    """Let nothing that puts a route back end with a clear no: a person is asked what is to stand there.

    :raises Refused: the no, of what puts back
    """
    try:
        yield
    except Rejected as no:
        if step.operation_kind != Work.PUT_BACK:
            raise
        raise Refused(no.detail) from no


def _of_the_same_move(step: StepView) -> list[StepLine]:
    every = operations.operation(step.op_id).steps
    return [one for one in every if one.kind == STEP_KIND and one.desired.get("move") == step.desired.get("move")]


def _stay_together(step: StepView) -> None:
    """Begin no move that another route of the release could not make.

    :raises Refused: one of them waits for a person, or failed
    """
    fallen = [one for one in _of_the_same_move(step) if one.state in FALLEN and one.id != step.step_id]
    if fallen:
        text = _("%(names)s could not make this step, so %(name)s does not make it either.")
        raise Refused(Sentence(text, {"names": ", ".join(one.name for one in fallen), "name": step.name}))


def _ask(change: ChangeRequest, step: StepView, undone: Sentence, *, now: datetime) -> None:
    """Ask a person about weights that somebody set back, and tell the change's story of it."""
    with transaction.atomic(durable=True):
        data = {"number": change.number, "service": step.desired["service"], "why": undone.as_json()}
        audit.record(stream=change.stream, kind=Kind.ROLLOUT_TRAFFIC_MOVED, actor=system("worker"), data=data)
        operations_services.post(kind=Kind.ROLLOUT_TRAFFIC_MOVED.value, ref=change.pk, now=now, data=data)


def _pass_the_gate(step: StepView, *, now: Callable[[], datetime]) -> None:
    """Ask the gate for this shift on the present facts, and take the permit at once: the decision stands in its log.

    :raises Refused: the gate does not open, with every reason
    """
    change, route = changes.by_id(UUID(step.desired["change"])), catalog.route(UUID(step.desired["route"]))
    items = items_of(change)
    item = next(one for one in items if one.place == (route.service_id, route.environment_id))
    if len(items) > 1:
        _find_no_other_shut(change, item, now=now())
    worker, run = system("worker"), Run("gmud", step.op_key)
    request = Request(
        service=item.service.name,
        environment=item.environment.name,
        artifact_name=item.service.name,
        digest=item.artifact.digest,
        intent=Intent.TRAFFIC_SHIFT,
        run=run,
        change_number=change.number,
    )
    decision = gate.ask(actor=worker, request=request, now=now()).decision
    permit = gate_queries.permit_of(decision)
    if permit is None:
        raise _shut(item.service.name, gate_queries.card(decision).reasons)
    gate.redeem(actor=worker, jti=permit, run=run, artifact_digest=decision.digest, now=now())


def _find_no_other_shut(change: ChangeRequest, item: Item, *, now: datetime) -> None:
    """Look whether the gate would open for the other items, too: the routes of a release move together.

    :raises Refused: it is shut for one of them
    """
    for one in gate_queries.outlooks(change, now=now, intent=Intent.TRAFFIC_SHIFT):
        is_own = (one.service, one.environment) == (item.service.name, item.environment.name)
        if not is_own and one.decision.verdict is not Verdict.ALLOW:
            raise _shut(one.service, one.decision.reasons)


def _shut(service: str, reasons: Sequence[Reason]) -> Refused:
    text = _("The gate did not open for %(service)s, so its traffic stays where it is: %(why)s")
    why = Sentence.of_all([reason.message for reason in reasons])
    return Refused(Sentence(text, {"service": service, "why": why}), reasons=reasons)


def _is_advanced(row: Rollout, step: StepView) -> bool:
    """Say whether somebody ended this pause; that of another move is not meant."""
    return row.advanced_move is not None and row.advanced_move == step.desired.get("move")


def _rollout_of(step: StepView) -> Rollout | None:
    return Rollout.objects.select_related("change").filter(operation=step.op_id).first()


def _advanced(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("%(name)s went on without waiting for the verdict."), {"name": row.advanced_by}))


def _held(row: Rollout) -> dict[str, Any]:
    return _told(Sentence(_("On hold: %(reason)s"), {"reason": row.change.hold_reason}))


def _told(sentence: Sentence) -> dict[str, Any]:
    return {"text": sentence.text, "parts": dict(sentence.parts)}

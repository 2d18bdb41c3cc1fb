"""The step that sets the weights of a route: desired state, guarded, read back, and looked at once more.

``desired``: ``route`` (id), ``weights``; optional ``change`` (id; else the operation's subject, empty for none),
``asked_by`` (else who began the operation), ``expect`` (weights that must stand before), ``literal`` (numbers instead
of shares; a restore asks so), ``fingerprint`` (the route that literal numbers were taken from), ``gated`` (the
gate is asked before, as in a release), ``reason`` (why somebody goes on although a preview had doubts), ``proof`` (the
``version`` that is to get ``percent`` of the requests and got ``before``: where somebody counts them, that is asked),
``driver`` (who drives the route that goes back, and which version served before).
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction

from releases.audit.actor import system
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.core.clock import now as present
from releases.core.errors import Reason, Refused, Sentence, Stale, Unreachable
from releases.core.words import mark as _
from releases.operations.models import Operation, Step
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepPlan, StepView
from releases.operations.states import OPEN, StepState
from releases.traffic import leading, services
from releases.traffic.drivers.ports import Driver
from releases.traffic.facts import STEP_KIND as STEP_KIND
from releases.traffic.facts import Seen
from releases.traffic.guarded import is_as_asked
from releases.traffic.models import OwnerChoice
from releases.traffic.ports import (
    STABLE,
    Conflict,
    Contended,
    Counted,
    NotEditable,
    Reading,
    Split,
    TrafficProvider,
    Verification,
)
from releases.traffic.providers import Drive, drivers_for, provider_for, reference
from releases.traffic.rivals import IN_GIT, find_no_other_writer, hold, may_still_arrive
from releases.traffic.rules import follows, printed
from releases.traffic.services import Asked, Ended, Provide
from releases.traffic.services.choosing import chosen, facts_of, needs_choice, no_choice
from releases.traffic.states import Choice, ShiftState

_log = structlog.get_logger(__name__)
HOLD_SECONDS = 2.0
KEEPER_SECONDS = (4.0, 10.0)
LAGGING_LOOKS = 8
IN_GIT_SECONDS = 5.0
LATE_SECONDS = 2.0
COUNT_SECONDS = (5.0,) * 15
CONTENTION_SECONDS = 8.0
_WORKER = system("worker")
Count = Callable[[RouteCard, str], Counted | None]
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
    reason: str = "",
    fingerprint: str = "",
    is_gated: bool = False,
    proof: Mapping[str, Any] | None = None,
    driver: Mapping[str, Any] | None = None,
) -> StepPlan:
    """Return the step that brings these weights about; repeating its send is harmless.

    ``reason`` is why it goes on although a preview had doubts, such as a target without a ready endpoint. ``proof`` is
    what the requests are to show: ``version``, the ``percent`` it is to get, and those it got ``before``. ``driver`` is
    who drives the route that goes back: its ``name``, the ``version`` that served before, and whether a new one that
    was promoted ``is_left`` to a person here: no weight takes it back.
    """
    desired: dict[str, Any] = {"route": str(route.id), "weights": dict(weights)}
    desired["change"] = str(change_id) if change_id else ""
    desired |= {"asked_by": asked_by} if asked_by else {}
    desired |= {"expect": dict(expect)} if expect is not None else {}
    desired |= {"literal": True} if literal else {}
    desired |= {"reason": reason} if reason else {}
    desired |= {"fingerprint": fingerprint} if fingerprint else {}
    desired |= {"gated": True} if is_gated else {}
    desired |= {"proof": dict(proof)} if proof else {}
    desired |= {"driver": dict(driver)} if driver else {}
    return StepPlan(name, STEP_KIND, desired, stage=stage, connection=route.connection.name, repeatable=True)


def nobody_counts(_route: RouteCard, _version: str) -> None:
    """Say that nobody counts requests."""


@dataclass(frozen=True, slots=True)
class ShiftStep:
    """The StepHandler of ``traffic.shift``.

    ``hold_seconds`` is how long weights must stand before they count as confirmed: going forward longer where nodes
    fetch them by themselves, in proportion to :data:`HOLD_SECONDS`. ``keeper_seconds`` is how much longer, look by
    look, where somebody puts back what Git or a chart holds (it takes Argo CD about five seconds; a rollback does not
    wait for that); ``contention_seconds`` is how long to try against a writer that keeps touching the object, though
    not our route; ``drive`` finds who drives the weights of a route; ``count`` asks who counts requests which share of
    them a version got, and ``count_seconds`` is how long they may take to follow, look by look.
    """

    provide: Provide = provider_for
    hold_seconds: float = HOLD_SECONDS
    contention_seconds: float = CONTENTION_SECONDS
    keeper_seconds: tuple[float, ...] = KEEPER_SECONDS
    clock: Callable[[], float] = time.monotonic
    drive: Drive = drivers_for
    count: Count = nobody_counts
    count_seconds: tuple[float, ...] = COUNT_SECONDS
    now: Callable[[], datetime] = present

    def probe(self, step: StepView) -> str | None:
        """Look whether the desired weights stand: then they are adopted, whoever wrote them.

        :raises Unreachable: no answer
        """
        reading = self._read(step)
        return reading.version.token if self._stands(step, reading) else None

    def snapshot(self, step: StepView) -> Mapping[str, Any]:
        """Return the weights and the version that stand there now; in a move, who drives the route, too.

        :raises Unreachable: no answer
        :raises Rejected: the route cannot be read
        :raises Stale: the weights are not the ones the step was planned on
        """
        reading = self._read(step)
        expected = step.desired.get("expect")
        if expected is not None and not _is_as_desired(reading, step) and not _same(reading, expected):
            raise _drift(reading, expected)
        owner = reading.owner.system if reading.owner else ""
        led = leading.facts_of(self._drivers(step), step) if "proof" in step.desired else {}
        return {**_seen(reading), **led, "owner": owner, "warnings": [one.as_json() for one in reading.warnings]}

    def send(self, step: StepView) -> str:
        """Have the server try the write out, then write the weights if the route is still as in the snapshot.

        What is asked for stands in the ledger before that, with what stood there.

        A route that Git or a chart holds is written forward only once somebody chose so; whoever chose to change Git
        instead has nothing written here, and is waited for.

        Asking and trying out take their time: whoever took the work over meanwhile, to go back, has the last word.
        Going forward, nothing is written while other work of ours writes to the route.
        A system that drives the weights itself is asked instead: for the share of a move, or going back all the way to
        take them back.

        :raises Unreachable: whether they were written is not known
        :raises Rejected: a clear no, nothing was written
        :raises Refused: nobody chose what is to happen with a route that Git or a chart holds, other work writes to
            it, or the trial leaves doubts; nothing was written
        :raises Stale: somebody changed the route meanwhile; nothing was overwritten
        """
        if not step.urgent:
            find_no_other_writer(step)
        route, provider = self._at(step)
        is_led = leading.is_led(step)
        choice = None if is_led or _goes_back(step) else _choice(step, provider.read(reference(route)))
        with transaction.atomic(durable=True):
            services.ask(asked=asked_by_step(step), actor=_WORKER, now=self.now())
        if is_led:
            return leading.lead(step, self.drive(route))
        if "driver" in step.desired:
            return leading.take_back(step, self.drive(route, urgent=True))
        if choice == Choice.GIT:
            return IN_GIT
        try:
            return self._written(step, route, provider)
        except NotEditable:
            if not (step.urgent and _is_all_stable(step)):
                raise
            drivers = self.drive(route, urgent=True)
            if not drivers:
                raise
        patience = 0.0
        for driver in drivers:
            hold(step)
            patience = max(patience, driver.go_back().standing.patience_seconds)
        return f"{leading.DRIVEN}:{patience:.0f}"

    def _written(self, step: StepView, route: RouteCard, provider: TrafficProvider) -> str:
        seen = services.version_in(step.prev or {}) or provider.read(reference(route)).version
        _try_out(step, route, provider)
        until = self.clock() + self.contention_seconds
        while True:
            try:
                written = provider.write(reference(route), _split(step), seen=seen, still=partial(hold, step))
            except Contended as contended:
                if self.clock() < until:
                    continue
                raise _stale(contended) from contended
            except Conflict as conflict:
                raise _stale(conflict) from conflict
            return f"{written.reading.version.token} {written.audit_id}".strip()

    def observe(self, step: StepView) -> Outcome:
        """Compare what stands with what is desired, again after a moment, and more often where somebody may undo it.

        A controller that says it is not that far yet is waited for; in the end the weights count as stored only. Going
        back is looked at until no late call of what it took over can undo it. Going forward, whoever counts requests
        is asked whether they follow.

        :raises Unreachable: no answer
        :raises Rejected: we may not look any more
        """
        reading = self._read(step)
        seen = _seen(reading)
        taken_back: Mapping[str, Any] | None = None
        if "driver" in step.desired:
            taken_back = leading.is_back(step, self.drive(self._route(step), urgent=True), reading.weights)
        if leading.is_led(step):
            if on_the_way := leading.on_the_way(step, self._drivers(step), reading.weights, seen):
                return on_the_way
        elif taken_back and taken_back["is_promoted"]:
            if step.desired["driver"]["is_left"]:
                return NeedsHuman(leading.promoted(step), {**seen, **taken_back})
            return Done({**seen, **taken_back, "verification": Verification.STORED.value})
        elif not _is_as_desired(reading, step) or ("driver" in step.desired and taken_back is None):
            if step.remote_ref == IN_GIT:
                return _wait_for_git(step, reading, seen)
            waits, patience = step.data.get("waits", 0), leading.patience(step)
            if waits * leading.LOOK_SECONDS < patience:
                return Pending(leading.LOOK_SECONDS, {**seen, "waits": waits + 1})
            return NeedsHuman(_undone(reading, step.desired["weights"], driven=patience > 0), seen)
        looks = step.data.get("looks", 0)
        kept = self.keeper_seconds if reading.owner and not step.urgent else ()
        lag = 0.0 if _goes_back(step) else reading.lag_seconds
        held = self.hold_seconds * max(1.0, lag / HOLD_SECONDS)
        holds = (held, *kept) if held > 0 else ()
        if reading.is_taken_up is False:
            holds += (self.hold_seconds,) * LAGGING_LOOKS
        if looks < len(holds):
            return Pending(holds[looks], {**seen, "looks": looks + 1, "verification": Verification.STORED.value})
        if step.urgent and may_still_arrive(step, now=self.now()):
            return Pending(LATE_SECONDS, {**seen, "looks": looks, "verification": Verification.STORED.value})
        level = Verification.STORED if reading.is_taken_up is False else Verification.HELD
        found = {**seen, "looks": looks, "verification": level.value}
        return self._counted(step, found) if level is Verification.HELD else Done(found)

    def _counted(self, step: StepView, found: Mapping[str, Any]) -> Outcome:
        """Look whether the requests follow, as long as no other route of the move is in trouble; they fail nothing."""
        proof: Mapping[str, Any] = {} if _goes_back(step) else step.desired.get("proof", {})
        route = catalog.route(UUID(step.desired["route"]))
        counted = self.count(route, proof["version"]) if proof else None
        if counted is None:
            return Done(found)
        parts = {"version": proof["version"], "by": counted.by}
        if counted.share is not None and follows(counted.share, percent=proof["percent"], before=proof["before"]):
            text = _("%(by)s saw %(share)s %% of the requests at %(version)s after the shift.")
            evidence = Sentence(text, {**parts, "share": round(counted.share * 100, 1)})
            level = Verification.OBSERVED.value
            return Done({**found, "verification": level, "evidence": evidence.as_json()})
        turn = step.data.get("counts", 0)
        if turn == len(self.count_seconds) or _is_another_in_trouble(step):
            return Done(found)
        text = _("The weights stand. GMUD waits until the requests to %(version)s follow, which %(by)s counts.")
        awaited = Sentence(text, parts).as_json()
        return Pending(self.count_seconds[turn], {**found, "counts": turn + 1, "awaited": awaited})

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write the shift's end into the ledger, with its audit event and the reading."""
        seen = outcome.seen or step.data
        version: Mapping[str, Any] = seen.get("version") or {}
        choice = _choice_of(step, (seen.get("seen") or step.prev or {}).get("owner", ""), until=step.sent_at)
        services.end(
            asked=asked_by_step(step),
            ended=Ended(
                state=_STATES[type(outcome)],
                after=version.get("weights", {}),
                revision=version.get("token", ""),
                uid=version.get("uid", ""),
                fingerprint=version.get("fingerprint", ""),
                verification=seen.get("verification", ""),
                audit_id=step.remote_ref.partition(" ")[2],
                detail=_evidence(seen) if isinstance(outcome, Done) else outcome.sentence,
                seen=Seen.from_facts(seen["seen"]) if seen.get("seen") else None,
                choice=facts_of(choice) if choice else None,
            ),
            actor=_WORKER,
            now=now,
        )

    def _at(self, step: StepView) -> tuple[RouteCard, TrafficProvider]:
        route = catalog.route(UUID(step.desired["route"]))
        return route, self.provide(route, urgent=step.urgent)

    def _drivers(self, step: StepView) -> Sequence[Driver]:
        return self.drive(self._route(step))

    def _route(self, step: StepView) -> RouteCard:
        return catalog.route(UUID(step.desired["route"]))

    def _stands(self, step: StepView, reading: Reading) -> bool:
        if leading.is_led(step):
            return leading.has_arrived(step, self._drivers(step), reading.weights)
        return "driver" not in step.desired and _is_as_desired(reading, step)

    def _read(self, step: StepView) -> Reading:
        route, provider = self._at(step)
        return provider.read(reference(route))


def asked_by_step(step: StepView) -> Asked:
    """Return what a step asks for and on what, as the ledger keeps it; reads who began the operation."""
    before: Mapping[str, Any] = (step.prev or {}).get("version") or {}
    change = step.desired.get("change", str(step.subject))
    begun_by = Operation.objects.values_list("begun_by", flat=True).get(pk=step.op_id)
    return Asked(
        route_id=UUID(step.desired["route"]),
        weights=leading.wanted(step),
        op_key=step.op_key,
        change_id=UUID(change) if change else None,
        operation_id=step.op_id,
        asked_by=step.desired.get("asked_by") or begun_by,
        reason=step.desired.get("reason", ""),
        before=before.get("weights", {}),
        revision=before.get("token", ""),
        uid=before.get("uid", ""),
    )


def moved(reading: Reading, wanted: Mapping[str, int | None]) -> Sentence | None:
    """Return who moved the traffic away from these weights, or ``None`` when they stand."""
    return None if _same(reading, wanted) else _undone(reading, wanted)


def _evidence(seen: Mapping[str, Any]) -> Sentence | None:
    return Sentence.from_json(seen["evidence"]) if seen.get("evidence") else None


def _is_another_in_trouble(step: StepView) -> bool:
    """Say whether another route of the same move cannot be moved: then this one may have to be put back at once."""
    others = Step.objects.filter(operation_id=step.op_id, kind=STEP_KIND, desired__move=step.desired.get("move"))
    return others.exclude(state__in={*OPEN, StepState.CONFIRMED}).exists()


def _goes_back(step: StepView) -> bool:
    """Say whether this puts something back: a rollback, or the very numbers that stood there before."""
    return step.urgent or bool(step.desired.get("literal"))


def _choice(step: StepView, reading: Reading) -> str:
    """Return what somebody chose for a route that Git or a chart holds; nothing where nobody holds it.

    :raises Refused: nobody chose
    """
    owner = reading.owner
    if owner is None or not needs_choice(owner):
        return ""
    row = _choice_of(step, owner.system, until=step.sent_at)
    if row is None:
        reason = no_choice(UUID(step.desired["route"]), owner)
        raise Refused(reason.message, reasons=[reason])
    return row.choice


def _choice_of(step: StepView, owner: str, *, until: datetime | None) -> OwnerChoice | None:
    """Return the last choice for this shift, made ``until`` then: what is chosen after it was sent is not its own."""
    change = step.desired.get("change", str(step.subject))
    if not change or _goes_back(step):
        return None
    return chosen(change_id=UUID(change), route_id=UUID(step.desired["route"]), owner=owner, until=until)


def _wait_for_git(step: StepView, reading: Reading, seen: Mapping[str, Any]) -> Outcome:
    """Wait until the weights stand there, unless somebody has chosen to write them here after all."""
    owner = reading.owner.system if reading.owner else ""
    row = _choice_of(step, owner, until=None)
    if row is None or row.choice != Choice.GIT:
        text = _("This is no longer to be changed in Git. Try this step again: then it is written here.")
        return NeedsHuman(Sentence(text), seen)
    text = _("Somebody changes this in Git: GMUD waits until %(wanted)s stand there.")
    awaited = Sentence(text, {"wanted": printed(step.desired["weights"])})
    return Pending(IN_GIT_SECONDS, {**seen, "awaited": awaited.as_json()})


def _try_out(step: StepView, route: RouteCard, provider: TrafficProvider) -> None:
    """Ask the server what it would say to the write; it stores nothing. What stands already needs no trial.

    Going back, silence is no reason to wait: the write has every guard itself, and its own answer counts.

    :raises Unreachable: no answer, and nothing was written; going forward only
    :raises NotEditable: a clear no, and nothing was written
    :raises Refused: doubts alone, such as a target without a ready endpoint: a person tries again, or gives a reason
    """
    try:
        preview = provider.preview(reference(route), _split(step))
    except Unreachable as silence:
        if not step.urgent:
            raise
        _log.warning("dry_run_skipped", step=str(step.step_id), why=str(silence))
        return
    refusals = [*preview.obstacles, *preview.doubts]
    if not refusals or _is_as_desired(preview.before, step):
        return
    why = Sentence(_("Nothing was written, it would be refused: %(why)s"), {"why": Sentence.of_all(refusals)})
    raise NotEditable(why) if preview.obstacles else Refused(why)


def _split(step: StepView) -> Split:
    desired = step.desired
    return Split(
        desired["weights"],
        literal=bool(desired.get("literal")),
        reason=desired.get("reason", ""),
        fingerprint=desired.get("fingerprint", ""),
    )


def _is_all_stable(step: StepView) -> bool:
    return not any(weight for name, weight in step.desired["weights"].items() if name != STABLE)


def _is_as_desired(reading: Reading, step: StepView) -> bool:
    return is_as_asked(reading, _split(step))


def _same(reading: Reading, wanted: Mapping[str, int | None]) -> bool:
    shares = {name: weight or 0 for name, weight in wanted.items()}
    return is_as_asked(reading, Split(shares))


def _seen(reading: Reading) -> dict[str, Any]:
    return {
        "version": reading.version.as_facts(),
        "weights": reading.weights,
        "hosts": list(reading.hosts),
        "seen": Seen.in_reading(reading).as_facts(),
    }


def _stale(conflict: Conflict) -> Stale:
    return Stale(conflict.detail, reasons=[Reason(type(conflict).code, conflict.detail)])


def _drift(reading: Reading, expected: Mapping[str, int | None]) -> Stale:
    parts = {"found": printed(reading.weights), "expected": printed(expected), "who": _who(reading)}
    text = _("The weights are %(found)s instead of %(expected)s; %(who)s wrote last. Decide which ones are to stand.")
    sentence = Sentence(text, parts)
    return Stale(sentence, reasons=[Reason("traffic_drift", sentence)])


def _undone(reading: Reading, wanted: Mapping[str, int | None], *, driven: bool = False) -> Sentence:
    parts = {"found": printed(reading.weights), "wanted": printed(wanted), "who": _who(reading)}
    set_back = _(
        "The weights were set to %(wanted)s and are %(found)s again; %(who)s wrote last. Ask there before retrying."
    )
    asked = _("Whoever drives this route was asked for %(wanted)s, and it stands at %(found)s. Look there, then retry.")
    return Sentence(asked if driven else set_back, parts)


def _who(reading: Reading) -> str:
    writer = reading.writer
    if writer is None:
        return "?"
    return f"{writer.name} ({writer.at:%Y-%m-%d %H:%M} UTC)" if writer.at else writer.name

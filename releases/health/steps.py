"""Steps that find out how a version is doing: one figure per look, until the rules can say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from releases.catalog.cards import BindingCard
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core import clock
from releases.core.errors import Unreachable
from releases.core.http import Door
from releases.health import services
from releases.health.endpoint.adapter import EndpointProbe
from releases.health.ports import Measure, Probe, Question
from releases.health.prometheus.adapter import PrometheusProbe
from releases.health.rules import Judgement, Limits, judge, watched
from releases.health.states import Health
from releases.operations.ports import Done, Ending, Failed, NeedsHuman, Outcome, Pending, StepPlan, StepView

KEPT = 200
NEEDED = 3
PATIENCE = 2
SPAN_SECONDS = 30.0
EVERY_SECONDS = (0.2, 10.0)
KINDS = {"verdict": "health.verdict", "watch": "health.watch"}
PROBES: Mapping[str, Callable[[Door], Probe]] = {
    ConnectionKind.PROMETHEUS.value: PrometheusProbe,
    ConnectionKind.HTTP.value: EndpointProbe,
}
Provide = Callable[[Question, StepView], Probe]


def probe_for(question: Question, step: StepView) -> Probe:
    """Return what answers a question; an urgent step passes an open breaker."""
    connection = Connection.objects.get(name=question.connection)
    return PROBES[question.kind](door_for(connection, urgent=step.urgent))


def plan(
    *,
    binding: BindingCard,
    kind: str,
    service: str,
    environment: str,
    version: str,
    change_id: UUID,
    seconds: float,
    name: str,
    stage: int,
) -> StepPlan:
    """Return a step that finds out how a version is doing; may be called inside the caller's transaction.

    ``kind`` "verdict": healthy measures in a row over ``seconds``. "watch": healthy for ``seconds``, at least at its
    end in a row. Either ends at once when measures in a row are above the limit.

    :raises Refused: the binding holds no question that its connection could answer
    """
    question = services.question_for(binding=binding, service=service, environment=environment, version=version)
    fastest, slowest = EVERY_SECONDS
    desired = {
        "change": str(change_id),
        "service": service,
        "environment": environment,
        "version": version,
        "question": question.as_json(),
        "every": min(max(seconds / (NEEDED + 1), fastest), slowest),
        "needed": NEEDED,
        "span": seconds if kind == "verdict" else min(seconds, SPAN_SECONDS),
        "patience": PATIENCE,
        "lasts": seconds,
    }
    return StepPlan(name, KINDS[kind], desired, stage=stage, connection=question.connection, repeatable=True)


@dataclass(frozen=True, slots=True)
class VerdictStep:
    """The StepHandler of ``health.verdict``: healthy measures in a row over a span, or a failure with its sentence."""

    now: Callable[[], datetime] = clock.now
    provide: Provide = probe_for

    def probe(self, step: StepView) -> str | None:
        """Return nothing: looking changes nothing, so it can always begin anew."""
        return None

    def snapshot(self, step: StepView) -> Mapping[str, object]:
        """Return nothing: there is nothing to go back to."""
        return {}

    def send(self, step: StepView) -> str:
        """Ask nothing of the outside: a verdict only looks."""
        return f"measures:{step.step_id}"

    def observe(self, step: StepView) -> Outcome:
        """Take one measure and judge all so far; without an answer the measure has no value.

        :raises Rejected: the question cannot be asked like this
        """
        measures = _kept([*_measures(step), self._measure(step)])
        verdict = self.verdict(step, measures)
        seen = {
            "measures": [one.as_json() for one in measures],
            "health": verdict.health.value,
            "sentence": {"text": verdict.sentence.text, "parts": dict(verdict.sentence.parts)},
            "limit": step.desired["question"]["limit"],
        }
        match verdict.health:
            case Health.HEALTHY:
                return Done(seen)
            case Health.UNHEALTHY:
                return Failed(verdict.sentence, seen)
        return Pending(float(step.desired["every"]), seen)

    def settle(self, step: StepView, outcome: Ending, now: datetime) -> None:
        """Write the verdict; when a human is asked, that is not one yet."""
        if isinstance(outcome, NeedsHuman):
            return
        measures = [Measure.from_json(one) for one in outcome.seen.get("measures", ())]
        judgement = self.verdict(step, measures)
        services.judge(
            step_id=step.step_id, name=step.name, desired=step.desired, judgement=judgement, measures=measures, now=now
        )

    def verdict(self, step: StepView, measures: list[Measure]) -> Judgement:
        """Return what the measures say."""
        return judge(measures, _limits(step))

    def _measure(self, step: StepView) -> Measure:
        question, at = Question.from_json(step.desired["question"]), self.now()
        try:
            return self.provide(question, step).measure(question, at=at)
        except Unreachable as error:
            return Measure(None, at, question.kind, error.detail)


@dataclass(frozen=True, slots=True)
class WatchStep(VerdictStep):
    """The StepHandler of ``health.watch``: as a verdict, but it lasts a given time and any failure ends it."""

    def verdict(self, step: StepView, measures: list[Measure]) -> Judgement:
        """Return what the measures say of the watch so far."""
        return watched(measures, _limits(step), lasts=timedelta(seconds=float(step.desired["lasts"])))


def _measures(step: StepView) -> list[Measure]:
    return [Measure.from_json(one) for one in step.data.get("measures", ())]


def _kept(measures: list[Measure]) -> list[Measure]:
    """Return the newest measures and the very first, which says when it began."""
    return measures if len(measures) <= KEPT else [measures[0], *measures[1 - KEPT :]]


def _limits(step: StepView) -> Limits:
    desired, question = step.desired, Question.from_json(step.desired["question"])
    return Limits(
        at_most=question.limit,
        figure=question.figure,
        needed=int(desired["needed"]),
        span=timedelta(seconds=float(desired["span"])),
        patience=int(desired["patience"]),
    )

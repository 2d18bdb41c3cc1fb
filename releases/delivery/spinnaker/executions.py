"""What an execution tells, in our words: pure readings of Orca's JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.ports import Handle, Parameter, Question, Run, Sighting, StageView
from releases.delivery.states import ENDS, Act, State

Json = dict[str, Any]
ORCA = "spinnaker"
JUDGMENT = "manualJudgment"
INPUT = "judgmentInput"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a status means for an execution and for a stage; ``why`` is said of the execution."""

    run: State
    stage: State
    why: str = ""
    acts: frozenset[Act] = frozenset()


STOP = frozenset({Act.STOP})
MEANINGS = {
    "NOT_STARTED": Meaning(State.QUEUED, State.QUEUED, acts=STOP),
    "BUFFERED": Meaning(State.QUEUED, State.QUEUED, _("Spinnaker is throttled and holds it back."), STOP),
    "RUNNING": Meaning(State.RUNNING, State.RUNNING, acts=STOP | {Act.PAUSE}),
    "REDIRECT": Meaning(State.RUNNING, State.RUNNING, acts=STOP),
    "PAUSED": Meaning(State.PAUSED, State.PAUSED, _("It was paused in Spinnaker."), STOP | {Act.RESUME}),
    "SUSPENDED": Meaning(State.PAUSED, State.PAUSED, _("Spinnaker waits with it, such as for a time window."), STOP),
    "SUCCEEDED": Meaning(State.SUCCEEDED, State.SUCCEEDED),
    "FAILED_CONTINUE": Meaning(State.SUCCEEDED, State.FAILED),
    "SKIPPED": Meaning(State.UNCHANGED, State.UNCHANGED, _("Spinnaker skipped it, so nothing was done.")),
    "STOPPED": Meaning(State.FAILED, State.FAILED),
    "TERMINAL": Meaning(State.FAILED, State.FAILED),
    "CANCELED": Meaning(State.ABORTED_EXTERNALLY, State.CANCELED),
}


def sighting(one: Json, handle: Handle, url: str) -> Sighting:
    """Return what an execution shows; why it failed, and what it asks, is not in it."""
    meaning = MEANINGS[one["status"]]
    stages = top(one)
    views = tuple(view(stage) for stage in stages)
    seen = Sighting(meaning.run, handle, url, views, Sentence(meaning.why) if meaning.why else None, acts=meaning.acts)
    return {
        State.QUEUED: _queued,
        State.RUNNING: _running,
        State.SUCCEEDED: _succeeded,
        State.ABORTED_EXTERNALLY: _canceled,
    }.get(meaning.run, lambda _one, sight: sight)(one, seen)


def top(one: Json) -> list[Json]:
    """Return the stages that somebody configured, not those that Orca made of them."""
    return [stage for stage in one.get("stages") or [] if not stage.get("parentStageId")]


def view(stage: Json) -> StageView:
    """Return one stage for the ladder."""
    state = State.WAITING_INPUT if waits(stage) else MEANINGS[stage["status"]].stage
    begun, ended = stage.get("startTime"), stage.get("endTime")
    return StageView(str(stage.get("name", "")), state, round((ended - begun) / 1000, 3) if begun and ended else 0.0)


def waits(stage: Json) -> bool:
    """Say whether a stage waits for somebody's judgment."""
    return stage.get("type") == JUDGMENT and stage.get("status") == "RUNNING"


def question(stage: Json) -> Question:
    """Return what a stage asks, from its context."""
    context = stage.get("context") or {}
    roles = context.get("selectedStageRoles") or context.get("requiredJudgmentRoles") or []
    choices = tuple(str(one.get("value", "")) for one in context.get("judgmentInputs") or [])
    takes = (Parameter(INPUT, choices=choices),) if choices else ()
    text = str(context.get("instructions") or stage.get("name") or "")
    return Question(str(stage["id"]), text, tuple(str(one) for one in roles), takes)


def handle_of(run: str, job: str) -> Handle | None:
    """Return where an execution is found by its id; it carries no key of ours."""
    return Handle(key="", job=job, run=f"pipelines/{run}") if run.isalnum() else None


def run(one: Json, key_parameter: str) -> Run:
    """Return an execution as a run of the past; the key stands in the trigger, whatever the parameters say."""
    trigger = one.get("trigger") or {}
    parameters = {name: str(value) for name, value in (trigger.get("parameters") or {}).items()}
    if trigger.get("correlationId"):
        parameters[key_parameter] = str(trigger["correlationId"])
    seen = sighting(one, Handle("", ""), "")
    ended = moment(one.get("endTime") or one["buildTime"]) if seen.state in ENDS else None
    return Run(f"pipelines/{one['id']}", seen.state, parameters, ended)


def failed_in(stages: Sequence[Json]) -> Sentence:
    """Return why an execution failed, by the stages that failed in it."""
    for stage in stages:
        name, text = str(stage.get("name", "")), error_of(stage)
        if text:
            return Sentence(
                _("The pipeline failed in its stage %(stage)s: %(error)s"), {"stage": name, "error": text[:500]}
            )
        return Sentence(_("The pipeline failed in its stage %(stage)s."), {"stage": name})
    return Sentence(_("The pipeline failed."))


def error_of(stage: Json) -> str:
    """Return what a stage says went wrong."""
    context = stage.get("context") or {}
    details = ((context.get("exception") or {}).get("details") or {}).get("errors") or []
    jobs = [(one.get("exception") or {}).get("message") for one in context.get("kato.tasks") or []]
    return "; ".join(str(one) for one in [*details, *jobs] if one)


def moment(milliseconds: int) -> datetime:
    """Return a time of Orca's."""
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _queued(one: Json, seen: Sighting) -> Sighting:
    if seen.why is None and one.get("limitConcurrent"):
        return replace(seen, why=Sentence(_("It waits for another execution of this pipeline to end.")))
    return seen


def _running(one: Json, seen: Sighting) -> Sighting:
    if one.get("canceled"):
        return replace(seen, why=Sentence(_("It is being canceled.")), acts=seen.acts & STOP)
    done = sum(stage.state in ENDS for stage in seen.stages)
    progress = min(0.99, done / len(seen.stages)) if seen.stages else None
    asks = any(stage.state is State.WAITING_INPUT for stage in seen.stages)
    return replace(seen, state=State.WAITING_INPUT if asks else seen.state, progress=progress)


def _succeeded(one: Json, seen: Sighting) -> Sighting:
    """Return a success, unless no stage did anything; a failure that the pipeline passes over is told."""
    if all(stage.state is State.UNCHANGED for stage in seen.stages):
        why = Sentence(_("Spinnaker says that it succeeded, but no stage did anything."))
        return replace(seen, state=State.UNCHANGED, why=why)
    ignored = next((stage.name for stage in seen.stages if stage.state is State.FAILED), "")
    if ignored:
        text = _("Its stage %(stage)s failed, and the pipeline is made to go on after that.")
        return replace(seen, why=Sentence(text, {"stage": ignored}))
    return seen


def _canceled(one: Json, seen: Sighting) -> Sighting:
    if seen.handle.stop_asked:
        return replace(seen, state=State.CANCELED, why=Sentence(_("It was stopped from here.")))
    if one.get("canceledBy") == ORCA and not one.get("startTime"):
        why = Sentence(_("Spinnaker dropped it for a newer execution of the same pipeline."))
        return replace(seen, state=State.SUPERSEDED, why=why)
    parts: Mapping[str, object] = {"who": one.get("canceledBy") or "?", "reason": one.get("cancellationReason") or "-"}
    return replace(seen, why=Sentence(_("%(who)s canceled it in Spinnaker (%(reason)s)."), parts))

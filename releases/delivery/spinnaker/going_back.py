"""Going back by a task: asked for with what stood there before, and believed only when it shows there."""

from dataclasses import replace
from datetime import datetime, timedelta

from releases.core.errors import Rejected, Sentence
from releases.core.words import mark as _
from releases.delivery.ports import Order, Run, Sighting, Target
from releases.delivery.spinnaker import executions, previous, tasks
from releases.delivery.spinnaker.client import Gate, Json
from releases.delivery.spinnaker.orders import parted, reference
from releases.delivery.states import Act, State

CACHE_LASTS = timedelta(seconds=60)
CLUSTER = "rollbackCluster"


def chosen(gate: Gate, target: Target) -> Json:
    """Return the options of a task with the revision or the groups in it that it goes back from and to.

    :raises Rejected: there is nothing to go back to, or the options do not fit
    """
    if wrong := tasks.misfits(target):
        raise Rejected(wrong[0])
    explicit = replace(target, options=tasks.explicit(target.options))
    return tasks.planned(explicit.options, previous.plan(gate, explicit, parted(target.job)[0]))


def operated(gate: Gate, order: Order) -> str:
    """Ask for a task, with what stands there now kept in it; return the reference to it.

    :raises Unreachable: whether it was taken is not known
    :raises Rejected: there is nothing to go back to, or Spinnaker refuses
    """
    target, application = order.target, parted(order.target.job)[0]
    plan = previous.plan(gate, target, application)
    before: Json = {"parameters": dict(target.parameters)}
    if tasks.KINDS[target.options["task"]].measure:
        before["stood"] = previous.stands(gate, application, target.options)
        before["wanted"] = previous.wanted(gate, application, target.options, plan)
    order.in_time()
    reply = gate.operate(tasks.body(target, order.key, application, plan, before))
    return reference(reply, {200, 201, 202})


def sighted(gate: Gate, task: Json, seen: Sighting, *, at: datetime) -> Sighting:
    """Return what a task shows; what it did is read where it should have done it. ``at`` is the time of the answer.

    A cache of Spinnaker's shows it up to a minute late, so until then it is not over.
    """
    stages = executions.top(task.get("execution") or {})
    seen = replace(seen, acts=seen.acts & {Act.STOP})
    if seen.state is State.FAILED:
        return replace(seen, why=executions.failed_in([one for one in stages if one["status"] == "TERMINAL"]))
    if seen.state is not State.SUCCEEDED or passed_over(stages):
        return unchanged(seen) if seen.state is State.SUCCEEDED else seen
    job = stages[0]["context"]
    before = job.get(tasks.BEFORE) or {}
    if "stood" not in before:
        return seen
    place = {**job, "task": stages[0]["type"], **tasks.place_of(job)}
    stands = previous.stands(gate, str(task["application"]), place)
    state = tasks.proof(stands=stands, before=before)
    if state is State.SUCCEEDED:
        return seen
    if at - executions.moment(task["endTime"]) < CACHE_LASTS:
        why = Sentence(_("Spinnaker says that it succeeded; what stands there does not show it yet."))
        return replace(seen, state=State.RUNNING, why=why, acts=frozenset())
    if state is State.UNCHANGED:
        return unchanged(seen)
    text = _("Spinnaker says that it succeeded, but %(stands)s stands there and not %(wanted)s.")
    return replace(seen, state=state, why=Sentence(text, {"stands": stands, "wanted": before["wanted"]}))


def runs(rows: list[Json], key_parameter: str) -> list[Run]:
    """Return those tasks that were ours as runs, with what was ordered; what each did is not looked at again."""
    found = []
    for task in rows:
        one: Json = {**(task.get("execution") or {}), "status": task["status"]}
        kept = [(stage.get("context") or {}).get(tasks.BEFORE) for stage in executions.top(one)[:1]]
        if kept and kept[0]:
            given = {**(one.get("trigger") or {}), "parameters": kept[0].get("parameters")}
            run = executions.run({**one, "trigger": given, "endTime": task.get("endTime")}, key_parameter)
            found.append(replace(run, name=f"tasks/{task['id']}"))
    return found


def passed_over(stages: list[Json]) -> bool:
    """Say whether a rollback of a cluster found nothing to do: Spinnaker passes over such a region and succeeds."""
    ours = [one for one in stages if one["type"] == CLUSTER]
    return bool(ours) and not any((one.get("outputs") or {}).get("rollbackTypes") for one in ours)


def unchanged(seen: Sighting) -> Sighting:
    """Return a success that did nothing as what it is."""
    why = Sentence(_("Spinnaker says that it succeeded, but nothing changed where it should go back."))
    return replace(seen, state=State.UNCHANGED, why=why)

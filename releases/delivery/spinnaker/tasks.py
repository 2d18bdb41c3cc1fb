"""The tasks by which Spinnaker goes back without a pipeline: what each needs, its job, and what proves that it took.

A task that succeeds may have done nothing. So what stood there is read first and kept in the job itself, beside what
was ordered, where whoever looks later finds it: in the first stage of the task.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.ports import Target
from releases.delivery.states import State

Json = dict[str, Any]
Options = Mapping[str, Any]
MANIFEST = ("account", "location", "manifestName")
CLUSTER = ("account", "cluster", "cloudProvider", "region")
BEFORE = "gmudBefore"
"""The name under which a job keeps what stood there before; Orca keeps it as it keeps every other name."""


Measure = Literal["images", "generation", "group", ""]
Choice = Literal["revision", "group", ""]


@dataclass(frozen=True, slots=True)
class Plan:
    """What stands there now and what shall stand there: a revision of a manifest, or a group of servers."""

    now: str = ""
    back: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of task: the options it needs, those it may have, its job.

    ``measure`` is what of the place shows that it took, empty when nothing does; ``goes_to`` is what has to be chosen
    to go back to, empty when the task needs no such choice.
    """

    needs: tuple[str, ...]
    may: tuple[str, ...]
    job: Callable[[Options, Plan], Json]
    measure: Measure = ""
    goes_to: Choice = ""


def kind_of(target: Target) -> Kind | None:
    """Return the kind of task a target asks for, ``None`` when it asks for a pipeline or for a kind unknown."""
    return KINDS.get(str(target.options.get("task", "")))


def misfits(target: Target) -> list[Sentence]:
    """Return what is wrong with the options of a task."""
    kind = kind_of(target)
    if kind is None:
        parts: Mapping[str, object] = {"task": target.options.get("task"), "tasks": sorted(KINDS)}
        return [Sentence(_("Spinnaker has no task %(task)s for going back. Choose %(tasks)s."), parts)]
    missing = [name for name in kind.needs if not target.options.get(name)]
    known = {"task", *kind.needs, *kind.may}
    return [
        *(Sentence(_("The task needs the option %(name)s."), {"name": name}) for name in missing),
        *unknown(target, known),
    ]


def unknown(target: Target, known: set[str]) -> list[Sentence]:
    """Return the options that nobody here understands."""
    text = _("The option %(name)s is not one of Spinnaker's. It takes %(known)s.")
    named = sorted(set(target.options) - known)
    return [Sentence(text, {"name": name, "known": sorted(known)}) for name in named]


def body(target: Target, key: str, application: str, plan: Plan, before: Json) -> Json:
    """Return the request for a task."""
    reason = f"GMUD {key}"
    task, options = target.options["task"], {**target.options, "application": application}
    job = {"type": task, **KINDS[task].job(options, plan), "reason": reason, BEFORE: before}
    return {
        "application": application,
        "description": reason,
        "job": [job],
        "trigger": {"type": "manual", "correlationId": key},
    }


def explicit(options: Options) -> Json:
    """Return the options of the task that does the same and is told from where to where, if there is one."""
    return {**options, "task": EXPLICIT.get(options["task"], options["task"])}


def planned(options: Options, plan: Plan) -> Json:
    """Return options with what was planned in them, as far as their task takes it."""
    said = {"revision": plan.back, "now": plan.now, "back": plan.back}
    return {**options, **{name: said[name] for name in KINDS[options["task"]].may if name in said}}


def proof(*, stands: str, before: Mapping[str, Any]) -> State:
    """Return what a task that succeeded really did, by what stands there now, stood before and was wanted."""
    wanted = before.get("wanted")
    if wanted and stands == wanted:
        return State.SUCCEEDED
    if stands == before.get("stood"):
        return State.UNCHANGED
    return State.FAILED if wanted else State.SUCCEEDED


def place_of(job: Json) -> Json:
    """Return where a job of server groups acts, by our names; empty for a manifest, whose names are the same."""
    if "moniker" not in job:
        return {}
    region = job.get("region") or (job.get("regions") or [""])[0]
    return {"account": job["credentials"], "cluster": job["moniker"]["cluster"], "region": region}


def _manifest(options: Options) -> Json:
    return {"cloudProvider": "kubernetes", **{name: options[name] for name in MANIFEST}}


def _undo(options: Options, plan: Plan) -> Json:
    return {**_manifest(options), "revision": plan.back}


def _patch(options: Options, _plan: Plan) -> Json:
    strategy = {"mergeStrategy": options.get("mergeStrategy", "strategic"), "record": True}
    return {**_manifest(options), "source": "text", "patchBody": options["patchBody"], "options": strategy}


def _cluster(options: Options) -> Json:
    place = {"cloudProvider": options["cloudProvider"], "credentials": options["account"]}
    return {**place, "moniker": {"app": options["application"], "cluster": options["cluster"]}}


def _rollback_cluster(options: Options, _plan: Plan) -> Json:
    return {**_cluster(options), "regions": [options["region"]], HEALTHY: options.get(HEALTHY, 100)}


def _rollback_group(options: Options, plan: Plan) -> Json:
    names = {"rollbackServerGroupName": plan.now, "restoreServerGroupName": plan.back}
    context = {**names, HEALTHY: options.get(HEALTHY, 100)}
    place = {**_cluster(options), "region": options["region"]}
    return {**place, "rollbackType": "EXPLICIT", "rollbackContext": context}


def _switch(options: Options, name: str) -> Json:
    return {**_cluster(options), "region": options["region"], "serverGroupName": name, "asgName": name}


EXPLICIT = {"rollbackCluster": "rollbackServerGroup"}  # asked a second time, the first would go forward again
HEALTHY = "targetHealthyRollbackPercentage"
KINDS = {
    "undoRolloutManifest": Kind(MANIFEST, ("revision",), _undo, "images", "revision"),
    "patchManifest": Kind((*MANIFEST, "patchBody"), ("mergeStrategy",), _patch, "generation"),
    "rollbackCluster": Kind(CLUSTER, (HEALTHY,), _rollback_cluster, "group"),
    "rollbackServerGroup": Kind(CLUSTER, ("now", "back", HEALTHY), _rollback_group, "group", "group"),
    "enableServerGroup": Kind(CLUSTER, ("back",), lambda options, plan: _switch(options, plan.back), goes_to="group"),
    "disableServerGroup": Kind(CLUSTER, ("now",), lambda options, plan: _switch(options, plan.now), "group"),
}

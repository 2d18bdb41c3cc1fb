"""Argo Rollouts: its commands are merge patches of the status; on the object itself they would do nothing."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from releases.cluster.client import DEPLOYMENTS, REPLICA_SETS, ROLLOUTS, ClusterClient
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.drivers.asking import (
    PROGRESS_SECONDS,
    WHOLE,
    Book,
    Object,
    Verb,
    address,
    guarded,
    seconds,
    waits_elsewhere,
)
from releases.traffic.drivers.ports import Move, Progress, Wish
from releases.traffic.owners import ROLLOUTS as SYSTEM
from releases.traffic.owners import owner_of
from releases.traffic.ports import NotEditable

HASH = "rollouts-pod-template-hash"
INCONCLUSIVE = "InconclusiveAnalysisRun"
STEP_PAUSE = "CanaryPauseStep"
PATIENCE_SECONDS = 60.0  # a watcher of its routes acts within seconds; with dynamicStableScale pods have to start first
NOTICES_SECONDS = 5.0  # as long as its watch of its own object may lag


def references(rollout: Object) -> Iterator[tuple[str, str, str]]:
    """Iterate plural, namespace and name of every route that a Rollout drives."""
    namespace, name = address(rollout)
    routing = rollout["spec"].get("strategy", {}).get("canary", {}).get("trafficRouting", {})
    istio = routing.get("istio", {})
    for one in [istio.get("virtualService"), *istio.get("virtualServices", ())]:
        if one:
            # "name" or "name.namespace", and a suffix that may follow; what stands last is the namespace.
            own, _dot, last = one["name"].removesuffix(".cluster.local").rpartition(".")
            yield "virtualservices", *((last, own) if own else (namespace, last))
    if "smi" in routing:
        yield "trafficsplits", namespace, routing["smi"].get("trafficSplitName", name)
    plugin = routing.get("plugins", {}).get("argoproj-labs/gatewayAPI", {})
    home = plugin.get("namespace", namespace)
    for kind in ("httpRoute", "grpcRoute"):
        named = [plugin[kind]] if kind in plugin else [one["name"] for one in plugin.get(f"{kind}s", ())]
        for route in named:
            yield f"{kind.lower()}s", home, route


def _is_moving(rollout: Object) -> bool:
    status = _status(rollout)
    return bool(status.get("currentPodHash")) and status.get("currentPodHash") != status.get("stableRS")


def _status(rollout: Object) -> Mapping[str, Any]:
    return dict(rollout.get("status") or {})


def _is_paused(rollout: Object) -> bool:
    return rollout["spec"].get("paused") is True


def _promoted(rollout: Object) -> dict[str, Any]:
    """Return the change of the status that goes past the current step: never two steps for one click."""
    status = _status(rollout)
    paused = [one.get("reason") for one in status.get("pauseConditions") or ()]
    following = {"currentStepIndex": status.get("currentStepIndex", 0) + 1}
    if status.get("controllerPause") and INCONCLUSIVE in paused:
        return {"pauseConditions": None, "controllerPause": False, **following}
    return {"pauseConditions": None} if paused else {"pauseConditions": None, **following}


def _command(change: Callable[[Object], Mapping[str, Any]], *, guard: bool) -> Callable[[ClusterClient, Object], None]:
    """Return how a change of the status is sent; a paused Rollout goes on first, for it would not move otherwise."""

    def send(cluster: ClusterClient, rollout: Object) -> None:
        asked, newest = {"status": change(rollout)}, rollout
        if guard and _is_paused(rollout):
            going = guarded(rollout, {"spec": {"paused": False}})
            newest = cluster.merge(ROLLOUTS, *address(rollout), going).body
        cluster.merge(ROLLOUTS, *address(rollout), guarded(newest, asked) if guard else asked, sub="status")

    return send


def _pause(*, paused: bool) -> Callable[[ClusterClient, Object], None]:
    def send(cluster: ClusterClient, rollout: Object) -> None:
        cluster.merge(ROLLOUTS, *address(rollout), {"spec": {"paused": paused}})

    return send


def _undo(cluster: ClusterClient, rollout: Object) -> None:
    """Put the stable version's template back, into the Deployment where the Rollout takes its template from there.

    :raises NotEditable: the stable version's ReplicaSet is gone
    """
    namespace, _name = address(rollout)
    template = _stable_template(cluster, rollout)
    source = rollout["spec"].get("workloadRef")
    kind, found = ROLLOUTS, rollout
    if source:
        kind, found = DEPLOYMENTS, cluster.get(DEPLOYMENTS, namespace, source["name"]).body
    cluster.patch(
        kind,
        *address(found),
        [
            {"op": "replace", "path": "/metadata/resourceVersion", "value": found["metadata"]["resourceVersion"]},
            {"op": "replace", "path": "/spec/template", "value": template},
        ],
    )


def _stable_template(cluster: ClusterClient, rollout: Object) -> Mapping[str, Any]:
    stable = _status(rollout)["stableRS"]
    for one in cluster.list(REPLICA_SETS, address(rollout)[0], labels={HASH: stable}):
        owners = [owner.get("uid") for owner in one["metadata"].get("ownerReferences", ())]
        if rollout["metadata"]["uid"] in owners:
            template = one["spec"]["template"]
            meta = template.get("metadata", {})
            labels = {key: value for key, value in meta.get("labels", {}).items() if key != HASH}
            return {**template, "metadata": {**meta, "labels": labels}}
    text = _("The ReplicaSet of the stable version (%(hash)s) is gone, so there is nothing to go back to.")
    raise NotEditable(Sentence(text, {"hash": stable}))


def _has_moved(before: Object, after: Object) -> bool:
    """Say whether a promotion was taken: the step advanced, or what paused it is gone."""
    was, now = _status(before), _status(after)
    if was.get("currentStepIndex") != now.get("currentStepIndex"):
        return True
    return bool(was.get("pauseConditions")) and not now.get("pauseConditions")


def _is_undone(before: Object, after: Object) -> bool:
    return before is not after and before["metadata"]["generation"] != after["metadata"]["generation"]


def _is_at_rest(rollout: Object) -> bool:
    """Say whether the version that the object names now is the one that all traffic gets."""
    is_seen = str(_status(rollout).get("observedGeneration", "")) == str(rollout["metadata"].get("generation", ""))
    return is_seen and not _is_moving(rollout) and _status(rollout).get("phase") == "Healthy"


def _canary(rollout: Object) -> Mapping[str, Any]:
    return dict(rollout["spec"].get("strategy", {}).get("canary", {}))


def _whole(rollout: Object) -> int:
    return int(_canary(rollout).get("trafficRouting", {}).get("maxTrafficWeight", WHOLE))


def _pauses(rollout: Object) -> Iterator[tuple[int, float]]:
    """Iterate where it pauses, in percent, and for how many seconds: 0 is until somebody promotes it."""
    weight = 0
    for step in _canary(rollout).get("steps", ()):
        weight = step.get("setWeight", weight)
        if "pause" in step:
            yield weight * WHOLE // _whole(rollout), seconds((step["pause"] or {}).get("duration", 0))


def _waits_at(rollout: Object) -> int | None:
    """Return the share of the pause without an end that it stands at, in percent; an unclear analysis is no such pause.

    It is the share of the step: while its new pods do not live, the route gives them less.
    """
    status = _status(rollout)
    reasons = {one.get("reason") for one in status.get("pauseConditions") or ()}
    if not _is_moving(rollout) or _is_paused(rollout) or reasons != {STEP_PAUSE}:
        return None
    steps = [*_canary(rollout).get("steps", ())][: status.get("currentStepIndex", 0) + 1]
    if not steps or "pause" not in steps[-1] or (steps[-1]["pause"] or {}).get("duration"):
        return None
    weights = [one["setWeight"] for one in steps if "setWeight" in one]
    return int(weights[-1] if weights else 0) * WHOLE // _whole(rollout)


def _mismatch(rollout: Object, move: Move) -> Sentence | None:
    """Return why it would not stop where the change does: at each of its shares, at none between, and at 0 before."""
    name, stops = rollout["metadata"]["name"], sorted({at for at, lasts in _pauses(rollout) if not lasts})
    wanted = {at for at in (move.before, move.percent) if at < WHOLE}
    between = [at for at in stops if move.before < at and at not in wanted and at <= move.percent]
    missing = sorted(wanted - {*stops})
    return waits_elsewhere(name, missing[0] if missing else move.percent, stops) if missing or between else None


def _progress(rollout: Object, move: Move) -> Progress:
    """Tell how it stands in a move: it has to wait where the change does, and nowhere between."""
    status, name = _status(rollout), rollout["metadata"]["name"]
    timed = sum(lasts for at, lasts in _pauses(rollout) if move.before <= at <= move.percent)
    share = status.get("canary", {}).get("weights", {}).get("canary", {}).get("weight", 0) * WHOLE / _whole(rollout)
    stop, mismatch = _waits_at(rollout), _mismatch(rollout, move)
    aborted = Sentence(_("%(name)s was aborted: have it try again, or go back."), {"name": name})
    is_other = bool(move.version) and status.get("stableRS") != move.version
    has_arrived = is_other and _is_at_rest(rollout) if move.percent == WHOLE else stop == share == move.percent
    return Progress(
        has_arrived=has_arrived,
        is_moving=_is_moving(rollout) or is_other,
        mismatch=mismatch,
        obstacle=mismatch or (aborted if status.get("abort") and _is_moving(rollout) else None),
        wish=Wish.PROMOTE if stop is not None and stop < move.percent else None,
        following=min((at for at, lasts in _pauses(rollout) if not lasts and at > share), default=WHOLE),
        patience_seconds=rollout["spec"].get("progressDeadlineSeconds", PROGRESS_SECONDS) + timed,
    )


def _standing(rollout: Object) -> tuple[str, int | None, int, tuple[Sentence, ...]]:
    status = _status(rollout)
    weight = status.get("canary", {}).get("weights", {}).get("canary", {}).get("weight")
    warnings: list[Sentence] = []
    if status.get("abort") and _is_moving(rollout):
        text = _("The aborted version still stands in the object: undo it, or revert it in Git, before the next try.")
        warnings.append(Sentence(text))
    if _canary(rollout).get("dynamicStableScale"):
        warnings.append(Sentence(_("After an abort the traffic comes back little by little, as the stable pods do.")))
    keeper = owner_of(rollout["metadata"])
    if keeper and not keeper.drives:
        text = _("%(system)s keeps this Rollout as it holds it, and would take an undo back.")
        warnings.append(Sentence(text, {"system": keeper.system}))
    return str(status.get("phase", "")), weight, _whole(rollout), tuple(warnings)


BOOK = Book(
    system=SYSTEM,
    kind=ROLLOUTS,
    called="Rollout",
    verbs={
        Wish.ABORT: Verb(
            may=_is_moving,
            send=_command(lambda _rollout: {"abort": True}, guard=False),
            stands=lambda _before, now: _status(now).get("abort") is True,
        ),
        Wish.RETRY: Verb(
            may=lambda rollout: _status(rollout).get("abort") is True,
            send=_command(lambda _rollout: {"abort": False}, guard=True),
            stands=lambda _before, now: not _status(now).get("abort"),
        ),
        Wish.PROMOTE: Verb(
            may=lambda rollout: _is_moving(rollout) and not _status(rollout).get("abort"),
            send=_command(_promoted, guard=True),
            stands=_has_moved,
        ),
        Wish.PROMOTE_FULLY: Verb(
            may=lambda rollout: _is_moving(rollout) and not _status(rollout).get("abort"),
            send=_command(lambda _rollout: {"promoteFull": True}, guard=True),
            stands=lambda _before, now: _status(now).get("promoteFull") is True or not _is_moving(now),
        ),
        Wish.PAUSE: Verb(may=_is_moving, send=_pause(paused=True), stands=lambda _before, now: _is_paused(now)),
        Wish.RESUME: Verb(may=_is_paused, send=_pause(paused=False), stands=lambda _before, now: not _is_paused(now)),
        Wish.UNDO: Verb(may=_is_moving, send=_undo, stands=_is_undone),
    },
    standing=_standing,
    way_back=Wish.ABORT,
    patience=lambda _rollout: PATIENCE_SECONDS,
    progress=_progress,
    finishing=(Wish.PROMOTE_FULLY,),
    tidying=(),
    version=lambda rollout: str(_status(rollout).get("stableRS", "")),
    moves=lambda rollout: _is_moving(rollout) and not _status(rollout).get("abort"),
    promotes=lambda _rollout: False,
    rests=_is_at_rest,
    notices=lambda _rollout: NOTICES_SECONDS,
    untidy=lambda _rollout: False,
)

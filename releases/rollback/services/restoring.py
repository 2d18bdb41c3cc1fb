"""Restore the traffic of a route to what was asked for last (docs/decisions/0017).

What was asked was approved once, and somebody else took it away: putting it back is going back to the record. Only
where the new version of the change that asked would get more than it has now, and its release has not ended well, is
it going forward: then the gate decides, and refuses what is being taken back or failed.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.catalog.cards import RouteCard
from releases.changes.models import ChangeRequest, Item
from releases.changes.states import RUNNING, Outcome, State
from releases.core.errors import Reason, Refused, Sentence, Stale, leading
from releases.core.words import mark as _
from releases.gate import queries as gate
from releases.gate.states import Intent, Verdict
from releases.operations import queries as operations_queries
from releases.operations import services as operations
from releases.operations.models import Operation
from releases.operations.states import OperationState
from releases.rollout.rules import idle_target
from releases.traffic import queries as traffic
from releases.traffic import steps as shifts
from releases.traffic.ports import Preview, Split
from releases.traffic.providers import provider_for, reference
from releases.traffic.queries import DriftCard, Standing
from releases.traffic.rules import share_of
from releases.traffic.services import Provide

RESTORE = "restore"
LASTS_AT_MOST = timedelta(minutes=5)
OVER = frozenset({State.REVIEWING, State.CLOSED})
ENDED_BADLY = frozenset({Outcome.FAILED, Outcome.ROLLED_BACK})


@dataclass(frozen=True, slots=True)
class Restoration:
    """A drift, what is to stand there again, and whether that goes forward; ``reasons`` refuse it now."""

    drift: DriftCard
    route: RouteCard
    standing: Standing
    is_forward: bool
    reasons: tuple[Reason, ...]

    @property
    def right(self) -> Right:
        """Return the right it takes: releasing where it goes forward, else going back."""
        return Right.CHANGE_RELEASE if self.is_forward else Right.ROLLBACK_BEGIN

    def split(self, reason: str = "") -> Split:
        """Return the very numbers that stood when what was asked was confirmed, without those that were absent."""
        return Split.back_to(self.standing.version, reason=reason)


def restoration_of(drift_id: UUID, *, now: datetime) -> Restoration:
    """Return what restoring a drift means and what refuses it; asks nobody outside.

    :raises Missing: there is no such drift
    :raises Stale: the weights are those asked for again
    """
    drift = traffic.drift(drift_id)
    standing = traffic.asked_of(drift.route_id)
    if drift.ended_at is not None or standing is None or not standing.version.weights:
        raise Stale(Sentence(_("The weights of this route are not known to differ any more. Look at it again.")))
    route = catalog.route(drift.route_id)
    change = ChangeRequest.objects.filter(pk=standing.shift.change_id).first() if standing.shift.change_id else None
    if change is None or not _gains(standing, drift):
        return Restoration(drift, route, standing, is_forward=False, reasons=())
    is_forward = not _ended_well(change)
    reasons = _of_the_gate(change, route, now=now) if is_forward else _of_the_artifact(change, route)
    return Restoration(drift, route, standing, is_forward, tuple(reasons))


def preview(*, drift_id: UUID, reason: str = "", now: datetime, provide: Provide = provider_for) -> Preview:
    """Ask the control plane what restoring would do; it stores nothing. Runs outside any transaction.

    :raises Missing: there is no such drift
    :raises Stale: the weights are those asked for again
    :raises External: a clear no, or no answer
    """
    found = restoration_of(drift_id, now=now)
    return provide(found.route).preview(reference(found.route), found.split(reason))


def restore(*, drift_id: UUID, seen: dict[str, int], actor: Actor, now: datetime, reason: str = "") -> Operation:
    """Put back the weights that were asked for last; ``seen`` are those that were shown to whoever decided.

    A second click is the same operation; one that waits for a person is taken over. ``reason`` is why it goes on
    although the preview had doubts.

    :raises NotPermitted: the actor may not go back, or may not release where it goes forward
    :raises Stale: the weights moved since they were shown
    :raises Refused: the gate does not open, the version is in quarantine, or other work is on this route
    :raises Missing: there is no such drift
    :raises Contradicted: the record contradicts its witness: nobody knows what was asked
    """
    audit.agree()
    found = restoration_of(drift_id, now=now)
    require(actor, found.right)
    if dict(found.drift.observed) != seen:
        raise Stale(Sentence(_("The weights moved while you looked. Look again, then decide.")))
    if found.reasons:
        raise Refused(leading(found.reasons).message, reasons=found.reasons)
    return _begin(found, actor=actor, reason=reason, now=now)


def target_of(drift: DriftCard) -> str:
    """Return what a restore of this drift holds while it runs."""
    return f"traffic:{drift.route_id}"


@transaction.atomic(durable=True)
def _begin(found: Restoration, *, actor: Actor, reason: str, now: datetime) -> Operation:
    drift, version = found.drift, found.standing.version
    _hold_changes_on(found.route)
    running = operations_queries.active_on(target_of(drift))
    if running is not None and running.state != OperationState.NEEDS_HUMAN:
        return Operation.objects.get(pk=running.id)
    if drift.route_id in traffic.in_flight():
        sentence = Sentence(_("Other work moves this route now. Wait for its end, or take it over there."))
        raise Refused(sentence, reasons=[Reason("in_flight", sentence)])
    step = shifts.plan(
        route=found.route,
        weights=version.weights,
        change_id=drift.change_id,
        asked_by=actor.name,
        name=f"restore {drift.service}",
        expect=drift.observed,
        literal=True,
        fingerprint=version.fingerprint,
        reason=reason,
        is_gated=found.is_forward,
    )
    turn = Operation.objects.filter(kind=RESTORE, key__startswith=f"{RESTORE}:{drift.id}:").count() + 1
    return operations.begin(
        kind=RESTORE,
        target=target_of(drift),
        subject=drift.route_id,
        steps=[step],
        actor=actor,
        deadline=now + LASTS_AT_MOST,
        key=f"{RESTORE}:{drift.id}:{turn}",
        now=now,
        urgent=not found.is_forward,
        supersede=True,
        reason=reason,
    )


def _hold_changes_on(route: RouteCard) -> None:
    """Lock the changes under way in the place of a route: whoever goes back with one comes before or after us."""
    here = Item.objects.filter(service_id=route.service_id, environment_id=route.environment_id)
    under_way = ChangeRequest.objects.filter(pk__in=here.values("change_id"), state__in=RUNNING)
    list(under_way.select_for_update().order_by("pk").values_list("pk"))


def _gains(standing: Standing, drift: DriftCard) -> bool:
    """Say whether the new side of the change that asked would get more than it has now.

    The new side is the one that was idle before the first shift of that change.
    """
    first = traffic.first_of(standing.shift)
    side = idle_target({name: weight or 0 for name, weight in first.before.items()})
    return share_of(side, standing.counted or standing.shift.asked) > share_of(side, drift.observed)


def _ended_well(change: ChangeRequest) -> bool:
    """Say whether the release is over and its new version stayed: what it asked for is the record then."""
    return change.state in OVER and change.outcome not in ENDED_BADLY


def _of_the_gate(change: ChangeRequest, route: RouteCard, *, now: datetime) -> list[Reason]:
    """Return what the gate says against shifting here now."""
    items = [(item.service.name, item.environment.name) for item in _items(change, route)]
    every = gate.outlooks(change, now=now, intent=Intent.TRAFFIC_SHIFT)
    here = [one.decision for one in every if (one.service, one.environment) in items]
    if not here:
        gone = Sentence(_("The change that asked for this names the place no more. File a new one."))
        return [Reason("no_change_request", gone)]
    return [reason for one in here if one.verdict is not Verdict.ALLOW for reason in one.reasons]


def _of_the_artifact(change: ChangeRequest, route: RouteCard) -> list[Reason]:
    """Return why the version of a change must get no traffic, however well it went."""
    text = _("%(version)s is in quarantine: it must not get more traffic. Ask who may clear it, or go back.")
    return [
        Reason("quarantined_artifact", Sentence(text, {"version": item.artifact.version}))
        for item in _items(change, route)
        if item.artifact.is_quarantined
    ]


def _items(change: ChangeRequest, route: RouteCard) -> list[Item]:
    here = change.items.filter(service_id=route.service_id, environment_id=route.environment_id)
    return list(here.select_related("service", "environment", "artifact"))

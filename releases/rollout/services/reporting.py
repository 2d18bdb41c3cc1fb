"""A release whose deployments others begin: the first report of one begins it, and traffic waits for all of them."""

from datetime import datetime

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.changes.services import locked
from releases.changes.services.moving import wrong_state
from releases.changes.states import State
from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.delivery import services as delivery
from releases.delivery.models import Deployment
from releases.delivery.services import reporting
from releases.delivery.services.reporting import Report, ReportRefused
from releases.delivery.states import State as Said
from releases.gate import queries as gate
from releases.gate.queries import Taken
from releases.gate.states import Intent
from releases.rollout.models import Rollout
from releases.rollout.services.starting import begin


def report_start(*, report: Report, actor: Actor, now: datetime) -> tuple[Deployment, bool]:
    """Keep that a run began to deploy what its permit is for; ``True`` when that was new. Repeating changes nothing.

    The first of a change begins its release: traffic moves once every item was reported, by the steps that were
    approved. A run that the house itself began is looked at instead: what it says of itself is not needed.

    :raises NotPermitted: the actor may not redeem permits, so may not report either
    :raises Missing: there is no such permit
    :raises ReportRefused: the report does not fit the permit, with the field; it is recorded
    :raises Refused: the change is elsewhere
    """
    return _told(report, actor=actor, now=now, said=None, why="")


def report_end(*, report: Report, said: Said, why: str, actor: Actor, now: datetime) -> tuple[Deployment, bool]:
    """Keep how a run says that it ended. Whether it did is looked up where a connection leads there.

    :raises NotPermitted: the actor may not redeem permits, so may not report either
    :raises Missing: there is no such permit
    :raises ReportRefused: its start was not reported, it said something else before, or it does not fit the permit
    """
    return _told(report, actor=actor, now=now, said=said, why=why)


def _told(report: Report, *, actor: Actor, now: datetime, said: Said | None, why: str) -> tuple[Deployment, bool]:
    require(actor, Right.PERMIT_REDEEM)
    taken = gate.taken(report.permit, now=now)
    try:
        with transaction.atomic(durable=True):
            change = locked(taken.change_id)  # closes the race of two first reports
            return _kept(report, taken, change, actor=actor, now=now, said=said, why=why)
    except ReportRefused as no:
        with transaction.atomic(durable=True):
            reporting.note_refusal(taken.change_id, report, no, actor=actor, now=now)
        raise


def _kept(
    report: Report, taken: Taken, change: ChangeRequest, *, actor: Actor, now: datetime, said: Said | None, why: str
) -> tuple[Deployment, bool]:
    reporting.check(report, taken)
    if taken.pushed:
        deployment = Deployment.objects.get(pk=taken.pushed)
        delivery.look_soon(deployment.pk, now=now)
        return deployment, False
    known = reporting.of_permit(report.permit)
    if known is None and said is not None:
        raise reporting.refused("start_missing", _("phase: report the start of this run first, then its end."))
    if known is None:
        return _began(report, taken, change, actor=actor, now=now), True
    if said is not None:
        delivery.look_soon(known.pk, now=now)  # before the row: workers lock in that order, too
        reporting.ended(known, said=said, why=why, actor=actor, now=now)
    return known, False


def _began(report: Report, taken: Taken, change: ChangeRequest, *, actor: Actor, now: datetime) -> Deployment:
    if taken.intent != Intent.DEPLOY:
        text = _("permit: the way back of %(name)s is followed by itself; only the way forward is reported.")
        raise reporting.refused("wrong_intent", text, name=change.name)
    if not Rollout.objects.filter(change=change).exists():
        if change.state != State.IMPLEMENTING:
            raise wrong_state(change, "start")
        begin(change, actor=actor, now=now, is_reported=True)
    deployment = _awaited(taken, change)
    delivery.look_soon(deployment.pk, now=now)  # before the row: workers lock in that order, too
    return reporting.began(deployment, report, actor=actor, now=now)


def _awaited(taken: Taken, change: ChangeRequest) -> Deployment:
    """Return the row of what a permit is for.

    :raises ReportRefused: the house deploys it itself
    :raises Missing: the change has no such item any more
    """
    place = (taken.service, taken.environment)
    item = next((one for one in items_of(change) if (one.service.name, one.environment.name) == place), None)
    if item is None:
        raise Missing(Sentence(_("%(name)s has no such item."), {"name": change.name}))
    rows = Deployment.objects.filter(change_id=change.pk, item_id=item.pk, intent=taken.intent)
    deployment = rows.order_by("-requested_at", "-pk").first()
    if deployment is None or not deployment.is_reported:
        text = _("run: %(name)s is deployed by GMUD itself. Stop this run.")
        raise reporting.refused("already_deploying", text, name=change.name)
    return deployment

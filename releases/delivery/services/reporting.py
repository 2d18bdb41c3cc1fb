"""Deployments that others begin: what a run reports is kept by the permit it redeemed, and never changed.

What a system merely hints is not kept at all: it has the run looked at.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core.errors import Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.ports import Hint
from releases.delivery.providers import HINTS, handle_of
from releases.delivery.services.following import look_soon
from releases.delivery.services.planning import STEP_KIND, job_of
from releases.delivery.services.telling import tell
from releases.delivery.states import State
from releases.gate.queries import Taken
from releases.gate.rules import Run
from releases.gate.states import Intent, ReasonCode
from releases.operations import services as operations
from releases.operations.models import Step

MAY_SAY = (State.SUCCEEDED, State.FAILED, State.CANCELED)
SIGNALS = {
    ReasonCode.ARTIFACT_MISMATCH,
    ReasonCode.PERMIT_REPLAYED,
    "report_contradicts",
    "already_deploying",
    "wrong_run",
}


class ReportRefused(Refused):
    """A report that does not fit what is known; nothing of it was kept."""

    code = "report_refused"

    @property
    def is_signal(self) -> bool:
        """Say whether somebody should hear of it: it is more than a step left out."""
        return any(reason.code in SIGNALS for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Report:
    """Which run reports, by which permit, and which artifact it brings."""

    permit: UUID
    run: Run
    digest: str


def check(report: Report, taken: Taken) -> None:
    """Compare a report with the permit it names.

    :raises ReportRefused: the permit is for something else, another run took it, or nobody did
    """
    if report.digest != taken.digest:
        text = _("artifact_digest: this permit is for %(approved)s, and the run reports %(found)s.")
        raise refused(ReasonCode.ARTIFACT_MISMATCH, text, approved=taken.digest, found=report.digest)
    if taken.intent not in {Intent.DEPLOY, Intent.ROLLBACK}:
        raise refused(
            "wrong_intent", _("permit: it is for %(intent)s; only deployments are reported."), intent=taken.intent
        )
    if not taken.run and taken.is_over:
        raise refused("permit_over", _("permit: nobody redeemed it, and it is over. Ask the gate again."))
    if not taken.run:
        raise refused("permit_not_redeemed", _("permit: redeem it first, then deploy, then report."))
    if taken.run != report.run.name:
        raise refused(ReasonCode.PERMIT_REPLAYED, _("run: %(run)s has redeemed this permit."), run=taken.run)


def of_permit(permit: UUID) -> Deployment | None:
    """Return what was reported by a permit; whoever asks holds its change against a second report of the same."""
    return Deployment.objects.filter(permit=permit).first()


def began(deployment: Deployment, report: Report, *, actor: Actor, now: datetime) -> Deployment:
    """Keep that a run began. Runs inside the caller's transaction.

    Where a deploy job of the service is bound, it is a run of that job, and looked at there from now on: what can be
    read back is never believed unread (docs/decisions/0020).

    :raises ReportRefused: another run deploys this already, or it is no run of the job that is bound
    """
    deployment = Deployment.objects.select_for_update().get(pk=deployment.pk)
    if deployment.run or deployment.ended_at is not None:
        text = _("run: %(run)s deploys %(service)s already. Stop this run.")
        raise refused("already_deploying", text, run=deployment.run or "–", service=deployment.service.name)
    bound = job_of(deployment.service_id, deployment.environment_id)
    connection = Connection.objects.get(pk=bound["connection"]) if bound else None
    where = {"provider": report.run.provider, "run": report.run.id, "job": str(bound.get("job", ""))}
    handle = handle_of(connection, **where) if connection else None
    if connection and (handle is None or handle.job != where["job"]):
        text = _("run: %(service)s is deployed by %(job)s at %(connection)s. Report a run of that, or unbind the job.")
        parts = {"service": deployment.service.name, "job": where["job"], "connection": connection.name}
        raise refused("wrong_run", text, **parts)
    if handle is not None:
        deployment.connection, deployment.job, deployment.remote = connection, handle.job, handle.as_json()
    deployment.permit, deployment.run, deployment.url = report.permit, report.run.name, report.run.url
    deployment.state, deployment.started_at = State.RUNNING, now
    deployment.save()
    tell(Kind.DEPLOYMENT_STARTED, deployment, actor)
    return deployment


def ended(deployment: Deployment, *, said: State, why: str, actor: Actor, now: datetime) -> Deployment:
    """Keep how a run says that it ended; said again it stays as it was said. Runs inside the caller's transaction.

    :raises ReportRefused: it said something else before
    """
    if deployment.said and deployment.said != said:
        text = _("outcome: the run reported %(before)s before, and now %(now)s. A report is never changed.")
        raise refused("report_contradicts", text, before=deployment.said, now=said.value)
    if not deployment.said:
        deployment.said, deployment.said_at, deployment.said_why = said.value, now, why
        deployment.save(update_fields=("said", "said_at", "said_why"))
        tell(Kind.DEPLOYMENT_REPORTED, deployment, actor, said=said.value)
    return deployment


@transaction.atomic(durable=True)
def hinted(*, connection_id: UUID, payload: dict[str, Any], now: datetime) -> int:
    """Have the deployments looked at that a connection's system hints at, and return how many those are.

    Nothing of what it says is believed or kept: a hint that lies, or comes twice, costs one look.
    """
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None or connection.kind not in HINTS:
        return 0
    hint = HINTS[ConnectionKind(connection.kind)](payload)
    rows = Deployment.objects.filter(connection=connection, ended_at=None)
    # What was sent without an answer yet has its key in its step alone.
    steps = Step.objects.filter(kind=STEP_KIND, op_key__in=hint.keys)
    ordered = set(steps.values_list("desired__deployment", flat=True))
    meant = [row for row in rows if str(row.pk) in ordered or _means(hint, row)]
    for row in meant:
        look_soon(row.pk, now=now)
    return len(meant)


def _means(hint: Hint, row: Deployment) -> bool:
    run = str(row.remote.get("run", ""))
    is_run = bool(hint.run) and run == hint.run and hint.job in {"", row.job}
    return is_run or (bool(hint.ticket) and row.remote.get("ticket") == hint.ticket)


def note_refusal(change_id: UUID, report: Report, no: ReportRefused, *, actor: Actor, now: datetime) -> None:
    """Record a report that was refused, and have it told where it is more than a slip. In the caller's transaction."""
    data = {
        "permit": str(report.permit),
        "run": report.run.name,
        "digest": report.digest,
        "code": str(no.reasons[0].code),
    }
    audit.record(stream=f"change:{change_id}", kind=Kind.DEPLOYMENT_REPORT_REFUSED, actor=actor, data=data)
    if no.is_signal:
        told = {"run": report.run.name, "why": no.detail.as_json()}
        operations.post(kind=Kind.DEPLOYMENT_REPORT_REFUSED, ref=change_id, now=now, data=told)


def refused(code: str, text: str, **parts: str) -> ReportRefused:
    """Return the refusal with its one reason; its sentence names the field."""
    sentence = Sentence(text, parts)
    return ReportRefused(sentence, reasons=[Reason(code, sentence)])

"""What every act of a deployment does: hold its row, refuse with a reason, tell the story of its change."""

from uuid import UUID

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Missing, Reason, Refused, Sentence
from releases.core.words import mark as _
from releases.delivery.models import Deployment


def locked(deployment_id: UUID) -> Deployment:
    """Return the row, held against a second worker whose lease ran out and who still records."""
    row = Deployment.objects.select_for_update().filter(pk=deployment_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such deployment.")))
    return row


def refused(code: str, sentence: Sentence) -> Refused:
    """Return the refusal with its one reason."""
    return Refused(sentence, reasons=[Reason(code, sentence)])


def tell(kind: Kind, deployment: Deployment, actor: Actor, **more: str) -> None:
    """Record an event in the change's story, in the caller's transaction; ``deployment_state`` is its own state."""
    data = {
        "deployment": str(deployment.pk),
        "deployment_state": str(deployment.state),
        "service": deployment.service.name,
        "environment": deployment.environment.name,
        "version": deployment.artifact.version,
        "digest": deployment.artifact.digest,
        "slot": deployment.slot,
        "intent": deployment.intent,
        "job": deployment.job,
        "url": deployment.url,
        **more,
    }
    audit.record(stream=deployment.stream, kind=kind, actor=actor, data=data)

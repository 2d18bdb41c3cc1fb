"""What can be deployed, and what must not be deployed again until a person looked."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import one_line, visible
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import rules
from releases.catalog.models import Artifact, Service
from releases.catalog.services.rows import found, invalid
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.operations import services as operations


def register_artifact(
    *, actor: Actor, service_id: UUID, version: str, digest: str, image: str = "", now: datetime
) -> Artifact:
    """Make an artifact known; a digest the service has already is returned as it is, whatever it is called now.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may neither file changes nor edit the catalogue
    :raises Invalid: a tag where a digest belongs, a version that is not one plain word
    :raises Missing: there is no such service
    """
    require(actor, Right.CHANGE_FILE, Right.CATALOG_EDIT)
    if not rules.is_digest(digest):
        raise invalid(
            "digest",
            Sentence(_("A digest looks like sha256: and 64 hexadecimal digits. A tag can move, so it names nothing.")),
        )
    if not rules.is_version(version):
        raise invalid(
            "version", Sentence(_("A version is one word like v1.4.2, up to 100 letters, digits and . _ + -"))
        )
    with transaction.atomic():
        row, is_new = Artifact.objects.get_or_create(
            service=found(Service, service_id),
            digest=digest,
            defaults={"version": version, "image": one_line(image)[:250], "registered_at": now},
        )
        if is_new:
            audit.record(stream=row.stream, kind=Kind.ARTIFACT_REGISTERED, actor=actor, data=_facts(row))
        return row


def quarantine(*, actor: Actor, artifact_id: UUID, reason: str, now: datetime) -> Artifact:
    """Have the gate refuse an artifact until a person clears it; what is in quarantine stays as it is.

    May be called inside the caller's transaction (a rollback ends with it).

    :raises NotPermitted: the actor may neither roll back nor clear
    :raises Invalid: no reason
    :raises Missing: there is no such artifact
    """
    require(actor, Right.ROLLBACK_BEGIN, Right.QUARANTINE_CLEAR)
    reason = _must_say_why(reason)
    with transaction.atomic():
        row = found(Artifact, artifact_id, lock=True)
        if row.is_quarantined:
            return row
        row.quarantined_at, row.quarantined_by, row.quarantine_reason = now, actor.name[:120], reason
        row.cleared_at, row.cleared_by, row.cleared_reason = None, "", ""
        row.save()
        audit.record(
            stream=row.stream,
            kind=Kind.ARTIFACT_QUARANTINED,
            actor=actor,
            data=_facts(row),
            text={"reason": reason},
        )
        operations.post(kind=Kind.ARTIFACT_QUARANTINED, ref=row.pk, now=now)
        return row


def clear_quarantine(*, actor: Actor, artifact_id: UUID, reason: str, now: datetime) -> Artifact:
    """Let an artifact out of quarantine, with the reason; one that is not in it stays as it is.

    :raises NotPermitted: the actor may not clear quarantines
    :raises Invalid: no reason
    :raises Missing: there is no such artifact
    """
    require(actor, Right.QUARANTINE_CLEAR)
    reason = _must_say_why(reason)
    with transaction.atomic(durable=True):
        row = found(Artifact, artifact_id, lock=True)
        if not row.is_quarantined:
            return row
        row.cleared_at, row.cleared_by, row.cleared_reason = now, actor.name[:120], reason
        row.save()
        audit.record(
            stream=row.stream, kind=Kind.ARTIFACT_CLEARED, actor=actor, data=_facts(row), text={"reason": reason}
        )
        operations.post(kind=Kind.ARTIFACT_CLEARED, ref=row.pk, now=now)
        return row


def _facts(row: Artifact) -> dict[str, JSON]:
    return {
        "artifact": str(row.pk),
        "service": str(row.service_id),
        "version": row.version,
        "image": row.image,
        "digest": row.digest,
        "quarantined": row.is_quarantined,
    }


def _must_say_why(reason: str) -> str:
    reason = visible(reason)
    if not reason:
        raise invalid("reason", Sentence(_("Say why, so that the next person need not ask.")))
    return reason[:500]

"""The secret by which an outside system shows that a hint is its own; it opens nothing else, and leads nowhere."""

import secrets as random
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.catalog import secrets
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.catalog.services.rows import found, invalid
from releases.core.errors import Sentence
from releases.core.words import mark as _

SEND_HINTS = frozenset({ConnectionKind.JENKINS, ConnectionKind.SPINNAKER})
BYTES = 32


@dataclass(frozen=True, slots=True)
class HintBox:
    """What of a connection its hints' secret is sealed with: never the address, which it is not sent to."""

    pk: UUID
    name: str
    secret_version: int
    secret_box: bytes | memoryview | None
    origin: str = "hints"


def open_hints(*, actor: Actor, connection_id: UUID, now: datetime) -> str:
    """Make a new secret for the hints of a connection and return it, this once; the one before is good no longer.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: such a system sends no hints
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    secret = random.token_urlsafe(BYTES)
    with transaction.atomic(durable=True):
        row = found(Connection, connection_id, lock=True)
        if row.kind not in SEND_HINTS:
            raise invalid("kind", Sentence(_("Only connections to Jenkins and Spinnaker take hints.")))
        row.hint_version += 1
        row.hint_box = secrets.sealed(_box(row), secret)
        _save(row, Kind.CONNECTION_HINTS_OPENED, actor)
    return secret


def close_hints(*, actor: Actor, connection_id: UUID, now: datetime) -> None:
    """Take the secret for hints of a connection away: none is taken any more.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        row = found(Connection, connection_id, lock=True)
        if row.hint_box is not None:
            row.hint_box = None
            _save(row, Kind.CONNECTION_HINTS_CLOSED, actor)


def hint_secret_of(connection_id: UUID) -> str:
    """Return the secret for hints of a connection; empty when there is no such connection, or it takes none.

    :raises SecretUnreadable: it does not open
    """
    row = Connection.objects.exclude(hint_box=None).filter(pk=connection_id).first()
    return secrets.opened(_box(row)) if row else ""


def reseal(row: Connection) -> bool:
    """Seal the secret for hints of a connection with the first key, unless it is; in the caller's transaction."""
    if row.hint_box is None or secrets.is_sealed_with_first_key(_box(row)):
        return False
    row.hint_box = secrets.sealed(_box(row), secrets.opened(_box(row)))
    row.save(update_fields=("hint_box",))
    return True


def _box(row: Connection) -> HintBox:
    return HintBox(row.pk, row.name, row.hint_version, row.hint_box)


def _save(row: Connection, kind: Kind, actor: Actor) -> None:
    row.save(update_fields=("hint_box", "hint_version"))
    data = {"connection": str(row.pk), "name": row.name, "hint_version": row.hint_version}
    audit.record(stream=row.stream, kind=kind, actor=actor, data=data)

"""Open the HTTP door of a connection, with what the other side wants to see at the entrance."""

import base64
from collections.abc import Callable, Mapping

from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog import secrets
from releases.catalog.cards import ConnectionCard
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.catalog.services.rows import found
from releases.core import redaction
from releases.core.http import Allowance, Door


class Entrance(dict[str, str]):
    """Headers that do not show what they hold when printed."""

    def __repr__(self) -> str:
        return f"Entrance({', '.join(sorted(self))})"

    __str__ = __repr__


def door_for(connection: Connection | ConnectionCard, *, urgent: bool = False) -> Door:
    """Return the door to a connection's system; ``urgent`` is for rollbacks, which pass an open breaker.

    The row is read again here: what counts is what the table says now.

    :raises Refused: the secret does not open (the origin was changed), which is written down
    :raises Missing: there is no such connection any more
    """
    row = found(Connection, connection.pk if isinstance(connection, Connection) else connection.id)
    return Door(
        name=row.name,
        origin=row.origin,
        headers=_ENTRANCES[ConnectionKind(row.kind)](row.account, secret_of(row)),
        allowance=Allowance.from_environment(),
        urgent=urgent,
    )


def secret_of(row: Connection) -> str:
    """Return the secret of a connection, for doors only; a failure to open it is written into the record.

    :raises Refused: it does not open
    """
    try:
        return secrets.opened(row)
    except secrets.SecretUnreadable:
        with transaction.atomic():
            data = {"connection": str(row.pk), "origin": row.origin, "secret_version": row.secret_version}
            audit.record(stream=row.stream, kind=Kind.CONNECTION_SECRET_UNREADABLE, actor=system("doors"), data=data)
        raise


def _basic(account: str, secret: str) -> Mapping[str, str]:
    pair = base64.b64encode(f"{account}:{secret}".encode()).decode()
    redaction.remember(pair)
    return Entrance({"Authorization": f"Basic {pair}"})


def _bearer(_account: str, secret: str) -> Mapping[str, str]:
    return Entrance({"Authorization": f"Bearer {secret}"}) if secret else Entrance()


_ENTRANCES: Mapping[ConnectionKind, Callable[[str, str], Mapping[str, str]]] = {
    ConnectionKind.JENKINS: _basic,
    ConnectionKind.KUBERNETES: _bearer,
    ConnectionKind.PROMETHEUS: _bearer,
    ConnectionKind.HTTP: _bearer,
}

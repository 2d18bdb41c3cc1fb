"""Open the HTTP door of a connection, with what the other side wants to see at the entrance."""

import base64
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction

from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.catalog import rules, secrets
from releases.catalog.cards import ConnectionCard
from releases.catalog.credentials import Credentials
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.catalog.services.rows import found
from releases.core import redaction
from releases.core.errors import Refused, Rejected, Sentence
from releases.core.http import Allowance, Door
from releases.core.words import mark as _

AUTHORIZATION = "Authorization"
GATES_TOKEN = "spk_"  # noqa: S105 - how Gate's own tokens begin, no token


class Entrance(dict[str, str]):
    """Headers that do not show what they hold when printed."""

    def __repr__(self) -> str:
        return f"Entrance({', '.join(sorted(self))})"

    __str__ = __repr__


class PodsEntrance(Mapping[str, str]):
    """The token of the pod's service account, read anew for every call: Kubernetes replaces it within the hour."""

    def __init__(self, file: Path) -> None:
        """Remember where the kubelet puts it."""
        self._file = file

    def __getitem__(self, name: str) -> str:
        """Return the header.

        :raises Rejected: there is no such file, so this is no pod with a service account
        """
        if name != AUTHORIZATION:
            raise KeyError(name)
        try:
            token = self._file.read_text().strip()
        except (OSError, ValueError) as error:
            text = _(
                "The token of the pod's service account cannot be read (%(file)s). Run GMUD in a pod with "
                "automountServiceAccountToken, or sign in with a token."
            )
            raise Rejected(Sentence(text, {"file": self._file.name})) from error
        redaction.remember(token)
        return f"Bearer {token}"

    def __iter__(self) -> Iterator[str]:
        return iter((AUTHORIZATION,))

    def __len__(self) -> int:
        return 1

    def __repr__(self) -> str:
        return f"PodsEntrance({AUTHORIZATION})"


def door_for(connection: Connection | ConnectionCard, *, urgent: bool = False) -> Door:
    """Return the door to a connection's system; ``urgent`` is for rollbacks, which pass an open breaker.

    The row is read again here: what counts is what the table says now.

    :raises Refused: the secret does not open (the origin was changed), which is written down
    :raises Missing: there is no such connection any more
    """
    row = found(Connection, connection.pk if isinstance(connection, Connection) else connection.id)
    if row.config.get(rules.SIGN_IN) == rules.IN_CLUSTER:
        return _door(row, PodsEntrance(_mounted("token")), ca_bundle=str(_mounted("ca.crt")), urgent=urgent)
    held = Credentials.read(secret_of(row))
    return _door(
        row,
        _ENTRANCES[ConnectionKind(row.kind)](row.account, held.token),
        ca_bundle=str(row.config.get(rules.AUTHORITY, "")) or _certificate(row, "ca_bundle"),
        client_certificate=held.certificate or _certificate(row, "client_certificate"),
        urgent=urgent,
    )


def doors_beside(connection: Connection | ConnectionCard, *, urgent: bool = False) -> tuple[Door, ...]:
    """Return doors to the nodes that a connection names beside its address (``control``); nothing secret goes there."""
    named = connection.config.get(rules.CONTROL)
    return tuple(
        Door(f"{connection.name}, {one}", one, {}, Allowance.from_environment(), urgent=urgent)
        for one in rules.addresses_in(named)
    )


def _door(row: Connection, entrance: Mapping[str, str], **more: Any) -> Door:
    return Door(row.name, row.origin, entrance, Allowance.from_environment(), **more)


def _mounted(name: str) -> Path:
    """Return a file of the service account that the kubelet mounts into every pod that has one."""
    return Path(settings.GMUD_SERVICE_ACCOUNT) / name


def _certificate(row: Connection, name: str) -> str:
    """Return the file that a connection's settings name, in the folder that the operator owns; empty for none.

    :raises Refused: it is no plain name of a file there
    """
    named = str(row.config.get(name, ""))
    if not named:
        return ""
    if Path(named).name != named or not settings.GMUD_CERTIFICATES:
        text = _("%(setting)s is the name of a file in the folder that GMUD_CERTIFICATES names, without a path.")
        raise Refused(Sentence(text, {"setting": name}))
    return str(Path(settings.GMUD_CERTIFICATES) / named)


def secret_of(row: Connection) -> str:
    """Return what is sealed for a connection, for doors only; a failure to open it is written into the record.

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
    return Entrance({AUTHORIZATION: f"Basic {pair}"})


def _bearer(_account: str, secret: str) -> Mapping[str, str]:
    return Entrance({AUTHORIZATION: f"Bearer {secret}"}) if secret else Entrance()


def _header(name: str) -> Callable[[str, str], Mapping[str, str]]:
    """Return what shows the secret in a header of its own."""
    return lambda _account, secret: Entrance({name: secret}) if secret else Entrance()


def _gate(account: str, secret: str) -> Mapping[str, str]:
    """Return Spinnaker's: the account's password, a token of Gate's own, or one of the provider people sign in with."""
    if account:
        return _basic(account, secret)
    if secret.startswith(GATES_TOKEN):
        return Entrance({"X-Spinnaker-Token": secret})
    return _bearer(account, secret)


_ENTRANCES: Mapping[ConnectionKind, Callable[[str, str], Mapping[str, str]]] = {
    ConnectionKind.JENKINS: _basic,
    ConnectionKind.KUBERNETES: _bearer,
    ConnectionKind.PROMETHEUS: _bearer,
    ConnectionKind.HTTP: _bearer,
    ConnectionKind.KONG: _header("Kong-Admin-Token"),
    ConnectionKind.APISIX: _header("X-API-KEY"),
    ConnectionKind.SPINNAKER: _gate,
}

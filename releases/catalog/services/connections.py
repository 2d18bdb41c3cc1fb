"""Ways to outside systems; secrets go in and never come out but to the door that needs them."""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import is_slug
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import rules, secrets
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.catalog.services.rows import inserted
from releases.core.errors import Invalid, Sentence
from releases.core.http import Allowance
from releases.core.words import mark as _

Fields = dict[str, list[Sentence | str]]


def connect(
    *,
    actor: Actor,
    name: str,
    kind: ConnectionKind,
    origin: str,
    account: str = "",
    secret: str | None = None,
    config: Mapping[str, object] | None = None,
    now: datetime,
) -> Connection:
    """Add a connection, or change the one with that name. ``secret``: ``None`` keeps it, empty takes it away.

    A secret belongs to its origin: another origin or kind asks for the secret again, so that nobody can have it sent
    elsewhere by changing an address.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``name``, ``origin``, ``account``, ``secret`` or ``config``
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    fields = _problems(name, kind, origin, account, secret)
    if fields:
        raise Invalid(Sentence(_("This connection cannot be saved as it is.")), fields=fields)
    origin = rules.normal_origin(origin)
    with transaction.atomic(durable=True):
        row = Connection.objects.select_for_update().filter(name=name).first()
        is_new = row is None
        if row is None:
            row = Connection(name=name)
        old = _facts(row)
        moved = (row.origin, row.kind) != (origin, kind.value)
        if moved and row.secret_box is not None and secret is None:
            sentence = Sentence(_("The secret belongs to the old address. Type it again for the new one."))
            raise Invalid(sentence, fields={"secret": [sentence]})
        row.kind, row.origin, row.account = kind.value, origin, account
        row.config = dict(config) if config is not None else row.config
        if secret is not None:
            _put(row, secret)
        if kind.needs_secret and row.secret_box is None:
            sentence = Sentence(_("A connection to %(kind)s needs a secret."), {"kind": kind.value})
            raise Invalid(sentence, fields={"secret": [sentence]})
        if is_new:
            inserted(row, taken=Sentence(_("The connection %(name)s exists already."), {"name": name}))
        elif _facts(row) != old:
            row.save()
        else:
            return row
        told = Kind.CONNECTION_OPENED if is_new else Kind.CONNECTION_CHANGED
        audit.record(stream=row.stream, kind=told, actor=actor, data=_facts(row))
        return row


def reseal_secrets(*, actor: Actor, now: datetime) -> int:
    """Seal every secret again with the first key of the ring, and return how many; for after a rotation.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: a secret does not open; none was changed
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    resealed = 0
    with transaction.atomic(durable=True):
        for row in Connection.objects.select_for_update().exclude(secret_box=None).order_by("pk"):
            if secrets.is_sealed_with_first_key(row):
                continue
            row.secret_box = secrets.sealed(row, secrets.opened(row))
            row.save(update_fields=("secret_box",))
            resealed += 1
            audit.record(stream=row.stream, kind=Kind.CONNECTION_RESEALED, actor=actor, data=_facts(row))
    return resealed


def _put(row: Connection, secret: str) -> None:
    row.secret_version += 1
    row.secret_box = secrets.sealed(row, secret) if secret else None
    row.secret_last4 = rules.last4(secret)


def _problems(name: str, kind: ConnectionKind, origin: str, account: str, secret: str | None) -> Fields:
    fields: Fields = {}
    if not is_slug(name):
        fields["name"] = [Sentence(_("A name has lower-case letters, digits and hyphens only, up to 63 of them."))]
    if problem := rules.origin_problem(origin):
        fields["origin"] = [problem]
    elif not _operator_allows(rules.host_of(origin)):
        fields["origin"] = [
            Sentence(
                _("%(host)s is not among the hosts the operator allows (GMUD_OUTBOUND_HOSTS)."),
                {"host": rules.host_of(origin)},
            )
        ]
    if kind.needs_account and not account:
        fields["account"] = [Sentence(_("Name the account that the secret belongs to."))]
    elif ":" in account or not (account.isprintable() and account.isascii()):
        fields["account"] = [Sentence(_("An account has plain letters only, and no colon."))]
    if secret and (problem := rules.secret_problem(secret)):
        fields["secret"] = [problem]
    return fields


def _operator_allows(host: str) -> bool:
    hosts = Allowance.from_environment().hosts
    return not hosts or host in hosts


def _facts(row: Connection) -> dict[str, JSON]:
    return {
        "connection": str(row.pk),
        "name": row.name,
        "kind": row.kind,
        "origin": row.origin,
        "account": row.account,
        "config_digest": row.config_digest,
        "secret_version": row.secret_version,
        "has_secret": row.secret_box is not None,
    }

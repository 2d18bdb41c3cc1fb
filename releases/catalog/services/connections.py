"""Ways to outside systems; secrets go in and never come out but to the door that needs them."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import is_slug, one_line
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import rules, secrets
from releases.catalog.credentials import Credentials, authority_problem, certificate_problem, pem_of
from releases.catalog.kinds import ConnectionKind, Light
from releases.catalog.models import Connection
from releases.catalog.services import hints as hints_of
from releases.catalog.services.rows import found, invalid, saved
from releases.catalog.services.uses import must_be_unused
from releases.core import canonical, redaction
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.http import Allowance
from releases.core.unchanged import Unchanged, nobody_looked
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
    client_certificate: str | None = None,
    config: Mapping[str, object] | None = None,
    must_be_new: bool = False,
    secret_later: bool = False,
    now: datetime,
) -> Connection:
    """Add a connection, or change the one with that name.

    ``secret`` and ``client_certificate`` (PEM, with its key): ``None`` keeps it, empty takes it away. Both belong to
    their origin: another origin or kind asks for them again, so that nobody can have them sent elsewhere by changing an
    address. ``must_be_new`` refuses to change anything; ``secret_later`` lets one be made without the secret it needs,
    which is typed afterwards: until then it cannot be used.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``name``, ``origin``, ``account``, ``secret``, ``client_certificate`` or ``config``
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    wanted = _checked(Wanted(name, kind, origin, account, secret, client_certificate, config, secret_later))
    with transaction.atomic():
        row = Connection.objects.select_for_update().filter(name=name).first()
        if row is not None and must_be_new:
            raise _taken(name)
        return _put_connection(row or Connection(name=name), wanted, actor)


def reconnect(
    *,
    actor: Actor,
    connection_id: UUID,
    name: str,
    origin: str,
    account: str = "",
    secret: str | None = None,
    client_certificate: str | None = None,
    config: Mapping[str, object] | None = None,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> Connection:
    """Change a connection; its kind stays, and another origin asks for the secret again (see :func:`connect`).

    May be called inside the caller's transaction.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``name``, ``origin``, ``account``, ``secret``, ``client_certificate`` or ``config``
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Connection, connection_id, lock=True)
        unchanged()
        kind = ConnectionKind(row.kind)
        wanted = _checked(Wanted(name, kind, origin, account, secret, client_certificate, config))
        return _put_connection(row, wanted, actor)


def disconnect(*, actor: Actor, connection_id: UUID, now: datetime) -> None:
    """Take a connection away that nothing uses; its secret is forgotten.

    May be called inside the caller's transaction.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: something uses it, with what and how many
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic():
        row = found(Connection, connection_id, lock=True)
        must_be_unused(row)
        stream, data = row.stream, _facts(row)
        row.delete()
        audit.record(stream=stream, kind=Kind.CONNECTION_CLOSED, actor=actor, data=data)


def note_check(
    *,
    actor: Actor,
    connection_id: UUID,
    light: Light,
    version: str = "",
    lines: Sequence[Sentence] = (),
    facts: Sequence[Sentence] = (),
    now: datetime,
) -> Connection:
    """Keep how the last test ended: its light, the version met there, what must be mended, and what else was met.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such connection
    """
    require(actor, Right.CATALOG_EDIT)
    kept: list[JSON] = [_kept(line) for line in lines]
    met: list[JSON] = [{**_kept(line), "is_fact": True} for line in facts]
    with transaction.atomic(durable=True):
        row = found(Connection, connection_id, lock=True)
        row.checked_at, row.check_light = now, light.value
        row.check_version, row.check_lines = redaction.redact(one_line(version))[:64], [*kept, *met]
        row.save(update_fields=("checked_at", "check_light", "check_version", "check_lines"))
        data = {"connection": str(row.pk), "name": row.name, "origin": row.origin}
        seen = {
            "light": light.value,
            "version": row.check_version,
            "said": kept[0] if kept else None,
            "lines": [*kept, *met],
        }
        audit.record(stream=row.stream, kind=Kind.CONNECTION_CHECKED, actor=actor, data={**data, **seen})
        return row


def _kept(line: Sentence) -> dict[str, JSON]:
    """Return a sentence as it is stored: what the other side said is cut short, and shows no secret."""
    parts = {name: redaction.redact(one_line(str(value)))[:300] for name, value in line.parts.items()}
    return {"text": line.text if parts else redaction.redact(line.text), "parts": parts}


def reseal_secrets(*, actor: Actor, now: datetime) -> int:
    """Seal every secret again with the first key of the ring, and return how many; for after a rotation.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: a secret does not open; none was changed
    """
    require(actor, Right.CATALOG_EDIT)
    del now  # the record takes its time from the database
    resealed = 0
    with transaction.atomic(durable=True):
        for row in Connection.objects.select_for_update().order_by("pk"):
            hints = hints_of.reseal(row)
            if row.secret_box is not None and not secrets.is_sealed_with_first_key(row):
                row.secret_box = secrets.sealed(row, secrets.opened(row))
                row.save(update_fields=("secret_box",))
            elif not hints:
                continue
            resealed += 1
            audit.record(stream=row.stream, kind=Kind.CONNECTION_RESEALED, actor=actor, data=_facts(row))
    return resealed


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a connection is to be; the secret does not show when it is printed."""

    name: str
    kind: ConnectionKind
    origin: str
    account: str
    secret: str | None = field(repr=False)
    client_certificate: str | None = field(repr=False)
    config: Mapping[str, object] | None
    secret_later: bool = False

    @property
    def takes_the_pods_account(self) -> bool:
        """Say whether it signs in as the service account of our own pod."""
        return (self.config or {}).get(rules.SIGN_IN) == rules.IN_CLUSTER


def _checked(wanted: Wanted) -> Wanted:
    """Return it with its origin in the one spelling.

    :raises Invalid: with every field that is wrong
    """
    if fields := _problems(wanted):
        raise Invalid(Sentence(_("This connection cannot be saved as it is.")), fields=fields)
    certificate = wanted.client_certificate and pem_of(wanted.client_certificate)
    return replace(wanted, origin=rules.normal_origin(wanted.origin), client_certificate=certificate)


def _taken(name: str) -> Invalid:
    return invalid("name", Sentence(_("The connection %(name)s exists already."), {"name": name}))


def _put_connection(row: Connection, wanted: Wanted, actor: Actor) -> Connection:
    """Save a connection as it is wanted, inside the caller's transaction; the same again is no event.

    :raises Invalid: the secret is missing, or belongs to the old address
    """
    is_new, old = row._state.adding, _facts(row)
    moved = (row.origin, row.kind) != (wanted.origin, wanted.kind.value)
    held = _held(row, wanted, moved=moved)
    row.name, row.kind, row.origin, row.account = wanted.name, wanted.kind.value, wanted.origin, wanted.account
    row.config = dict(wanted.config) if wanted.config is not None else row.config
    if held is not None:
        _put(row, held)
    if not (wanted.secret_later or _can_sign_in(row, held)):
        kind = {"kind": wanted.kind.value}
        raise invalid("secret", Sentence(_("A connection to %(kind)s needs a secret."), kind))
    if not is_new and _facts(row) == old:
        return row
    if moved or held is not None:  # what was tested is not there any more
        row.checked_at, row.check_light, row.check_version, row.check_lines = None, "", "", []
    saved(row, taken=Sentence(_("The connection %(name)s exists already."), {"name": row.name}))
    told = Kind.CONNECTION_OPENED if is_new else Kind.CONNECTION_CHANGED
    audit.record(stream=row.stream, kind=told, actor=actor, data=_facts(row))
    return row


def _held(row: Connection, wanted: Wanted, *, moved: bool) -> Credentials | None:
    """Return what is to be sealed, ``None`` when all of it stays; with the pod's own account nothing is.

    :raises Invalid: what would stay belongs to the old address
    """
    if wanted.takes_the_pods_account:
        return Credentials() if row.secret_box is not None else None
    given = {"token": wanted.secret, "certificate": wanted.client_certificate}
    typed = {name: value for name, value in given.items() if value is not None}
    if row.secret_box is not None and (moved or typed):
        kept = _opened(row)
        stays = [name for name in given if getattr(kept, name) and name not in typed]
        if moved and (stays or not typed):
            field = "client_certificate" if stays == ["certificate"] else "secret"
            raise invalid(field, Sentence(_("The secret belongs to the old address. Type it again for the new one.")))
    else:
        kept = Credentials()
    return replace(kept, **typed) if typed else None


def _opened(row: Connection) -> Credentials:
    """Return what is sealed; nothing when it does not open, since what is typed now replaces it."""
    try:
        return Credentials.read(secrets.opened(row))
    except secrets.SecretUnreadable:
        return Credentials()


def _can_sign_in(row: Connection, held: Credentials | None) -> bool:
    """Say whether there is what the other side asks for: a token, where only that will do, else anything."""
    kind = ConnectionKind(row.kind)
    if not kind.needs_secret or row.config.get(rules.SIGN_IN) == rules.IN_CLUSTER:
        return True
    return row.secret_box is not None and not (kind.needs_token and held is not None and not held.token)


def _put(row: Connection, held: Credentials) -> None:
    row.secret_version += 1
    row.secret_box = secrets.sealed(row, held.text) if held.text else None
    row.secret_last4 = rules.last4(held.token)


def _problems(wanted: Wanted) -> Fields:
    fields: Fields = {}
    if not is_slug(wanted.name):
        fields["name"] = [Sentence(_("A name has lower-case letters, digits and hyphens only, up to 63 of them."))]
    if problem := rules.origin_problem(wanted.origin) or _address_problem(wanted.origin):
        fields["origin"] = [problem]
    if problem := _account_problem(wanted):
        fields["account"] = [problem]
    if wanted.secret and (problem := rules.secret_problem(wanted.secret)):
        fields["secret"] = [problem]
    if wanted.client_certificate and (problem := certificate_problem(pem_of(wanted.client_certificate))):
        fields["client_certificate"] = [problem]
    if (authority := (wanted.config or {}).get(rules.AUTHORITY)) and (problem := authority_problem(str(authority))):
        fields["authority"] = [problem]
    if problem := _config_problem(wanted) or (None if "origin" in fields else _sign_in_problem(wanted)):
        fields["config"] = [problem]
    return fields


def _sign_in_problem(wanted: Wanted) -> Sentence | None:
    """Return why the settings that say how to sign in and where else to ask cannot be."""
    config = wanted.config or {}
    for one in rules.addresses_in(config.get(rules.CONTROL)):
        if problem := rules.origin_problem(one) or _address_problem(one):
            return problem
    if rules.SIGN_IN not in config:
        return None
    if not wanted.takes_the_pods_account:
        parts = {"name": rules.SIGN_IN, "value": rules.IN_CLUSTER}
        return Sentence(_("%(name)s is %(value)s, or is left out: then the secret signs in."), parts)
    if wanted.kind is not ConnectionKind.KUBERNETES:
        return Sentence(_("Only a connection to Kubernetes signs in as the pod's service account."))
    if wanted.secret or wanted.client_certificate:
        return Sentence(_("The pod's service account signs in: leave secret and certificate empty."))
    here = rules.own_cluster(os.environ)
    if rules.normal_origin(wanted.origin) not in here:
        text = _("The pod's service account is for its own cluster alone. Its address is %(address)s.")
        return Sentence(text, {"address": here[0]})
    return None


def _account_problem(wanted: Wanted) -> Sentence | None:
    account = wanted.account
    if wanted.kind.needs_account and not account:
        return Sentence(_("Name the account that the secret belongs to."))
    if ":" in account or not (account.isprintable() and account.isascii()):
        return Sentence(_("An account has plain letters only, and no colon."))
    if account and account == wanted.secret:
        return Sentence(_("This is the secret. The account is the name that it belongs to."))
    return None


def _config_problem(wanted: Wanted) -> Sentence | None:
    """Return why the settings cannot be kept: a secret in them would be shown to everybody."""
    config = wanted.config or {}
    if named := rules.secret_named(config):
        parts = {"name": named}
        return Sentence(_("“%(name)s” looks like a secret. Put it into the field for the secret, not here."), parts)
    try:
        rules.ends_on(config)
    except ValueError:
        parts = {"name": rules.EXPIRES_ON}
        return Sentence(_("%(name)s is the last day of the secret, such as 2027-01-31."), parts)
    try:
        rules.at_once(config)
    except ValueError:
        parts = {"name": rules.AT_ONCE, "most": str(rules.MOST_AT_ONCE)}
        text = _("%(name)s is how many deployments may run there at once: a number from 1 to %(most)s.")
        return Sentence(text, parts)
    if wanted.secret and wanted.secret in canonical.encode(dict(config)).decode():
        return Sentence(_("The secret stands in here, too, where everybody can read it. Take it out."))
    return None


def _address_problem(origin: str) -> Sentence | None:
    """Return why the operator does not allow an address; where a name leads is looked at with every call."""
    host, allowance = rules.host_of(origin), Allowance.from_environment()
    if allowance.hosts and host not in allowance.hosts:
        sentence = _("%(host)s is not among the hosts the operator allows (GMUD_OUTBOUND_HOSTS).")
        return Sentence(sentence, {"host": host})
    if host.endswith(".localhost"):
        host = "localhost"  # RFC 6761: this very machine, whatever a resolver says
    if host != "localhost" and not rules.is_ip(host):
        return None
    try:
        replace(allowance, hosts=frozenset()).address_for(host, 443)
    except GmudError as error:
        return error.detail
    return None


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
        "expires_on": str(row.config.get(rules.EXPIRES_ON, "")),
        "at_once": row.at_once,
    }

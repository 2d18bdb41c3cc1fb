"""Shared channels; their secrets go in and never come out, but to the system they belong to."""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction

from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.accounts.rules import is_slug
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.envelope import JSON
from releases.audit.kinds import Kind
from releases.catalog import rules as addresses
from releases.catalog import secrets
from releases.core.errors import GmudError, Invalid, Missing, Sentence
from releases.core.http import Allowance
from releases.core.ids import uuid7
from releases.core.taken import unless_taken
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _
from releases.notify import mail
from releases.notify.facts import Occasion
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel, Subscription
from releases.notify.services import addressing, choosing, telling
from releases.notify.services.choosing import Fields, Wanted
from releases.notify.webhook.adapter import is_secret, new_secret

BOTH_SIGN = timedelta(hours=24)
"""How long the secret before signs beside a new one."""
HIDDEN = frozenset({ChannelKind.SLACK, ChannelKind.TEAMS})
"""Kinds whose address is a secret: who knows it may write there."""
LONGEST_ADDRESS = 2000


NOTHING = Wanted(frozenset())


@dataclass(frozen=True, slots=True)
class ChannelDraft:
    """A channel as it is typed. ``address``: the whole address of a webhook, or a mailbox; empty keeps it.

    ``secret`` signs the events of a webhook; empty makes a new one when there is none, else keeps it.
    """

    name: str
    kind: ChannelKind
    address: str = ""
    secret: str = ""
    language: str = ""
    team_id: UUID | None = None
    wanted: Wanted = NOTHING


def open_channel(*, actor: Actor, fields: ChannelDraft, now: datetime) -> tuple[Channel, str]:
    """Add a channel, and return it with the secret that was made for it; empty when there is none to show.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: with the fields ``name``, ``address``, ``secret`` and those of the choice
    """
    require(actor, Right.CATALOG_EDIT)
    with transaction.atomic(durable=True):
        return _save(Channel(kind=fields.kind.value), fields, actor=actor, now=now)


def change_channel(
    *, actor: Actor, channel_id: UUID, fields: ChannelDraft, now: datetime, unchanged: Unchanged = nobody_looked
) -> tuple[Channel, str]:
    """Change a channel, and return it with the secret that was made for it, if any; its kind stays.

    Another origin asks for the secret again. A new secret of a webhook and the one before it sign for a day.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such channel
    :raises Invalid: with the fields ``name``, ``address``, ``secret`` and those of the choice
    """
    require(actor, Right.CATALOG_EDIT)
    with transaction.atomic(durable=True):
        row = _living(channel_id)
        unchanged()
        return _save(row, fields, actor=actor, now=now)


@transaction.atomic(durable=True)
def remove_channel(*, actor: Actor, channel_id: UUID, now: datetime) -> None:
    """Send nothing there any more, and forget its secret; what was told there stays known.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such channel
    """
    require(actor, Right.CATALOG_EDIT)
    row = _living(channel_id)
    audit.record(stream=row.stream, kind=Kind.CHANNEL_REMOVED, actor=actor, data=_facts(row))
    Subscription.objects.filter(channel=row).delete()
    row.secret_box = row.previous_box = row.previous_until_at = None
    row.removed_at, row.name = now, f"{row.name[:40]}-{row.pk.hex[-8:]}"
    row.save()


def try_channel(*, actor: Actor, channel_id: UUID, now: datetime) -> None:
    """Send a test to a channel; how it went stands on its page a moment later.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Missing: there is no such channel
    """
    require(actor, Right.CATALOG_EDIT)
    with transaction.atomic(durable=True):
        row = _living(channel_id)
        reason = Sentence(_("This is a test by %(name)s: notices reach this channel."), {"name": actor.name})
        link = f"/settings/channels/{row.pk}"
        occasion = Occasion(Topic.TEST, f"{row.stream}:test:{uuid7()}", reason, link=link)
        wanted = {row.pk: addressing.of_channel(row)}
        telling.write(occasion=occasion, people={}, channels=wanted, rung=0, now=now)


@transaction.atomic(durable=True)
def reseal_channels(*, actor: Actor, now: datetime) -> int:
    """Seal the secret of every channel again with the first key of the ring, and return how many.

    The secrets before them are forgotten: their day is short.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Refused: a secret does not open; none was changed
    """
    require(actor, Right.CATALOG_EDIT)
    resealed = 0
    for row in Channel.objects.select_for_update().exclude(secret_box=None).order_by("pk"):
        if not secrets.is_sealed_with_first_key(row):
            row.secret_box = secrets.sealed(row, secrets.opened(row))
            row.previous_box = row.previous_until_at = None
            row.save()
            resealed += 1
            audit.record(stream=row.stream, kind=Kind.CHANNEL_RESEALED, actor=actor, data=_facts(row))
    return resealed


def _save(row: Channel, fields: ChannelDraft, *, actor: Actor, now: datetime) -> tuple[Channel, str]:
    is_new = row._state.adding
    problems = _problems(row, fields)
    if problems:
        raise Invalid(Sentence(_("This channel cannot be saved as it is.")), fields=problems)
    shown = _put(row, fields, now=now)
    row.name, row.language = fields.name, fields.language
    sentence = Sentence(_("The channel %(name)s exists already."), {"name": fields.name})
    with unless_taken(Invalid(sentence, fields={"name": [sentence]})):
        row.save(force_insert=is_new)
    chosen, _is_new = Subscription.objects.get_or_create(channel=row)
    chosen.team_id = fields.team_id
    choosing.put(chosen, fields.wanted)
    told = Kind.CHANNEL_OPENED if is_new else Kind.CHANNEL_CHANGED
    team = str(fields.team_id) if fields.team_id else ""
    audit.record(
        stream=row.stream, kind=told, actor=actor, data={**_facts(row), "team": team, **choosing.facts_of(chosen)}
    )
    return row, shown


def _put(row: Channel, fields: ChannelDraft, *, now: datetime) -> str:
    """Write address and secret; return the secret that was made, if one was."""
    kind = ChannelKind(row.kind)
    if kind is ChannelKind.EMAIL:
        row.address = fields.address or row.address
        return ""
    moved = False
    if fields.address:
        origin, rest = _split(fields.address)
        moved = origin != row.origin
        if kind in HIDDEN:
            row.origin = origin
            _seal(row, rest, now=None)
            return ""
        row.origin, row.path = origin, rest
    has_none = row.secret_box is None
    made = new_secret() if has_none and not fields.secret else ""
    if fields.secret or made:
        _seal(row, fields.secret or made, now=None if has_none or moved else now)
    return made


def _seal(row: Channel, secret: str, *, now: datetime | None) -> None:
    """Seal a secret; the one before it goes on signing for a while when ``now`` is given."""
    row.previous_box, row.previous_until_at = (row.secret_box, now + BOTH_SIGN) if now else (None, None)
    row.secret_version += 1
    row.secret_box = secrets.sealed(row, secret)
    row.secret_last4 = addresses.last4(secret)


def _problems(row: Channel, fields: ChannelDraft) -> Fields:
    found: Fields = dict(choosing.problems(fields.wanted))
    kind, is_new = ChannelKind(row.kind), row._state.adding
    if not is_slug(fields.name):
        found["name"] = [Sentence(_("A name has lower-case letters, digits and hyphens only, up to 63 of them."))]
    if fields.team_id is not None and not Team.objects.filter(pk=fields.team_id).exists():
        found["team_id"] = [Sentence(_("There is no such team."))]
    if fields.language not in {"", *dict(settings.LANGUAGES)}:
        found["language"] = [Sentence(_("Choose one of the languages."))]
    if fields.address or is_new:
        is_mail = kind is ChannelKind.EMAIL
        problem = _mailbox_problem(fields.address) if is_mail else _address_problem(fields.address, kind)
        if problem:
            found["address"] = [problem]
    if kind is ChannelKind.WEBHOOK and "address" not in found:
        moved = bool(fields.address) and not is_new and _split(fields.address)[0] != row.origin
        if moved and not fields.secret:
            found["secret"] = [Sentence(_("The secret belongs to the old address. Type it again for the new one."))]
    if fields.secret and not (kind is ChannelKind.WEBHOOK and is_secret(fields.secret)):
        found["secret"] = [
            Sentence(_("A secret is whsec_ and 24 to 64 bytes in base64. Leave it empty to have one made."))
        ]
    return found


def _mailbox_problem(address: str) -> Sentence | None:
    if why := mail.why_not_offered():
        return why
    try:
        validate_email(address)
    except ValidationError:
        return Sentence(_("This is no e-mail address."))
    return None


def _address_problem(address: str, kind: ChannelKind) -> Sentence | None:
    """Return what is wrong with the address of a webhook; where a name leads is looked at with every letter."""
    if len(address) > LONGEST_ADDRESS or any(not letter.isprintable() or letter.isspace() for letter in address):
        return Sentence(_("An address has plain letters only, without spaces, backslashes or percent signs."))
    if not address.isascii() or "#" in address or "\\" in address:
        return Sentence(_("This is no address. Write it like https://host:port."))
    try:
        origin, rest = _split(address)
    except ValueError:
        return Sentence(_("This is no address. Write it like https://host:port."))
    if problem := addresses.origin_problem(origin):
        return problem
    if ".." in rest.split("?")[0].split("/"):
        return Sentence(_("The path has plain words only, like /jenkins."))
    if kind is ChannelKind.WEBHOOK and "?" in rest:
        return Sentence(_("Leave out the ? and what follows it: our signature says who we are."))
    if kind in HIDDEN and not rest.strip("/"):
        return Sentence(_("Copy the whole address that Slack or Teams gave you: its path is the key."))
    return _not_allowed(addresses.host_of(origin))


def _not_allowed(host: str) -> Sentence | None:
    allowance = Allowance.from_environment()
    if allowance.hosts and host not in allowance.hosts:
        sentence = _("%(host)s is not among the hosts the operator allows (GMUD_OUTBOUND_HOSTS).")
        return Sentence(sentence, {"host": host})
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return None  # a name; it may lead elsewhere tomorrow
    try:
        allowance.address_for(host, 443)
    except GmudError as error:
        return error.detail
    return None


def _split(address: str) -> tuple[str, str]:
    """Return the origin of an address in its one spelling, and what follows it.

    :raises ValueError: this is no address
    """
    parts = urlsplit(address)
    rest = f"{parts.path}?{parts.query}" if parts.query else parts.path
    typed = f"{parts.scheme}://{parts.netloc}"
    return (typed if addresses.origin_problem(typed) else addresses.normal_origin(typed)), rest


def _living(channel_id: UUID) -> Channel:
    row = Channel.objects.select_for_update().filter(pk=channel_id, removed_at=None).first()
    if row is None:
        raise Missing(Sentence(_("There is no such channel.")))
    return row


def _facts(row: Channel) -> dict[str, JSON]:
    return {
        "channel": str(row.pk),
        "name": row.name,
        "kind": row.kind,
        "origin": row.origin,
        "path": row.path,
        "language": row.language,
        "secret_version": row.secret_version,
        "has_secret": row.secret_box is not None,
    }

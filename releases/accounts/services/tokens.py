"""Tokens of machines: issued once in plain text, kept as a hash, scoped, ending."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from releases.accounts import queries, rules
from releases.accounts.models import ApiClient, Person, Team
from releases.accounts.rights import Right
from releases.accounts.services.roles import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core import redaction
from releases.core.errors import Invalid, Missing, Refused, Sentence
from releases.core.words import mark as _

USE_IS_NOTED_EVERY = timedelta(minutes=1)


def issue_token(
    *,
    actor: Actor,
    name: str,
    scopes: Iterable[Right],
    expires_at: datetime,
    owner_id: UUID | None = None,
    team_id: UUID | None = None,
    now: datetime,
) -> tuple[ApiClient, str]:
    """Make a machine and its token; the plain text is returned here and never again.

    ``owner_id`` is the person who answers for it, the actor themselves when left out: what the machine files counts
    as theirs, so they cannot vote on it.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: a scope that only a person may hold
    :raises Invalid: no name, no scope, or an end that is past or more than 90 days away
    :raises Missing: there is no such team or owner
    """
    require(actor, Right.PEOPLE_EDIT)
    wanted = frozenset(scopes)
    if forbidden := rules.forbidden_scopes(wanted):
        raise Refused(
            Sentence(
                _("A token can never hold %(scopes)s: that takes a person who signed in."),
                {"scopes": ", ".join(sorted(forbidden))},
            )
        )
    if fields := _missing(name, wanted, expires_at, now):
        raise Invalid(Sentence(_("This token cannot be issued as asked.")), fields=fields)
    token = rules.new_token()
    redaction.remember(token.plaintext)
    with transaction.atomic(durable=True):
        if team_id is not None and not Team.objects.filter(pk=team_id).exists():
            raise Missing(Sentence(_("There is no such team.")))
        client = ApiClient.objects.create(
            name=rules.one_line(name)[:120],
            owner_id=_owner(actor, owner_id),
            issuer_id=actor.person_id,
            team_id=team_id,
            prefix=token.prefix,
            secret_hash=token.hash,
            scopes=sorted(wanted),
            issued_at=now,
            expires_at=expires_at,
        )
        audit.record(
            stream=client.stream,
            kind=Kind.TOKEN_ISSUED,
            actor=actor,
            data={
                "client": str(client.pk),
                "name": client.name,
                "prefix": client.prefix,
                "owner": str(client.owner_id),
                "scopes": sorted(wanted),
                "expires_at": expires_at.isoformat(),
            },
        )
    return client, token.plaintext


def revoke_token(*, actor: Actor, client_id: UUID, now: datetime) -> None:
    """End a token at once; doing it twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such machine
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        client = ApiClient.objects.select_for_update().filter(pk=client_id).first()
        if client is None:
            raise Missing(Sentence(_("There is no such machine.")))
        if client.revoked_at is not None:
            return
        client.revoked_at = now
        client.save(update_fields=("revoked_at",))
        audit.record(
            stream=client.stream,
            kind=Kind.TOKEN_REVOKED,
            actor=actor,
            data={"client": str(client.pk), "prefix": client.prefix},
        )


def use_token(*, token: str, now: datetime) -> Actor | None:
    """Return the machine that a token names, as ``queries.client_for``, and note the use once a minute at most."""
    actor = queries.client_for(token, now)
    if actor is not None:
        not_noted = Q(last_used_at=None) | Q(last_used_at__lte=now - USE_IS_NOTED_EVERY)
        ApiClient.objects.filter(not_noted, pk=actor.id).update(last_used_at=now)
    return actor


def _owner(actor: Actor, owner_id: UUID | None) -> UUID:
    person = Person.objects.filter(pk=owner_id or actor.person_id or UUID(int=0), is_active=True).first()
    if person is None:
        raise Missing(Sentence(_("Name an active person who answers for this machine.")))
    return person.pk


def _missing(
    name: str, scopes: frozenset[Right], expires_at: datetime, now: datetime
) -> dict[str, list[Sentence | str]]:
    found: dict[str, list[Sentence | str]] = {}
    if not rules.one_line(name):
        found["name"] = [Sentence(_("Say which machine this token is for."))]
    if not scopes:
        found["scopes"] = [Sentence(_("Name at least one scope; a token without any may do nothing."))]
    if not rules.expiry_is_fair(now, expires_at):
        found["expires_at"] = [Sentence(_("A token ends in the future, and within 90 days."))]
    return found

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
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _

USE_IS_NOTED_EVERY = timedelta(minutes=1)
_NO_NAME = Sentence(_("Say which machine this token is for."))
_UNFAIR = Sentence(_("A token ends in the future, and within 90 days."))


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
        _known_team(team_id)
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


def rotate_token(*, actor: Actor, client_id: UUID, expires_at: datetime, now: datetime) -> tuple[ApiClient, str]:
    """Give a machine a new token in place of the old one, which ends at once; the plain text is returned never again.

    The machine stays who it is: its name, its scopes, and what it filed.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: the machine was ended, or who answers for it left
    :raises Invalid: an end that is past or more than 90 days away
    :raises Missing: there is no such machine
    """
    require(actor, Right.PEOPLE_EDIT)
    if not rules.expiry_is_fair(now, expires_at):
        raise Invalid(Sentence(_("This token cannot be issued as asked.")), fields={"expires_at": [_UNFAIR]})
    token = rules.new_token()
    redaction.remember(token.plaintext)
    with transaction.atomic(durable=True):
        client = _locked(client_id)
        if client.revoked_at is not None:
            raise Refused(Sentence(_("%(name)s was ended. Issue a token for a new machine."), {"name": client.name}))
        if not client.owner.is_active:
            raise Refused(
                Sentence(
                    _("%(owner)s, who answered for %(name)s, left. Name somebody else first."),
                    {"owner": client.owner.name, "name": client.name},
                )
            )
        before, client.prefix, client.secret_hash = client.prefix, token.prefix, token.hash
        client.issuer_id, client.issued_at, client.expires_at = actor.person_id, now, expires_at
        client.last_used_at = None
        client.save(update_fields=("prefix", "secret_hash", "issuer_id", "issued_at", "expires_at", "last_used_at"))
        audit.record(
            stream=client.stream,
            kind=Kind.TOKEN_ROTATED,
            actor=actor,
            data={
                "client": str(client.pk),
                "prefix": client.prefix,
                "before": before,
                "expires_at": expires_at.isoformat(),
            },
        )
    return client, token.plaintext


def describe_machine(
    *,
    actor: Actor,
    client_id: UUID,
    name: str,
    owner_id: UUID,
    team_id: UUID | None = None,
    now: datetime,
    unchanged: Unchanged = nobody_looked,
) -> ApiClient:
    """Say anew what a machine is called, who answers for it and which team it serves; its token and scopes stay.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: no name, or nobody who answers for it
    :raises Refused: the machine was ended
    :raises Missing: there is no such machine or team
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    name = rules.one_line(name)[:120]
    if not name:
        raise Invalid(Sentence(_("This machine cannot be described so.")), fields={"name": [_NO_NAME]})
    with transaction.atomic(durable=True):
        client = _locked(client_id)
        unchanged()
        if client.revoked_at is not None:
            raise Refused(Sentence(_("%(name)s was ended. Issue a token for a new machine."), {"name": client.name}))
        _known_team(team_id)
        wanted = (name, _owner(actor, owner_id), team_id)
        if wanted == (client.name, client.owner_id, client.team_id):
            return client
        client.name, client.owner_id, client.team_id = wanted
        client.save(update_fields=("name", "owner_id", "team_id"))
        audit.record(
            stream=client.stream,
            kind=Kind.MACHINE_DESCRIBED,
            actor=actor,
            data={
                "client": str(client.pk),
                "name": client.name,
                "owner": str(client.owner_id),
                "team": str(team_id) if team_id else "",
            },
        )
        return client


def revoke_token(*, actor: Actor, client_id: UUID, now: datetime) -> None:
    """End a token at once; doing it twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such machine
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        client = _locked(client_id)
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


def _locked(client_id: UUID) -> ApiClient:
    """Return the machine, locked alone: who answers for it may be read, and is not waited for."""
    client = ApiClient.objects.select_related("owner").select_for_update(of=("self",)).filter(pk=client_id).first()
    if client is None:
        raise Missing(Sentence(_("There is no such machine.")))
    return client


def _known_team(team_id: UUID | None) -> None:
    if team_id is not None and not Team.objects.filter(pk=team_id).exists():
        raise Missing(Sentence(_("There is no such team.")))


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
        found["name"] = [_NO_NAME]
    if not scopes:
        found["scopes"] = [Sentence(_("Name at least one scope; a token without any may do nothing."))]
    if not rules.expiry_is_fair(now, expires_at):
        found["expires_at"] = [_UNFAIR]
    return found

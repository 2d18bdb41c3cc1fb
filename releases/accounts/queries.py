"""What is known of people and machines, read from the tables each time: nothing about rights is cached."""

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session as StoredSession

from releases.accounts.models import ApiClient, Grant, Person, Session, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role, rights_of_roles, roles_with
from releases.accounts.rules import folded, hash_of, prefix_of, readable_scopes, session_digest
from releases.audit.actor import Actor, ActorKind
from releases.core.errors import Invalid, NotPermitted, Sentence
from releases.core.words import mark as _


@dataclass(frozen=True, slots=True)
class PersonCard:
    """A person as other rooms see one."""

    id: UUID
    name: str


def people(ids: Iterable[UUID]) -> dict[UUID, PersonCard]:
    """Return the persons with these ids, also those who left."""
    found = Person.objects.filter(pk__in=list(ids))
    return {person.pk: PersonCard(person.pk, person.name) for person in found}


def doers_named(text: str) -> tuple[str, ...]:
    """Return the ids, as the record keeps them, of the people and machines whose name holds this text."""
    people = Person.objects.filter(name__icontains=text).values_list("pk", flat=True)
    machines = ApiClient.objects.filter(name__icontains=text).values_list("pk", flat=True)
    return tuple(sorted(str(pk) for pk in (*people, *machines)))


def actor_for(
    user: User,
    *,
    session: str = "",
    signed_in_at: datetime | None = None,
    methods: tuple[str, ...] = (),
    request: str = "",
) -> Actor:
    """Return the actor that an account speaks for; ``session`` is a digest, never the key.

    :raises NotPermitted: the account or the person behind it was ended
    """
    person = user.person
    if not (user.is_active and person.is_active):
        raise NotPermitted(Sentence(_("This account was ended. Ask an owner of this installation.")))
    return Actor(
        kind=ActorKind.PERSON,
        id=str(person.pk),
        name=person.name,
        account=user.username,
        session=session,
        signed_in_at=signed_in_at,
        methods=methods,
        request=request,
    )


def client_for(token: str, now: datetime) -> Actor | None:
    """Return the machine that a token names, or ``None`` when it is unknown, ended or revoked; writes nothing."""
    client = living_client(token, now)
    if client is None:
        return None
    return Actor(kind=ActorKind.MACHINE, id=str(client.pk), name=client.name, account=client.prefix)


def living_client(token: str, now: datetime) -> ApiClient | None:
    """Return the row of a token that is valid now; the hash is compared in constant time."""
    client = ApiClient.objects.filter(prefix=prefix_of(token) or "", owner__is_active=True).first()
    if client is None or not hmac.compare_digest(client.secret_hash, hash_of(token)):
        return None
    return client if client.revoked_at is None and now < client.expires_at else None


def roles_of(person_id: UUID) -> frozenset[Role]:
    """Return the roles a person holds now; none for somebody who left."""
    held = Grant.objects.filter(person_id=person_id, person__is_active=True).values_list("role", flat=True)
    return frozenset(Role(role) for role in held)


def holders_of(role: Role) -> list[PersonCard]:
    """Return the active persons who hold a role, by name."""
    held = Grant.objects.filter(role=role, person__is_active=True).select_related("person")
    return [PersonCard(grant.person_id, grant.person.name) for grant in held.order_by("person__name", "person_id")]


def rights_of(actor: Actor) -> frozenset[Right]:
    """Return what an actor may do now: a person by roles, a machine by its scopes, the system all but voting.

    Read from the tables each time: an ended account, a person who left or a revoked token may do nothing.
    """
    if actor.kind is ActorKind.SYSTEM:
        return frozenset(Right) - {Right.CHANGE_VOTE}
    if actor.kind is ActorKind.MACHINE:
        client = ApiClient.objects.filter(pk=actor.id, revoked_at=None, owner__is_active=True).first()
        return readable_scopes(client.scopes) if client else frozenset()
    person_id = actor.person_id
    if person_id is None or not _account_lives(actor, person_id):
        return frozenset()
    return rights_of_roles(roles_of(person_id))


def person_behind(actor: Actor) -> Person:
    """Return the person who acts, or who answers for the machine that does.

    :raises NotPermitted: no person stands behind the actor
    """
    machine = ApiClient.objects.filter(pk=actor.id).first() if actor.kind is ActorKind.MACHINE else None
    person = Person.objects.filter(
        pk=machine.owner_id if machine else actor.person_id or UUID(int=0), is_active=True
    ).first()
    if person is None:
        raise NotPermitted(Sentence(_("Only a person, or a machine that a person answers for, can do this.")))
    return person


def answerable_for(actor: Actor) -> list[Person]:
    """Return who may have spoken through a machine: who answers for it and who issued its token; else nobody more."""
    if actor.kind is not ActorKind.MACHINE:
        return []
    machine = ApiClient.objects.select_related("owner", "issuer").filter(pk=actor.id).first()
    return [person for person in (machine.owner, machine.issuer) if person is not None] if machine else []


def persons_named(usernames: Iterable[str], *, field: str) -> list[Person]:
    """Return the active persons behind these user names, each once.

    :raises Invalid: a name is nobody's; ``field`` is where it was written
    """
    wanted = [folded(name) for name in usernames]
    living = User.objects.select_related("person").filter(is_active=True, person__is_active=True)
    found = {user.username: user.person for user in living.filter(username__in=wanted)}
    if unknown := [name for name in wanted if name not in found]:
        sentence = Sentence(_("Nobody is called %(names)s here."), {"names": ", ".join(unknown)})
        raise Invalid(sentence, fields={field: [sentence]})
    return list({person.pk: person for person in found.values()}.values())


def holders_of_right(right: Right) -> list[PersonCard]:
    """Return the active persons who may do this, by name."""
    holders = Person.objects.filter(grants__role__in=roles_with(right), is_active=True).distinct()
    return [PersonCard(person.pk, person.name) for person in holders]


def can(actor: Actor, right: Right) -> bool:
    """Say whether an actor may do this now."""
    return right in rights_of(actor)


@dataclass(frozen=True, slots=True)
class SessionCard:
    """A browser somebody is signed in with."""

    id: UUID
    username: str
    device: str
    address: str
    methods: tuple[str, ...]
    proved_at: datetime
    seen_at: datetime
    is_here: bool


def sessions_of(person_id: UUID, *, now: datetime, here: str = "") -> list[SessionCard]:
    """Return where a person is signed in now, the session with the key ``here`` first, then as they were seen last.

    A session that ran out, or whose password was changed since, is none.
    """
    rows = Session.objects.select_related("user").filter(user__person_id=person_id, user__is_active=True)
    mine = session_digest(here)
    found = {row.key: row for row in rows.filter(ends_at__gt=now)}
    kept = StoredSession.objects.filter(session_key__in=found, expire_date__gt=now)
    living = [
        row
        for stored in kept
        if (row := found[stored.session_key])
        and stored.get_decoded().get(HASH_SESSION_KEY) == row.user.get_session_auth_hash()
    ]
    return [
        SessionCard(
            id=row.pk,
            username=row.user.username,
            device=row.device,
            address=row.address or "",
            methods=tuple(row.methods),
            proved_at=row.proved_at,
            seen_at=row.seen_at,
            is_here=row.key == mine,
        )
        for row in sorted(living, key=lambda row: (row.key != mine, -row.seen_at.timestamp()))
    ]


@dataclass(frozen=True, slots=True)
class FactorCard:
    """A second factor: an app (``totp``), a passkey (``webauthn``) or the recovery codes and how many are left."""

    id: int
    kind: str
    name: str
    added_at: datetime
    used_at: datetime | None
    left: int = 0


def factors_of(account: User) -> list[FactorCard]:
    """Return the second factors of an account, the oldest first."""
    cards = []
    for row in Authenticator.objects.filter(user=account).order_by("created_at", "pk"):
        about = row.wrap()
        cards.append(
            FactorCard(
                id=row.pk,
                kind=str(row.type),
                name=about.name if row.type == Authenticator.Type.WEBAUTHN else "",
                added_at=row.created_at,
                used_at=row.last_used_at,
                left=len(about.get_unused_codes()) if row.type == Authenticator.Type.RECOVERY_CODES else 0,
            )
        )
    return cards


def has_second_factor(actor: Actor) -> bool:
    """Say whether the account somebody acts through has a second factor to sign in with."""
    found = Authenticator.objects.filter(user__username=actor.account, user__person_id=actor.person_id)
    return bool(found.exclude(type=Authenticator.Type.RECOVERY_CODES).exists())


@dataclass(frozen=True, slots=True)
class IdentityCard:
    """Whom a provider knows this account as."""

    id: int
    issuer: str
    subject: str


def identities_of(account: User) -> list[IdentityCard]:
    """Return the identities that sign in to an account."""
    rows = SocialAccount.objects.filter(user=account).order_by("pk")
    return [IdentityCard(row.pk, row.provider, row.uid) for row in rows]


def _account_lives(actor: Actor, person_id: UUID) -> bool:
    """Say whether the account spoken through, when there is one, is still this person's and active."""
    if not actor.account:
        return True
    return User.objects.filter(username=actor.account, person_id=person_id, is_active=True).exists()

"""People as a provider knows them: issuer and subject name somebody, an e-mail address never does."""

from datetime import datetime
from hashlib import sha256
from uuid import UUID

from allauth.socialaccount.models import SocialAccount
from django.db import transaction

from releases.accounts import rules
from releases.accounts.models import Grant, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services.factors import fresh, other_ways_in
from releases.accounts.services.people import enter, open_account
from releases.accounts.services.roles import give, locked, require, take
from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.core.errors import Invalid, Missing, Refused, Sentence
from releases.core.taken import unless_taken
from releases.core.words import mark as _

PROVIDER = system("provider")
LONGEST_SUBJECT = 255


def account_of(*, issuer: str, subject: str) -> User | None:
    """Return the account that this identity signs in to."""
    found = SocialAccount.objects.select_related("user__person").filter(provider=issuer, uid=subject).first()
    return found.user if found else None


def admit(*, issuer: str, subject: str, name: str, email: str, username: str, now: datetime) -> User:
    """Register whom a provider names for the first time: always a new person, whatever their address or user name.

    ``email`` is one that the provider verified, or nothing: people are told things there. Of two browsers that come
    with the same identity at once, both get the one account.
    """
    del now  # the record takes its time from the database
    try:
        with transaction.atomic(durable=True):
            person = enter(
                actor=PROVIDER, name=rules.one_line(name) or rules.one_line(username) or subject, email=email
            )
            free = _free(username, issuer, subject)
            account = open_account(actor=PROVIDER, person=person, username=free, password=None, language="")
            _link(PROVIDER, account, issuer, subject)
            return account
    except (Invalid, Refused):
        if first := account_of(issuer=issuer, subject=subject):
            return first
        raise


def link_identity(*, actor: Actor, account_id: UUID, issuer: str, subject: str, now: datetime) -> None:
    """Let an account be signed in to through a provider; twice changes nothing.

    :raises NotPermitted: the account is somebody else's and the actor may not edit people, or signed in too long ago
    :raises Invalid: no subject
    :raises Refused: this identity signs in to another account
    :raises Missing: there is no such account
    """
    subject = rules.one_line(subject)
    if not subject or len(subject) > LONGEST_SUBJECT:
        sentence = Sentence(_("Write the subject that the provider names this person by."))
        raise Invalid(sentence, fields={"subject": [sentence]})
    account = _allowed(actor, account_id, now)
    with transaction.atomic(durable=True):
        locked(account.person_id)
        holder = account_of(issuer=issuer, subject=subject)
        if holder == account:
            return
        if holder is not None:
            raise _taken()
        _link(actor, account, issuer, subject)


def unlink_identity(*, actor: Actor, account_id: UUID, identity_id: int, now: datetime) -> None:
    """Let an account no longer be signed in to through a provider.

    :raises NotPermitted: the account is somebody else's and the actor may not edit people, or signed in too long ago
    :raises Refused: it is the only way into this account
    :raises Missing: there is no such account or link
    """
    account = _allowed(actor, account_id, now)
    with transaction.atomic(durable=True):
        locked(account.person_id)
        row = SocialAccount.objects.filter(pk=identity_id, user=account).first()
        if row is None:
            raise Missing(Sentence(_("There is no such link.")))
        if not other_ways_in(account, than=row):
            raise Refused(Sentence(_("This is the only way into this account. Add another way in first.")))
        _record(Kind.IDENTITY_UNLINKED, actor, account, row.provider, row.uid)
        row.delete()


def follow_groups(*, account: User, issuer: str, roles: frozenset[Role], now: datetime) -> None:
    """Give a person the roles their groups carry, and take those that groups gave before and carry no longer.

    What somebody here gave by hand stays. The last owner keeps that role, so that nobody is locked out by a provider.
    """
    with transaction.atomic(durable=True):
        person = locked(account.person_id)
        held = {Role(grant.role): grant.source for grant in Grant.objects.filter(person=person)}
        for role in sorted(roles - held.keys()):
            give(person=person, role=role, actor=PROVIDER, now=now, source=issuer)
        for role in sorted(role for role, source in held.items() if source and role not in roles):
            try:
                take(person=person, role=role, actor=PROVIDER, now=now)
            except Refused:
                continue


def _free(username: str, issuer: str, subject: str) -> str:
    """Return the user name a provider proposes when it is plain and free, else one made of the identity."""
    proposed = rules.folded(username)
    if rules.is_username(proposed) and not User.objects.filter(username=proposed).exists():
        return proposed
    return f"p-{sha256(f'{issuer} {subject}'.encode()).hexdigest()[:16]}"


def _allowed(actor: Actor, account_id: UUID, now: datetime) -> User:
    account = User.objects.select_related("person").filter(pk=account_id).first()
    if account is None:
        raise Missing(Sentence(_("There is no such account.")))
    if actor.person_id != account.person_id:
        require(actor, Right.PEOPLE_EDIT)
    fresh(actor, now)
    return account


def _link(actor: Actor, account: User, issuer: str, subject: str) -> None:
    with unless_taken(_taken()):
        SocialAccount.objects.create(user=account, provider=issuer, uid=subject, extra_data={})
    _record(Kind.IDENTITY_LINKED, actor, account, issuer, subject)


def _taken() -> Refused:
    return Refused(Sentence(_("This identity signs in to another account. Unlink it there first.")))


def _record(kind: Kind, actor: Actor, account: User, issuer: str, subject: str) -> None:
    audit.record(
        stream=account.person.stream,
        kind=kind,
        actor=actor,
        data={"account": account.username, "issuer": issuer},
        text={"subject": subject},
    )

"""The accounts a person signs in with: close one, open it again, make a new password for it."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts import rules
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.services.factors import fresh
from releases.accounts.services.roles import keep_an_owner, locked, require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core import redaction
from releases.core.errors import Missing, Refused, Sentence
from releases.core.words import mark as _


def set_password(*, actor: Actor, account_id: UUID, now: datetime) -> str:
    """Make a new password for an account and return it, here and never again; its sessions end with the old one.

    :raises NotPermitted: the actor may not edit people, or the last sign-in is older than five minutes
    :raises Refused: the account is closed, or the person left
    :raises Missing: there is no such account
    """
    require(actor, Right.PEOPLE_EDIT)
    fresh(actor, now)  # whoever holds a password may vote in its owner's name
    password = rules.new_password()
    redaction.remember(password)
    with transaction.atomic(durable=True):
        user = _locked(account_id)
        if not (user.is_active and user.person.is_active):
            raise Refused(Sentence(_("The account %(name)s is closed. Open it first."), {"name": user.username}))
        user.set_password(password)
        user.save(update_fields=("password",))
        _record(Kind.ACCOUNT_PASSWORD_SET, user, actor)
    return password


def close_account(*, actor: Actor, account_id: UUID, now: datetime) -> None:
    """End one way to sign in, with its sessions; twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: no owner could sign in any more
    :raises Missing: there is no such account
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        user = _locked(account_id)
        if not user.is_active:
            return
        keep_an_owner(without=user.person, account=user)
        user.is_active = False
        user.save(update_fields=("is_active",))
        _record(Kind.ACCOUNT_CLOSED, user, actor)


def reopen_account(*, actor: Actor, account_id: UUID, now: datetime) -> None:
    """Let a closed account sign in again, with the password it had; twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: the person left
    :raises Missing: there is no such account
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        user = _locked(account_id)
        if not user.person.is_active:
            raise Refused(Sentence(_("%(name)s left and can hold no account."), {"name": user.person.name}))
        if user.is_active:
            return
        user.is_active = True
        user.save(update_fields=("is_active",))
        _record(Kind.ACCOUNT_REOPENED, user, actor)


def _locked(account_id: UUID) -> User:
    """Return the account, its person locked first: whoever ends a person waits, or is waited for."""
    user = User.objects.filter(pk=account_id).first()
    if user is None:
        raise Missing(Sentence(_("There is no such account.")))
    locked(user.person_id)
    return User.objects.select_related("person").get(pk=account_id)


def _record(kind: Kind, user: User, actor: Actor) -> None:
    data = {"person": str(user.person_id), "username": user.username}
    audit.record(stream=user.person.stream, kind=kind, actor=actor, data=data)

"""Prove who one is: a password, a code. Every try is counted before it is looked at, forgotten when it was right."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.contrib.auth import authenticate
from django.db import transaction
from django.utils.crypto import salted_hmac

from releases.accounts import limits
from releases.accounts.limits import Per, Proof, TooMany
from releases.accounts.models import Person, SignInAttempt, User
from releases.accounts.rules import Visitor, device_of, folded
from releases.accounts.services.factors import fits
from releases.audit import services as audit
from releases.audit.actor import system
from releases.audit.kinds import Kind
from releases.core.errors import NotPermitted, Sentence
from releases.core.words import mark as _

STRANGERS = "sign-in:strangers"


class Unproved(NotPermitted):
    """This is not who they say, or what they gave does not prove it; the words tell nobody which."""

    code = "unproved"


def prove_password(*, username: str, password: str, visitor: Visitor, now: datetime) -> User:
    """Return the account that this user name and password belong to.

    An unknown name costs as much time, counts as much and is answered in the same words as a wrong password.

    :raises TooMany: too many tries failed; nothing was looked at
    :raises Unproved: they do not belong together, the account was closed, or nobody signs in with a password here
    """
    if not settings.GMUD_PASSWORDS:
        raise Unproved(Sentence(_("Nobody signs in with a password here.")))
    name = folded(username)
    account = User.objects.select_related("person").filter(username=name).first()
    attempt = begin_attempt(
        proof=Proof.PASSWORD, account=str(account.pk) if account else name, visitor=visitor, now=now
    )
    user = authenticate(None, username=name, password=password)
    if not isinstance(user, User):
        refuse(proof=Proof.PASSWORD, why="wrong", account=account, visitor=visitor)
        raise Unproved(Sentence(_("User name and password do not belong together. Try again.")))
    forget_attempt(attempt)
    return user


def prove_code(*, account: User, code: str, visitor: Visitor, now: datetime) -> str:
    """Take a code of an account's second factor and return which one it was: ``totp`` or ``recovery_codes``.

    A code counts once, whichever process sees it.

    :raises TooMany: too many tries failed; nothing was looked at
    :raises Unproved: the code is wrong, too old, or was used
    """
    attempt = begin_attempt(proof=Proof.CODE, account=str(account.pk), visitor=visitor, now=now)
    factor = fits(account=account, code=code, now=now)
    if factor is None:
        refuse(proof=Proof.CODE, why="wrong", account=account, visitor=visitor)
        raise Unproved(Sentence(_("This code is wrong, or was used before. Wait for the next one.")))
    forget_attempt(attempt)
    return factor


def begin_attempt(*, proof: Proof, account: str, visitor: Visitor, now: datetime) -> UUID:
    """Count one more try, and only then say whether it is allowed: of many at once, no more pass than the limit says.

    :raises TooMany: too many tries failed
    """
    digests = {
        Per.ADDRESS: _digest("address", visitor.network),
        Per.PAIR: _digest("pair", proof, account, visitor.network),
        Per.ACCOUNT: _digest("account", proof, account),
        Per.BROWSER: _digest("browser", proof, account, visitor.browser),
    }
    with transaction.atomic(durable=True):
        SignInAttempt.objects.filter(at__lte=now - limits.LONGEST).delete()
        mine = SignInAttempt.objects.create(
            proof=proof, at=now, **{per.value: digest for per, digest in digests.items()}
        )
    is_known = bool(visitor.browser) and visitor.browser_of == account
    rules = limits.limits_of(proof, is_known=is_known)
    others = SignInAttempt.objects.exclude(pk=mine.pk)
    tries = {
        per: list(others.filter(**{per.value: digests[per]}).values_list("at", flat=True))
        for per in {limit.per for limit in rules}
    }
    if until := limits.free_again_at(rules, tries, now=now):
        forget_attempt(mine.pk)
        raise TooMany(until, now=now)
    return mine.pk


def forget_attempt(attempt: UUID) -> None:
    """Count a try no longer: it was right, or it was refused unseen."""
    SignInAttempt.objects.filter(pk=attempt).delete()


def refuse(
    *,
    proof: str,
    why: str,
    account: User | None = None,
    visitor: Visitor,
    said: Mapping[str, str] | None = None,
) -> None:
    """Record a refused sign-in; what was typed is never in it, because people type passwords into the wrong field.

    ``said`` is what somebody who can be trusted with words said of the visitor, like the subject a provider names.
    """
    person: Person | None = account.person if account else None
    with transaction.atomic(durable=True):
        audit.record(
            stream=person.stream if person else STRANGERS,
            kind=Kind.SESSION_REFUSED,
            actor=system("sign-in"),
            data={"account": account.username if account else "", "proof": str(proof), "why": why},
            text={"address": visitor.address, "device": device_of(visitor.device), **(said or {})},
        )


def _digest(*parts: str) -> str:
    return salted_hmac("releases.accounts.attempts", "|".join(parts), algorithm="sha256").hexdigest()[:32]

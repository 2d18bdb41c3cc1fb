"""The second factor of an account: an authenticator app, passkeys, recovery codes. allauth keeps and computes them."""

import logging
import struct
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any
from uuid import UUID

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt, encrypt
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.conf import settings
from django.db import transaction

from releases.accounts.adapters import is_sealed_with_first_key
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.rules import one_line
from releases.accounts.services.roles import locked, require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core import keyring
from releases.core.errors import Invalid, Missing, NotPermitted, Reason, Refused, Sentence
from releases.core.words import mark as _

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=5)
SECOND = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
# Where in its data a factor keeps what is sealed; a passkey's key is public.
SEALED: Mapping[str, str] = MappingProxyType(
    {Authenticator.Type.TOTP.value: "secret", Authenticator.Type.RECOVERY_CODES.value: "seed"}
)
LONGEST_NAME = 60
_LAST = "last_step"


def add_app(*, actor: Actor, account: User, secret: str, code: str, now: datetime) -> tuple[str, ...]:
    """Take an authenticator app as second factor, and return the recovery codes that were made with the first one.

    ``code`` proves that the app has the secret; it cannot be used again to sign in.

    :raises NotPermitted: the account is somebody else's, or the last sign-in is older than five minutes
    :raises Invalid: the code does not come from this secret now
    :raises Refused: there is an app already
    """
    _mine_and_fresh(actor, account, now)
    step = _step(secret, code, after=-1, now=now)
    if step is None:
        sentence = Sentence(_("This code does not fit. Check the clock of your phone, then type the next code."))
        raise Invalid(sentence, fields={"code": [sentence]})
    with transaction.atomic(durable=True):
        _lock(account)
        if _of(account, Authenticator.Type.TOTP):
            raise Refused(Sentence(_("This account has an authenticator app already. Remove it first.")))
        row = TOTP.activate(account, secret).instance
        _note_step(row, step)
        _record(Kind.FACTOR_ADDED, actor, account, row)
        return _first_codes(actor, account)


def add_passkey(
    *, actor: Actor, account: User, name: str, credential: Mapping[str, Any], now: datetime
) -> tuple[str, ...]:
    """Take a passkey whose answer was verified, and return the recovery codes that were made with the first factor.

    :raises NotPermitted: the account is somebody else's, or the last sign-in is older than five minutes
    """
    _mine_and_fresh(actor, account, now)
    with transaction.atomic(durable=True):
        _lock(account)
        row = WebAuthn.add(account, one_line(name)[:LONGEST_NAME] or "Passkey", dict(credential)).instance
        _record(Kind.FACTOR_ADDED, actor, account, row)
        return _first_codes(actor, account)


def remove_factor(*, actor: Actor, account: User, factor_id: int, now: datetime) -> None:
    """Remove an app or a passkey; with the last one the recovery codes go too.

    :raises NotPermitted: the account is somebody else's, or the last sign-in is older than five minutes
    :raises Missing: this account has no such factor
    :raises Refused: it is the only way into this account
    """
    _mine_and_fresh(actor, account, now)
    with transaction.atomic(durable=True):
        _lock(account)
        row = Authenticator.objects.filter(pk=factor_id, user=account, type__in=SECOND).first()
        if row is None:
            raise Missing(Sentence(_("There is no such second factor.")))
        if row.type == Authenticator.Type.WEBAUTHN and not other_ways_in(account, than=row):
            raise Refused(Sentence(_("This passkey is the only way into this account. Add another way in first.")))
        _record(Kind.FACTOR_REMOVED, actor, account, row)
        row.delete()
        if not Authenticator.objects.filter(user=account, type__in=SECOND).exists():
            Authenticator.objects.filter(user=account).delete()


def renew_codes(*, actor: Actor, account: User, now: datetime) -> tuple[str, ...]:
    """Make new recovery codes and return them, here and never again; the old ones end.

    :raises NotPermitted: the account is somebody else's, or the last sign-in is older than five minutes
    :raises Refused: there is no second factor that they could stand in for
    """
    _mine_and_fresh(actor, account, now)
    with transaction.atomic(durable=True):
        _lock(account)
        if not Authenticator.objects.filter(user=account, type__in=SECOND).exists():
            raise Refused(Sentence(_("Recovery codes stand in for a second factor. Add one first.")))
        Authenticator.objects.filter(user=account, type=Authenticator.Type.RECOVERY_CODES).delete()
        codes = RecoveryCodes.activate(account)
        _record(Kind.FACTOR_RENEWED, actor, account, codes.instance)
        return tuple(codes.generate_codes())


def reset_factors(*, actor: Actor, person_id: UUID, now: datetime) -> int:
    """Remove every second factor of somebody who lost theirs, and return how many; never one's own.

    :raises NotPermitted: the actor may not edit people, or the last sign-in is older than five minutes
    :raises Refused: these are one's own
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    fresh(actor, now)
    if actor.person_id == person_id:
        raise Refused(Sentence(_("Remove your own second factor in your profile; another owner can reset it for you.")))
    with transaction.atomic(durable=True):
        person = locked(person_id)
        rows = list(Authenticator.objects.select_related("user__person").filter(user__person=person))
        for row in rows:
            _record(Kind.FACTOR_REMOVED, actor, row.user, row)
            row.delete()
        return len(rows)


def reseal_factors(*, actor: Actor, now: datetime) -> int:
    """Seal the secrets of apps and recovery codes again with the first key of the ring, and return how many.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: a secret does not open; none was changed
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    resealed = 0
    with transaction.atomic(durable=True):
        rows = Authenticator.objects.select_for_update(of=("self",)).select_related("user__person")
        for row in rows.filter(type__in=SEALED).order_by("pk"):
            place = SEALED[row.type]
            if is_sealed_with_first_key(row.data[place]):
                continue
            try:
                row.data = {**row.data, place: encrypt(decrypt(row.data[place]))}
            except keyring.Unopenable as error:
                sentence = _("A second factor of %(name)s does not open: its key is gone. Reset it, then repeat.")
                raise Refused(Sentence(sentence, {"name": row.user.username})) from error
            row.save(update_fields=("data",))
            resealed += 1
            _record(Kind.FACTOR_RESEALED, actor, row.user, row)
    return resealed


def fits(*, account: User, code: str, now: datetime) -> str | None:
    """Take a code, once, and return which factor it came from, or ``None``."""
    with transaction.atomic(durable=True):
        _lock(account)  # two processes that see the same code at once take turns here
        if row := _of(account, Authenticator.Type.TOTP):
            secret = _opened(row)
            step = _step(secret, code, after=row.data.get(_LAST, -1), now=now) if secret else None
            if step is not None:
                _note_step(row, step, used_at=now)
                return str(row.type)
        row = _of(account, Authenticator.Type.RECOVERY_CODES)
        if row and _opened(row) and row.wrap().validate_code(code):
            Authenticator.objects.filter(pk=row.pk).update(last_used_at=now)
            return str(row.type)
        return None


def note_use(*, factor: Authenticator, now: datetime) -> None:
    """Note that a passkey was used just now."""
    Authenticator.objects.filter(pk=factor.pk).update(last_used_at=now)


def fresh(actor: Actor, now: datetime) -> None:
    """Let pass who signed in within the last five minutes.

    :raises NotPermitted: (``sign_in_again``) it was longer ago
    """
    if actor.signed_in_at is not None and timedelta(0) <= now - actor.signed_in_at <= FRESH:
        return
    sentence = Sentence(_("Sign in again first: this can only be changed within five minutes of a sign-in."))
    raise NotPermitted(sentence, reasons=[Reason("sign_in_again", sentence)])


def other_ways_in(account: User, *, than: object = None) -> bool:
    """Say whether this account can be signed in to without that passkey or that link to a provider."""
    passkeys = Authenticator.objects.filter(user=account, type=Authenticator.Type.WEBAUTHN)
    links = account.socialaccount_set.all()  # type: ignore[attr-defined]  # the relation is allauth's
    has_password = bool(settings.GMUD_PASSWORDS) and account.has_usable_password()
    return has_password or any(row != than for row in (*passkeys, *links))


def _mine_and_fresh(actor: Actor, account: User, now: datetime) -> None:
    if actor.person_id != account.person_id or actor.account != account.username:
        raise NotPermitted(Sentence(_("Everybody changes only the second factor of their own account.")))
    fresh(actor, now)


def _lock(account: User) -> None:
    User.objects.select_for_update().get(pk=account.pk)


def _of(account: User, kind: str) -> Authenticator | None:
    return Authenticator.objects.filter(user=account, type=kind).first()


def _opened(row: Authenticator) -> str:
    """Return a factor's secret, empty when its key left the ring: then no code fits, and the log says why."""
    try:
        return str(decrypt(row.data[SEALED[row.type]]))
    except keyring.Unopenable:
        log.warning("A second factor (%s) of %s does not open: its key is gone.", row.type, row.user_id)
        return ""


def _step(secret: str, code: str, *, after: int, now: datetime) -> int | None:
    """Return which step of time a code belongs to: this one, its neighbours, but none that was used or is older."""
    here = int(now.timestamp()) // int(app_settings.TOTP_PERIOD)
    for step in (here, here - 1, here + 1):
        try:
            expected = format_hotp_value(hotp_value(secret, step))
        except (ValueError, struct.error):
            return None
        if step > after and compare_user_code(actual=code, expected=expected):
            return step
    return None


def _note_step(row: Authenticator, step: int, *, used_at: datetime | None = None) -> None:
    row.data = {**row.data, _LAST: step}
    row.last_used_at = used_at
    row.save(update_fields=("data", "last_used_at"))


def _first_codes(actor: Actor, account: User) -> tuple[str, ...]:
    if _of(account, Authenticator.Type.RECOVERY_CODES):
        return ()
    codes = RecoveryCodes.activate(account)
    _record(Kind.FACTOR_ADDED, actor, account, codes.instance)
    return tuple(codes.generate_codes())


def _record(kind: Kind, actor: Actor, account: User, row: Authenticator) -> None:
    name = row.wrap().name if row.type == Authenticator.Type.WEBAUTHN else ""
    audit.record(
        stream=account.person.stream,
        kind=kind,
        actor=actor,
        data={"account": account.username, "factor": str(row.type)},
        text={"name": name} if name else None,
    )

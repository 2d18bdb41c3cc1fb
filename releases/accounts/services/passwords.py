"""The password and the language of one's own account."""

from datetime import datetime

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from releases.accounts.models import User
from releases.accounts.services.factors import fresh
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Invalid, NotPermitted, Sentence
from releases.core.words import mark as _


def change_password(*, actor: Actor, account: User, password: str, now: datetime) -> User:
    """Give one's own account another password; every other session of the account ends with the old one.

    :raises NotPermitted: the account is somebody else's or has no password, or the last sign-in is too long ago
    :raises Invalid: the password is too weak
    """
    if actor.person_id != account.person_id or actor.account != account.username or not account.has_usable_password():
        raise NotPermitted(Sentence(_("Only who signs in with a password changes it.")))
    fresh(actor, now)
    try:
        validate_password(password, account)
    except ValidationError as error:
        raise Invalid(
            Sentence(_("The password is too weak.")), fields={"password": [str(one) for one in error.messages]}
        ) from error
    with transaction.atomic(durable=True):
        row = User.objects.select_for_update().select_related("person").get(pk=account.pk)
        row.set_password(password)
        row.save(update_fields=("password",))
        audit.record(
            stream=row.person.stream,
            kind=Kind.ACCOUNT_PASSWORD_SET,
            actor=actor,
            data={"person": str(row.person_id), "username": row.username},
        )
        return row


def choose_language(*, actor: Actor, account: User, language: str, now: datetime) -> None:
    """Keep the language an account reads in; it is nobody's business, so it is no event.

    :raises NotPermitted: the account is somebody else's
    :raises Invalid: nobody here speaks it
    """
    del now  # nothing is dated
    if actor.person_id != account.person_id:
        raise NotPermitted(Sentence(_("Everybody chooses the language of their own account.")))
    if language not in dict(settings.LANGUAGES):
        sentence = Sentence(_("Choose one of the languages offered."))
        raise Invalid(sentence, fields={"language": [sentence]})
    User.objects.filter(pk=account.pk).update(language=language)


def set_language(*, actor: Actor, account: User, language: str) -> None:
    """Write the language of somebody's account and its event; runs inside the caller's transaction, asks for no right.

    :raises Invalid: nobody here speaks it
    """
    if language not in {"", *dict(settings.LANGUAGES)}:
        sentence = Sentence(_("Choose one of the languages offered."))
        raise Invalid(sentence, fields={"language": [sentence]})
    User.objects.filter(pk=account.pk).update(language=language)
    audit.record(
        stream=account.person.stream,
        kind=Kind.PERSON_DESCRIBED,
        actor=actor,
        data={"person": str(account.person_id), "username": account.username, "language": language},
    )

"""How a person signs in, as an owner sees and changes it: accounts, passwords, links to a provider, second factors."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts import queries, services
from releases.accounts.models import Person, User
from releases.audit.actor import Actor
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web.looks import Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import Act, Item, Shown, Values
from releases.web.pages.settings.words import NOBODY

CLOSED = Look("", "✕", pgettext_lazy("account", "Closed"))
ONCE = _("It replaces any older one. Hand it over in person; it can be changed after signing in.")


class AccountForm(SettingForm):
    """One more way to sign in."""

    code = frozenset({"username"})
    username = Text(max_length=64, label=_("User name"), help_text=_("Plain letters, digits and . _ - @."))


class OneAccountForm(SettingForm):
    """One of the person's accounts."""

    account = forms.ChoiceField(label=_("User name"))

    def prepare(self) -> None:
        """Offer theirs."""
        theirs = User.objects.filter(person_id=self.about).values_list("pk", "username")
        self.offer("account", [NOBODY, *((str(pk), name) for pk, name in theirs)])


class LinkForm(OneAccountForm):
    """The name that a provider gives this person."""

    code = frozenset({"subject"})
    subject = Text(
        max_length=255,
        label=_("Subject"),
        help_text=_("What the provider calls this person in its tokens (“sub”), never the e-mail address."),
    )


class OneLinkForm(SettingForm):
    """One of the person's links to a provider."""

    link = forms.ChoiceField(label=_("Subject"))

    def prepare(self) -> None:
        """Offer theirs."""
        theirs = User.objects.filter(person_id=self.about)
        links = [(user.pk, one) for user in theirs for one in queries.identities_of(user)]
        self.offer("link", [NOBODY, *((f"{pk} {one.id}", one.subject) for pk, one in links)])


def ways_in(person: Person) -> Iterable[Item]:
    """Return the accounts of a person with what can be done to each, and what signs in to them."""
    for user in person.accounts.all():
        verbs = ("link", "password", "close") if user.is_active else ("reopen",)
        look = None if user.is_active else CLOSED
        yield Item(user.username, _proofs(user), look=look, verbs=verbs, fill={"account": str(user.pk)})
        for one in queries.identities_of(user):
            through = Sentence(mark("%(name)s through %(issuer)s"), {"name": user.username, "issuer": one.issuer})
            yield Item(one.subject, through, verbs=("unlink",), fill={"link": f"{user.pk} {one.id}"})


def _proofs(user: User) -> Words:
    has_second = any(one.kind != "recovery_codes" for one in queries.factors_of(user))
    if user.has_usable_password():
        return _("password and second factor") if has_second else _("password")
    return _("second factor, no password") if has_second else _("no password")


def verbs_of(person: Person) -> frozenset[str]:
    """Return what can be done here and now: passwords and links only where people sign in with them."""
    found = {"account", "close", "reopen", "unlink", "sessions"}
    if settings.GMUD_PASSWORDS:
        found.add("password")
    if settings.GMUD_OIDC_ISSUER:
        found.add("link")
    if any(queries.factors_of(user) for user in person.accounts.all()):
        found.add("factors")
    return frozenset(found)


def _account(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.add_account(actor=actor, person_id=UUID(key), now=now, **values)


def _password(actor: Actor, key: str, values: Values, now: datetime) -> Shown:
    account = User.objects.get(pk=values["account"])
    password = services.set_password(actor=actor, account_id=account.pk, now=now)
    return Shown(key, password, Sentence(mark("The new password of %(name)s"), {"name": account.username}), ONCE)


def _close(actor: Actor, _key: str, values: Values, now: datetime) -> None:
    services.close_account(actor=actor, account_id=UUID(values["account"]), now=now)


def _reopen(actor: Actor, _key: str, values: Values, now: datetime) -> None:
    services.reopen_account(actor=actor, account_id=UUID(values["account"]), now=now)


def _link(actor: Actor, _key: str, values: Values, now: datetime) -> None:
    services.link_identity(
        actor=actor,
        account_id=UUID(values["account"]),
        issuer=settings.GMUD_OIDC_ISSUER,
        subject=values["subject"],
        now=now,
    )


def _unlink(actor: Actor, _key: str, values: Values, now: datetime) -> None:
    account, identity = values["link"].split()
    services.unlink_identity(actor=actor, account_id=UUID(account), identity_id=int(identity), now=now)


def _sessions(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.end_sessions(actor=actor, person_id=UUID(key), now=now)


def _factors(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.reset_factors(actor=actor, person_id=UUID(key), now=now)


ACTS = (
    Act("account", _("Add an account"), _account, form=AccountForm),
    Act(
        "link",
        _("Link to the provider"),
        _link,
        form=LinkForm,
        confirm=_("Whoever the provider calls by this subject signs in to the account."),
        in_rows=True,
    ),
    Act(
        "unlink",
        _("Unlink"),
        _unlink,
        form=OneLinkForm,
        confirm=_("The provider opens this account no longer."),
        tone="stop",
        in_rows=True,
        done=_("The link is removed."),
    ),
    Act(
        "password",
        _("New password"),
        _password,
        form=OneAccountForm,
        confirm=_("The old password and the sessions opened with it end at once. The new one is shown once."),
        in_rows=True,
    ),
    Act(
        "close",
        _("Close the account"),
        _close,
        form=OneAccountForm,
        confirm=_("Nobody signs in through it any more, and its sessions end."),
        tone="stop",
        in_rows=True,
        done=_("The account is closed."),
    ),
    Act(
        "reopen",
        _("Open it again"),
        _reopen,
        form=OneAccountForm,
        confirm=_("It signs in again, with the password it had."),
        in_rows=True,
        done=_("The account is open."),
    ),
    Act(
        "sessions",
        _("Sign out everywhere"),
        _sessions,
        confirm=_("Every browser this person is signed in with must sign in again."),
        done=_("All sessions are ended."),
    ),
    Act(
        "factors",
        _("Reset the second factor"),
        _factors,
        confirm=_("For somebody who lost theirs, after you made sure it is them: every app and passkey is removed."),
        tone="stop",
        done=_("The second factors are removed."),
    ),
)

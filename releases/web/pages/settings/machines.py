"""Machines: what speaks to the API with a token, who answers for it, and until when."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts import rules, services
from releases.accounts.models import ApiClient
from releases.accounts.rights import Right
from releases.accounts.roles import NEVER_FOR_MACHINES
from releases.audit.actor import Actor
from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Shown, Thing, Values, uuid_of
from releases.web.pages.settings.words import RIGHTS, capitalized, people, rights, teams
from releases.web.tags import both

SOON = timedelta(days=14)
USUAL = timedelta(days=30)
VALID = Look("go", "✓", pgettext_lazy("token", "Valid"))
ENDING = Look("wait", "◷", pgettext_lazy("token", "Ends soon"))
EXPIRED = Look("stop", "✕", pgettext_lazy("token", "Expired"))
ENDED = Look("", "✕", pgettext_lazy("token", "Revoked"))
STANDS_STILL = Look("stop", "✕", pgettext_lazy("token", "Nobody answers for it"))
ONCE = _("Put it where the machine keeps its secrets. It is sent as “Authorization: Bearer …”.")


class Scopes(forms.MultipleChoiceField):
    """Rights by name; those that no machine may hold are known, and refused in words."""

    def valid_value(self, value: Any) -> bool:
        """Say whether this is the name of a right."""
        return value in {right.value for right in Right}

    def validate(self, value: Any) -> None:
        """Refuse what takes a person.

        :raises ValidationError: a right that is none, or that no machine may hold
        """
        super().validate(value)
        if forbidden := rules.forbidden_scopes(Right(one) for one in value):
            words = both(rights(forbidden))
            raise ValidationError(
                _("A token can never hold this: %(scopes)s. It takes a person."), params={"scopes": words}
            )


class MachineForm(SettingForm):
    """What it is called, who answers for it, and whose it is."""

    name = Text(max_length=120, label=_("Name"), help_text=_("Which machine it is, like “Jenkins, payments”."))
    owner_id = forms.ChoiceField(
        label=_("Who answers for it"),
        help_text=_("What it files counts as theirs, so they cannot vote on it. It stops when they leave."),
    )
    team_id = forms.ChoiceField(label=_("Team"), required=False)

    def prepare(self) -> None:
        """Offer people and teams."""
        self.offer("owner_id", people())
        self.offer("team_id", teams())


class UntilForm(SettingForm):
    """When a token ends."""

    expires_at = forms.DateTimeField(label=_("Ends"), help_text=_("Within 90 days."))

    def prepare(self) -> None:
        """Propose a month."""
        super().prepare()
        self.fields["expires_at"].initial = clock.now() + USUAL


class TokenForm(UntilForm, MachineForm):
    """A new machine and its token."""

    scopes = Scopes(label=_("May"), widget=forms.CheckboxSelectMultiple)
    field_order = ("name", "owner_id", "team_id", "scopes", "expires_at")

    def prepare(self) -> None:
        """Offer the scopes, and oneself as who answers for it."""
        super().prepare()
        self.offer("scopes", [(one.value, RIGHTS[one]) for one in sorted(set(Right) - NEVER_FOR_MACHINES)])
        self.fields["owner_id"].initial = self.actor.id


def _look(client: ApiClient, now: datetime) -> Look:
    if client.revoked_at:
        return ENDED
    if client.expires_at <= now:
        return EXPIRED
    if not client.owner.is_active:
        return STANDS_STILL
    return ENDING if client.expires_at - now < SOON else VALID


def _entries(asked: str) -> Sequence[Entry]:
    now = clock.now()
    found = ApiClient.objects.select_related("owner", "team").order_by(
        F("revoked_at").desc(nulls_first=True), "name", "pk"
    )
    if asked:
        called = Q(name__icontains=asked) | Q(prefix__startswith=asked.removeprefix("gmud_")[:8])
        found = found.filter(called | Q(owner__name__icontains=asked))
    return [_entry(client, now) for client in found[: MOST + 1]]


def _entry(client: ApiClient, now: datetime) -> Entry:
    return Entry(
        id=str(client.pk),
        name=client.name,
        note=Sentence(mark("token %(prefix)s…"), {"prefix": f"gmud_{client.prefix}"}),
        cells=(
            client.owner.name,
            both(rights(rules.readable_scopes(client.scopes))),
            client.expires_at,
            client.last_used_at or _("never"),
        ),
        look=_look(client, now),
    )


def _found(key: str) -> ApiClient:
    client = ApiClient.objects.select_related("owner", "issuer", "team").filter(pk=uuid_of(key)).first()
    if client is None:
        raise Missing(Sentence(mark("There is no such machine.")))
    return client


def _thing(key: str, _actor: Actor) -> Thing:
    client = _found(key)
    look = _look(client, clock.now())
    return Thing(
        name=client.name,
        headline=_headline(client, look),
        looks=(look,),
        facts=tuple(_facts(client)),
        blocks=(Block(_("May"), tuple(_scopes(client)), empty=_("Nothing.")),),
        streams=(client.stream,),
        verbs=frozenset(() if client.revoked_at else ("edit", "rotate", "revoke")),
    )


def _headline(client: ApiClient, look: Look) -> Words:
    parts = {
        "name": client.name,
        "rights": both(rights(rules.readable_scopes(client.scopes))) or _("nothing"),
        "until": client.expires_at,
    }
    if look in {VALID, ENDING}:
        return Sentence(mark("%(name)s may %(rights)s until %(until)s"), parts)
    return Sentence(mark("%(name)s may do nothing now"), parts)


def _facts(client: ApiClient) -> Iterable[Fact]:
    href = reverse("settings-one", args=["people", client.owner_id])
    yield Fact(_("Token"), f"gmud_{client.prefix}…")
    yield Fact(_("Answers for it"), client.owner.name, href=href)
    if client.team:
        yield Fact(_("Team"), client.team.name, href=reverse("settings-one", args=["teams", client.team_id]))
    yield Fact(_("Issued"), client.issued_at, note=client.issuer.name if client.issuer else "")
    yield Fact(_("Ends"), client.expires_at)
    yield Fact(_("Last used"), client.last_used_at or _("never"))
    if client.revoked_at:
        yield Fact(_("Revoked"), client.revoked_at)


def _scopes(client: ApiClient) -> Iterable[Item]:
    for right in sorted(rules.readable_scopes(client.scopes)):
        yield Item(capitalized(RIGHTS[right]), right.value)


def _ids(values: Values) -> Values:
    """Return the fields with their ids read; an empty choice is none."""
    ids = {name: UUID(values[name]) if values.get(name) else None for name in ("owner_id", "team_id")}
    return {**values, **ids}


def _add(actor: Actor, values: Values, now: datetime) -> Shown:
    asked = {**_ids(values), "scopes": [Right(one) for one in values["scopes"]]}
    client, token = services.issue_token(actor=actor, now=now, **asked)
    return Shown(str(client.pk), token, Sentence(mark("The token of %(name)s"), {"name": client.name}), ONCE)


def _rotate(actor: Actor, key: str, values: Values, now: datetime) -> Shown:
    client, token = services.rotate_token(actor=actor, client_id=UUID(key), now=now, **values)
    return Shown(key, token, Sentence(mark("The new token of %(name)s"), {"name": client.name}), ONCE)


def _described(key: str) -> Values:
    client = _found(key)
    team = str(client.team_id) if client.team_id else ""
    return {"name": client.name, "owner_id": str(client.owner_id), "team_id": team}


def _describe(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.describe_machine(actor=actor, client_id=UUID(key), now=now, **_ids(values))


def _revoke(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.revoke_token(actor=actor, client_id=UUID(key), now=now)


SECTION = Section(
    slug="machines",
    word=_("Machines and tokens"),
    note=_("What speaks to the API, who answers for it, and until when."),
    group="people",
    right=Right.PEOPLE_EDIT,
    columns=(_("Machine"), _("Answers for it"), _("May"), _("Ends"), _("Last used")),
    entries=_entries,
    thing=_thing,
    empty=_("No machine yet. Your CI needs one to ask the gate."),
    search=_("Name, token prefix or person"),
    add_word=_("Issue a token"),
    form=TokenForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _describe, form=MachineForm, initial=_described),
        Act(
            "rotate",
            _("New token"),
            _rotate,
            form=UntilForm,
            confirm=_("The token of now ends at once; have the machine at hand. Its name, rights and past stay."),
        ),
        Act(
            "revoke",
            _("Revoke the token"),
            _revoke,
            confirm=_("It ends at once and for good: a new machine needs a new token."),
            tone="stop",
            done=_("The token is revoked."),
        ),
    ),
)

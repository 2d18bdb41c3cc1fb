"""Roles and seats: what each may do, who holds it, and what the policy asks of it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.accounts import services
from releases.accounts.models import Grant
from releases.accounts.rights import Right
from releases.accounts.roles import ROLE_RIGHTS, Role
from releases.audit import queries as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.committee import queries as committee
from releases.committee import services as leaving
from releases.core.errors import Missing, Refused, Sentence
from releases.core.words import mark
from releases.web import names
from releases.web.looks import ROLES, Fact, Words
from releases.web.pages.settings.form import SettingForm
from releases.web.pages.settings.section import Act, Block, Entry, Item, Section, Thing, Values
from releases.web.pages.settings.words import NOBODY, capitalized, people, rights
from releases.web.tags import both


class GiveForm(SettingForm):
    """One person."""

    person = forms.ChoiceField(label=_("Person"))

    def prepare(self) -> None:
        """Offer everybody who is here."""
        self.offer("person", people())


class TakeForm(SettingForm):
    """One holder."""

    person = forms.ChoiceField(label=_("Person"))

    def prepare(self) -> None:
        """Offer who holds it."""
        held = [(str(card.id), card.name) for card in accounts.holders_of(_role(self.about))]
        self.offer("person", [NOBODY, *held])


def _role(key: str) -> Role:
    try:
        return Role(key)
    except ValueError:
        raise Missing(Sentence(mark("There is no such role."))) from None


def _asked_for() -> Mapping[str, int]:
    """Return how many people the policy in force asks for on each seat, for the hardest change there can be."""
    policy = committee.current_policy()
    try:
        return committee.hardest_need(policy).seats if policy else {}
    except Refused:
        return {}


def _asks(role: Role, asked_for: Mapping[str, int]) -> Words:
    if not role.is_seat:
        return ""
    return Sentence(mark("up to %(n)s"), {"n": asked_for[role]}) if role in asked_for else _("nobody")


def _entries(asked: str) -> Sequence[Entry]:
    held: dict[str, list[str]] = {}
    for role, name in Grant.objects.filter(person__is_active=True).values_list("role", "person__name"):
        held.setdefault(role, []).append(name)
    asked_for = _asked_for()
    found = [
        Entry(
            id=role.value,
            name=capitalized(ROLES[role]),
            note=_("Seat of the committee") if role.is_seat else "",
            cells=(_names(sorted(held.get(role, []))), both(rights(ROLE_RIGHTS[role])), _asks(role, asked_for)),
        )
        for role in Role
    ]
    return [one for one in found if asked.casefold() in f"{one.name} {' '.join(held.get(one.id, []))}".casefold()]


def _names(names: list[str]) -> Words:
    if len(names) <= 5:
        return both(names)
    return Sentence(mark("%(names)s and %(n)s more"), {"names": ", ".join(names[:4]), "n": len(names) - 4})


def _thing(key: str, _actor: Actor) -> Thing:
    role = _role(key)
    facts = [Fact(_("May"), both(rights(ROLE_RIGHTS[role])))]
    if role.is_seat:
        facts.append(Fact(_("Policy asks for"), _asks(role, _asked_for())))
    holders = tuple(_holders(role))
    return Thing(
        name=capitalized(ROLES[role]),
        headline=_headline(role, holders),
        facts=tuple(facts),
        blocks=(Block(_("Who holds it"), holders, empty=_("Nobody holds it.")),),
        events=[one for one in audit.newest((Kind.ROLE_GRANTED, Kind.ROLE_REVOKED)) if one.data.get("role") == role],
    )


def _headline(role: Role, holders: Sequence[Item]) -> Words:
    parts = {"role": capitalized(ROLES[role]), "names": _names([str(one.text) for one in holders])}
    return Sentence(mark("%(role)s: %(names)s") if holders else mark("%(role)s: nobody"), parts)


def _holders(role: Role) -> Iterable[Item]:
    grants = Grant.objects.filter(role=role, person__is_active=True).select_related("person").order_by("person__name")
    for grant in grants:
        yield Item(
            grant.person.name,
            Sentence(mark("given by %(name)s"), {"name": names.actor(grant.granted_by)}),
            href=reverse("settings-one", args=["people", grant.person_id]),
            at=grant.granted_at,
            verbs=("take",),
            fill={"person": str(grant.person_id)},
        )


def _give(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.grant(actor=actor, person_id=UUID(values["person"]), role=_role(key), now=now)


def _take(actor: Actor, key: str, values: Values, now: datetime) -> None:
    leaving.revoke_role(actor=actor, person_id=UUID(values["person"]), role=_role(key), now=now)


SECTION = Section(
    slug="roles",
    word=_("Roles and seats"),
    note=_("What each role may do, who holds it, and what the policy asks of it."),
    group="people",
    right=Right.PEOPLE_EDIT,
    columns=(_("Role"), _("Held by"), _("May"), _("Policy asks for")),
    entries=_entries,
    thing=_thing,
    search=_("Role or person"),
    acts=(
        Act("give", _("Give it to somebody"), _give, form=GiveForm, done=_("The role counts from now on.")),
        Act(
            "take",
            _("Take the role"),
            _take,
            form=TakeForm,
            confirm=_("It ends at once. What was voted on a seat that is gone counts no longer."),
            tone="stop",
            in_rows=True,
            done=_("The role is taken."),
        ),
    ),
)

"""People: who works here, how they sign in, and what they may do."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts import services
from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import ROLES, Fact, Look
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.tags import both

LEFT = Look("", "✕", pgettext_lazy("person", "left"))


class PersonForm(SettingForm):
    """A name and an address."""

    name = Text(max_length=120, label=_("Name"))
    email = forms.EmailField(max_length=254, required=False, label=_("E-mail"))


def _entries(asked: str) -> Sequence[Entry]:
    found = Person.objects.prefetch_related("accounts", "grants", "teams").order_by("-is_active", "name", "pk")
    if asked:
        found = found.filter(
            Q(name__icontains=asked) | Q(email__icontains=asked) | Q(accounts__username__icontains=asked)
        ).distinct()
    return [
        Entry(
            id=str(person.pk),
            name=person.name,
            note=person.email,
            cells=(
                ", ".join(user.username for user in person.accounts.all()),
                both([ROLES.get(grant.role, grant.role) for grant in person.grants.all()]),
                ", ".join(team.name for team in person.teams.all()),
            ),
            look=None if person.is_active else LEFT,
        )
        for person in found[: MOST + 1]
    ]


def _thing(key: str, _actor: Actor) -> Thing:
    person = Person.objects.prefetch_related("accounts", "grants", "teams").filter(pk=uuid_of(key)).first()
    if person is None:
        raise Missing(Sentence(mark("There is no such person.")))
    return Thing(
        name=person.name,
        headline=person.name,
        looks=() if person.is_active else (LEFT,),
        facts=(Fact(_("E-mail"), person.email or "—"),),
        blocks=(
            Block(
                _("Teams"),
                tuple(
                    Item(team.title, team.name, href=reverse("settings-one", args=["teams", team.pk]))
                    for team in person.teams.all()
                ),
                empty=_("In no team."),
            ),
        ),
        streams=(person.stream,),
        verbs=frozenset({"deactivate"}) if person.is_active else frozenset(),
    )


def _add(actor: Actor, values: Values, now: datetime) -> str:
    return str(services.register_person(actor=actor, now=now, **values).pk)


def _deactivate(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.deactivate(actor=actor, person_id=UUID(key), now=now)


SECTION = Section(
    slug="people",
    word=_("People"),
    note=_("Who works here, how they sign in, and what they may do."),
    group="people",
    right=Right.PEOPLE_EDIT,
    columns=(_("Person"), _("Signs in as"), _("Roles"), _("Teams")),
    entries=_entries,
    thing=_thing,
    search=_("Name, e-mail or user name"),
    add_word=_("Add a person"),
    form=PersonForm,
    add=_add,
    acts=(
        Act(
            "deactivate",
            _("End the access"),
            _deactivate,
            confirm=_("The accounts end at once, and what this person voted counts no longer."),
            tone="stop",
            done=_("The access is ended."),
        ),
    ),
)

"""Teams: people who own services together."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.db.models import Count, Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from releases.accounts import services
from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web.looks import Fact, Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Thing, Values, uuid_of
from releases.web.pages.settings.words import NOBODY, people
from releases.web.tags import both

RETIRED = Look("", "✕", _("Retired"))


class TeamForm(SettingForm):
    """A name for machines and a title for people."""

    code = frozenset({"name"})
    name = Text(max_length=63, label=_("Name"), help_text=_("Lower-case letters, digits and hyphens."))
    title = Text(max_length=120, required=False, label=_("Title"))


class MemberForm(SettingForm):
    """One person."""

    person = forms.ChoiceField(label=_("Person"))

    def prepare(self) -> None:
        """Offer everybody who is here."""
        self.offer("person", people())


class GoneForm(SettingForm):
    """One member."""

    person = forms.ChoiceField(label=_("Person"))

    def prepare(self) -> None:
        """Offer the members, also one who left."""
        members = Team.members.through.objects.filter(team_id=self.about).values_list("person_id", "person__name")
        self.offer("person", [NOBODY, *((str(pk), name) for pk, name in members)])


def _entries(asked: str) -> Sequence[Entry]:
    found = Team.objects.annotate(
        people=Count("members", filter=Q(members__is_active=True), distinct=True),
        owned=Count("services", distinct=True),
    )
    if asked:
        found = found.filter(Q(name__icontains=asked) | Q(title__icontains=asked))
    return [
        Entry(str(team.pk), team.name, (str(team.people), str(team.owned)), note=team.title)
        for team in found[: MOST + 1]
    ]


def _found(key: str) -> Team:
    team = Team.objects.filter(pk=uuid_of(key)).first()
    if team is None:
        raise Missing(Sentence(mark("There is no such team.")))
    return team


def _thing(key: str, _actor: Actor) -> Thing:
    team = _found(key)
    owned = tuple(_services(team))
    return Thing(
        name=team.name,
        headline=_headline(team, owned),
        facts=(Fact(_("Name"), team.name),),
        blocks=(
            Block(_("Members"), tuple(_members(team)), empty=_("Nobody is in it yet.")),
            Block(_("Its services"), owned, empty=_("It owns none.")),
            Block(_("Its machines"), tuple(_machines(team)), empty=_("It has none.")),
        ),
        streams=(team.stream,),
    )


def _headline(team: Team, owned: Sequence[Item]) -> Words:
    if not owned:
        return Sentence(mark("%(team)s owns no service yet"), {"team": team.title})
    if len(owned) <= 3:
        return Sentence(
            mark("%(team)s owns %(services)s"), {"team": team.title, "services": both(one.text for one in owned)}
        )
    return Sentence(mark("%(team)s owns %(n)s services"), {"team": team.title, "n": len(owned)})


def _members(team: Team) -> Iterable[Item]:
    for person in team.members.all():
        href = reverse("settings-one", args=["people", person.pk])
        detail = "" if person.is_active else _("left")
        yield Item(person.name, detail, href=href, verbs=("leave",), fill={"person": str(person.pk)})


def _services(team: Team) -> Iterable[Item]:
    for one in team.services.all():
        yield Item(
            one.name, one.title, href=reverse("service", args=[one.name]), look=RETIRED if one.retired_at else None
        )


def _machines(team: Team) -> Iterable[Item]:
    for client in team.api_clients.filter(revoked_at=None):
        yield Item(client.name, client.prefix, href=reverse("settings-one", args=["machines", client.pk]))


def _add(actor: Actor, values: Values, now: datetime) -> str:
    return str(services.register_team(actor=actor, must_be_new=True, now=now, **values).pk)


def _described(key: str) -> Values:
    team = _found(key)
    return {"name": team.name, "title": team.title}


def _describe(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.describe_team(actor=actor, team_id=UUID(key), now=now, **values)


def _join(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.join_team(actor=actor, team_id=UUID(key), person_id=UUID(values["person"]), now=now)


def _leave(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.leave_team(actor=actor, team_id=UUID(key), person_id=UUID(values["person"]), now=now)


def _remove(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.remove_team(actor=actor, team_id=UUID(key), now=now)


SECTION = Section(
    slug="teams",
    word=_("Teams"),
    note=_("People who own services together."),
    group="people",
    right=Right.PEOPLE_EDIT,
    columns=(_("Team"), _("People"), _("Services")),
    entries=_entries,
    thing=_thing,
    empty=_("Every service belongs to a team. Add the first one."),
    search=_("Name or title"),
    add_word=_("Add a team"),
    form=TeamForm,
    add=_add,
    acts=(
        Act("edit", _("Edit"), _describe, form=TeamForm, initial=_described),
        Act("join", _("Add a member"), _join, form=MemberForm),
        Act("leave", _("Take out"), _leave, form=GoneForm, in_rows=True),
        Act(
            "remove",
            _("Remove the team"),
            _remove,
            confirm=_("Its people stay. A team that something belongs to cannot be removed."),
            tone="stop",
            goes_back=True,
            done=_("The team is removed."),
        ),
    ),
)

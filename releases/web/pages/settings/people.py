"""People: who works here, how they sign in, and what they may do."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django import forms
from django.conf import settings
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts import queries as accounts
from releases.accounts import services
from releases.accounts.models import Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role, rights_of_roles
from releases.audit.actor import Actor
from releases.committee import queries as committee
from releases.committee import services as leaving
from releases.core import clock
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.web import names
from releases.web.looks import ROLES, Fact, Look, Words
from releases.web.pages.settings.form import SettingForm, Text
from releases.web.pages.settings.section import MOST, Act, Block, Entry, Item, Section, Shown, Thing, Values, uuid_of
from releases.web.pages.settings.ways_in import ACTS as WAYS_IN
from releases.web.pages.settings.ways_in import ONCE, verbs_of, ways_in
from releases.web.pages.settings.words import NOBODY, capitalized, rights, teams
from releases.web.tags import both

LEFT = Look("", "✕", pgettext_lazy("person", "Left"))
HERE = frozenset({"edit", "grant", "revoke", "join", "leave", "deactivate"})


class NameForm(SettingForm):
    """A name and an address."""

    name = Text(max_length=120, label=_("Name"))
    email = forms.EmailField(max_length=254, required=False, label=_("E-mail"), help_text=_("For notices."))


class PersonForm(NameForm):
    """A new person, at once with an account if that is wanted."""

    code = frozenset({"username"})
    username = Text(
        max_length=64,
        required=False,
        label=_("User name"),
        help_text=_("Plain letters, digits and . _ - @. Leave it empty for somebody who does not sign in."),
    )
    with_password = forms.BooleanField(
        required=False,
        label=_("Make a password"),
        help_text=_("It is shown once. Not needed where people sign in through your identity provider."),
    )
    roles = forms.MultipleChoiceField(
        required=False, label=_("Roles and seats"), help_text=_("Without one a person may do nothing here.")
    )
    team_id = forms.ChoiceField(required=False, label=_("Team"))

    def prepare(self) -> None:
        """Offer roles and teams; leave the password out where nobody signs in with one."""
        self.offer("roles", [(role.value, _role_word(role)) for role in Role])
        self.offer("team_id", teams())
        if not settings.GMUD_PASSWORDS:
            del self.fields["with_password"]


def _role_word(role: Role) -> Words:
    """Return a role among others, where a seat must say that it is one."""
    return Sentence(mark("Seat: %(name)s"), {"name": ROLES[role]}) if role.is_seat else capitalized(ROLES[role])


class RoleForm(SettingForm):
    """One role that the person does not hold."""

    role = forms.ChoiceField(label=_("Role"), help_text=_("A seat of the committee is a role too."))

    def prepare(self) -> None:
        """Offer what is not held."""
        held = accounts.roles_of(UUID(self.about))
        self.offer("role", [NOBODY, *((role.value, capitalized(ROLES[role])) for role in Role if role not in held)])


class HeldRoleForm(SettingForm):
    """One role that the person holds."""

    role = forms.ChoiceField(label=_("Role"))

    def prepare(self) -> None:
        """Offer what is held."""
        held = accounts.roles_of(UUID(self.about))
        self.offer("role", [NOBODY, *((role.value, capitalized(ROLES[role])) for role in Role if role in held)])


class TeamForm(SettingForm):
    """One team that the person is not in."""

    team = forms.ChoiceField(label=_("Team"))

    def prepare(self) -> None:
        """Offer the others."""
        others = Team.objects.exclude(members__pk=self.about).values_list("pk", "name")
        self.offer("team", [NOBODY, *((str(pk), name) for pk, name in others)])


class MemberForm(SettingForm):
    """One team that the person is in."""

    team = forms.ChoiceField(label=_("Team"))

    def prepare(self) -> None:
        """Offer theirs."""
        theirs = Team.objects.filter(members__pk=self.about).values_list("pk", "name")
        self.offer("team", [NOBODY, *((str(pk), name) for pk, name in theirs)])


def _entries(asked: str) -> Sequence[Entry]:
    found = Person.objects.prefetch_related("accounts", "grants", "teams").order_by("-is_active", "name", "pk")
    if asked:
        called = Q(name__icontains=asked) | Q(email__icontains=asked)
        found = found.filter(called | Q(pk__in=User.objects.filter(username__icontains=asked).values("person")))
    return [_entry(person) for person in found[: MOST + 1]]


def _entry(person: Person) -> Entry:
    return Entry(
        id=str(person.pk),
        name=person.name,
        note=person.email,
        cells=(
            ", ".join(user.username for user in person.accounts.all() if user.is_active),
            both([ROLES[grant.role] for grant in person.grants.all()]) if person.is_active else "",
            ", ".join(team.name for team in person.teams.all()),
        ),
        look=None if person.is_active else LEFT,
    )


def _found(key: str) -> Person:
    person = Person.objects.filter(pk=uuid_of(key)).first()
    if person is None:
        raise Missing(Sentence(mark("There is no such person.")))
    return person


def _thing(key: str, _actor: Actor) -> Thing:
    person = _found(key)
    held = accounts.roles_of(person.pk)
    return Thing(
        name=person.name,
        headline=_headline(person, held),
        looks=() if person.is_active else (LEFT,),
        facts=(
            Fact(_("E-mail"), person.email or "—"),
            Fact(_("May"), both(rights(rights_of_roles(held))) or _("nothing")),
        ),
        blocks=(
            Block(_("Roles and seats"), tuple(_roles(person)), empty=_("No role: this person may do nothing here.")),
            Block(_("Ways to sign in"), tuple(ways_in(person)), empty=_("No account.")),
            Block(_("Teams"), tuple(_teams(person)), empty=_("In no team.")),
            Block(_("Seats lent"), tuple(_lent(person)), empty=_("None lent, none borrowed.")),
            Block(_("Answers for these machines"), tuple(_machines(person)), empty=_("None.")),
        ),
        streams=(person.stream,),
        verbs=HERE | verbs_of(person) if person.is_active else frozenset({"edit", "reactivate"}),
    )


def _headline(person: Person, held: frozenset[Role]) -> Words:
    parts: dict[str, object] = {"name": person.name}
    if not person.is_active:
        return Sentence(mark("%(name)s left"), parts)
    if not held:
        return Sentence(mark("%(name)s has no role yet"), parts)
    return Sentence(
        mark("%(name)s, %(roles)s"), parts | {"roles": both([ROLES[role] for role in Role if role in held])}
    )


def _roles(person: Person) -> Iterable[Item]:
    for grant in person.grants.all() if person.is_active else ():
        by = Sentence(mark("given by %(name)s"), {"name": names.actor(grant.granted_by)})
        href = reverse("settings-one", args=["roles", grant.role])
        fill = {"role": grant.role}
        yield Item(capitalized(ROLES[grant.role]), by, href=href, at=grant.granted_at, verbs=("revoke",), fill=fill)


def _teams(person: Person) -> Iterable[Item]:
    for team in person.teams.all():
        href = reverse("settings-one", args=["teams", team.pk])
        yield Item(team.title, team.name, href=href, verbs=("leave",), fill={"team": str(team.pk)})


def _lent(person: Person) -> Iterable[Item]:
    for one in committee.delegations_of(person.pk, clock.now()):
        text = Sentence(
            mark("%(from)s lends %(seat)s to %(to)s"),
            {"from": one.from_name, "seat": ROLES[one.seat], "to": one.to_name},
        )
        until = Sentence(mark("until %(when)s"), {"when": one.ends_at})
        yield Item(text, until, href=reverse("settings-one", args=["delegations", one.id]))


def _machines(person: Person) -> Iterable[Item]:
    for client in person.api_clients.filter(revoked_at=None):
        yield Item(client.name, client.prefix, href=reverse("settings-one", args=["machines", client.pk]))


def _add(actor: Actor, values: Values, now: datetime) -> str | Shown:
    asked = {
        **values,
        "roles": [Role(one) for one in values["roles"]],
        "team_id": UUID(values["team_id"]) if values["team_id"] else None,
    }
    person, password = services.admit_person(actor=actor, now=now, **asked)
    if not password:
        return str(person.pk)
    title = Sentence(mark("The password of %(name)s"), {"name": values["username"]})
    return Shown(str(person.pk), password, title, ONCE)


def _named(key: str) -> Values:
    person = _found(key)
    return {"name": person.name, "email": person.email}


def _rename(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.rename_person(actor=actor, person_id=UUID(key), now=now, **values)


def _grant(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.grant(actor=actor, person_id=UUID(key), role=Role(values["role"]), now=now)


def _revoke(actor: Actor, key: str, values: Values, now: datetime) -> None:
    leaving.revoke_role(actor=actor, person_id=UUID(key), role=Role(values["role"]), now=now)


def _join(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.join_team(actor=actor, team_id=UUID(values["team"]), person_id=UUID(key), now=now)


def _leave(actor: Actor, key: str, values: Values, now: datetime) -> None:
    services.leave_team(actor=actor, team_id=UUID(values["team"]), person_id=UUID(key), now=now)


def _deactivate(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    leaving.deactivate_person(actor=actor, person_id=UUID(key), now=now)


def _reactivate(actor: Actor, key: str, _values: Values, now: datetime) -> None:
    services.reactivate(actor=actor, person_id=UUID(key), now=now)


ACTS = (
    Act("edit", _("Edit"), _rename, form=NameForm, initial=_named),
    Act("grant", _("Give a role"), _grant, form=RoleForm, done=_("The role counts from now on.")),
    Act(
        "revoke",
        _("Take the role"),
        _revoke,
        form=HeldRoleForm,
        confirm=_("It ends at once. What was voted on a seat that is gone counts no longer."),
        tone="stop",
        in_rows=True,
        done=_("The role is taken."),
    ),
    Act("join", _("Add to a team"), _join, form=TeamForm),
    *WAYS_IN,
    Act("leave", _("Take out of the team"), _leave, form=MemberForm, in_rows=True),
    Act(
        "deactivate",
        _("End the access"),
        _deactivate,
        confirm=_(
            "All accounts and rights end at once, machines that this person answers for stop, and what they voted "
            "counts no longer."
        ),
        tone="stop",
        done=_("The access is ended."),
    ),
    Act(
        "reactivate",
        _("Let them come back"),
        _reactivate,
        confirm=_("They come back without roles, and with their accounts closed. Give them anew what they need."),
        done=_("They are back."),
    ),
)
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
    acts=ACTS,
)

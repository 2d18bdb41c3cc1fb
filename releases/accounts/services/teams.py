"""Teams: who owns services together."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts import rules
from releases.accounts.models import Person, Team
from releases.accounts.rights import Right
from releases.accounts.services.roles import locked, require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.words import mark as _


def register_team(*, actor: Actor, name: str, title: str = "", members: Iterable[UUID] = (), now: datetime) -> Team:
    """Add a team; one with that name already is returned as it is, with the members added.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: a name that is not a slug
    :raises Missing: a member does not exist
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        team, _is_new = team_for(actor=actor, name=name, title=title)
        for person_id in members:
            _join(actor=actor, team=team, person=locked(person_id))
        return team


def join_team(*, actor: Actor, team_id: UUID, person_id: UUID, now: datetime) -> None:
    """Make a person a member; twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such team or person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        team = Team.objects.filter(pk=team_id).first()
        if team is None:
            raise Missing(Sentence(_("There is no such team.")))
        _join(actor=actor, team=team, person=locked(person_id))


def team_for(*, actor: Actor, name: str, title: str = "") -> tuple[Team, bool]:
    """Return the team with that name and whether it was made now; inside the caller's transaction, asks for no right.

    :raises Invalid: a name that is not a slug
    """
    if not rules.is_slug(name):
        sentence = Sentence(_("A team's name has lower-case letters, digits and hyphens only, up to 63 of them."))
        raise Invalid(sentence, fields={"name": [sentence]})
    team, is_new = Team.objects.get_or_create(
        name=name, defaults={"title": rules.one_line(title) or name.replace("-", " ").title()}
    )
    if is_new:
        audit.record(
            stream=team.stream,
            kind=Kind.TEAM_REGISTERED,
            actor=actor,
            data={"team": str(team.pk), "name": team.name, "title": team.title},
        )
    return team, is_new


def _join(*, actor: Actor, team: Team, person: Person) -> None:
    if team.members.filter(pk=person.pk).exists():
        return
    team.members.add(person)
    audit.record(
        stream=team.stream,
        kind=Kind.TEAM_JOINED,
        actor=actor,
        data={"team": str(team.pk), "person": str(person.pk)},
    )

"""Teams: who owns services together."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import ProtectedError

from releases.accounts import rules
from releases.accounts.models import Person, Team
from releases.accounts.rights import Right
from releases.accounts.services.roles import locked, require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.core.errors import Invalid, Missing, Refused, Sentence
from releases.core.taken import unless_taken
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _
from releases.core.words import plural

_NAMED = 5
_IN_USE = plural(
    "%(team)s stays: %(names)s belongs to it. Give it to another team first.",
    "%(team)s stays: %(n)s services and machines belong to it (%(names)s). Give them to another team first.",
    by="n",
)


def register_team(
    *,
    actor: Actor,
    name: str,
    title: str = "",
    members: Iterable[UUID] = (),
    must_be_new: bool = False,
    now: datetime,
) -> Team:
    """Add a team; one with that name already is returned as it is, with the members added, unless it must be new.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: a name that is not a slug, or taken when it must be new
    :raises Missing: a member does not exist
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        team, is_new = team_for(actor=actor, name=name, title=title)
        if must_be_new and not is_new:
            raise _taken(name)
        for person_id in members:
            join(actor=actor, team=team, person=locked(person_id))
        return team


def join_team(*, actor: Actor, team_id: UUID, person_id: UUID, now: datetime) -> None:
    """Make a person a member; twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such team or person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        person = locked(person_id)
        join(actor=actor, team=locked_team(team_id), person=person)


def leave_team(*, actor: Actor, team_id: UUID, person_id: UUID, now: datetime) -> None:
    """End a membership; twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such team or person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        person, team = locked(person_id), locked_team(team_id)
        if not team.members.filter(pk=person.pk).exists():
            return
        team.members.remove(person)
        audit.record(
            stream=team.stream,
            kind=Kind.TEAM_LEFT,
            actor=actor,
            data={"team": str(team.pk), "person": str(person.pk)},
        )


def describe_team(
    *, actor: Actor, team_id: UUID, name: str, title: str = "", now: datetime, unchanged: Unchanged = nobody_looked
) -> Team:
    """Give a team another name or title; what stays the same is no event.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: a name that is not a slug, or taken
    :raises Missing: there is no such team
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        team = locked_team(team_id)
        unchanged()
        return describe(team=team, actor=actor, name=name, title=title)


def describe(*, team: Team, actor: Actor, name: str, title: str) -> Team:
    """Rename a team, once; runs inside the caller's transaction and asks for no right.

    :raises Invalid: a name that is not a slug, or taken
    """
    if not rules.is_slug(name):
        raise _no_slug()
    title = _title(title, name)
    if (team.name, team.title) == (name, title):
        return team
    before, team.name, team.title = team.name, name, title
    with unless_taken(_taken(name)):
        team.save(update_fields=("name", "title"))
    audit.record(
        stream=team.stream,
        kind=Kind.TEAM_DESCRIBED,
        actor=actor,
        data={"team": str(team.pk), "name": name, "title": title, "before": before},
    )
    return team


def remove_team(*, actor: Actor, team_id: UUID, now: datetime) -> None:
    """Take a team away that nothing belongs to; its people stay.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: something belongs to it, by name
    :raises Missing: there is no such team
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        team = locked_team(team_id)
        stream, data = team.stream, {"team": str(team.pk), "name": team.name, "title": team.title}
        members = sorted(str(pk) for pk in team.members.values_list("pk", flat=True))
        try:
            with transaction.atomic():
                team.delete()
        except ProtectedError as error:
            raise Refused(_belongs(team, sorted(str(one) for one in error.protected_objects))) from error
        audit.record(stream=stream, kind=Kind.TEAM_REMOVED, actor=actor, data={**data, "members": members})


def _belongs(team: Team, names: Sequence[str]) -> Sentence:
    named = ", ".join([*names[:_NAMED], *(["…"] if len(names) > _NAMED else [])])
    return Sentence(_IN_USE, {"team": team.name, "n": len(names), "names": named})


def team_for(*, actor: Actor, name: str, title: str = "") -> tuple[Team, bool]:
    """Return the team with that name and whether it was made now; inside the caller's transaction, asks for no right.

    :raises Invalid: a name that is not a slug
    """
    if not rules.is_slug(name):
        raise _no_slug()
    team, is_new = Team.objects.get_or_create(name=name, defaults={"title": _title(title, name)})
    if is_new:
        audit.record(
            stream=team.stream,
            kind=Kind.TEAM_REGISTERED,
            actor=actor,
            data={"team": str(team.pk), "name": team.name, "title": team.title},
        )
    return team, is_new


def locked_team(team_id: UUID) -> Team:
    """Return the team, locked until the caller's transaction ends.

    :raises Missing: there is no such team
    """
    team = Team.objects.select_for_update().filter(pk=team_id).first()
    if team is None:
        raise Missing(Sentence(_("There is no such team.")))
    return team


def _title(title: str, name: str) -> str:
    return rules.one_line(title)[:120] or name.replace("-", " ").title()


def _no_slug() -> Invalid:
    sentence = Sentence(_("A team's name has lower-case letters, digits and hyphens only, up to 63 of them."))
    return Invalid(sentence, fields={"name": [sentence]})


def _taken(name: str) -> Invalid:
    sentence = Sentence(_("The name %(name)s is taken."), {"name": name})
    return Invalid(sentence, fields={"name": [sentence]})


def join(*, actor: Actor, team: Team, person: Person) -> None:
    """Make a person a member, once; runs inside the caller's transaction and asks for no right."""
    if team.members.filter(pk=person.pk).exists():
        return
    team.members.add(person)
    audit.record(
        stream=team.stream,
        kind=Kind.TEAM_JOINED,
        actor=actor,
        data={"team": str(team.pk), "person": str(person.pk)},
    )

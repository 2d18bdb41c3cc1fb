"""Who may do what: give and take roles, and ask before acting."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts import queries
from releases.accounts.models import Grant, Person
from releases.accounts.rights import Right
from releases.accounts.roles import Role, roles_with
from releases.audit import services as audit
from releases.audit.actor import Actor, ActorKind
from releases.audit.kinds import Kind
from releases.core.errors import Missing, NotPermitted, Refused, Sentence
from releases.core.words import mark as _

_NAMED = 3


def require(actor: Actor, right: Right, *or_one_of: Right) -> None:
    """Let an actor pass who holds the right now, or one of the others.

    :raises NotPermitted: with the names of those who can help
    """
    if queries.rights_of(actor) & {right, *or_one_of}:
        return
    if actor.kind is ActorKind.MACHINE:
        raise NotPermitted(
            Sentence(
                _("The token %(token)s has no scope %(right)s. %(who)s can issue one that has it."),
                {"token": actor.account, "right": right.value, "who": _who_can(Right.PEOPLE_EDIT)},
            )
        )
    raise NotPermitted(
        Sentence(
            _("%(name)s has no right to do this (%(right)s). %(who)s can help."),
            {"name": actor.name, "right": right.value, "who": _who_can(right)},
        )
    )


def grant(*, actor: Actor, person_id: UUID, role: Role, now: datetime) -> Grant:
    """Give a person a role; giving it twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: a seat for oneself, or a role for somebody who left
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        person = locked(person_id)
        if not person.is_active:
            raise Refused(Sentence(_("%(name)s left and can hold no role."), {"name": person.name}))
        if role.is_seat and actor.person_id == person.pk:
            raise Refused(Sentence(_("Nobody gives a seat of the committee to themselves. Ask another owner.")))
        return give(person=person, role=role, actor=actor, now=now)


def revoke(*, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Take a role from a person; one who does not hold it stays as they are.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: nobody could edit people any more
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        person = locked(person_id)
        if role is Role.OWNER:
            keep_an_owner(without=person)
        held, _by_table = Grant.objects.filter(person=person, role=role).delete()
        if held:
            audit.record(
                stream=person.stream,
                kind=Kind.ROLE_REVOKED,
                actor=actor,
                data={"person": str(person.pk), "role": role.value},
            )


def give(*, person: Person, role: Role, actor: Actor, now: datetime) -> Grant:
    """Write a grant and its event, once; runs inside the caller's transaction and asks for no right."""
    made, is_new = Grant.objects.get_or_create(
        person=person, role=role, defaults={"granted_by": actor.name, "granted_at": now}
    )
    if is_new:
        audit.record(
            stream=person.stream,
            kind=Kind.ROLE_GRANTED,
            actor=actor,
            data={"person": str(person.pk), "role": role.value},
        )
    return made


def locked(person_id: UUID) -> Person:
    """Return the person, locked until the caller's transaction ends.

    :raises Missing: there is no such person
    """
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise Missing(Sentence(_("There is no such person.")))
    return person


def keep_an_owner(*, without: Person) -> None:
    """Make sure an active owner is left; runs inside the caller's transaction.

    :raises Refused: this is the last one
    """
    # Two owners who end each other wait here for one another; who came second sees in a new look what the first did
    # (a row that a join reads beside the locked one would be the old one).
    list(Grant.objects.select_for_update().filter(role=Role.OWNER).order_by("pk"))
    holders = Grant.objects.filter(role=Role.OWNER, person__is_active=True).values_list("person_id", flat=True)
    if set(holders) == {without.pk}:
        raise Refused(
            Sentence(
                _("%(name)s is the last owner. Give the role to somebody else first."),
                {"name": without.name},
            )
        )


def _who_can(right: Right) -> str:
    """Return up to three names of people who hold a right, else the roles that carry it."""
    names = [card.name for card in queries.holders_of_right(right)]
    return ", ".join(names[:_NAMED] or [role.value for role in roles_with(right)]) or "—"

"""Who may do what: give and take roles, and ask before acting."""

from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts import queries
from releases.accounts.models import Grant, Person, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role, roles_with
from releases.audit import services as audit
from releases.audit.actor import Actor, ActorKind
from releases.audit.kinds import Kind
from releases.core.errors import Missing, NotPermitted, Refused, Sentence
from releases.core.words import mark as _
from releases.operations import services as operations

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

    Whether a policy can still be satisfied is not known here: doors call ``committee.services.revoke_role``.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: nobody could edit people any more
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        take(person=locked(person_id), role=role, actor=actor, now=now)


def give(*, person: Person, role: Role, actor: Actor, now: datetime, source: str = "") -> Grant:
    """Write a grant and its event, once; runs inside the caller's transaction and asks for no right.

    ``source`` is the issuer whose groups carry it; what somebody here gives by hand from then on stays when those end.
    """
    made, is_new = Grant.objects.get_or_create(
        person=person, role=role, defaults={"granted_by": actor.name, "granted_at": now, "source": source}
    )
    by_hand_now = bool(made.source) and not source
    if by_hand_now:
        made.source, made.granted_by, made.granted_at = "", actor.name, now
        made.save(update_fields=("source", "granted_by", "granted_at"))
    if is_new or by_hand_now:
        audit.record(
            stream=person.stream,
            kind=Kind.ROLE_GRANTED,
            actor=actor,
            data={"person": str(person.pk), "role": role.value},
        )
    return made


def take(*, person: Person, role: Role, actor: Actor, now: datetime) -> None:
    """End a grant and write its event, once; runs inside the caller's transaction and asks for no right.

    :raises Refused: this is the last owner
    """
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
        operations.post(kind=Kind.ROLE_REVOKED.value, ref=person.pk, now=now)


def locked(person_id: UUID) -> Person:
    """Return the person, locked until the caller's transaction ends.

    :raises Missing: there is no such person
    """
    person = Person.objects.select_for_update().filter(pk=person_id).first()
    if person is None:
        raise Missing(Sentence(_("There is no such person.")))
    return person


def keep_an_owner(*, without: Person, account: User | None = None) -> None:
    """Make sure an active owner is left who can sign in; runs inside the caller's transaction.

    ``account`` is the one that is about to close, when not the whole person leaves.

    :raises Refused: this is the last one
    """
    # Two owners who end each other wait here for one another; who came second sees in a new look what the first did
    # (a row that a join reads beside the locked one would be the old one).
    list(Grant.objects.select_for_update().filter(role=Role.OWNER).order_by("pk"))
    owners = Person.objects.filter(grants__role=Role.OWNER, is_active=True)
    if not owners.filter(pk=without.pk).exists():
        return
    ways_in = User.objects.filter(is_active=True, person__in=owners)
    left = ways_in.exclude(pk=account.pk) if account else ways_in.exclude(person=without)
    if not left.exists():
        raise Refused(
            Sentence(
                _("%(name)s is the last owner. Give the role to somebody else first."),
                {"name": without.name},
            )
        )


def _who_can(right: Right) -> list[str]:
    """Return up to three names of people who hold a right, else the roles that carry it."""
    names = [card.name for card in queries.holders_of_right(right)]
    return names[:_NAMED] or [role.value for role in roles_with(right)] or ["—"]

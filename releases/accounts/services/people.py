"""People and the accounts they sign in with."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from releases.accounts import rules
from releases.accounts.models import Grant, Person, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services.roles import give, keep_an_owner, locked, require, take
from releases.accounts.services.teams import join, locked_team
from releases.audit import services as audit
from releases.audit.actor import Actor, system
from releases.audit.kinds import Kind
from releases.core import redaction
from releases.core.errors import Invalid, Refused, Sentence
from releases.core.taken import unless_taken
from releases.core.unchanged import Unchanged, nobody_looked
from releases.core.words import mark as _
from releases.operations import services as operations


def register_person(*, actor: Actor, name: str, email: str = "", now: datetime) -> Person:
    """Add a person, without an account or a role.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: no name
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        return enter(actor=actor, name=name, email=email)


def admit_person(
    *,
    actor: Actor,
    name: str,
    email: str = "",
    username: str = "",
    with_password: bool = False,
    language: str = "",
    roles: Iterable[Role] = (),
    team_id: UUID | None = None,
    now: datetime,
) -> tuple[Person, str]:
    """Add a person, at once with an account when a user name is given; return the password made for it, or nothing.

    ``roles`` and the team are given in the same breath, or nothing is done.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: no name, a user name that is taken or not plain, a password without a user name
    :raises Missing: there is no such team
    """
    require(actor, Right.PEOPLE_EDIT)
    if with_password and not username:
        raise _bad("username", Sentence(_("A password needs a user name to go with it.")))
    password = rules.new_password() if with_password else None
    if password:
        redaction.remember(password)
    with transaction.atomic(durable=True):
        person = enter(actor=actor, name=name, email=email)
        if username:
            open_account(actor=actor, person=person, username=username, password=password, language=language)
        for role in roles:
            give(person=person, role=role, actor=actor, now=now)
        if team_id is not None:
            join(actor=actor, team=locked_team(team_id), person=person)
    return person, password or ""


def rename_person(
    *, actor: Actor, person_id: UUID, name: str, email: str = "", now: datetime, unchanged: Unchanged = nobody_looked
) -> Person:
    """Give a person another name or address; what stays the same is no event.

    ``unchanged`` is asked under the lock.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: no name
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        person = locked(person_id)
        unchanged()
        return describe(person=person, actor=actor, name=name, email=email)


def describe(*, person: Person, actor: Actor, name: str, email: str) -> Person:
    """Rename a locked person, once; runs inside the caller's transaction and asks for no right.

    :raises Invalid: no name
    """
    name, email = _named(name), rules.one_line(email)[:254]
    if (person.name, person.email) != (name, email):
        person.name, person.email = name, email
        person.save(update_fields=("name", "email"))
        audit.record(
            stream=person.stream,
            kind=Kind.PERSON_DESCRIBED,
            actor=actor,
            data={"person": str(person.pk)},
            text={"name": name, "email": email},  # beside the chain, so that it can be erased (LGPD)
        )
    return person


def add_account(
    *, actor: Actor, person_id: UUID, username: str, password: str | None = None, language: str = "", now: datetime
) -> User:
    """Give a person one more way to sign in; without a password the account cannot sign in with one.

    :raises NotPermitted: the actor may not edit people
    :raises Invalid: a user name that is taken or not plain, a weak password
    :raises Refused: the person left
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    del now  # the record takes its time from the database
    with transaction.atomic(durable=True):
        person = locked(person_id)
        if not person.is_active:
            raise Refused(Sentence(_("%(name)s left and can hold no account."), {"name": person.name}))
        return open_account(actor=actor, person=person, username=username, password=password, language=language)


def deactivate(*, actor: Actor, person_id: UUID, now: datetime) -> Person:
    """End a person's accounts and rights at once; doing it twice changes nothing.

    Everybody who asks for roles or rights reads the tables, so a vote or a session counts no longer from here on.
    Whether a policy can still be satisfied is not known here: doors call ``committee.services.deactivate_person``.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: this is the last owner
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        person = locked(person_id)
        leave(person=person, actor=actor, now=now)
        return person


def leave(*, person: Person, actor: Actor, now: datetime) -> None:
    """End a locked person's accounts and rights, once; runs inside the caller's transaction and asks for no right.

    :raises Refused: this is the last owner
    """
    if not person.is_active:
        return
    keep_an_owner(without=person)
    person.is_active = False
    person.save(update_fields=("is_active",))
    ended = list(person.accounts.filter(is_active=True).values_list("username", flat=True))
    person.accounts.update(is_active=False)
    audit.record(
        stream=person.stream,
        kind=Kind.PERSON_DEACTIVATED,
        actor=actor,
        data={"person": str(person.pk), "accounts": sorted(ended)},
    )
    operations.post(kind=Kind.PERSON_DEACTIVATED, ref=person.pk, now=now)


def reactivate(*, actor: Actor, person_id: UUID, now: datetime) -> Person:
    """Let a person be here again: without the roles of before, and with their accounts still closed.

    What somebody may do after they came back is said anew, never inherited from what they once were.

    :raises NotPermitted: the actor may not edit people
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    with transaction.atomic(durable=True):
        person = locked(person_id)
        if person.is_active:
            return person
        for role in Grant.objects.filter(person=person).values_list("role", flat=True):
            take(person=person, role=Role(role), actor=actor, now=now)
        person.is_active = True
        person.save(update_fields=("is_active",))
        audit.record(stream=person.stream, kind=Kind.PERSON_REACTIVATED, actor=actor, data={"person": str(person.pk)})
        return person


def bootstrap(*, username: str, name: str, email: str, password: str, now: datetime) -> User:
    """Make the first owner of an empty installation.

    :raises Refused: there is an owner already
    :raises Invalid: no name, a user name that is not plain, a weak password
    """
    actor = system("bootstrap")
    with transaction.atomic(durable=True):
        if Grant.objects.filter(role=Role.OWNER).exists():
            raise Refused(
                Sentence(_("This installation has an owner already. Ask an owner to register you and give you roles."))
            )
        person = enter(actor=actor, name=name, email=email)
        user = open_account(actor=actor, person=person, username=username, password=password, language="")
        give(person=person, role=Role.OWNER, actor=actor, now=now)
        return user


def enter(*, actor: Actor, name: str, email: str) -> Person:
    """Write a person and their event; runs inside the caller's transaction and asks for no right.

    :raises Invalid: no name
    """
    person = Person.objects.create(name=_named(name), email=rules.one_line(email)[:254])
    audit.record(
        stream=person.stream,
        kind=Kind.PERSON_REGISTERED,
        actor=actor,
        data={"person": str(person.pk)},
        text={"name": person.name, "email": person.email},  # beside the chain, so that it can be erased (LGPD)
    )
    return person


def _named(name: str) -> str:
    found = rules.one_line(name)[:120]
    if not found:
        raise Invalid(Sentence(_("A person needs a name.")), fields={"name": [Sentence(_("Write a name."))]})
    return found


def open_account(*, actor: Actor, person: Person, username: str, password: str | None, language: str) -> User:
    """Write an account of a person and its event; runs inside the caller's transaction and asks for no right.

    :raises Invalid: a user name that is taken or not plain, a weak password
    """
    username = rules.folded(username)
    if not rules.is_username(username):
        raise _bad("username", Sentence(_("A user name has plain letters, digits and . _ - @ only, up to 64 of them.")))
    user = User(username=username, person=person, language=language)
    if password is not None:
        try:
            validate_password(password, user)
        except ValidationError as error:
            raise Invalid(
                Sentence(_("The password is too weak.")), fields={"password": [str(one) for one in error.messages]}
            ) from error
    user.set_password(password)
    with unless_taken(_bad("username", Sentence(_("The user name %(name)s is taken."), {"name": username}))):
        user.save(force_insert=True)
    audit.record(
        stream=person.stream,
        kind=Kind.ACCOUNT_ADDED,
        actor=actor,
        data={"person": str(person.pk), "username": username},
    )
    return user


def _bad(field: str, sentence: Sentence) -> Invalid:
    return Invalid(sentence, fields={field: [sentence]})

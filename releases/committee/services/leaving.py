"""Taking a role from somebody, or ending their access, while the policy in force can still be satisfied.

It stands here and not beside the grants, because only the committee knows what its policy asks for.
"""

from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db import transaction

from releases.accounts.models import Person
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services import require
from releases.accounts.services.people import leave
from releases.accounts.services.roles import locked, take
from releases.audit.actor import Actor
from releases.committee import queries
from releases.committee.models import Policy
from releases.committee.rules import policy as policies
from releases.committee.rules.policy import Shortfall
from releases.committee.seats import SEATS, title_of
from releases.committee.services.policies import locked_current
from releases.core.errors import GmudError, Reason, Refused, Sentence
from releases.core.words import mark as _


@transaction.atomic(durable=True)
def revoke_role(*, actor: Actor, person_id: UUID, role: Role, now: datetime) -> None:
    """Take a role from a person; one who does not hold it stays as they are.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: this is the last owner, or the policy in force could no longer be satisfied
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    current = locked_current()  # two last holders who lose their seats at once wait here for one another
    person = locked(person_id)
    if role.value in SEATS:
        _keep_satisfiable(current, person, frozenset({role.value}))
    take(person=person, role=role, actor=actor, now=now)


@transaction.atomic(durable=True)
def deactivate_person(*, actor: Actor, person_id: UUID, now: datetime) -> None:
    """End a person's accounts and rights at once; doing it twice changes nothing.

    :raises NotPermitted: the actor may not edit people
    :raises Refused: this is the last owner, or the policy in force could no longer be satisfied
    :raises Missing: there is no such person
    """
    require(actor, Right.PEOPLE_EDIT)
    current = locked_current()  # two last holders who lose their seats at once wait here for one another
    person = locked(person_id)
    _keep_satisfiable(current, person, SEATS)
    leave(person=person, actor=actor, now=now)


def _keep_satisfiable(current: Policy | None, person: Person, lost: frozenset[str]) -> None:
    """Refuse what would leave a seat that nobody could fill; a policy that lacks people already is not made worse.

    :raises Refused: with one reason for each seat
    """
    shorts = _missing(current) if current else []
    if not current or not (worse := _worse(shorts, _missing(current, without=person.pk, lost=lost))):
        return
    reasons = [
        Reason(
            "seat_needed",
            Sentence(
                _(
                    "Without %(name)s nobody could fill the seat %(seat)s, which version %(version)s of the policy "
                    "asks for."
                ),
                {"name": person.name, "seat": title_of(one.seat), "version": current.version},
            ),
            Sentence(_("Give the seat to somebody else first, or let the committee pass a policy that asks for less.")),
        )
        for one in worse
    ]
    raise Refused(reasons[0].message, reasons=reasons)


def _missing(current: Policy, *, without: UUID | None = None, lost: frozenset[str] = frozenset()) -> list[Shortfall]:
    """Return the seats that cannot be filled; none of a policy that cannot be read, the gate refuses by it anyway."""
    holders = {one.id: one.seats - lost if one.id == without else one.seats for one in queries.members().values()}
    with suppress(GmudError):
        return policies.shortfalls(queries.rules_of(current), holders)
    return []


def _worse(before: list[Shortfall], after: list[Shortfall]) -> list[Shortfall]:
    missing = {one.seat: one.missing for one in before}
    return [one for one in after if one.missing > missing.get(one.seat, 0)]

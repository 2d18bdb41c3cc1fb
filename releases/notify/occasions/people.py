"""Who stands in what relation to a change, a service, a place."""

from collections.abc import Iterable
from uuid import UUID

from releases.accounts import queries as accounts
from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.changes.models import ChangeRequest
from releases.notify import rules
from releases.notify.kinds import Group, Topic


def of_change(topic: Topic, change: ChangeRequest) -> set[UUID]:
    """Return who hears of this topic about a change; voters are named by the round."""
    return set().union(*(_group(group, change) for group in rules.MANNERS[topic].hears))


def of_services(topic: Topic, services: Iterable[UUID]) -> set[UUID]:
    """Return who hears of this topic about services, with no change behind it."""
    groups = rules.MANNERS[topic].hears
    found = owners_of(services) if Group.OWNER_TEAM in groups else set()
    return found | (holders(Role.ON_CALL) if Group.ON_CALL in groups else set())


def holders(role: Role) -> set[UUID]:
    """Return the active persons with a role."""
    return {card.id for card in accounts.holders_of(role)}


def owners_of(services: Iterable[UUID]) -> set[UUID]:
    """Return the members of the teams that own these services."""
    return set(Person.objects.filter(teams__services__in=set(services)).values_list("pk", flat=True))


def services_of(change: ChangeRequest) -> frozenset[UUID]:
    """Return the services a change touches."""
    return frozenset(item.service_id for item in change.items.all())


def _group(group: Group, change: ChangeRequest) -> set[UUID]:
    match group:
        case Group.ON_CALL:
            return holders(Role.ON_CALL)
        case Group.OWNER_TEAM:
            return owners_of(services_of(change))
        case Group.RELEASE_MANAGERS:
            return holders(Role.RELEASE_MANAGER)
        case Group.REQUESTER:
            return {change.requester_id}
        case Group.RUNNERS:
            return set(change.implementers.values_list("pk", flat=True)) or {change.requester_id}
        case _:
            return set()

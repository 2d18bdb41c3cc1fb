"""What the policy in force asks of a release itself, and how the version stood where it must come from.

Seats bind to what was approved; this holds at the moment, as freezes do: a policy that became stricter holds for what
was approved before, too (docs/decisions/0013).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from releases.catalog import queries as catalog
from releases.catalog.kinds import Place
from releases.changes.models import ChangeRequest
from releases.changes.queries import stays_of
from releases.changes.queries.standing import Version
from releases.changes.states import ChangeType
from releases.committee import queries as committee
from releases.committee.rules import required
from releases.core.errors import Refused
from releases.gate.models import Permit
from releases.gate.rules import Prerequisite, Request
from releases.gate.states import Intent
from releases.impact.lenses import Level


@dataclass(frozen=True, slots=True)
class Demand:
    """What is asked of a release somewhere: the highest risk that may go, and what comes first."""

    highest_risk: Level = Level.VERY_HIGH
    prerequisites: tuple[Prerequisite, ...] = ()


def demands_on(change: ChangeRequest | None, asked: Sequence[tuple[Request, Place]]) -> dict[Place, Demand] | None:
    """Return what is asked of a change in each of these places, ``None`` when there is no policy to decide by.

    What only reports afterwards releases nothing, so nothing is asked of it. An environment that the policy names and
    that is there no more is one where nothing was ever released.
    """
    rules = committee.rules_in_force()
    if not rules:
        return None
    if change is None or change.type == ChangeType.RETROACTIVE or not any(rule.asks_of_a_release for rule in rules):
        return {}
    environments = catalog.environments()
    kinds, ids = {one.id: one.kind.value for one in environments}, {one.name: one.id for one in environments}
    level = risk_of(change)
    try:
        needs = {
            place: required(rules, environment_kinds=[kinds[place[1]]], level=level, change_type=change.type)
            for _request, place in asked
        }
    except Refused:
        return None
    first = {
        (place, name): ((place[0], ids[name]), request.digest)
        for request, place in asked
        for name in needs[place].after
        if name in ids
    }
    stays = stays_of(first.values(), permitted=_permitted(asked, first))
    return {
        place: Demand(
            Level(need.highest_risk or Level.VERY_HIGH),
            tuple(
                Prerequisite(name, timedelta(hours=hours), stays[first[place, name]] if (place, name) in first else ())
                for name, hours in need.after.items()
            ),
        )
        for place, need in needs.items()
    }


def _permitted(
    asked: Sequence[tuple[Request, Place]], first: Mapping[tuple[Place, str], Version]
) -> set[tuple[UUID, Version]]:
    """Return of which changes a permit to deploy one of these versions was redeemed, each with the version."""
    services = {place: request.service for request, place in asked}
    named = {(services[place], name, version[1]): version for (place, name), version in first.items()}
    if not named:
        return set()
    taken = Permit.objects.filter(
        redeemed_at__isnull=False,
        decision__intent=Intent.DEPLOY,
        decision__digest__in={digest for _service, _environment, digest in named},
    ).values_list("change_id", "decision__service", "decision__environment", "decision__digest")
    return {
        (change, named[service, environment, digest])
        for change, service, environment, digest in taken
        if (service, environment, digest) in named
    }


def risk_of(change: ChangeRequest) -> Level:
    """Return the risk of a change; before it was assessed, the highest there is."""
    return Level(change.assessment.level) if change.assessment else Level.VERY_HIGH

"""Committee members, policies and rounds, made through the real services."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from django.db import transaction

from releases.accounts import queries
from releases.accounts import services as accounts
from releases.accounts.models import Person
from releases.accounts.roles import Role
from releases.audit.actor import Actor
from releases.committee import services
from releases.committee.models import Policy, Round
from releases.committee.rules import Decision, Tally
from tests.factories.accounts import NOW, SETUP, a_person, actor_of
from tests.factories.catalog import a_digest

TWO_SEATS: Sequence[Mapping[str, Any]] = [{"seats": {"seat_engineering": 1, "seat_security": 1}}]


def a_member(name: str, *seats: str) -> Actor:
    """Register somebody with these seats ("security"), signed in."""
    return actor_of(a_person(name, *[Role(f"seat_{seat}") for seat in seats]))


def person_of(actor: Actor) -> UUID:
    """Return the id of the person who acts."""
    assert actor.person_id is not None
    return actor.person_id


def a_policy(rules: Sequence[Mapping[str, Any]] = TWO_SEATS, *, actor: Actor = SETUP, now: datetime = NOW) -> Policy:
    """Save a policy; the seats must be held already."""
    return services.save_policy(actor=actor, name="House policy", rules=list(rules), now=now)


def a_round(
    policy: Policy,
    *,
    subject: UUID | None = None,
    digest: str = "",
    excluded: Mapping[str, str] | None = None,
    level: str = "high",
    change_type: str = "normal",
    now: datetime = NOW,
) -> Round:
    """Open a round as the change's room does."""
    with transaction.atomic():
        return services.open_round(
            subject=subject or uuid4(),
            content_digest=digest or a_digest(),
            policy=policy,
            environment_kinds={"production"},
            level=level,
            change_type=change_type,
            excluded=excluded or {},
            now=now,
        )


def a_vote(
    round_: Round, actor: Actor, decision: Decision = Decision.APPROVE, *, now: datetime = NOW, **more: Any
) -> Tally:
    """Cast a vote as the change's room does."""
    with transaction.atomic():
        return services.cast(
            round=round_, actor=actor, decision=decision, now=now, **{"digest": round_.content_digest, **more}
        )


def another_account(person: Person | UUID, username: str) -> Actor:
    """Give a person one more account and sign in through it."""
    person_id = person if isinstance(person, UUID) else person.pk
    user = accounts.add_account(actor=SETUP, person_id=person_id, username=username, now=NOW)
    return queries.actor_for(user, session="other", signed_in_at=NOW, methods=("password",))

"""People, teams and machines, made through the real services."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

from releases.accounts import queries, services
from releases.accounts.models import ApiClient, Person, Team, User
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit.actor import Actor, system

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
PASSWORD = "correct horse battery"
SETUP = system("setup")
_numbers = count(1)


def a_person(
    name: str = "", *roles: Role, username: str = "", password: str | None = None, now: datetime = NOW
) -> Person:
    """Register a person with an account and roles."""
    number = next(_numbers)
    person = services.register_person(
        actor=SETUP, name=name or f"Person {number}", email=f"p{number}@example.com", now=now
    )
    services.add_account(
        actor=SETUP, person_id=person.pk, username=username or f"person{number}", password=password, now=now
    )
    for role in roles:
        services.grant(actor=SETUP, person_id=person.pk, role=role, now=now)
    return person


def actor_of(person: Person, *, signed_in_at: datetime = NOW) -> Actor:
    """Return the person, signed in through their first account."""
    account = User.objects.select_related("person").filter(person=person).order_by("pk").first()
    assert account is not None
    return queries.actor_for(account, session="digest", signed_in_at=signed_in_at, methods=("password",))


def an_actor(*roles: Role, name: str = "") -> Actor:
    """Return a signed-in person with these roles."""
    return actor_of(a_person(name, *roles))


def a_team(name: str = "", *members: Person) -> Team:
    """Register a team."""
    return services.register_team(
        actor=SETUP, name=name or f"team-{next(_numbers)}", members=[one.pk for one in members], now=NOW
    )


def a_token(
    *scopes: Right, name: str = "ci", now: datetime = NOW, life: timedelta = timedelta(days=30)
) -> tuple[ApiClient, str]:
    """Issue a token; one that may ask the gate when nothing is said."""
    wanted: Iterable[Right] = scopes or (Right.GATE_ASK, Right.PERMIT_REDEEM)
    owner = a_person("Owner of tokens")
    return services.issue_token(
        actor=SETUP, name=name, scopes=wanted, expires_at=now + life, owner_id=owner.pk, now=now
    )

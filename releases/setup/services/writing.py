"""How a thing of each section is written: through the rooms it belongs to, inside the caller's transaction.

Every writer takes the thing complete: what the file says, and what is here where the file says nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.accounts.models import Team, User
from releases.accounts.roles import Role
from releases.accounts.rules import folded
from releases.accounts.services import passwords, people, teams
from releases.accounts.services.roles import give, locked
from releases.audit.actor import Actor
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, DataClass, DependencySource, EnvironmentKind, Purpose
from releases.catalog.models import Connection, Customer, Environment, Service
from releases.committee.services.policies import put_forward
from releases.core.errors import Invalid, Refused, Sentence
from releases.core.words import mark as _
from releases.setup.shape import POLICY

Values = Mapping[str, Any]


@dataclass
class Work:
    """Who applies what, and when; the services' ids are looked up once."""

    actor: Actor
    now: datetime
    services: dict[str, UUID] = field(default_factory=dict)

    def service(self, name: str) -> UUID:
        """Return the id of a service, which the plan made sure is there."""
        if name not in self.services:
            self.services.update(Service.objects.values_list("name", "pk"))
        return self.services[name]


def _person(work: Work, said: Values) -> None:
    username = said["username"]
    account = User.objects.select_related("person").filter(username=username).first()
    if account is None:
        person = people.enter(actor=work.actor, name=said["name"], email=said["email"])
        people.open_account(
            actor=work.actor, person=person, username=username, password=None, language=said["language"]
        )
    else:
        person = locked(account.person_id)
        people.describe(person=person, actor=work.actor, name=said["name"], email=said["email"])
        if said["language"] != account.language:
            passwords.set_language(actor=work.actor, account=account, language=said["language"])
    held = set(person.grants.filter(source="").values_list("role", flat=True))
    for role in (Role(name) for name in said["roles"] if name not in held):
        if role.is_seat and work.actor.person_id == person.pk:
            sentence = Sentence(_("Nobody gives a seat of the committee to themselves. Ask another owner."))
            raise Invalid(sentence, fields={"roles": [sentence]})
        give(person=person, role=role, actor=work.actor, now=work.now)


def _team(work: Work, said: Values) -> None:
    team, is_new = teams.team_for(actor=work.actor, name=said["name"], title=said["title"])
    if not is_new:
        teams.describe(team=team, actor=work.actor, name=team.name, title=said["title"])
    members = User.objects.filter(username__in=said["members"]).select_related("person")
    for account in members.order_by("username"):
        teams.join(actor=work.actor, team=team, person=account.person)


def _environment(work: Work, said: Values) -> None:
    row = Environment.objects.filter(name=said["name"]).first()
    facts = {"name": said["name"], "kind": EnvironmentKind(said["kind"]), "rank": said["rank"]}
    if row is None:
        catalog.register_environment(actor=work.actor, now=work.now, **facts)
    else:
        catalog.describe_environment(actor=work.actor, environment_id=row.pk, now=work.now, **facts)


def _service(work: Work, said: Values) -> None:
    same = ("title", "tier", "criticality", "description")
    facts: dict[str, Any] = {
        **{name: said[name] for name in same},
        "team_id": Team.objects.get(name=said["team"]).pk,
        "data_classes": [DataClass(one) for one in said["data_classes"]],
    }
    row = Service.objects.filter(name=said["name"]).first()
    if row is None:
        catalog.register_service(actor=work.actor, name=said["name"], now=work.now, **facts)
    else:
        catalog.describe_service(actor=work.actor, service_id=row.pk, now=work.now, **facts)


def _dependency(work: Work, said: Values) -> None:
    row = catalog.link(
        actor=work.actor,
        caller_id=work.service(said["caller"]),
        callee_id=work.service(said["callee"]),
        source=DependencySource(said["source"]),
        detail=said["detail"],
        now=work.now,
    )
    if row.denied_at is not None:
        raise Refused(Sentence(_("Somebody denied this edge: confirm it on its page, or take it out of the file.")))
    if said["confirmed"]:
        catalog.confirm_dependency(actor=work.actor, dependency_id=row.pk, now=work.now)


def _customer(work: Work, said: Values) -> None:
    row = Customer.objects.filter(folded_name=folded(said["name"])).first()
    facts: dict[str, Any] = {
        **{name: said[name] for name in ("name", "segment", "size", "notice_hours")},
        "service_ids": [work.service(name) for name in said["services"]],
    }
    if row is None:
        catalog.register_customer(actor=work.actor, now=work.now, **facts)
    else:
        catalog.describe_customer(actor=work.actor, customer_id=row.pk, now=work.now, **facts)


def _connection(work: Work, said: Values) -> None:
    catalog.connect(
        actor=work.actor,
        name=said["name"],
        kind=ConnectionKind(said["kind"]),
        origin=said["origin"],
        account=said["account"],
        config=dict(said["config"]),
        secret_later=True,
        now=work.now,
    )


def _binding(work: Work, said: Values) -> None:
    catalog.bind(
        actor=work.actor,
        service_id=work.service(said["service"]),
        environment_id=_environment_id(said),
        purpose=Purpose(said["purpose"]),
        connection_id=_connection_id(said),
        settings=said["settings"],
        now=work.now,
    )


def _route(work: Work, said: Values) -> None:
    catalog.register_route(
        actor=work.actor,
        service_id=work.service(said["service"]),
        environment_id=_environment_id(said),
        connection_id=_connection_id(said),
        locator=said["locator"],
        stable=said["stable"],
        canary=said["canary"],
        label=said["label"],
        now=work.now,
    )


def _policy(work: Work, said: Values) -> None:
    put_forward(actor=work.actor, name=said["name"], rules=said["rules"], now=work.now)


def _environment_id(said: Values) -> UUID:
    return Environment.objects.get(name=said["environment"]).pk


def _connection_id(said: Values) -> UUID:
    return Connection.objects.get(name=said["connection"]).pk


WRITERS: Mapping[str, Callable[[Work, Values], None]] = {
    "people": _person,
    "teams": _team,
    "environments": _environment,
    "services": _service,
    "dependencies": _dependency,
    "customers": _customer,
    "connections": _connection,
    "bindings": _binding,
    "routes": _route,
    POLICY: _policy,
}

"""Carry a plan out, inside the caller's transaction: section by section, each in few statements."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.accounts.models import Team
from releases.accounts.rules import folded
from releases.accounts.services import team_for
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.imports.here import Here
from releases.catalog.imports.plan import Act, Answer, Plan, Step
from releases.catalog.imports.said import Section
from releases.catalog.kinds import EnvironmentKind
from releases.catalog.models import Customer, Service
from releases.catalog.services import many

Answers = Mapping[str, Answer]


def write(plan: Plan, answers: Answers, here: Here, *, actor: Actor, now: datetime) -> int:
    """Write what the plan says and the answers allow; return how many things were added or changed.

    :raises Stale: somebody added one of the things at this moment; the caller's transaction is lost
    """
    for step in _of(plan, Section.TEAMS):
        team_for(actor=actor, name=step.name)
    for step in _of(plan, Section.ENVIRONMENTS):
        kind, rank = EnvironmentKind(step.said.values["kind"]), step.said.values["rank"]
        services.register_environment(actor=actor, name=step.name, kind=kind, rank=rank, now=now)
    rows = _services(plan, answers, here, actor)
    _edges(plan, rows, actor, now)
    _customers(plan, answers, here, rows, actor)
    for step in _of(plan, Section.ARTIFACTS):
        service, digest = step.said.key
        facts = {name: step.said.values[name] for name in ("version", "image")}
        services.register_artifact(actor=actor, service_id=rows[service].pk, digest=digest, now=now, **facts)
    return sum(one.act is Act.ADD or bool(one.act is not Act.KEEP and one.changes(answers)) for one in plan.steps)


def _of(plan: Plan, section: Section) -> Iterator[Step]:
    """Yield the steps that add something to a section."""
    return (step for step in plan.steps if step.section is section and step.act is Act.ADD)


def _changed(plan: Plan, section: Section, answers: Answers) -> Iterator[tuple[Step, dict[str, Any]]]:
    """Yield the steps that change something in a section, with the fields."""
    for step in plan.steps:
        if step.section is section and step.act in {Act.CHANGE, Act.ASK} and (fields := step.changes(answers)):
            yield step, fields


def _services(plan: Plan, answers: Answers, here: Here, actor: Actor) -> dict[str, Service]:
    """Write the services, and return all of them by name."""
    teams = {team.name: team for team in Team.objects.all()}
    rows = dict(here.services)
    added = []
    for step in _of(plan, Section.SERVICES):
        row = many.a_service(name=step.said.key[0], team=teams[step.said.values["team"]], values=step.said.values)
        rows[row.name] = row
        added.append((row, step.said.origin.value))
    changed = []
    for step, fields in _changed(plan, Section.SERVICES, answers):
        row = rows[step.said.key[0]]
        for field, value in fields.items():
            setattr(row, field, teams[value] if field == "team" else value)
        changed.append((row, step.said.origin.value))
    many.add_services(actor=actor, rows=added)
    many.change_services(actor=actor, rows=changed)
    return rows


def _edges(plan: Plan, rows: Mapping[str, Service], actor: Actor, now: datetime) -> None:
    added = []
    for step in _of(plan, Section.DEPENDENCIES):
        caller, callee, source = step.said.key
        detail = step.said.values.get("detail", "")
        row = many.an_edge(caller=rows[caller], callee=rows[callee], source=source, detail=detail, now=now)
        added.append((row, step.said.origin.value))
    many.add_edges(actor=actor, rows=added)


def _customers(plan: Plan, answers: Answers, here: Here, rows: Mapping[str, Service], actor: Actor) -> None:
    def ids(names: Iterable[str]) -> list[UUID]:
        return [rows[name].pk for name in names]

    added, served = [], dict[UUID, list[UUID]]()
    for step in _of(plan, Section.CUSTOMERS):
        said = step.said.values
        facts = {name: said[name] for name in ("segment", "size", "notice_hours") if name in said}
        row = Customer(name=said["name"], folded_name=folded(said["name"]), **facts)
        added.append((row, step.said.origin.value))
        served[row.pk] = ids(said.get("services", ()))
    many.add_customers(actor=actor, rows=added, served=served)
    changed, serving = [], dict[UUID, list[UUID]]()
    for step, fields in _changed(plan, Section.CUSTOMERS, answers):
        row = here.customers[step.said.key[0]]
        for field in fields.keys() - {"services"}:
            setattr(row, field, fields[field])
        changed.append((row, step.said.origin.value))
        serving[row.pk] = ids(fields["services"]) if "services" in fields else [one.pk for one in row.services.all()]
    many.change_customers(actor=actor, rows=changed, served=serving)

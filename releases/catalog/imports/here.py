"""What is here before an import: the catalogue as it stands, and which of it a person wrote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.accounts.models import Team
from releases.audit import queries as audit
from releases.audit.actor import ActorKind
from releases.audit.kinds import Kind
from releases.catalog.imports.said import Key, Section
from releases.catalog.models import Artifact, Customer, Dependency, Environment, Service

IMPORT = "import"  # the word in the data of an event that an import wrote, with the form it read
_TELLS = (Kind.SERVICE_REGISTERED, Kind.SERVICE_DESCRIBED, Kind.CUSTOMER_REGISTERED, Kind.CUSTOMER_DESCRIBED)


@dataclass(frozen=True, slots=True)
class Edit:
    """Who wrote a value as it stands, and when."""

    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Here:
    """The catalogue by name: rows to write to, and their values as files say them."""

    teams: Mapping[str, UUID]
    services: Mapping[str, Service]
    customers: Mapping[str, Customer]
    edges: Mapping[Key, bool]
    environments: frozenset[str]
    artifacts: frozenset[Key]

    def row(self, section: Section, key: Key) -> Service | Customer | None:
        """Return the row of a service or customer."""
        rows: Mapping[str, Service | Customer] = (
            self.services if section is Section.SERVICES else self.customers if section is Section.CUSTOMERS else {}
        )
        return rows.get(key[0])

    def has(self, section: Section, key: Key) -> bool:
        """Say whether there is such a thing."""
        if section is Section.DEPENDENCIES:
            return key in self.edges
        if section is Section.ARTIFACTS:
            return key in self.artifacts
        if section is Section.ENVIRONMENTS:
            return key[0] in self.environments
        return key[0] in self.teams if section is Section.TEAMS else self.row(section, key) is not None


def look(*, lock: bool) -> Here:
    """Return the catalogue; locked, no service and no customer changes until the caller's transaction ends."""
    services = Service.objects.select_related("team").order_by("pk")
    customers = Customer.objects.prefetch_related("services").order_by("pk")
    if lock:
        services, customers = services.select_for_update(of=("self",)), customers.select_for_update()
    edges = Dependency.objects.order_by().values_list("caller__name", "callee__name", "source", "denied_at")
    return Here(
        teams=dict(Team.objects.values_list("name", "pk")),
        services={row.name: row for row in services},
        customers={row.folded_name: row for row in customers},
        edges={(caller, callee, source): denied is not None for caller, callee, source, denied in edges},
        environments=frozenset(Environment.objects.values_list("name", flat=True)),
        artifacts=frozenset(Artifact.objects.order_by().values_list("service__name", "digest")),
    )


def values_of(row: Service | Customer) -> dict[str, Any]:
    """Return the values of a row, as files say them."""
    if isinstance(row, Service):
        same = ("title", "tier", "criticality", "description")
        return {
            **{name: getattr(row, name) for name in same},
            "team": row.team.name,
            "data_classes": sorted(row.data_classes),
        }
    return {
        **{name: getattr(row, name) for name in ("segment", "size", "notice_hours")},
        "services": sorted(one.name for one in row.services.all()),
    }


def edits_of(rows: Iterable[Service | Customer]) -> dict[tuple[str, str], Edit]:
    """Return, by stream and field, the values that a person wrote by hand and nobody since.

    The record says so: whose event gave a field the value it has. What an import wrote says so in its event; what the
    machinery wrote (the first manifests, a configuration from the shell) is nobody's hand. A field that was left empty
    when the thing was added was not written.
    """
    found: dict[tuple[str, str], Edit] = {}
    for stream, entries in audit.stories([row.stream for row in rows], _TELLS).items():
        before: dict[str, Any] = {}
        for entry in entries:
            by_hand = entry.actor_kind == ActorKind.PERSON and IMPORT not in entry.data
            for name, value in entry.data.items():
                if before.get(name) == value or (not before and not value):
                    continue
                if by_hand:
                    found[stream, name] = Edit(entry.actor_name, entry.at)
                else:
                    found.pop((stream, name), None)
            before = dict(entry.data)
    return found

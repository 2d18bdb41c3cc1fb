"""What the form or the API hands in, and what of it exists in the catalogue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from releases.catalog import queries as catalog
from releases.catalog.cards import EnvironmentCard, ServiceCard
from releases.catalog.kinds import Place
from releases.changes import back, pace
from releases.changes.states import ChangeType, MigrationClass
from releases.core.errors import Sentence


@dataclass(frozen=True, slots=True)
class ItemDraft:
    """One line of the form: names as people know them; the way back is proposed when left empty."""

    service: str
    environment: str
    version: str
    digest: str
    back_version: str = ""
    back_digest: str = ""
    migration_class: str = MigrationClass.NONE


@dataclass(frozen=True, slots=True)
class ChangeDraft:
    """What the form or the API hands in; moments are aware.

    Parameters go to every job that deploys an item, before those of its binding. Steps are the pace of the release, no
    step is the usual one. Implementers carry the change out, committers wrote the code it releases: user names, and
    neither may decide on it. What is ``None`` stays as it is.
    """

    title: str = ""
    why: str = ""
    type: str = ChangeType.NORMAL
    plan: str = ""
    items: Sequence[ItemDraft] = ()
    tests_passed: int | None = None
    tests_failed: int | None = None
    tests_url: str = ""
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    parameters: Mapping[str, str] | None = None
    steps: Sequence[pace.Step] | None = None
    implementers: Sequence[str] | None = None
    committers: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class KnownItem:
    """One line whose service and environment exist, with the way back that is proposed for it."""

    position: int
    draft: ItemDraft
    service: ServiceCard
    environment: EnvironmentCard
    way: back.WayBack

    @property
    def place(self) -> Place:
        """Return where it goes."""
        return self.service.id, self.environment.id

    @property
    def back_version(self) -> str:
        """Return the version it goes back to: the one that was written, else the proposed one."""
        return self.draft.back_version or self.way.target_version

    @property
    def back_digest(self) -> str:
        """Return the digest it goes back to: the one that was written, else the proposed one."""
        return self.draft.back_digest or self.way.target_digest


def known_items(drafts: Sequence[ItemDraft]) -> tuple[tuple[KnownItem, ...], Mapping[str, Sentence]]:
    """Return the lines that name what exists, and one sentence by field for each name that nothing has."""
    services = catalog.services_named(one.service for one in drafts)
    environments = catalog.environments_named(one.environment for one in drafts)
    unknown: dict[str, Sentence] = {}
    known: list[tuple[int, ItemDraft, ServiceCard, EnvironmentCard]] = []
    for position, one in enumerate(drafts):
        service, environment = services.get(one.service), environments.get(one.environment)
        if service is None:
            unknown[f"items.{position}.service"] = catalog.no_service(one.service).detail
        if environment is None:
            unknown[f"items.{position}.environment"] = catalog.no_environment(one.environment).detail
        if service and environment:
            known.append((position, one, service, environment))
    ways = back.propose((service.id, environment.id) for _position, _one, service, environment in known)
    found = tuple(
        KnownItem(position, one, service, environment, ways[service.id, environment.id])
        for position, one, service, environment in known
    )
    return found, unknown

"""Take Kubernetes manifests over into the catalogue: everything or nothing, and a second time nothing.

What people wrote in the catalogue wins: a service that is there already keeps its team and tier, and the difference
is told. What the manifests no longer say is told too, and stays until a person denies it. What runs is not concluded
from manifests: they say what somebody wants.
"""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.services import require, team_for
from releases.audit.actor import Actor
from releases.catalog import services
from releases.catalog.imports.documents import read_folder, refuse
from releases.catalog.imports.manifests import FoundService, Manifests, understand
from releases.catalog.kinds import DependencySource, EnvironmentKind
from releases.catalog.models import Artifact, Dependency, Environment, Service
from releases.core.errors import Sentence
from releases.core.words import mark as _

KINDS = {
    "production": EnvironmentKind.PRODUCTION,
    "prod": EnvironmentKind.PRODUCTION,
    "staging": EnvironmentKind.STAGING,
    "homologation": EnvironmentKind.STAGING,
    "development": EnvironmentKind.DEVELOPMENT,
    "dev": EnvironmentKind.DEVELOPMENT,
}
RANKS = {EnvironmentKind.DEVELOPMENT: 10, EnvironmentKind.STAGING: 20, EnvironmentKind.PRODUCTION: 30}
_READ_HERE = (DependencySource.ENVIRONMENT, DependencySource.CONFIG, DependencySource.SHARED_CONFIG)


@dataclass
class Summary:
    """What an import added, by name; ``hints`` are edges that wait for a person. Notes are for reading."""

    teams: list[str] = field(default_factory=list)
    environments: list[str] = field(default_factory=list)
    services: list[str] = field(default_factory=list)
    dependencies: list[str] = field(default_factory=list)
    hints: list[str] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    notes: list[Sentence] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing was added."""
        added = (self.teams, self.environments, self.services, self.dependencies, self.hints, self.artifacts)
        return not any(added)


def read(folder: Path, *, default_team: str = "") -> Manifests:
    """Read and understand all manifests below a folder, before anything is written.

    :raises Invalid: naming file, document and field of everything that cannot be read
    """
    documents, unreadable = read_folder(folder)
    found, not_understood = understand(documents, default_team=default_team)
    refuse(unreadable + not_understood)
    return found


def take_over(*, found: Manifests, actor: Actor, now: datetime, dry_run: bool = False) -> Summary:
    """Write what is new, in one transaction; a dry run writes the same and takes it back.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Invalid: something cannot be written; nothing is
    """
    require(actor, Right.CATALOG_EDIT)
    summary = Summary(notes=list(found.notes))
    with transaction.atomic(durable=True):
        for name in found.environments:
            _environment(name, actor, now, summary)
        rows = {one.name: _service(one, actor, now, summary) for one in found.services}
        _edges(found, rows, actor, now, summary)
        _artifacts(found, rows, actor, now, summary)
        if dry_run:
            transaction.set_rollback(True)
    return summary


def _environment(name: str, actor: Actor, now: datetime, summary: Summary) -> None:
    if Environment.objects.filter(name=name).exists():
        return
    kind = KINDS.get(name, EnvironmentKind.DEVELOPMENT)
    services.register_environment(actor=actor, name=name, kind=kind, rank=RANKS[kind], now=now)
    summary.environments.append(name)
    if name not in KINDS:
        summary.notes.append(
            Sentence(_("Nothing says what the environment %(name)s is for; it counts as development."), {"name": name})
        )


def _service(found: FoundService, actor: Actor, now: datetime, summary: Summary) -> Service:
    row = Service.objects.select_related("team").filter(name=found.name).first()
    if row is None:
        team, is_new = team_for(actor=actor, name=found.team)
        if is_new:
            summary.teams.append(team.name)
        summary.services.append(found.name)
        return services.register_service(actor=actor, name=found.name, team_id=team.pk, tier=found.tier[:32], now=now)
    for what, here, there in (("team", row.team.name, found.team), ("tier", row.tier, found.tier)):
        if there and here != there:
            summary.notes.append(
                Sentence(
                    _("%(name)s: the %(what)s is %(here)s here and %(there)s in the manifests; it stays."),
                    {"name": row.name, "what": what, "here": here or "—", "there": there},
                )
            )
    return row


def _edges(found: Manifests, rows: dict[str, Service], actor: Actor, now: datetime, summary: Summary) -> None:
    known = Dependency.objects.filter(caller__in=rows.values(), source__in=_READ_HERE)
    there = {(one.caller.name, one.callee.name, one.source) for one in known.select_related("caller", "callee")}
    said = set()
    for edge in found.edges:
        said.add((edge.caller, edge.callee, edge.source.value))
        if (edge.caller, edge.callee, edge.source.value) in there:
            continue
        services.link(
            actor=actor,
            caller_id=rows[edge.caller].pk,
            callee_id=rows[edge.callee].pk,
            source=edge.source,
            detail=edge.detail,
            now=now,
        )
        (summary.hints if edge.source.is_hint else summary.dependencies).append(f"{edge.caller} → {edge.callee}")
    summary.notes += [
        Sentence(
            _("%(caller)s → %(callee)s (%(source)s) is no longer in the manifests; deny it if it is gone."),
            {"caller": caller, "callee": callee, "source": source},
        )
        for caller, callee, source in sorted(there - said)
    ]


def _artifacts(found: Manifests, rows: dict[str, Service], actor: Actor, now: datetime, summary: Summary) -> None:
    for one in found.artifacts:
        service = rows[one.service]
        if Artifact.objects.filter(service=service, digest=one.digest).exists():
            continue
        services.register_artifact(
            actor=actor, service_id=service.pk, version=one.version, digest=one.digest, image=one.image, now=now
        )
        summary.artifacts.append(f"{one.service} {one.version}")

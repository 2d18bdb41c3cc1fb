"""Tell what a file is, and read it: a CSV file, Backstage entities, Kubernetes manifests, several of them together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from releases.accounts.rules import one_line
from releases.catalog.imports import backstage, manifests
from releases.catalog.imports.documents import Document, Problem, documents_in
from releases.catalog.imports.kubernetes import KINDS, RANKS
from releases.catalog.imports.manifests import Manifests
from releases.catalog.imports.said import Flaw, Origin, Place, Reading, Said, Section
from releases.catalog.imports.tables import decoded, is_table, read_table
from releases.catalog.kinds import EnvironmentKind
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _
from releases.core.words import plural

LARGEST = 2 * 1024 * 1024
MOST_FILES = 100
_TABLES = (".csv", ".tsv", ".txt")
_FORM = plural("Kubernetes: %(n)s service", "Kubernetes: %(n)s services", by="n")
_NAMES = {"team": "metadata.labels.team", "tier": "metadata.labels.tier"}


@dataclass(frozen=True, slots=True)
class File:
    """A file that somebody gives us: what they call it, and its bytes."""

    name: str
    data: bytes


def read_files(files: Sequence[File]) -> Reading:
    """Return what all files say together, and everything that cannot be read.

    :raises Invalid: there is nothing to read, or too much of it
    """
    _must_fit(files)
    reading, documents = Reading(), list[Document]()
    for file in files:
        if _is_table(file):
            reading.add(read_table(file.data, file.name))
            continue
        for one in documents_in(file.data, file.name):
            if isinstance(one, Document):
                documents.append(one)
            else:
                reading.flaws.append(_flaw(one))
    entities = [one for one in documents if backstage.is_entity(one)]
    objects = [one for one in documents if not backstage.is_entity(one)]
    if entities:
        reading.add(backstage.understand(entities))
    if objects:
        found, problems = manifests.understand(objects, needs_team=False)
        reading.add(Reading(list(_said(found)), [_form(found)], list(found.notes), list(map(_flaw, problems))))
    return reading


def _must_fit(files: Sequence[File]) -> None:
    if not any(file.data.strip() for file in files):
        raise Invalid(Sentence(_("Choose a file, or paste its text.")))
    if len(files) > MOST_FILES:
        raise Invalid(Sentence(_("These are more than %(n)s files: import them in parts."), {"n": MOST_FILES}))
    if sum(len(file.data) for file in files) > LARGEST:
        raise Invalid(Sentence(_("This is more than 2 MiB: import it in parts.")))


def _is_table(file: File) -> bool:
    if file.name.lower().endswith((".yaml", ".yml", ".json")):
        return False
    return file.name.lower().endswith(_TABLES) or is_table(decoded(file.data)[0])


def _flaw(problem: Problem) -> Flaw:
    return Flaw(_place(problem.where), problem.field, problem.sentence)


def _place(where: str) -> Place:
    """Return the place that a document calls ``file, document 2``."""
    file, _sep, number = where.rpartition(", document ")
    return Place(file, document=int(number))


def _form(found: Manifests) -> Sentence:
    return Sentence(_FORM, {"n": len(found.services)})


def _said(found: Manifests) -> Iterator[Said]:
    """Yield what manifests say, one thing after the other; a label that is not there says nothing."""
    places = {one.name: _place(one.where) for one in found.services}
    for name in found.environments:
        kind = KINDS.get(name, EnvironmentKind.DEVELOPMENT)
        values = {"name": name, "kind": kind.value, "rank": RANKS[kind]}
        place = next(places[one.name] for one in found.services if one.environment == name)
        yield Said(Section.ENVIRONMENTS, (name,), values, place, Origin.MANIFEST)
    for service in found.services:
        labels = {"team": service.team, "tier": one_line(service.tier)[:32]}
        said = {"name": service.name, **{label: value for label, value in labels.items() if value}}
        yield Said(Section.SERVICES, (service.name,), said, places[service.name], Origin.MANIFEST, _NAMES)
    for edge in found.edges:
        key = (edge.caller, edge.callee, edge.source.value)
        said = {"caller": edge.caller, "callee": edge.callee, "detail": one_line(edge.detail)[:250]}
        yield Said(Section.DEPENDENCIES, key, said, places[edge.caller], Origin.MANIFEST)
    for artifact in found.artifacts:
        said = {"name": f"{artifact.service} {artifact.version}", "version": artifact.version, "image": artifact.image}
        yield Said(
            Section.ARTIFACTS, (artifact.service, artifact.digest), said, places[artifact.service], Origin.MANIFEST
        )

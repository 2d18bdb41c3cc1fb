"""What Backstage's ``catalog-info.yaml`` says of services, owners and who calls whom. Pure.

The format is described at https://backstage.io/docs/features/software-catalog/descriptor-format and, for references
(``[kind:][namespace/]name``), at https://backstage.io/docs/features/software-catalog/references. From there: names may
hold capitals, dots and underscores, and are compared without regard to case; ``spec.owner`` is a group unless it says
``user:``; ``spec.type``, ``spec.lifecycle`` and ``spec.owner`` must be there; ``dependsOn`` names components and
resources, ``dependencyOf`` is the same from the other end, ``providesApis`` and ``consumesApis`` name APIs.

**What becomes of it.** A Component is a service: its type is the tier, its owner the team; system, lifecycle and tags
have no field here and end the description. Tags that name a kind of data (``personal``, ``card``, ``money``) are that.
``dependsOn`` and ``dependencyOf`` between components are edges, and so is the way from who consumes an API to who
provides it, when both are in the files. Edges from here are hints until an owner confirms them: a descriptor says what
somebody once wrote down. Other kinds (API, Resource, System, Domain, Group, User, Location, Template) are left alone,
which is said; a Location is not followed.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from releases.catalog.imports.documents import BadField, Document, pick
from releases.catalog.imports.said import Flaw, Key, Origin, Place, Reading, Said, Section
from releases.catalog.imports.values import Unreadable, long_text, name, text
from releases.catalog.kinds import DataClass, DependencySource
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural

_OURS = "backstage.io/"
_LEFT = plural(
    "%(n)s %(kind)s is left alone: it has no place here.",
    "%(n)s of the kind %(kind)s are left alone: they have no place here.",
    by="n",
)
_FORM = plural("Backstage: %(n)s component", "Backstage: %(n)s components", by="n")
_REFERENCE = re.compile(
    r"(?:(?P<kind>[A-Za-z][A-Za-z0-9]*):)?(?:(?P<namespace>[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*)/)?"
    r"(?P<name>[A-Za-z0-9]+(?:[-_.][A-Za-z0-9]+)*)"
)
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Reference:
    """Another entity, by kind and name in the one spelling they are compared in."""

    kind: str
    name: str


@dataclass(frozen=True, slots=True)
class Component:
    """A component: the service it becomes, and what it says of others."""

    said: Said
    calls: tuple[Reference, ...]
    called_by: tuple[Reference, ...]
    provides: tuple[Reference, ...]
    consumes: tuple[Reference, ...]


def is_entity(document: Document) -> bool:
    """Say whether a document is of Backstage."""
    version = document.body.get("apiVersion")
    return isinstance(version, str) and version.startswith(_OURS)


def understand(documents: Iterable[Document]) -> Reading:
    """Return what Backstage entities say, what is left alone, and every field that cannot be read."""
    reading = Reading()
    components: list[Component] = []
    others: Counter[str] = Counter()
    for document in documents:
        if document.kind != "Component":
            others[document.kind] += 1
            continue
        try:
            components.append(_component(document, reading))
        except BadField as bad:
            reading.flaws.append(Flaw(_place(document), bad.field, bad.sentence))
    reading.said += [one.said for one in components]
    reading.said += _edges(components, reading)
    reading.left += [Sentence(_LEFT, {"n": count, "kind": kind[:40]}) for kind, count in sorted(others.items())]
    if components:
        reading.forms.append(Sentence(_FORM, {"n": len(components)}))
    return reading


def _place(document: Document) -> Place:
    return Place(document.file, document=document.number)


def _component(document: Document, reading: Reading) -> Component:
    body = document.body
    called = pick(body, "metadata.name", str)
    service = _name("metadata.name", called)
    lifecycle = _text(body, "spec.lifecycle", 64, must=True)
    values: dict[str, Any] = {"name": service, "tier": _text(body, "spec.type", 32, must=True)}
    if team := _team(body):
        values["team"] = team
    if title := _text(body, "metadata.title", 120) or (called if called != service else ""):
        values["title"] = title
    tags = [one.lower() for one in _texts(body, "metadata.tags")]
    if classes := sorted({one for one in tags if one in set(DataClass)}):
        values["data_classes"] = classes
    if description := _description(body, lifecycle, tags):
        values["description"] = description
    if lifecycle == "deprecated":
        text_ = _("%(name)s is deprecated in Backstage: retire it on its page when it is gone.")
        reading.left.append(Sentence(text_, {"name": service}))
    return Component(
        Said(Section.SERVICES, (service,), values, _place(document), Origin.BACKSTAGE, _NAMES),
        calls=tuple(_references(body, "spec.dependsOn", "component")),
        called_by=tuple(_references(body, "spec.dependencyOf", "component")),
        provides=tuple(_references(body, "spec.providesApis", "api")),
        consumes=tuple(_references(body, "spec.consumesApis", "api")),
    )


def _team(body: dict[str, Any]) -> str:
    """Return the team that owns a component; empty when nobody does, or a person: GMUD knows teams only."""
    owner = pick(body, "spec.owner", str, "")
    found = _reference("spec.owner", owner, "group") if owner else None
    return _name("spec.owner", found.name) if found and found.kind == "group" else ""


def _description(body: dict[str, Any], lifecycle: str, tags: list[str]) -> str:
    """Return the description, ended by what has no field of its own."""
    system = pick(body, "spec.system", str, "")
    known = {
        "system": _reference("spec.system", system, "system").name if system else "",
        "lifecycle": lifecycle,
        "tags": ", ".join(sorted(set(tags))),
    }
    facts = " · ".join(f"{word}: {value}" for word, value in known.items() if value)
    try:
        return long_text("\n\n".join(filter(None, (pick(body, "metadata.description", str, "").strip(), facts))))
    except Unreadable as bad:
        raise BadField("metadata.description", bad.sentence) from bad


def _edges(components: list[Component], reading: Reading) -> Iterator[Said]:
    """Yield who calls whom, once for each pair, with the words that say so; what leads elsewhere is left alone."""
    providers: dict[Reference, list[str]] = {}
    for one in components:
        for api in one.provides:
            providers.setdefault(api, []).append(one.said.key[0])
    details: dict[tuple[str, str], list[str]] = {}
    places: dict[tuple[str, str], Place] = {}
    elsewhere: set[str] = set()

    def say(caller: str, callee: str, detail: str, place: Place) -> None:
        if caller != callee:
            details.setdefault((caller, callee), []).append(detail)
            places.setdefault((caller, callee), place)

    for one in components:
        me, place = one.said.key[0], one.said.place
        for reference in one.calls:
            if reference.kind == "component":
                say(me, _slug(reference.name), "dependsOn", place)
            else:
                elsewhere.add(f"{reference.kind}:{reference.name}")
        for reference in one.called_by:
            if reference.kind == "component":
                say(_slug(reference.name), me, "dependencyOf", place)
            else:
                elsewhere.add(f"{reference.kind}:{reference.name}")
        for api in one.consumes:
            for provider in providers.get(api, ()):
                say(me, provider, f"consumesApis {api.name}", place)
            if api not in providers:
                elsewhere.add(f"{api.kind}:{api.name}")
    if elsewhere:
        named = ", ".join([*sorted(elsewhere)[:_SHOWN], *(["…"] if len(elsewhere) > _SHOWN else [])])
        text_ = _("What leads to these is left alone, because no component of the files is behind them: %(names)s.")
        reading.left.append(Sentence(text_, {"names": named}))
    for (caller, callee), words in sorted(details.items()):
        key: Key = (caller, callee, DependencySource.BACKSTAGE.value)
        values = {"caller": caller, "callee": callee, "detail": ", ".join(sorted(set(words)))[:250]}
        yield Said(Section.DEPENDENCIES, key, values, places[caller, callee], Origin.BACKSTAGE, _NAMES)


def _references(body: dict[str, Any], path: str, kind: str) -> Iterator[Reference]:
    for index, one in enumerate(_texts(body, path)):
        yield _reference(f"{path}[{index}]", one, kind)


def _reference(path: str, said: str, kind: str) -> Reference:
    match = _REFERENCE.fullmatch(said.strip())
    if match is None:
        raise BadField(path, Sentence(_("A reference is written kind:namespace/name, such as group:default/ledger.")))
    return Reference((match["kind"] or kind).lower(), match["name"].lower())


def _slug(said: str) -> str:
    return said.lower().replace("_", "-").replace(".", "-")


def _name(path: str, said: str) -> str:
    """Return a name of Backstage as it is written here: in small letters, with hyphens only."""
    try:
        return name(_slug(said))
    except Unreadable as bad:
        raise BadField(path, bad.sentence) from bad


def _text(body: dict[str, Any], path: str, most: int, *, must: bool = False) -> str:
    said = pick(body, path, str) if must else pick(body, path, str, "")
    try:
        return text(most)(said)
    except Unreadable as bad:
        raise BadField(path, bad.sentence) from bad


def _texts(body: dict[str, Any], path: str) -> list[str]:
    found = pick(body, path, list, [])
    for index, one in enumerate(found):
        if not isinstance(one, str):
            raise BadField(f"{path}[{index}]", Sentence(_("This must be %(what)s."), {"what": "a text (quote it)"}))
    return found


_NAMES = {
    "name": "metadata.name",
    "title": "metadata.title",
    "description": "metadata.description",
    "data_classes": "metadata.tags",
    "team": "spec.owner",
    "tier": "spec.type",
    "caller": "spec.dependencyOf",
    "callee": "spec.dependsOn",
}

"""What Kubernetes manifests say of services, owners, artifacts and who calls whom. Pure: reads objects, writes nothing.

**Which edges are facts.** A variable in a container's own ``env`` that holds the address of another service is a
statement about this workload (source ``environment``), also when its value is one chosen key of a ConfigMap. A whole
ConfigMap taken with ``envFrom`` is one (source ``config``) when only this workload takes it, or when it speaks of one
service and says so: it carries that service's ``app`` label or begins with its name, as a database's connection data
does; who takes that chose that service. Any other ConfigMap that several workloads take is an address book: everybody
gets all addresses and uses some. What it suggests is kept as a hint (source ``shared_config``), which nobody takes as a
fact before a person confirms it. Values are never kept: addresses may hold passwords.

**What is an address.** ``scheme://host``, ``host:port``, ``host.namespace.svc``, or a bare host in a variable that ends
like ``_HOST``, ``_ADDR`` or ``_URL``, when the host is a Kubernetes Service of the same folder.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from releases.accounts.rules import is_slug
from releases.catalog.imports.documents import BadField, Document, Problem, pick
from releases.catalog.kinds import DependencySource
from releases.core.errors import Sentence
from releases.core.words import mark as _

_WORKLOADS = frozenset({"Deployment", "StatefulSet"})
_URL = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)+//(?:[^/@]*@)?([A-Za-z0-9.-]+)(?:[:/?].*)?")
_HOST_PORT = re.compile(r"([A-Za-z0-9.-]+):[0-9]{1,5}(?:/.*)?")
_BARE = re.compile(r"[A-Za-z0-9.-]+")
_CLUSTER = re.compile(r"([a-z0-9-]+)\.[a-z0-9-]+\.svc(?:\.cluster\.local)?\.?")
_ADDRESS_NAME = re.compile(r"(?:^|_)(?:HOST|HOSTNAME|ADDR|ADDRESS|URL|URI|ENDPOINT|SERVER|BROKER)S?$", re.IGNORECASE)
_IMAGE = re.compile(
    r"(?P<repository>[^@\s]+?)(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9._-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True, slots=True)
class FoundService:
    """A service as the manifests describe it; ``where`` names the document."""

    name: str
    team: str
    tier: str
    environment: str
    where: str


@dataclass(frozen=True, slots=True)
class FoundEdge:
    """One service calls another; ``detail`` names the variables, never their values."""

    caller: str
    callee: str
    source: DependencySource
    detail: str


@dataclass(frozen=True, slots=True)
class FoundArtifact:
    """An image with a digest; one without names nothing that can be approved."""

    service: str
    version: str
    digest: str
    image: str


@dataclass(frozen=True, slots=True)
class Manifests:
    """Everything that was found, by name."""

    services: tuple[FoundService, ...]
    edges: tuple[FoundEdge, ...]
    artifacts: tuple[FoundArtifact, ...]
    environments: tuple[str, ...]
    notes: tuple[Sentence, ...] = ()


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of a container: a value, or one key of a ConfigMap."""

    name: str
    value: str = ""
    config_map: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment or StatefulSet."""

    where: str
    name: str
    labels: Mapping[str, str]
    pod_labels: Mapping[str, str]
    image: str
    variables: tuple[Variable, ...]
    config_maps: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Host:
    """A Kubernetes Service: a name others call, and the pods behind it."""

    where: str
    name: str
    labels: Mapping[str, str]
    selector: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """Named values that workloads may take."""

    where: str
    name: str
    labels: Mapping[str, str]
    data: Mapping[str, str]


def understand(
    documents: Iterable[Document], *, default_team: str = "", needs_team: bool = True
) -> tuple[Manifests, list[Problem]]:
    """Return what the documents say, and every field that cannot be read; other kinds of objects are passed over."""
    objects, problems = _objects(documents)
    problems += _doubles(objects)
    workloads = [one for one in objects if isinstance(one, Workload)]
    hosts = [one for one in objects if isinstance(one, Host)]
    maps = {one.name: one for one in objects if isinstance(one, ConfigMap)}
    names = {workload.name: _service_name(workload, hosts) for workload in workloads}
    behind = _behind(hosts, workloads, names)
    services, bad = _services(workloads, hosts, names, behind, default_team, needs_team=needs_team)
    edges = _edges(workloads, names, behind, maps)
    artifacts = [one for workload in workloads for one in _artifact(names[workload.name], workload.image)]
    found = Manifests(
        services=tuple(services),
        edges=tuple(edges),
        artifacts=tuple(dict.fromkeys(artifacts)),
        environments=tuple(sorted({one.environment for one in services if one.environment})),
        notes=tuple(_notes(workloads, maps)),
    )
    return found, problems + bad


def hosts_in(name: str, value: str) -> set[str]:
    """Return the host names that a variable's value addresses, as Kubernetes Services are named."""
    found = set()
    for word in re.split(r"[,;\s]+", value):
        match = _URL.fullmatch(word) or _HOST_PORT.fullmatch(word)
        if match:
            found.add(match.group(1))
        elif _CLUSTER.fullmatch(word) or (_ADDRESS_NAME.search(name) and _BARE.fullmatch(word)):
            found.add(word)
    in_cluster = {(_CLUSTER.fullmatch(host), host) for host in found}
    return {inside.group(1) if inside else host for inside, host in in_cluster}


def _objects(documents: Iterable[Document]) -> tuple[list[Workload | Host | ConfigMap], list[Problem]]:
    objects: list[Workload | Host | ConfigMap] = []
    problems: list[Problem] = []
    for document in documents:
        try:
            if document.kind in _WORKLOADS:
                objects.append(_workload(document))
            elif document.kind == "Service":
                objects.append(_host(document))
            elif document.kind == "ConfigMap":
                objects.append(_config_map(document))
        except BadField as bad:
            problems.append(Problem(str(document), bad.field, bad.sentence))
    return objects, problems


def _workload(document: Document) -> Workload:
    body = document.body
    containers = pick(body, "spec.template.spec.containers", list)
    if not containers:
        raise BadField("spec.template.spec.containers", Sentence(_("A workload needs a container.")))
    variables: list[Variable] = []
    config_maps: list[str] = []
    for index, container in enumerate(containers):
        at = f"spec.template.spec.containers[{index}]"
        for number, entry in enumerate(pick(container, "env", list, [], at=at)):
            variables.append(_variable(entry, at=f"{at}.env[{number}]"))
        for number, entry in enumerate(pick(container, "envFrom", list, [], at=at)):
            taken = pick(entry, "configMapRef.name", str, "", at=f"{at}.envFrom[{number}]")
            config_maps += [taken] if taken else []
    image = pick(containers[0], "image", str, at="spec.template.spec.containers[0]")
    if _IMAGE.fullmatch(image) is None:
        raise BadField(
            "spec.template.spec.containers[0].image",
            Sentence(_("An image is written name:tag, or name:tag@sha256: and 64 hexadecimal digits.")),
        )
    return Workload(
        where=str(document),
        name=_slug(body, "metadata.name"),
        labels=_texts(body, "metadata.labels"),
        pod_labels=_texts(body, "spec.template.metadata.labels"),
        image=image,
        variables=tuple(variables),
        config_maps=tuple(dict.fromkeys(config_maps)),
    )


def _variable(entry: object, *, at: str) -> Variable:
    name = pick(entry, "name", str, at=at)
    chosen = pick(entry, "valueFrom.configMapKeyRef", dict, {}, at=at)
    if chosen:
        return Variable(
            name,
            config_map=pick(chosen, "name", str, at=f"{at}.valueFrom.configMapKeyRef"),
            key=pick(chosen, "key", str, at=f"{at}.valueFrom.configMapKeyRef"),
        )
    return Variable(name, value=pick(entry, "value", str, "", at=at))


def _host(document: Document) -> Host:
    body = document.body
    return Host(
        str(document), _slug(body, "metadata.name"), _texts(body, "metadata.labels"), _texts(body, "spec.selector")
    )


def _config_map(document: Document) -> ConfigMap:
    body = document.body
    name = pick(body, "metadata.name", str)
    return ConfigMap(str(document), name, _texts(body, "metadata.labels"), _texts(body, "data"))


def _texts(body: dict[str, Any], path: str) -> dict[str, str]:
    values: dict[Any, Any] = pick(body, path, dict, {})
    for key, value in values.items():
        if not isinstance(key, str) or not isinstance(value, str | None):
            raise BadField(f"{path}.{key}", Sentence(_("Key and value must be texts (quote them).")))
    return {key: value for key, value in values.items() if value is not None}


def _slug(body: dict[str, Any], path: str) -> str:
    name = pick(body, path, str)
    if not is_slug(name):
        raise BadField(path, Sentence(_("A name has lower-case letters, digits and hyphens only, up to 63 of them.")))
    return name


def _doubles(objects: Iterable[Workload | Host | ConfigMap]) -> list[Problem]:
    first: dict[tuple[type, str], str] = {}
    problems = []
    for one in objects:
        key = (type(one), one.name)
        if key in first:
            sentence = Sentence(
                _("%(name)s was described before, in %(where)s."), {"name": one.name, "where": first[key]}
            )
            problems.append(Problem(one.where, "metadata.name", sentence))
        first.setdefault(key, one.where)
    return problems


def _selects(host: Host, workload: Workload) -> bool:
    return bool(host.selector) and host.selector.items() <= workload.pod_labels.items()


def _service_name(workload: Workload, hosts: Iterable[Host]) -> str:
    """Return the one Kubernetes Service in front of a workload (``reviews`` of ``reviews-v2``), else its own name."""
    fronts = [host.name for host in hosts if _selects(host, workload)]
    return fronts[0] if len(fronts) == 1 else workload.name


def _behind(hosts: Iterable[Host], workloads: Iterable[Workload], names: Mapping[str, str]) -> dict[str, str]:
    """Return which service answers under which host name; a host without pods here stands for itself."""
    found = {}
    for host in hosts:
        served = [names[workload.name] for workload in workloads if _selects(host, workload)]
        found[host.name] = served[0] if served else host.name
    return found


def _services(
    workloads: Iterable[Workload],
    hosts: Iterable[Host],
    names: Mapping[str, str],
    behind: Mapping[str, str],
    default_team: str,
    *,
    needs_team: bool,
) -> tuple[list[FoundService], list[Problem]]:
    labels: dict[str, dict[str, str]] = {}
    where: dict[str, str] = {}
    for workload in workloads:
        name = names[workload.name]
        where.setdefault(name, workload.where)
        labels[name] = {**workload.pod_labels, **workload.labels, **labels.get(name, {})}
    for host in hosts:
        name = behind[host.name]
        where.setdefault(name, host.where)
        labels[name] = {**host.labels, **labels.get(name, {})}
    services, problems = [], []
    for name in sorted(labels):
        said = labels[name]
        team = said.get("team") or default_team
        services.append(FoundService(name, team, said.get("tier", ""), said.get("environment", ""), where[name]))
        for label, value, needed in (("team", team, needs_team), ("environment", said.get("environment", ""), False)):
            if (needed or value) and not is_slug(value):
                problems.append(Problem(where[name], f"metadata.labels.{label}", _label_sentence(label, value)))
    return services, problems


def _label_sentence(label: str, value: str) -> Sentence:
    if not value:
        return Sentence(_("Nobody owns this service. Add the label, or name a team with --team."))
    return Sentence(
        _("The %(label)s has lower-case letters, digits and hyphens only, not %(value)s."),
        {"label": label, "value": value},
    )


def _edges(
    workloads: list[Workload], names: Mapping[str, str], behind: Mapping[str, str], maps: Mapping[str, ConfigMap]
) -> list[FoundEdge]:
    takers: dict[str, set[str]] = {}
    for workload in workloads:
        for taken in workload.config_maps:
            takers.setdefault(taken, set()).add(names[workload.name])
    details: dict[tuple[str, str, DependencySource], list[str]] = {}
    for workload in workloads:
        caller = names[workload.name]
        for variable in workload.variables:
            chosen = maps.get(variable.config_map)
            value = chosen.data.get(variable.key, "") if chosen else variable.value
            for callee in _called(variable.name, value, behind):
                details.setdefault((caller, callee, DependencySource.ENVIRONMENT), []).append(variable.name)
        for book in (maps[name] for name in workload.config_maps if name in maps):
            source = _source_of(book, len(takers[book.name]), behind)
            for key, value in book.data.items():
                for callee in _called(key, value, behind):
                    details.setdefault((caller, callee, source), []).append(f"{book.name}: {key}")
    return [
        FoundEdge(caller, callee, source, ", ".join(sorted(set(said))))
        for (caller, callee, source), said in sorted(details.items())
        if caller != callee
    ]


def _source_of(book: ConfigMap, takers: int, behind: Mapping[str, str]) -> DependencySource:
    """Return whether a ConfigMap taken whole is this workload's own word, or an address book (see the top)."""
    spoken_of = {callee for key, value in book.data.items() for callee in _called(key, value, behind)}
    if takers == 1:
        return DependencySource.CONFIG
    if len(spoken_of) == 1 and _says_it_is_of(book, next(iter(spoken_of))):
        return DependencySource.CONFIG
    return DependencySource.SHARED_CONFIG


def _says_it_is_of(book: ConfigMap, service: str) -> bool:
    return book.labels.get("app") == service or book.name.startswith(f"{service}-")


def _called(name: str, value: str, behind: Mapping[str, str]) -> set[str]:
    return {behind[host] for host in hosts_in(name, value) if host in behind}


def _artifact(service: str, image: str) -> list[FoundArtifact]:
    match = _IMAGE.fullmatch(image)
    if match is None or match["digest"] is None:
        return []
    return [FoundArtifact(service, match["tag"] or "untagged", match["digest"], match["repository"])]


def _notes(workloads: Iterable[Workload], maps: Mapping[str, ConfigMap]) -> list[Sentence]:
    return [
        Sentence(
            _("%(where)s takes the ConfigMap %(name)s, which is not in this folder: edges in it are not known."),
            {"where": workload.where, "name": name},
        )
        for workload in workloads
        for name in workload.config_maps
        if name not in maps
    ]

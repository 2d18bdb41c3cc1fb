"""Look around before a write: rivals for the same host, other users of a delegate, targets that do not live."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from releases.cluster.client import DESTINATION_RULES, VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Forbidden, NotInstalled, ObjectMissing
from releases.cluster.workloads import ready_replicas
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.istio import parsing
from releases.traffic.istio.parsing import Place

Wanted = Mapping[str, int | None]


@dataclass(slots=True)
class Survey:
    """What stands in the way, and what a person should know."""

    obstacles: list[Sentence] = field(default_factory=list)
    warnings: list[Sentence] = field(default_factory=list)


def look_around(cluster: ClusterClient, place: Place, wanted: Wanted) -> Survey:
    """Return what speaks against this write; what the token may not look at becomes a warning.

    :raises Unreachable: no answer
    """
    survey = Survey()
    try:
        _rivals(cluster, place, survey)
    except Forbidden as error:
        survey.warnings.append(_unseen(error))
    for position, target in enumerate(place.targets):
        if (wanted.get(target.name) or 0) > (target.weight or 0):
            _alive(cluster, place, place.entries[position]["destination"], survey)
    return survey


def _rivals(cluster: ClusterClient, place: Place, survey: Survey) -> None:
    namespace, name = place.root["metadata"]["namespace"], place.root["metadata"]["name"]
    hosts = {parsing.full_host(host, namespace) for host in place.hosts}
    roots: list[str] = []
    for other in cluster.list(VIRTUAL_SERVICES, namespace):
        title = other["metadata"]["name"]
        theirs = {parsing.full_host(host, namespace) for host in other["spec"].get("hosts", ())}
        if title != name and hosts & theirs and parsing.covers_mesh(other) and parsing.covers_mesh(place.root):
            parts = {"name": title, "hosts": ", ".join(sorted(hosts & theirs))}
            survey.obstacles.append(
                Sentence(_("%(name)s routes %(hosts)s too; which one the mesh obeys is undefined."), parts)
            )
        if title != name and _hands_over(other, place):
            roots.append(title)
    if roots and place.root is not place.body:
        parts = {"names": ", ".join(sorted(roots))}
        survey.warnings.append(Sentence(_("The same delegate serves %(names)s too: they move along."), parts))


def _hands_over(other: Mapping[str, Any], place: Place) -> bool:
    namespace = other["metadata"]["namespace"]
    target = (place.meta["namespace"], place.meta["name"])
    places = range(len(other["spec"].get("http", ())))
    return any(parsing.delegate_of(other, at, namespace) == target for at in places)


def _alive(cluster: ClusterClient, place: Place, destination: Mapping[str, Any], survey: Survey) -> None:
    """Check that a target which is to get more traffic has a subset and at least one ready replica."""
    host, subset, namespace = destination["host"], destination.get("subset", ""), place.meta["namespace"]
    service, _dot, domain = host.partition(".")
    home = domain.split(".")[0] or namespace
    named = {"name": parsing.key_of(destination)}
    try:
        labels = _labels(cluster, home, host, subset, survey) if subset else {}
        if labels is None:
            return
        if ready_replicas(cluster, namespace=home, service=service, labels=labels) == 0:
            survey.obstacles.append(Sentence(_("%(name)s has no ready replica: traffic sent there would fail."), named))
    except Forbidden as error:
        survey.warnings.append(_unseen(error))
    except (ObjectMissing, NotInstalled):
        text = _("Whether %(name)s has ready replicas could not be seen: it is no plain Service.")
        survey.warnings.append(Sentence(text, named))


def _labels(cluster: ClusterClient, namespace: str, host: str, subset: str, survey: Survey) -> Mapping[str, str] | None:
    """Return the labels of a subset; ``None`` after saying why they are not known."""
    parts = {"host": host, "subset": subset}
    full = parsing.full_host(host, namespace)
    rules = [
        rule
        for rule in cluster.list(DESTINATION_RULES, namespace)
        if parsing.full_host(rule["spec"].get("host", ""), namespace) == full
    ]
    for rule in rules:
        if parsing.owner_of(rule["metadata"]):
            text = _("%(owner)s drives the subsets of %(host)s: ask it, it would write its own weights back.")
            survey.obstacles.append(Sentence(text, {**parts, "owner": parsing.owner_of(rule["metadata"])}))
            return None
    subsets = {one["name"]: one.get("labels", {}) for rule in rules for one in rule["spec"].get("subsets", ())}
    if subset in subsets:
        return dict(subsets[subset])
    if rules:
        text = _("%(host)s has no subset %(subset)s: traffic sent there would fail. Restore the subset first.")
        survey.obstacles.append(Sentence(text, parts))
    else:
        text = _("No DestinationRule for %(host)s was found, so subset %(subset)s could not be checked.")
        survey.warnings.append(Sentence(text, parts))
    return None


def _unseen(error: Forbidden) -> Sentence:
    return Sentence(_("Part of the check was skipped. %(why)s"), {"why": str(error.detail)})

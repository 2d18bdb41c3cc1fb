"""Look around before a write: rivals for the same host, other users of a delegate, targets that do not live."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from releases.cluster.client import DESTINATION_RULES, VIRTUAL_SERVICES, ClusterClient
from releases.cluster.errors import Forbidden
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import liveness
from releases.traffic.drivers import finding
from releases.traffic.istio import parsing
from releases.traffic.objects import Object, Spot
from releases.traffic.owners import owner_of
from releases.traffic.plane import Survey
from releases.traffic.ports import Weights


def look_around(cluster: ClusterClient, spot: Spot, wanted: Weights) -> Survey:
    """Return what speaks against this write; what the token may not look at becomes a warning.

    :raises Unreachable: no answer
    """
    survey = Survey()
    namespace, name = _address(spot.body)
    finding.check(cluster, survey, plural=VIRTUAL_SERVICES.plural, namespace=namespace, name=name)
    try:
        others = _others(cluster, spot, survey)
        _rivals(others, spot, survey)
        _roots(others, spot, survey)
    except Forbidden as error:
        survey.warnings.append(liveness.unseen(error))
    for target, entry in zip(spot.targets, spot.entries, strict=True):
        if (wanted.get(target.name) or 0) > target.share:
            _alive(cluster, spot, entry["destination"], survey)
    return survey


def _others(cluster: ClusterClient, spot: Spot, survey: Survey) -> tuple[Object, ...]:
    """Return every other VirtualService that the token sees, in whatever namespace.

    :raises Forbidden: it may list none
    """
    mine = _address(spot.root)
    found = finding.everywhere(cluster, VIRTUAL_SERVICES, mine[0], called="VirtualService", unknown=survey.warnings)
    return tuple(other for other in found if _address(other) != mine)


def _rivals(others: Iterable[Object], spot: Spot, survey: Survey) -> None:
    """Refuse two objects for one host that the same callers inside the mesh obey."""
    if not parsing.covers_mesh(spot.root):
        return
    (home, _name), hosts = _address(spot.root), _hosts(spot.root)
    for other in others:
        shared = hosts & _hosts(other)
        if shared and parsing.covers_mesh(other) and parsing.meet(spot.root, other):
            namespace, name = _address(other)
            title = name if namespace == home else f"{namespace}/{name}"
            parts = {"name": title, "hosts": ", ".join(sorted(shared))}
            survey.obstacles.append(
                Sentence(_("%(name)s routes %(hosts)s too; which one the mesh obeys is undefined."), parts)
            )


def _roots(others: Iterable[Object], spot: Spot, survey: Survey) -> None:
    """Name every other object that hands over to this one: its traffic moves along."""
    if spot.body["spec"].get("hosts"):
        return
    roots = sorted("/".join(_address(other)) for other in others if _hands_over(other, spot))
    survey.referrers += roots
    if roots:
        text = _("The same delegate serves %(names)s too: they move along.")
        survey.warnings.append(Sentence(text, {"names": ", ".join(roots)}))


def _hosts(body: Object) -> set[str]:
    namespace = body["metadata"]["namespace"]
    return {parsing.full_host(host, namespace) for host in body["spec"].get("hosts", ())}


def _address(body: Object) -> tuple[str, str]:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def _hands_over(other: Object, spot: Spot) -> bool:
    namespace = other["metadata"]["namespace"]
    routes = other["spec"].get("http", ())
    return any(parsing.delegate_of(route, namespace) == _address(spot.body) for route in routes)


def _alive(cluster: ClusterClient, spot: Spot, destination: Mapping[str, Any], survey: Survey) -> None:
    """Check that a target which is to get more traffic has a subset and at least one ready endpoint."""
    host, subset = destination["host"], destination.get("subset", "")
    service, _dot, domain = host.partition(".")
    home = domain.split(".")[0] or spot.meta["namespace"]
    labels: Mapping[str, str] | None = {}
    if subset:
        try:
            labels = _labels(cluster, home, host, subset, survey)
        except Forbidden as error:
            labels = None
            survey.warnings.append(liveness.unseen(error))
    if labels is not None:
        key = parsing.key_of(destination)
        liveness.check(cluster, survey, target=key, namespace=home, service=service, labels=labels)


def _labels(cluster: ClusterClient, namespace: str, host: str, subset: str, survey: Survey) -> Mapping[str, str] | None:
    """Return the labels of a subset; ``None`` after saying why they are not known.

    :raises Forbidden: the token may not look
    """
    parts = {"host": host, "subset": subset}
    rules = list(_rules(cluster, namespace, host))
    for rule in rules:
        owner = owner_of(rule["metadata"])
        if owner and owner.drives:
            text = _("%(owner)s drives the subsets of %(host)s: ask it, it would write its own weights back.")
            survey.obstacles.append(Sentence(text, {**parts, "owner": owner.system}))
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


def _rules(cluster: ClusterClient, namespace: str, host: str) -> Iterator[Object]:
    """Iterate the DestinationRules of a host."""
    full = parsing.full_host(host, namespace)
    for rule in cluster.list(DESTINATION_RULES, namespace):
        if parsing.full_host(rule["spec"].get("host", ""), namespace) == full:
            yield rule

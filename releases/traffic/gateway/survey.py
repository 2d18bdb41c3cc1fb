"""Look around before a write: who drives the route, and whether the backends that get more live."""

from releases.cluster.client import ClusterClient
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic import liveness
from releases.traffic.drivers import finding
from releases.traffic.objects import Spot
from releases.traffic.plane import Survey
from releases.traffic.ports import Weights


def look_around(cluster: ClusterClient, spot: Spot, wanted: Weights) -> Survey:
    """Return what speaks against this write; what the token may not look at becomes a warning.

    :raises Unreachable: no answer
    """
    survey = Survey()
    namespace, name = spot.meta["namespace"], spot.meta["name"]
    finding.check(cluster, survey, plural=spot.kind.plural, namespace=namespace, name=name)
    for target, backend in zip(spot.targets, spot.entries, strict=True):
        share = wanted.get(target.name, target.weight)
        if (target.absent if share is None else share) <= target.share:
            continue
        if (backend.get("group", ""), backend.get("kind", "Service")) == ("", "Service"):
            home = backend.get("namespace") or namespace
            liveness.check(cluster, survey, target=target.key, namespace=home, service=backend["name"])
        else:
            text = _("Whether %(name)s has ready endpoints could not be seen: it is no plain Service.")
            survey.warnings.append(Sentence(text, {"name": target.key}))
    return survey

"""Whether a target in a cluster lives: what gets more traffic must have somebody to answer it."""

from collections.abc import Mapping

from releases.cluster.client import ClusterClient
from releases.cluster.errors import Forbidden, NotInstalled, ObjectMissing
from releases.cluster.workloads import ready_endpoints
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.plane import Survey


def check(
    cluster: ClusterClient,
    survey: Survey,
    *,
    target: str,
    namespace: str,
    service: str,
    labels: Mapping[str, str] | None = None,
) -> None:
    """Doubt a target that is to get more traffic and has no ready endpoint; ``labels`` narrow its service down.

    :raises Rejected: a clear no
    :raises Unreachable: no answer
    """
    named = {"name": target}
    try:
        if not ready_endpoints(cluster, namespace=namespace, service=service, labels=labels or {}):
            text = _("%(name)s has no ready endpoint: traffic sent there would fail.")
            survey.doubts.append(Sentence(text, named))
    except Forbidden as error:
        survey.warnings.append(unseen(error))
    except (ObjectMissing, NotInstalled):
        text = _("Whether %(name)s has ready endpoints could not be seen: it is no plain Service.")
        survey.warnings.append(Sentence(text, named))


def unseen(error: Forbidden) -> Sentence:
    """Return what to say of a check that the token does not allow."""
    return Sentence(_("Part of the check was skipped. %(why)s"), {"why": str(error.detail)})

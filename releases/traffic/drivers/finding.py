"""Find who drives a route: Rollouts and Canaries say so in their own objects, the route itself does not."""

from collections.abc import Callable, Iterator, Mapping

from releases.cluster.client import ClusterClient, Kind
from releases.cluster.errors import Forbidden, NotInstalled
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.drivers import flagger, rollouts
from releases.traffic.drivers.asking import Asking, Book, Object, address
from releases.traffic.liveness import unseen
from releases.traffic.plane import Survey

_BOOKS: Mapping[Callable[[Object], Iterator[tuple[str, str, str]]], Book] = {
    rollouts.references: rollouts.BOOK,
    flagger.references: flagger.BOOK,
}


def drivers_of(
    cluster: ClusterClient, *, plural: str, namespace: str, name: str, unknown: list[Sentence]
) -> Iterator[Asking]:
    """Iterate who drives a route; what the token may not look at is added to ``unknown``.

    :raises Rejected: another clear no
    :raises Unreachable: no answer
    """
    for references, book in _BOOKS.items():
        try:
            objects = everywhere(cluster, book.kind, namespace, called=book.system, unknown=unknown)
        except NotInstalled:
            continue
        except Forbidden as error:
            unknown.append(unseen(error))
            continue
        for found in objects:
            if (plural, namespace, name) in references(found):
                yield Asking(cluster, book, *address(found))


def everywhere(
    cluster: ClusterClient, kind: Kind, namespace: str, *, called: str, unknown: list[Sentence]
) -> tuple[Object, ...]:
    """Return the objects of all namespaces, or of this one when the token sees no more, and say so then.

    :raises Forbidden: the token may not list them here either
    :raises Rejected: another clear no
    :raises Unreachable: no answer
    """
    try:
        return cluster.list(kind)
    except Forbidden as error:
        found = cluster.list(kind, namespace)
        text = _("%(system)s was looked for in the namespace %(namespace)s only. %(why)s")
        unknown.append(Sentence(text, {"system": called, "namespace": namespace, "why": error.detail}))
        return found


def check(cluster: ClusterClient, survey: Survey, *, plural: str, namespace: str, name: str) -> None:
    """Refuse to write past whoever drives this route.

    :raises Rejected: a clear no
    :raises Unreachable: no answer
    """
    for one in drivers_of(cluster, plural=plural, namespace=namespace, name=name, unknown=survey.warnings):
        survey.obstacles.append(one.owner.consequence)

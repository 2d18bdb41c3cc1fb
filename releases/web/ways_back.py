"""The way back of one item as pages show it: what will be done, step by step, and how sure that is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web import looks
from releases.web.looks import Line, Look, Words
from releases.web.tags import percent


@dataclass(frozen=True, slots=True)
class WayBack:
    """What will be done to go back, and whether that is proved, assumed or impossible."""

    title: Words
    look: Look
    steps: tuple[Line, ...]


def way_back(
    *, service: str, where: str, version: str, splits: Iterable[Mapping[str, int]], job: str, migration_class: str
) -> WayBack:
    """Return the way back of one item; ``version`` is empty where nothing is known to run."""
    names = {"service": service, "version": version, "where": where}
    if not version:
        title = Sentence(mark("%(service)s in %(where)s"), names)
        why = Line("stop", "✕", _("Nothing is known to run there: name the version to go back to."))
        return WayBack(title, looks.PROOFS["impossible"], (why,))
    told = [", ".join(f"{name} {percent(weight)}" for name, weight in one.items()) for one in splits]
    steps = (
        Line("go", "✓", Sentence(mark("All traffic back to %(version)s"), names), detail="; ".join(dict.fromkeys(told)))
        if told
        else Line("", "·", _("No route is split here"), detail=_("the redeployment alone brings it back")),
        Line("go", "✓", Sentence(mark("Redeploy %(version)s"), names), detail=job)
        if job
        else Line("wait", "◔", _("No job is known that deploys it"), detail=_("bind a connection in the catalog")),
        looks.MIGRATIONS[migration_class],
    )
    worst = "impossible" if any(step.tone == "stop" for step in steps) else "assumed"
    return WayBack(Sentence(mark("%(service)s in %(where)s back to %(version)s"), names), looks.PROOFS[worst], steps)

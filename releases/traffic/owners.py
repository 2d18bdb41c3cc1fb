"""Recognise who else writes an object: from owner references, labels, annotations and the managers of its fields.

Two kinds matter. Argo Rollouts and Flagger **drive** weights: they are asked, never written past. Git and charts **put
back** what they hold: a shift is possible, and its end is told before.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.ports import Owner

ROLLOUTS = "Argo Rollouts"
FLAGGER = "Flagger"
ARGO_CD = "Argo CD"
FLUX = "Flux"
HELM = "Helm"

_DRIVERS = {"Canary": FLAGGER, "Rollout": ROLLOUTS}
_DRIVER_MARKS = {
    "flagger.kubernetes.io/original-configuration": FLAGGER,
    "argo-rollouts.argoproj.io/managed-by-rollouts": ROLLOUTS,
    "rollouts.argoproj.io/gatewayapi-canary": ROLLOUTS,
}
# In order: Helm and Argo CD both use the last one, which alone speaks for Argo CD.
_KEEPER_MARKS = {
    "argocd.argoproj.io/tracking-id": ARGO_CD,
    "kustomize.toolkit.fluxcd.io/": FLUX,
    "helm.toolkit.fluxcd.io/": FLUX,
    "meta.helm.sh/release-name": HELM,
    "app.kubernetes.io/instance": ARGO_CD,
}
_KEEPER_WRITERS = {
    "argocd-controller": ARGO_CD,
    "kustomize-controller": FLUX,
    "helm-controller": FLUX,
    "helm": HELM,
}
_CONSEQUENCES = {
    ARGO_CD: _(
        "Argo CD keeps this object as Git has it (%(mark)s): self-heal puts the old weights back after about "
        "5 seconds, a sync within 3 minutes. Commit the weights, or have the application ignore their differences."
    ),
    FLUX: _(
        "Flux keeps this object as Git has it (%(mark)s): it puts the old weights back at its next interval. Commit "
        "the weights, or suspend its reconciliation for the time of the release."
    ),
    HELM: _(
        "Helm installed this object (%(mark)s): the next upgrade of the chart puts the old weights back. Put the "
        "weights into the values of the chart too."
    ),
}


def driver(system: str, *, name: str = "") -> Owner:
    """Return an owner that drives the weights itself."""
    text = _("%(owner)s drives this route: ask it, it would write its own weights back.")
    return Owner(system, Sentence(text, {"owner": system}), drives=True, name=name)


def owner_of(meta: Mapping[str, Any]) -> Owner | None:
    """Return who else writes the object with these metadata, those that drive weights first."""
    references = meta.get("ownerReferences", ())
    for reference in references:
        if reference.get("kind") in _DRIVERS:
            return driver(_DRIVERS[reference["kind"]], name=reference.get("name", ""))
    marks = [*meta.get("annotations", ()), *meta.get("labels", ())]
    for mark, system in _DRIVER_MARKS.items():
        if mark in marks:
            return driver(system)
    for system, mark in _keepers(marks, meta):
        return Owner(system, Sentence(_CONSEQUENCES[system], {"mark": mark}))
    for reference in references:
        if reference.get("controller"):
            text = _("%(kind)s %(name)s made this object, and may write its own weights back. Ask whoever runs it.")
            parts = {"kind": reference.get("kind", ""), "name": reference.get("name", "")}
            return Owner(parts["kind"], Sentence(text, parts), name=parts["name"])
    return None


def _keepers(marks: list[str], meta: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for known, system in _KEEPER_MARKS.items():
        yield from ((system, mark) for mark in marks if mark.startswith(known))
    writers = [entry.get("manager", "") for entry in meta.get("managedFields", ())]
    yield from ((_KEEPER_WRITERS[name], name) for name in writers if name in _KEEPER_WRITERS)

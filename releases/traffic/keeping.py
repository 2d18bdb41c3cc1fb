"""What becomes of a shift where Git or a chart holds the route, and the commit that would keep it.

The commit is a patch for a kustomization, which names nothing but the weights: lists of routes are atomic, so a file
with one route would take its siblings away. It does not name the namespace: what a kustomization adds by itself no
target would match (kubectl.docs.kubernetes.io, references/kustomize/kustomization/patches).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.owners import ARGO_CD, FLUX, HELM
from releases.traffic.plane import Operation
from releases.traffic.ports import Preview, Weights

_FATES = {
    ARGO_CD: _(
        "Argo CD holds this route as Git has it: self-heal puts %(back)s back in about 5 seconds, a sync within 3 "
        "minutes. This commit would keep %(wanted)s."
    ),
    FLUX: _(
        "Flux holds this route as Git has it: it puts %(back)s back at its next interval. This commit would keep "
        "%(wanted)s."
    ),
    HELM: _(
        "Helm installed this route: the next upgrade of the chart puts %(back)s back. These weights in the chart would "
        "keep %(wanted)s."
    ),
}


@dataclass(frozen=True, slots=True)
class Keeping:
    """What its owner does with a shift, and what would keep it; ``commit`` is empty where nobody can commit it."""

    owner: str
    consequence: Sentence
    commit: str


def keeping(preview: Preview, wanted: Weights) -> Keeping | None:
    """Return what becomes of these weights, or ``None`` when nobody else writes the route, or drives it."""
    owner = preview.before.owner
    if owner is None or owner.drives:
        return None
    fate = _FATES.get(owner.system)
    parts = {"back": spoken(preview.before.weights), "wanted": spoken(wanted)}
    consequence = Sentence(fate, parts) if fate else owner.consequence
    return Keeping(owner.system, consequence, _commit(preview.before.manifest, preview.operations) if fate else "")


def spoken(weights: Weights) -> str:
    """Return weights as they are spoken of: 90/10, the stable side first."""
    return "/".join(str(weights[name] or 0) for name in sorted(weights, reverse=True))


def _commit(manifest: Mapping[str, str], operations: Sequence[Operation]) -> str:
    weights = [one for one in operations if str(one.get("path", "")).endswith("/weight") and one["op"] != "test"]
    if not manifest or not weights:
        return ""
    lines = [f"# kustomization.yaml, for {manifest['namespace']}", "patches:", "  - target:"]
    lines += [f"      {name}: {manifest[name]}" for name in ("group", "kind", "name")]
    lines.append("    patch: |-")
    for one in weights:
        lines += [f"      - op: {one['op']}", f"        path: {one['path']}"]
        lines += [f"        value: {one['value']}"] if "value" in one else []
    return "\n".join(lines) + "\n"

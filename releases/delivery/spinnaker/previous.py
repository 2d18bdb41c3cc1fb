"""What stands in a place and what stood there before, as Spinnaker tells it: revisions of a manifest, server groups."""

from collections.abc import Mapping, Sequence
from typing import Any

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.delivery.ports import Target, Version
from releases.delivery.spinnaker.client import Gate, Json
from releases.delivery.spinnaker.tasks import KINDS, Kind, Plan

REVISIONS = 10
NOTHING = _("Spinnaker knows nothing that stands in %(place)s.")
Options = Mapping[str, Any]


def versions(gate: Gate, application: str, options: Options) -> list[Version]:
    """Return what stood there, newest first; the first stands there now."""
    if "manifestName" in options:
        return _revisions(gate, application, options)
    found = [gate.server_group(application, options, target) for target in ("CURRENT", "PREVIOUS")]
    return [Version(str(one["name"]), str(one["name"])) for one in found if one]


def emptiness(gate: Gate, application: str, options: Options) -> list[Sentence]:
    """Return that nothing stands in the place that the options name, if so."""
    if "manifestName" in options:
        found = gate.manifest(options["account"], options["location"], options["manifestName"])
    else:
        found = gate.server_group(application, options, "CURRENT")
    return [] if found else [Sentence(NOTHING, {"place": _named(options)})]


def plan(gate: Gate, target: Target, application: str) -> Plan:
    """Return what to go back from and to: as the options say, else to the artifact that was ordered, by its digest.

    :raises Rejected: nothing of that kind ever stood there
    """
    options = target.options
    there = versions(gate, application, options)
    if not there:
        raise Rejected(Sentence(NOTHING, {"place": _named(options)}))
    chosen = KINDS[options["task"]].goes_to
    if chosen == "revision":
        return Plan(there[0].ref, str(options.get("revision") or _revision_of(target, there)))
    back = there[1].ref if len(there) > 1 else ""
    plan = Plan(str(options.get("now") or there[0].ref), str(options.get("back") or back))
    if chosen and plan.back in ("", plan.now):
        text = _("Spinnaker has nothing to go back to in %(place)s: only %(now)s ever stood there.")
        raise Rejected(Sentence(text, {"place": _named(options), "now": plan.now}))
    return plan


def stands(gate: Gate, application: str, options: Options) -> str:
    """Return what shows whether a task took: the images, the generation, or the group that takes requests.

    :raises Unreachable: Spinnaker does not see the place now
    """
    kind = KINDS[str(options["task"])]
    if kind.measure == "group":
        found = gate.server_group(application, options, "CURRENT")
        return str(found["name"]) if found else ""
    manifest = gate.manifest(options["account"], options["location"], options["manifestName"])
    if manifest is None:
        raise Unreachable(Sentence(NOTHING, {"place": _named(options)}))
    return _measured(manifest, kind)


def wanted(gate: Gate, application: str, options: Options, plan: Plan) -> str:
    """Return what :func:`stands` shall tell afterwards; empty when only a change can be told.

    :raises Rejected: there is no such revision
    """
    kind = KINDS[str(options["task"])]
    if kind.goes_to != "revision":
        return plan.back if kind.goes_to else ""
    name = next((one for ref, one in _groups(gate, application, options) if ref == plan.back), "")
    manifest = gate.manifest(options["account"], options["location"], name) if name else None
    if manifest is None:
        text = _("Spinnaker has no revision %(revision)s of %(place)s.")
        raise Rejected(Sentence(text, {"revision": plan.back, "place": _named(options)}))
    return _measured(manifest, kind)


def _revision_of(target: Target, there: Sequence[Version]) -> str:
    """Return the revision that carries what was ordered."""
    digest, name = target.parameters.get("DIGEST", ""), target.parameters.get("VERSION", "")
    for one in there:
        if digest in (one.digest, "") and (digest or name) and (digest or name == one.name):
            return one.ref
    text = _("No revision of %(place)s carries %(version)s. Spinnaker has %(known)s.")
    known = [f"{one.name} ({one.ref})" for one in there]
    raise Rejected(Sentence(text, {"place": _named(target.options), "version": name or digest, "known": known}))


def _revisions(gate: Gate, application: str, options: Options) -> list[Version]:
    found = []
    for ref, name in _groups(gate, application, options)[:REVISIONS]:
        manifest = gate.manifest(options["account"], options["location"], name)
        if manifest is not None:
            found.append(_version(manifest, ref))
    return found


def _groups(gate: Gate, application: str, options: Options) -> list[tuple[str, str]]:
    """Return revision and name of each group that a workload keeps, the newest first: its sequence is the revision."""
    for one in gate.managers(application):
        place = one.get("namespace") or one.get("region")
        if (one.get("account"), place, one.get("name")) != tuple(options[name] for name in PLACE):
            continue
        rows = [(int(each["moniker"]["sequence"]), str(each["name"])) for each in one["serverGroups"]]
        return [(str(number), name) for number, name in sorted(rows, reverse=True)]
    return []


PLACE = ("account", "location", "manifestName")


def _version(manifest: Json, ref: str) -> Version:
    image = next(iter(_images(manifest)), "")
    plain, _at, digest = image.partition("@")
    labels = _template(manifest).get("metadata", {}).get("labels", {})
    return Version(str(labels.get("version") or plain.rpartition(":")[2]), ref, digest)


def _measured(manifest: Json, kind: Kind) -> str:
    if kind.measure == "images":
        return ", ".join(_images(manifest))
    return f"{kind.measure} {manifest.get('metadata', {}).get('generation')}"


def _images(manifest: Json) -> list[str]:
    return [str(one["image"]) for one in _template(manifest).get("spec", {}).get("containers", [])]


def _template(manifest: Json) -> Json:
    found = manifest.get("spec", {}).get("template", {})
    return found if isinstance(found, dict) else {}


def _named(options: Options) -> str:
    return " ".join(str(options[name]) for name in ("location", "manifestName", "region", "cluster") if name in options)

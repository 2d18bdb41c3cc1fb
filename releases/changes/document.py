"""The content that votes and permits bind to: one document, one digest (design/trust.md, section 1).

Every field of these tables is either carried by the document or explicitly outside it; a house test compares this
page with the models, so a new field cannot be forgotten.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from releases.catalog import queries as catalog
from releases.changes.models import ChangeRequest, Item
from releases.core import canonical

SCHEMA = 2
SCHEMAS = {1: ("authors", "implementers"), SCHEMA: ("authors", "committers", "implementers")}  # who took part

IN_DIGEST: Mapping[str, frozenset[str]] = {
    "ChangeRequest": frozenset(
        {
            "id", "type", "title", "why", "plan", "parameters", "steps", "test_evidence", "starts_at", "ends_at",
            "requester", "authors", "implementers", "committers", "assessment", "policy", "revision_number",
        }
    ),
    "Item": frozenset({"service", "environment", "artifact", "position"}),
    "RollbackPlan": frozenset({"target_artifact", "traffic_snapshot", "job", "migration_class"}),
}  # fmt: skip
OUT_OF_DIGEST: Mapping[str, Mapping[str, str]] = {
    "ChangeRequest": {
        "number": "a name, given once",
        "state": "where it stands, not what it says",
        "content_digest": "the digest itself",
        "round": "holds the votes on this digest",
        "outcome": "known only afterwards",
        "is_on_hold": "stops a change, never widens it",
        "hold_reason": "belongs to the hold",
        "watch_until_at": "set when the release has gone out",
        "superseded_by": "ends a change, never widens it",
        "created_at": "when, not what",
        "updated_at": "when, not what",
        "told_from_at": "when, not what",
        "closed_at": "when, not what",
    },
    "Item": {"id": "a name of the row", "change": "the document is the change's"},
    "RollbackPlan": {"item": "the plan stands inside its item"},
}


def content(change: ChangeRequest, *, schema: int | None = None) -> dict[str, Any]:
    """Return the whole document of a change as it stands now, ready for canonical JSON; in this schema, or the latest.

    Moments are epoch microseconds; people are ids in order. Assessment and policy are present once submitted.
    """
    schema = schema or SCHEMA
    assessment, policy = change.assessment, change.policy
    items = items_of(change)
    wiring = catalog.wiring_in(item.place for item in items)
    return {
        "schema": schema,
        "change": str(change.pk),
        "revision": change.revision_number,
        "type": change.type,
        "title": change.title,
        "why": change.why,
        "plan": change.plan,
        "parameters": change.parameters,
        **({"steps": change.steps} if change.steps else {}),  # the usual pace is no content
        "test_evidence": change.test_evidence,
        "window": {
            "starts_us": canonical.microseconds(change.starts_at) if change.starts_at else None,
            "ends_us": canonical.microseconds(change.ends_at) if change.ends_at else None,
        },
        "requester": str(change.requester_id),
        **{name: sorted(map(str, getattr(change, name).values_list("pk", flat=True))) for name in SCHEMAS[schema]},
        "items": [_item(item, wiring[item.place]) for item in items],
        "assessment": {
            "impact": assessment.impact,
            "likelihood": assessment.likelihood,
            "level": assessment.level,
        }
        if assessment
        else None,
        "policy": {"id": str(policy.pk), "version": policy.version, "digest": policy.digest} if policy else None,
    }


def digest_of(change: ChangeRequest) -> str:
    """Return the content digest of a change as it stands now."""
    return canonical.digest(content(change))


def is_intact(change: ChangeRequest) -> bool:
    """Return whether a change still says what its digest was made of, in the schema of that time.

    What the first schema did not carry must be empty, or it would slip past the vote.
    """
    if digest_of(change) == change.content_digest:
        return True
    return not change.committers.exists() and canonical.digest(content(change, schema=1)) == change.content_digest


def items_of(change: ChangeRequest) -> list[Item]:
    """Return the items in order, with everything the document needs."""
    return list(
        change.items.select_related(
            "service", "environment", "artifact", "way_back__target_artifact"
        ).order_by("position")
    )  # fmt: skip


def _item(item: Item, wiring: list[dict[str, str]]) -> dict[str, Any]:
    back = item.way_back
    return {
        "position": item.position,
        "service": str(item.service_id),
        "environment": str(item.environment_id),
        "artifact": item.artifact.digest,
        "connections": wiring,
        "rollback": {
            "artifact": back.target_artifact.digest if back.target_artifact else None,
            "traffic": back.traffic_snapshot,
            "job": back.job,
            "migration_class": back.migration_class,
        },
    }


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return what differs between two documents as (dotted name, before, after), in order."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            old, new = dict(_numbered(old)), dict(_numbered(new))
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found += [(f"{name}.{inner}", was, now) for inner, was, now in differences(old, new)]
        elif old != new:
            found.append((name, old, new))
    return found


def _numbered(many: list[Any]) -> Iterator[tuple[str, Any]]:
    for number, one in enumerate(many, start=1):
        yield str(number), one

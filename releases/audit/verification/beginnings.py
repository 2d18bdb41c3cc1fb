"""Read how each epoch of the record began: its first event says from where the record was restored."""

from typing import Any

from releases.audit import epochs
from releases.audit.envelope import parse
from releases.audit.kinds import Kind
from releases.audit.verification.looking import Look
from releases.audit.verification.reading import rows
from releases.core.words import mark as _

EVENTS = (
    "SELECT e.body, l.tree_index FROM audit_event e LEFT JOIN audit_leaf l ON l.event_id = e.event_id"
    " WHERE e.kind = %s ORDER BY e.stream_version"
)


def read(look: Look) -> None:
    """Learn the lineage, and hold the events that tell it against their places in the tree."""
    found: list[epochs.Beginning] = []
    for body, index in rows(EVENTS, [str(Kind.AUDIT_EPOCH_BEGUN)]):
        began = _beginning(body)
        if began is None:
            continue  # the look at every event names it
        found.append(began)
        row = f"beginning of epoch {began.epoch}"
        if index != began.restored.size:
            look.find("audit_event", row, "body", _("It is not the first event of its epoch."))
        if began.restored.size:
            look.roots.setdefault(began.restored.size, []).append(("audit_event", row, began.restored.root))
    look.lineage = epochs.Lineage(found)
    look.report.epoch = look.lineage.current


def _beginning(body: str) -> epochs.Beginning | None:
    try:
        document: dict[str, Any] = parse(body)
        return epochs.read(document["data"])
    except (ValueError, KeyError, TypeError):
        return None

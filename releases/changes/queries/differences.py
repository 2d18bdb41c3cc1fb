"""What changed between the content somebody saw and the content as it stands."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from releases.changes.document import content, differences
from releases.changes.models import ChangeRequest, Revision
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _

SHOWN = 120
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MOMENT = "_us"  # how the document names moments: microseconds since the epoch
FIELDS: Mapping[str, str] = {
    "revision": _("Revision"),
    "title": _("Title"),
    "why": _("Reason"),
    "plan": _("Plan"),
    "type": _("Type"),
    "starts_us": _("From"),
    "ends_us": _("To"),
    "artifact": _("Artifact"),
    "percent": _("Share of a step"),
    "pause_minutes": _("Pause of a step"),
    "steps": _("Steps"),
    "passed": _("Tests passed"),
    "failed": _("Tests failed"),
}


def between(change: ChangeRequest, seen_digest: str) -> list[Reason]:
    """Return one reason per field that differs from the revision with that digest; empty when it is not known."""
    seen = Revision.objects.filter(change=change, content_digest=seen_digest).first()
    if seen is None:
        return []
    before = json.loads(seen.document)
    return [
        Reason(
            "difference",
            Sentence(
                _("%(field)s was “%(before)s” and is “%(after)s” now."),
                {"field": _field(name), "before": _shown(name, was), "after": _shown(name, now)},
            ),
        )
        for name, was, now in differences(before, content(change, schema=before["schema"]))
    ]


def _field(name: str) -> Sentence | str:
    """Return the word people know a field by; what lies deep inside is named as the document names it."""
    last = name.rsplit(".", 1)[-1]
    return Sentence(FIELDS[last]) if last in FIELDS and "rollback" not in name else name


def _shown(name: str, value: Any) -> object:
    if name.endswith(MOMENT) and isinstance(value, int):
        return EPOCH + timedelta(microseconds=value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"

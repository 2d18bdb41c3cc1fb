"""What changed between the content somebody saw and the content as it stands."""

import json
from typing import Any

from releases.changes.document import content, differences
from releases.changes.models import ChangeRequest, Revision
from releases.core.errors import Reason, Sentence
from releases.core.words import mark as _

SHOWN = 120


def between(change: ChangeRequest, seen_digest: str) -> list[Reason]:
    """Return one reason per field that differs from the revision with that digest; empty when it is not known."""
    seen = Revision.objects.filter(change=change, content_digest=seen_digest).first()
    if seen is None:
        return []
    return [
        Reason(
            "difference",
            Sentence(
                _("%(field)s was “%(before)s” and is “%(after)s” now."),
                {"field": name, "before": _shown(before), "after": _shown(after)},
            ),
        )
        for name, before, after in differences(json.loads(seen.document), content(change))
    ]


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"

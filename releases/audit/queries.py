"""Read the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from releases.audit.models import AuditEvent
from releases.audit.services import parsed

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to print; erased texts are missing."""

    id: UUID
    at: datetime
    kind: str
    actor_kind: str
    actor_id: str
    actor_name: str
    data: Mapping[str, Any]
    text: Mapping[str, str]


def story(stream: str) -> list[Entry]:
    """Return the events of a stream, oldest first."""
    events = AuditEvent.objects.filter(stream=stream).prefetch_related("texts").order_by("stream_version")
    return [_entry(event) for event in events]


def states_from_events() -> dict[str, dict[str, Any]]:
    """Return, by stream, the data of the last event that carried a state: what the tables should say."""
    found: dict[str, dict[str, Any]] = {}
    for body in AuditEvent.objects.order_by("stream", "stream_version").values_list("body", flat=True).iterator():
        envelope = parsed(body)
        if "state" in envelope["data"]:
            found[envelope["stream"]] = envelope["data"]
    return found


def _entry(event: AuditEvent) -> Entry:
    envelope = parsed(event.body)
    actor = envelope["actor"]
    return Entry(
        id=event.event_id,
        at=EPOCH + timedelta(microseconds=envelope["occurred_us"]),
        kind=envelope["kind"],
        actor_kind=actor["kind"],
        actor_id=actor["id"],
        actor_name=actor["name"],
        data=envelope["data"],
        text={text.field: text.body for text in event.texts.all()},
    )

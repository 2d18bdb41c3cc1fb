"""Read the record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from releases.audit.envelope import parse
from releases.audit.models import AuditEvent, AuditText

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to print. ``text`` is what people wrote; ``erased`` names what was removed since."""

    id: UUID
    version: int
    at: datetime
    kind: str
    actor_kind: str
    actor_id: str
    actor_name: str
    data: Mapping[str, Any]
    text: Mapping[str, str]
    erased: tuple[str, ...]
    operation: str


def story(stream: str) -> list[Entry]:
    """Return the events of a stream, oldest first, in two queries."""
    bodies = AuditEvent.objects.filter(stream=stream).order_by("stream_version").values_list("body", flat=True)
    documents = [parse(body) for body in bodies]
    ids = [document["event_id"] for document in documents if document["text"]]
    texts: dict[str, dict[str, str]] = {}
    for event_id, field, body in AuditText.objects.filter(event_id__in=ids).values_list("event_id", "field", "body"):
        texts.setdefault(str(event_id), {})[field] = body
    return [_entry(document, texts.get(document["event_id"], {})) for document in documents]


def states_from_events() -> dict[str, dict[str, Any]]:
    """Return, by stream, the data of the last event that moved its subject: what the tables should say.

    An event speaks for the subject of its stream only when its kind has the same one: ``operation.failed`` in the
    stream of a change says nothing of the change's state.
    """
    found: dict[str, dict[str, Any]] = {}
    rows = AuditEvent.objects.order_by("stream", "stream_version").values_list("stream", "kind", "body")
    for stream, kind, body in rows.iterator(chunk_size=1000):
        if kind.split(".")[0] == stream.split(":")[0] and "state" in (data := parse(body)["data"]):
            found[stream] = data
    return found


def moment(microseconds: int) -> datetime:
    """Return the moment of an event's time, exact."""
    return _EPOCH + timedelta(microseconds=microseconds)


def _entry(document: Mapping[str, Any], texts: Mapping[str, str]) -> Entry:
    actor = document["actor"]
    return Entry(
        id=UUID(document["event_id"]),
        version=document["stream_version"],
        at=moment(document["occurred_us"]),
        kind=document["kind"],
        actor_kind=actor["kind"],
        actor_id=actor["id"],
        actor_name=actor["name"],
        data=document["data"],
        text=texts,
        erased=tuple(sorted(set(document["text"]) - set(texts))),
        operation=document["operation"],
    )

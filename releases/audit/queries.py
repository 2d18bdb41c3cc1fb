"""Read the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from releases.audit.envelope import parse
from releases.audit.models import AuditEvent, AuditText, Checkpoint, Unsealed
from releases.audit.moments import database_us, moment
from releases.audit.report import Finding, Report
from releases.audit.sealer import EPOCH, witness_of_settings
from releases.audit.verification import Verification
from releases.core.errors import Sentence
from releases.core.words import mark as _


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


@dataclass(frozen=True, slots=True)
class Sealing:
    """How far the record is sealed and witnessed, without looking at every event.

    ``agrees`` is false when the newest thing the witness saw is not in the record: stop deciding, call for people.
    """

    sealed_size: int
    witnessed_size: int
    waiting: int
    oldest_waits_seconds: float
    agrees: bool


def sealing() -> Sealing:
    """Return how sealing goes, in four small queries and one look at the end of the witness's file."""
    last = witness_of_settings().last()
    checkpoints = Checkpoint.objects.filter(epoch=EPOCH)
    sizes = checkpoints.order_by("-tree_size").values_list("tree_size", flat=True)
    waiting = Unsealed.objects.values("event_id")
    oldest = AuditEvent.objects.filter(event_id__in=waiting).order_by("occurred_us").first()
    return Sealing(
        sealed_size=sizes.first() or 0,
        witnessed_size=last.size if last else 0,
        waiting=waiting.count(),
        oldest_waits_seconds=(database_us() - oldest.occurred_us) / 1_000_000 if oldest else 0.0,
        agrees=last is None or checkpoints.filter(tree_size=last.size, root=last.root).exists(),
    )


def verify() -> Report:
    """Look at the whole record and name every row that is not as it was written.

    :raises CannotVerify: a key is missing or cannot be used
    """
    return Verification.of_settings().run()


def replay(tables: Mapping[str, Callable[[], Iterable[tuple[str, str]]]]) -> Report:
    """Hold the states that events tell against those in tables, by prefix of the stream.

    ``tables`` maps a prefix such as ``change`` to a function that yields each stream with its state.
    """
    told = {stream: str(data["state"]) for stream, data in states_from_events().items()}
    report = Report(is_witnessed=True)
    for prefix, read in tables.items():
        stored = dict(read())
        mine = {stream: state for stream, state in told.items() if stream.split(":")[0] == prefix}
        report.events += len(mine)
        for stream in sorted(stored.keys() | mine.keys()):
            if stored.get(stream) != mine.get(stream):
                sentence = _("The table says %(table)s, the events say %(events)s.")
                parts = {"table": stored.get(stream, "nothing"), "events": mine.get(stream, "nothing")}
                report.findings.append(Finding(prefix, stream, "state", Sentence(sentence, parts)))
    return report


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

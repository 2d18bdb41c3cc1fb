"""Read the record."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from releases.audit import notes, search
from releases.audit.envelope import parse
from releases.audit.models import AuditEvent, AuditText, Checkpoint, LastLook, Looker, Unsealed
from releases.audit.moments import database_us, moment
from releases.audit.report import Finding, Report
from releases.audit.sealer import agrees, newest_checkpoint, witness_of_settings
from releases.audit.search import Asked, Cursor
from releases.audit.verification import Verification
from releases.audit.witness import Witnessed
from releases.core.errors import Sentence
from releases.core.words import mark as _

_AT_ONCE = 500  # streams in one question


@dataclass(frozen=True, slots=True)
class Entry:
    """One event, ready to print. ``text`` is what people wrote; ``erased`` names what was removed since."""

    id: UUID
    stream: str
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
    return _entries(bodies)


def written(stream: str, *, events: Collection[UUID] = (), fields: Collection[str] = ()) -> dict[UUID, dict[str, str]]:
    """Return what people wrote beside the events of a stream and was not erased: all of it, or what is named."""
    found = {
        entry.id: {name: text for name, text in entry.text.items() if not fields or name in fields}
        for entry in story(stream)
        if not events or entry.id in events
    }
    return {event_id: texts for event_id, texts in found.items() if texts}


def stories(streams: Iterable[str], kinds: Iterable[str]) -> dict[str, list[Entry]]:
    """Return the events of these kinds by stream, each oldest first; a stream without one is left out."""
    names, wanted, told = list(streams), tuple(kinds), dict[str, list[Entry]]()
    for begin in range(0, len(names), _AT_ONCE):
        rows = AuditEvent.objects.filter(stream__in=names[begin : begin + _AT_ONCE], kind__in=wanted)
        for entry in _entries(rows.order_by("stream", "stream_version").values_list("body", flat=True)):
            told.setdefault(entry.stream, []).append(entry)
    return told


def newest(kinds: Iterable[str], *, most: int = 500) -> list[Entry]:
    """Return the last events of these kinds, whatever their stream, oldest first, in two queries."""
    found = AuditEvent.objects.filter(kind__in=tuple(kinds)).order_by("-occurred_us", "-stream_version")
    return _entries(reversed(list(found.values_list("body", flat=True)[:most])))


def found(asked: Asked, before: Cursor | None = None) -> tuple[list[Entry], Cursor | None]:
    """Return a page of the events that were asked for, newest first, in two queries, and where the next one begins."""
    rows, further = search.page(asked, before)
    return _entries(row.body for row in rows), further


def _entries(bodies: Iterable[str]) -> list[Entry]:
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

    ``unwitnessed_seconds`` is how long the oldest checkpoint waits for its witness. ``agrees`` is false when something
    speaks against the record (see :func:`contradiction`): nothing is decided, call for people.
    """

    sealed_size: int
    witnessed_size: int
    waiting: int
    oldest_waits_seconds: float
    unwitnessed_seconds: float
    agrees: bool

    @property
    def unwitnessed(self) -> int:
        """Return how many sealed events the witness has not seen."""
        return max(self.sealed_size - self.witnessed_size, 0)


def sealing() -> Sealing:
    """Return how sealing goes, in a few small queries and one look at the end of the witness's file."""
    seen_by_witness, newest = _seen_by_witness(), newest_checkpoint()
    last = seen_by_witness if isinstance(seen_by_witness, Witnessed) else None
    seen = last.size if last and newest and last.epoch == newest.epoch else 0
    waiting = Unsealed.objects.values("event_id")
    oldest = AuditEvent.objects.filter(event_id__in=waiting).order_by("occurred_us").first()
    unseen = Checkpoint.objects.filter(epoch=newest.epoch if newest else 0, tree_size__gt=seen).order_by("tree_size")
    since = unseen.values_list("note", flat=True).first()
    now = database_us()
    return Sealing(
        sealed_size=newest.tree_size if newest else 0,
        witnessed_size=last.size if last else 0,
        waiting=waiting.count(),
        oldest_waits_seconds=(now - oldest.occurred_us) / 1_000_000 if oldest else 0.0,
        unwitnessed_seconds=(now - notes.signed_at(since)) / 1_000_000 if since else 0.0,
        agrees=contradiction() is None,
    )


@dataclass(frozen=True, slots=True)
class Contradiction:
    """The record is not what was sealed: who found it (``witness``: just now), what, and since when it is known."""

    by: str
    what: Sentence
    since: datetime | None = None


def contradiction() -> Contradiction | None:
    """Return what speaks against the record, or ``None``: then decisions may rest on it.

    Cheap enough for every decision: what sealer and verification found last is kept in a table, and the end of the
    witness's file is compared on the spot. Nothing is verified here.
    """
    seen = _seen_by_witness()
    if isinstance(seen, Contradiction):
        return seen
    found = LastLook.objects.filter(since_us__isnull=False).order_by("since_us").first()
    if found is not None and found.since_us is not None:
        return Contradiction(found.by, Sentence(found.what["text"], found.what["parts"]), moment(found.since_us))
    if seen is not None and not agrees(seen):
        return Contradiction("witness", Sentence(_("The record does not hold what its witness saw last.")))
    return None


def verified_at() -> datetime | None:
    """Return when the whole record was verified last, by the database's clock."""
    looked = LastLook.objects.filter(by=Looker.VERIFICATION).values_list("looked_us", flat=True).first()
    return None if looked is None else moment(looked)


def is_verification_due(every: timedelta) -> bool:
    """Tell whether nobody has verified the whole record for so long."""
    last = verified_at()
    return last is None or moment(database_us()) - last >= every


def _seen_by_witness() -> Witnessed | Contradiction | None:
    """Return the last line of the witness; read before the tables, because what it saw was committed before."""
    try:
        return witness_of_settings().last()
    except OSError as error:
        sentence = Sentence(_("The witness of the record cannot be read: %(why)s."), {"why": error.strerror or "?"})
        return Contradiction("witness", sentence)


def verify() -> Report:
    """Look at the whole record and name every row that is not as it was written; what was found is not kept.

    Whoever runs the house says :func:`releases.audit.services.verify`, so that the gate knows of it.

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
        stream=document["stream"],
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

"""Hold every event against its hash, its columns, its neighbours in the stream, its leaf and its texts."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from releases.audit.envelope import FIRST, VERSION, commitment, leaf_hash, parse
from releases.audit.kinds import Kind
from releases.audit.verification.looking import AHEAD_US, Look
from releases.audit.verification.reading import CHUNK, key_of, rows, uuid_of
from releases.core.errors import Sentence
from releases.core.words import mark as _

GRACE_US = 10_000_000  # an event may wait for its leaf this long before somebody is told
BEFORE_US = 60_000_000  # a transaction that began before a checkpoint and ended after it
ENVELOPE = {
    *("v", "event_id", "stream", "stream_version", "prev", "kind", "occurred_us"),
    *("actor", "request", "cause", "operation", "data", "text"),
}
EVENT = (
    "SELECT e.body, e.leaf_hash, l.tree_index, l.leaf_hash, u.event_id, e.event_id, e.stream, e.stream_version,"
    " e.kind, e.actor_kind, e.actor_id, e.operation, e.occurred_us"
    " FROM audit_event e LEFT JOIN audit_leaf l ON l.event_id = e.event_id"
    " LEFT JOIN audit_unsealed u ON u.event_id = e.event_id ORDER BY e.stream, e.stream_version"
)
DERIVED: tuple[tuple[str, Callable[[dict[str, Any]], Any]], ...] = (  # in the order of EVENT's last columns
    ("event_id", lambda body: body["event_id"]),
    ("stream", lambda body: body["stream"]),
    ("stream_version", lambda body: body["stream_version"]),
    ("kind", lambda body: body["kind"]),
    ("actor_kind", lambda body: body["actor"]["kind"]),
    ("actor_id", lambda body: body["actor"]["id"]),
    ("operation", lambda body: body["operation"]),
    ("occurred_us", lambda body: body["occurred_us"]),
)
WITHOUT_EVENT = (
    "SELECT t.event_id, {more} FROM {table} t LEFT JOIN audit_event e ON e.event_id = t.event_id"
    " WHERE e.event_id IS NULL ORDER BY 2"
)


def events(look: Look) -> set[tuple[str, str]]:
    """Hold every event against what belongs to it; return the texts (event, field) that an event erased."""
    stream = _Stream()
    erased: set[tuple[str, str]] = set()
    absent: dict[tuple[str, str], str] = {}
    texts: list[tuple[str, str, dict[str, str]]] = []
    for row in rows(EVENT):
        look.report.events += 1
        found = len(look.report.findings)
        document = _body(look, row)
        if document is None:
            stream.skip(row[6], row[7])
            continue
        name = _name(document)
        _columns(look, row, document, name)
        clean = len(look.report.findings) == found
        _sealing(look, row, document, name)
        for column, message in stream.follow(document, row[1] if clean else None):
            look.find("audit_event", name, column, message)
        if document["kind"] == Kind.AUDIT_TEXT_ERASED:
            erased |= {(document["data"]["event"], field) for field in document["data"]["fields"]}
        if document["text"]:
            texts.append((document["event_id"], name, document["text"]))
        if len(texts) >= CHUNK:
            absent |= _texts(look, texts)
            texts = []
    absent |= _texts(look, texts)
    for key, name in absent.items():
        if key not in erased:
            look.find("audit_text", f"{name}, {key[1]}", "", _("The text is gone and no event erased it."))
    return erased


def _body(look: Look, row: Sequence[Any]) -> dict[str, Any] | None:
    body, digest, index, leaf = row[:4]
    name = f"{row[6]} #{row[7]} (event {uuid_of(row[5])})"
    try:
        document = parse(body)
        if document.keys() != ENVELOPE or document["v"] != VERSION:
            raise ValueError("the body is not an event of ours")
        for _column, read in DERIVED:
            read(document)
    except (ValueError, KeyError, TypeError, UnicodeError):
        look.find("audit_event", name, "body", _("The body is not the text of an event."))
        return None
    own = leaf_hash(body)
    if own != digest:
        # the leaf remembers which of the two was edited
        column = "leaf_hash" if index is not None and leaf == own else "body"
        look.find("audit_event", _name(document), column, _("The body and its hash do not belong together."))
    if index is not None and leaf not in (own, digest):
        if index < look.right:
            look.find("audit_event", _name(document), "body", _("The event is not the one that was sealed."))
        else:
            look.find("audit_leaf", f"leaf {index}, {name}", "leaf_hash", _("The leaf is not this event's."))
    return document


def _columns(look: Look, row: Sequence[Any], document: dict[str, Any], name: str) -> None:
    for (column, read), stored in zip(DERIVED, row[5:], strict=True):
        if (uuid_of(stored) if column == "event_id" else stored) != read(document):
            look.find("audit_event", name, column, _("The column says something else than the body."))


def _sealing(look: Look, row: Sequence[Any], document: dict[str, Any], name: str) -> None:
    index, waiting, at = row[2], row[4], document["occurred_us"]
    before = after = None
    if index is None:
        look.report.unsealed += 1
        if waiting is None:
            look.find("audit_event", name, "", _("The event was not recorded by this program, or its leaf is gone."))
        elif look.now - at > GRACE_US:
            message = _("The event waits for its leaf: is the sealer running?")
            look.find("audit_unsealed", name, "", message, contradicts=False)
        before = look.times[-1][1] if look.times else None
    else:
        if waiting is not None:
            message = _("The event has its leaf and still waits for one.")
            look.find("audit_unsealed", name, "event_id", message, contradicts=False)
        place = bisect_right(look.times, (index, 2**63))
        before = look.times[place - 1][1] if place else None
        after = look.times[place][1] if place < len(look.times) else None
    late = at > (look.now if after is None else after) + AHEAD_US
    if late or (before is not None and at < before - BEFORE_US):
        message = _("The time does not fit the checkpoints around it.")  # the database's clock may have been set
        look.find("audit_event", name, "occurred_us", message, contradicts=False)


def _texts(look: Look, expected: Sequence[tuple[str, str, dict[str, str]]]) -> dict[tuple[str, str], str]:
    """Hold the texts of some events against their commitments; return those that are not there, each with its name."""
    absent: dict[tuple[str, str], str] = {}
    stored: dict[str, dict[str, str]] = {}
    ids = [key_of(event_id) for event_id, _name, _fields in expected]
    if ids:
        marks = ", ".join(["%s"] * len(ids))
        sql = f"SELECT event_id, field, salt, body FROM audit_text WHERE event_id IN ({marks})"  # noqa: S608 marks only
        for event_id, field, salt, body in rows(sql, ids):
            stored.setdefault(uuid_of(event_id), {})[field] = commitment(salt, body)
    for event_id, name, fields in expected:
        found = stored.get(event_id, {})
        for field, promised in fields.items():
            if field not in found:
                absent[event_id, field] = name
            elif found[field] != promised:
                look.find("audit_text", f"{name}, {field}", "body", _("The text or its salt was changed."))
        for field in sorted(found.keys() - fields.keys()):
            look.find("audit_text", f"{name}, {field}", "field", _("The event knows of no such text."))
    return absent


def strays(look: Look, erased: Collection[tuple[str, str]]) -> None:
    """Find rows whose event is gone, and texts that came back."""
    for table, more, row in (
        ("audit_leaf", "t.tree_index", "leaf %s, event %s"),
        ("audit_unsealed", "t.event_id", "%s, event %s"),
        ("audit_text", "t.field", "%s, event %s"),
    ):
        for event_id, what in rows(WITHOUT_EVENT.format(table=table, more=more)):
            shown = "waiting" if table == "audit_unsealed" else what
            look.find(table, row % (shown, uuid_of(event_id)), "event_id", _("There is no such event."))
    for event_id, field in sorted(erased):
        sql = "SELECT 1 FROM audit_text WHERE event_id = %s AND field = %s"
        if list(rows(sql, [key_of(event_id), field])):
            look.find("audit_text", f"event {event_id}, {field}", "", _("The text was erased and is back."))


class _Stream:
    """The chain of one stream after the other."""

    def __init__(self) -> None:
        self.name: str | None = None
        self.version, self.at_us = 0, 0
        self.last: str | None = FIRST  # None: not known, because the row before is a finding itself

    def follow(self, document: dict[str, Any], digest: str | None) -> Iterator[tuple[str, Sentence]]:
        """Yield what does not follow from the event before."""
        if document["stream"] != self.name:
            self.name, self.version, self.at_us, self.last = document["stream"], 0, 0, FIRST
        version = document["stream_version"]
        if version != self.version + 1:
            sentence = _("The stream has no event %(first)s before it: an event was removed or added.")
            yield "stream_version", Sentence(sentence, {"first": self.version + 1})
        elif self.last is not None and document["prev"] != self.last:
            yield "body", Sentence(_("It does not follow the event before it."))
        if document["occurred_us"] < self.at_us:
            yield "occurred_us", Sentence(_("It is older than the event before it."))
        self.version, self.at_us, self.last = version, document["occurred_us"], digest

    def skip(self, name: str, version: int) -> None:
        """Go past a row whose body cannot be read."""
        if name != self.name:
            self.name, self.at_us = name, 0
        self.version, self.last = version, None


def _name(document: dict[str, Any]) -> str:
    return f"{document['stream']} #{document['stream_version']} (event {document['event_id']})"

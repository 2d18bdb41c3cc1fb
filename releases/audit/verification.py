"""Look at the whole record in one snapshot and name every row that is not as it was written.

Chain: order inside a stream. Tree: nothing missing, nothing added. Signatures: the tree was ours. Witness: it still
is the same tree. Reads the tables by SQL, not through models, because a row that was tampered with may not load.

What nobody can see: an event that was removed, together with its waiting entry, in the second before it was sealed.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import connection, transaction

from releases.audit import guards, notes
from releases.audit.envelope import FIRST, VERSION, commitment, leaf_hash, parse
from releases.audit.kinds import Kind
from releases.audit.merkle import Frontier
from releases.audit.models import Checkpoint
from releases.audit.moments import database_us
from releases.audit.report import Finding, Report
from releases.audit.sealer import public_keys, witness_of_settings
from releases.audit.witness import BadLine, FileWitness
from releases.core.errors import GmudError, Sentence
from releases.core.keyfile import BadKey
from releases.core.words import mark as _

GRACE_US = 10_000_000  # an event may wait for its leaf this long before somebody is told
LAG_US = 60_000_000  # and a checkpoint for its witness
BEFORE_US = 60_000_000  # a transaction that began before a checkpoint and ended after it
AHEAD_US = 2_000_000
CHUNK = 500
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


class CannotVerify(GmudError):
    """The record cannot be looked at: a key or a table is missing."""

    code = "audit_cannot_verify"
    status = 503


class Verification:
    """One look; use it once."""

    @classmethod
    def of_settings(cls) -> "Verification":
        """Hold the record against the witness and the keys of this installation.

        :raises CannotVerify: a key cannot be used, or there is no key and there are signatures
        """
        try:
            keys = public_keys(Path(settings.GMUD_KEYS))
        except BadKey as error:
            raise CannotVerify(Sentence(_("A key cannot be used: %(why)s"), {"why": str(error)})) from error
        witness = witness_of_settings()
        if not keys and (witness.last() or Checkpoint.objects.exists()):
            raise CannotVerify(_("The key that signed the record is not in the folder of keys."))
        return cls(witness=witness, keys=keys)

    def __init__(self, *, witness: FileWitness, keys: Sequence[Ed25519PublicKey]) -> None:
        """Keep what the record is held against."""
        self.witness = witness
        self.keys = keys
        self.report = Report()
        self._roots: dict[int, list[tuple[str, str, str]]] = {}  # size: table, row, root
        self._times: list[tuple[int, int]] = []  # tree size and time of every checkpoint, growing
        self._erased: set[tuple[str, str]] = set()
        self._absent: dict[tuple[str, str], str] = {}
        self._right = 0  # the tree is known to be right up to this size
        self._now = 0

    def run(self) -> Report:
        """Look at everything, the witness first: what it saw was committed before."""
        seen = list(self.witness.all())
        with _snapshot():
            self._now = database_us()
            self._guards()
            self._witnessed(seen)
            self._checkpoints()
            self._tree()
            self._events()
            self._strays()
        return self.report

    # one table after the other

    def _guards(self) -> None:
        for name in guards.missing(connection):
            table = name.split("_no_")[0]
            self._find(table, name, "", _("The trigger that keeps the table append-only is not in place."))

    def _witnessed(self, seen: Iterable[Any]) -> None:
        size = 0
        for one in seen:
            row = f"line {one.line}"
            if isinstance(one, BadLine):
                self.report.notes.append(
                    Sentence(_("Line %(line)s of the witness cannot be read."), {"line": one.line})
                )
                continue
            said = self._said("witness", row, one.note)
            if said is None:
                continue
            for column in _differing(("epoch", "size", "root"), (one.epoch, one.size, one.root), said):
                self._find("witness", row, column, _("The line says something else than what was signed."))
            if said.size <= size:
                self._find("witness", row, "size", _("The tree did not grow since the line before."))
            size = max(size, said.size)
            self._roots.setdefault(said.size, []).append(("witness", row, said.root))
        self.report.witnessed_size = size

    def _checkpoints(self) -> None:
        there: set[int] = set()
        for epoch, size, root, note in _rows(
            "SELECT epoch, tree_size, root, note FROM audit_checkpoint ORDER BY tree_size"
        ):
            row = f"checkpoint of {size} events"
            said = self._said("audit_checkpoint", row, note)
            if said is None:
                continue
            for column in _differing(("epoch", "tree_size", "root"), (epoch, size, root), said):
                self._find("audit_checkpoint", row, column, _("The column says something else than the note."))
            there.add(said.size)
            self._roots.setdefault(said.size, []).append(("audit_checkpoint", row, said.root))
            if self._times and said.at_us + AHEAD_US < self._times[-1][1]:
                self._find("audit_checkpoint", row, "note", _("It is older than the checkpoint before it."))
            self._times.append((said.size, said.at_us))
        for size in sorted(size for size, told in self._roots.items() if told[0][0] == "witness"):
            if size not in there:
                self._find("audit_checkpoint", f"checkpoint of {size} events", "", _("The witness has it; it is gone."))
        self._times.sort()

    def _tree(self) -> None:
        frontier = Frontier()
        whole = True
        for index, digest in _rows("SELECT tree_index, leaf_hash FROM audit_leaf ORDER BY tree_index"):
            if index != frontier.size:
                self._find("audit_leaf", f"leaf {frontier.size}", "", _("The leaf is missing: its event was removed."))
                whole = False
                break
            try:
                frontier.append(bytes.fromhex(digest))
            except ValueError:
                self._find("audit_leaf", f"leaf {index}", "leaf_hash", _("This is no hash."))
                whole = False
                break
            if not self._root(frontier):
                whole = False
                break
        self.report.sealed_size = frontier.size
        if whole:
            self._ends(frontier.size)
        waited = self._now - self._unwitnessed_since() > LAG_US
        self.report.is_witnessed = self.report.witnessed_size > 0 and not waited

    def _root(self, frontier: Frontier) -> bool:
        """Hold the tree against what was signed at this size; the first difference says where to look."""
        told = self._roots.get(frontier.size, [])
        root = frontier.root().hex() if told else ""
        wrong = [(table, row) for table, row, said in told if said != root]
        sentence = _("The tree has another root: one of the leaves %(first)s to %(last)s was rewritten.")
        for table, row in wrong:
            where = {"first": self._right, "last": frontier.size - 1}
            self.report.findings.append(Finding(table, row, "root", Sentence(sentence, where)))
        if told and not wrong:
            self._right = frontier.size
        return not wrong

    def _ends(self, size: int) -> None:
        largest = max(self._roots, default=0)
        if size < largest:
            sentence = Sentence(_("The last %(count)s sealed events were cut off."), {"count": largest - size})
            self.report.findings.append(Finding("audit_leaf", f"leaves {size} to {largest - 1}", "", sentence))
        elif size > largest:
            rows = f"leaves {largest} to {size - 1}"
            self._find("audit_leaf", rows, "", _("No checkpoint covers them: they were not written by the sealer."))

    def _unwitnessed_since(self) -> int:
        """Return since when the oldest checkpoint waits for its witness."""
        return next((at for size, at in self._times if size > self.report.witnessed_size), self._now)

    def _events(self) -> None:
        stream = _Stream()
        texts: list[tuple[str, str, dict[str, str]]] = []
        for row in _rows(EVENT):
            self.report.events += 1
            found = len(self.report.findings)
            document = self._body(row)
            if document is None:
                stream.skip(row[6], row[7])
                continue
            name = _name(document)
            self._columns(row, document, name)
            clean = len(self.report.findings) == found
            self._sealing(row, document, name)
            for column, message in stream.follow(document, row[1] if clean else None):
                self.report.findings.append(Finding("audit_event", name, column, message))
            if document["kind"] == Kind.AUDIT_TEXT_ERASED:
                self._erased |= {(document["data"]["event"], field) for field in document["data"]["fields"]}
            if document["text"]:
                texts.append((document["event_id"], name, document["text"]))
            if len(texts) >= CHUNK:
                self._texts(texts)
                texts = []
        self._texts(texts)
        for key, name in self._absent.items():
            if key not in self._erased:
                self._find("audit_text", f"{name}, {key[1]}", "", _("The text is gone and no event erased it."))

    def _body(self, row: Sequence[Any]) -> dict[str, Any] | None:
        body, digest, index, leaf = row[:4]
        name = f"{row[6]} #{row[7]} (event {_uuid(row[5])})"
        try:
            document = parse(body)
            if document.keys() != ENVELOPE or document["v"] != VERSION:
                raise ValueError("the body is not an event of ours")
            for _column, read in DERIVED:
                read(document)
        except (ValueError, KeyError, TypeError, UnicodeError):
            self._find("audit_event", name, "body", _("The body is not the text of an event."))
            return None
        own = leaf_hash(body)
        if own != digest:
            # the leaf remembers which of the two was edited
            column = "leaf_hash" if index is not None and leaf == own else "body"
            self._find("audit_event", _name(document), column, _("The body and its hash do not belong together."))
        if index is not None and leaf not in (own, digest):
            if index < self._right:
                self._find("audit_event", _name(document), "body", _("The event is not the one that was sealed."))
            else:
                self._find("audit_leaf", f"leaf {index}, {name}", "leaf_hash", _("The leaf is not this event's."))
        return document

    def _columns(self, row: Sequence[Any], document: dict[str, Any], name: str) -> None:
        for (column, read), stored in zip(DERIVED, row[5:], strict=True):
            if (_uuid(stored) if column == "event_id" else stored) != read(document):
                self._find("audit_event", name, column, _("The column says something else than the body."))

    def _sealing(self, row: Sequence[Any], document: dict[str, Any], name: str) -> None:
        index, waiting, at = row[2], row[4], document["occurred_us"]
        before = after = None
        if index is None:
            self.report.unsealed += 1
            if waiting is None:
                self._find(
                    "audit_event", name, "", _("The event was not recorded by this program, or its leaf is gone.")
                )
            elif self._now - at > GRACE_US:
                self._find("audit_unsealed", name, "", _("The event waits for its leaf: is the sealer running?"))
            before = self._times[-1][1] if self._times else None
        else:
            if waiting is not None:
                self._find("audit_unsealed", name, "event_id", _("The event has its leaf and still waits for one."))
            place = bisect_right(self._times, (index, 2**63))
            before = self._times[place - 1][1] if place else None
            after = self._times[place][1] if place < len(self._times) else None
        late = at > (self._now if after is None else after) + AHEAD_US
        if late or (before is not None and at < before - BEFORE_US):
            self._find("audit_event", name, "occurred_us", _("The time does not fit the checkpoints around it."))

    def _texts(self, expected: Sequence[tuple[str, str, dict[str, str]]]) -> None:
        """Hold the texts of some events against their commitments."""
        stored: dict[str, dict[str, str]] = {}
        ids = [_key(event_id) for event_id, _name, _fields in expected]
        if ids:
            marks = ", ".join(["%s"] * len(ids))
            sql = f"SELECT event_id, field, salt, body FROM audit_text WHERE event_id IN ({marks})"  # noqa: S608 marks only
            for event_id, field, salt, body in _rows(sql, ids):
                stored.setdefault(_uuid(event_id), {})[field] = commitment(salt, body)
        for event_id, name, fields in expected:
            found = stored.get(event_id, {})
            for field, promised in fields.items():
                if field not in found:
                    self._absent[event_id, field] = name
                elif found[field] != promised:
                    self._find("audit_text", f"{name}, {field}", "body", _("The text or its salt was changed."))
            for field in sorted(found.keys() - fields.keys()):
                self._find("audit_text", f"{name}, {field}", "field", _("The event knows of no such text."))

    def _strays(self) -> None:
        """Find rows whose event is gone, and texts that came back."""
        for table, more, row in (
            ("audit_leaf", "t.tree_index", "leaf %s, event %s"),
            ("audit_unsealed", "t.event_id", "%s, event %s"),
            ("audit_text", "t.field", "%s, event %s"),
        ):
            for event_id, what in _rows(WITHOUT_EVENT.format(table=table, more=more)):
                shown = "waiting" if table == "audit_unsealed" else what
                self._find(table, row % (shown, _uuid(event_id)), "event_id", _("There is no such event."))
        for event_id, field in sorted(self._erased):
            sql = "SELECT 1 FROM audit_text WHERE event_id = %s AND field = %s"
            if list(_rows(sql, [_key(event_id), field])):
                self._find("audit_text", f"event {event_id}, {field}", "", _("The text was erased and is back."))

    def _said(self, table: str, row: str, note: str) -> notes.Statement | None:
        try:
            return notes.read(note, self.keys)
        except notes.BadNote:
            self._find(table, row, "note", _("The note is not signed by our key, or was changed."))
            return None

    def _find(self, table: str, row: str, column: str, message: str) -> None:
        self.report.findings.append(Finding(table, row, column, Sentence(message)))


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


@contextmanager
def _snapshot() -> Iterator[None]:
    """Read one moment of all tables while others write; inside a caller's transaction, that one's view."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            yield
    else:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")  # Django's own would lock out every writer
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def _rows(sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield rows without holding them all."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


def _differing(columns: Sequence[str], stored: Sequence[Any], said: notes.Statement) -> list[str]:
    """Return the columns that do not say what was signed."""
    signed = (said.epoch, said.size, said.root)
    return [column for column, here, there in zip(columns, stored, signed, strict=True) if here != there]


def _name(document: dict[str, Any]) -> str:
    return f"{document['stream']} #{document['stream_version']} (event {document['event_id']})"


def _uuid(value: object) -> str:
    """Return a UUID as both databases give it in its usual form; anything else as it is."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(value)


def _key(event_id: str) -> str:
    """Return a UUID as this database keeps it."""
    return event_id if connection.vendor == "postgresql" else event_id.replace("-", "")

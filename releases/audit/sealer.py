"""Give committed events their place in the tree, sign a checkpoint, hand it to the witness.

Committed first, witnessed then: killed in between, the next turn hands over what is missing. Two sealers take turns.
An event is found by its row in ``Unsealed``, which stands until the event has its leaf; never by "greater than the
last one", because transactions do not commit in the order in which they took their numbers.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from releases.audit import epochs, notes
from releases.audit.envelope import parse
from releases.audit.epochs import Beginning, Lineage, Sealed
from releases.audit.keys import KEY, public_keys
from releases.audit.kinds import Kind
from releases.audit.merkle import Frontier
from releases.audit.models import AuditEvent, Checkpoint, Leaf, Unsealed
from releases.audit.moments import database_us
from releases.audit.witness import FileWitness, Witnessed
from releases.core import keyfile
from releases.core.errors import GmudError, Refused, Sentence
from releases.core.words import mark as _

MOST = 5_000  # events per turn, so that a turn stays short
_LOCK = (0x61756469, 1)  # PostgreSQL's advisory lock of the one sealer at work


class Inconsistent(GmudError):
    """The record contradicts its witness or its own signatures: stop signing and call for people."""

    code = "audit_inconsistent"
    status: ClassVar[int] = 503


class KeyGone(Inconsistent):
    """The key that signed the record is not there: nothing can be sealed, and nothing is said against the record."""


class Sealer:
    """Remembers the tree's frontier between turns, so that a turn costs what is new and not what is old."""

    def __init__(self, *, witness: FileWitness, key: Path) -> None:
        """Start with an empty frontier; the first turn reads all leaves."""
        self.witness = witness
        self.key = key
        self._forget()

    @classmethod
    def of_settings(cls) -> "Sealer":
        """Return a sealer with the witness and the key of this installation."""
        return cls(witness=witness_of_settings(), key=Path(settings.GMUD_KEYS) / KEY)

    def turn(self) -> Checkpoint | None:
        """Seal up to ``MOST`` waiting events and witness the checkpoint; ``None`` when nothing was signed.

        :raises Inconsistent: the tree contradicts the witness; nothing was signed
        :raises KeyGone: the key is gone; nothing was signed
        """
        try:
            made = self._seal() if Unsealed.objects.exists() else None
            self._publish()
        except Inconsistent:
            self._forget()  # an older copy may be restored under our feet
            raise
        return made

    def begin_epoch(self, tell: Callable[[Beginning], AuditEvent]) -> Checkpoint:
        """Go on with a restored record under a new name, and hand its first checkpoint to the witness.

        ``tell`` records the event that owns up to it, in the same transaction; its leaf is the first of the epoch.

        :raises Refused: the record holds everything the witness saw
        :raises Inconsistent: this is no older copy of what the witness saw: a new epoch would hide a rewrite
        """
        with self.witness.turn():
            with transaction.atomic(durable=True):
                _wait_for_our_turn()
                key = self._signing_key()
                frontier, began = self._restored()
                first = tell(began)
                rest = [event for event in _waiting(None) if event.event_id != first.event_id]
                made = self._grow(frontier, [first, *rest], epoch=began.epoch, key=key)
            self._hand_over(made)
        self._forget()
        return made

    def _forget(self) -> None:
        self._frontier = Frontier()
        self._agreed: Witnessed | None = None
        self._epoch = 0

    def compare(self) -> bool:
        """Hold the whole tree against the witness, leaf by leaf; say whether it was our turn to do so.

        :raises Inconsistent: the tree contradicts the witness
        """
        self._forget()
        with transaction.atomic(durable=True):
            if not _is_our_turn():
                return False
            self._caught_up(self.witness.last(), lineage())
        return True

    def _seal(self) -> Checkpoint | None:
        with transaction.atomic(durable=True):
            if not _is_our_turn():
                return None
            key = self._signing_key()
            witnessed, line = self.witness.last(), lineage()
            if self._epoch != line.current:
                self._forget()
            frontier = self._caught_up(witnessed, line)
            fresh = _waiting(MOST)
            if not fresh:
                return None
            made = self._grow(frontier, fresh, epoch=line.current, key=key)
        self._frontier, self._agreed, self._epoch = frontier, witnessed, line.current
        return made

    def _grow(
        self, frontier: Frontier, fresh: Sequence[AuditEvent], *, epoch: int, key: Ed25519PrivateKey
    ) -> Checkpoint:
        """Give these events their leaves, and sign the tree; runs inside the caller's transaction."""
        first = frontier.size
        for event in fresh:
            frontier.append(bytes.fromhex(event.leaf_hash))
        Leaf.objects.bulk_create(
            Leaf(tree_index=index, event_id=event.event_id, leaf_hash=event.leaf_hash)
            for index, event in enumerate(fresh, start=first)
        )
        Unsealed.objects.filter(event_id__in=[event.event_id for event in fresh]).delete()
        said = notes.Statement(epoch=epoch, size=frontier.size, root=frontier.root().hex(), at_us=database_us())
        made = Checkpoint(epoch=epoch, tree_size=said.size, root=said.root, note=notes.sign(said, key))
        made.save(force_insert=True)
        return made

    def _caught_up(self, witnessed: Witnessed | None, line: Lineage) -> Frontier:
        """Return the frontier over all leaves, having passed the witness's size with the witness's root.

        Another sealer may have gone on; then its leaves are read here.
        """
        if witnessed and witnessed.epoch != line.current:
            if not _owns_up_to(witnessed, line):
                sentence = _("The witness saw epoch %(epoch)s, which is not in the record: something was cut off.")
                raise Inconsistent(Sentence(sentence, {"epoch": witnessed.epoch}))
            witnessed = None  # a new epoch has begun, and its first checkpoint is still on its way
        known = witnessed is None or witnessed == self._agreed or witnessed.size >= self._frontier.size
        frontier = self._frontier.copy() if known else Frontier()
        _compare(frontier, witnessed)
        for index, leaf_hash in _leaves(frontier.size):
            if index != frontier.size:
                raise Inconsistent(Sentence(_("Leaf %(index)s of the record is missing."), {"index": frontier.size}))
            frontier.append(bytes.fromhex(leaf_hash))
            _compare(frontier, witnessed)
        last = Leaf.objects.aggregate(last=Max("tree_index"))["last"]
        in_table = 0 if last is None else last + 1
        if in_table != frontier.size or (witnessed and witnessed.size > in_table):
            sentence = _("The record has %(size)s sealed events and had %(before)s: something was cut off.")
            before = max(frontier.size, witnessed.size if witnessed else 0)
            raise Inconsistent(Sentence(sentence, {"size": in_table, "before": before}))
        return frontier

    def _signing_key(self) -> Ed25519PrivateKey:
        """Return the key; a new one is made only for a record that was never signed."""
        found = keyfile.load(self.key)
        if found is None and (Checkpoint.objects.exists() or self.witness.last()):
            raise KeyGone(_("The key that signed the record is gone; put it back into the folder of keys."))
        return found or keyfile.load_or_make(self.key)

    def _restored(self) -> tuple[Frontier, Beginning]:
        """Return the tree of the restored record and what its new epoch begins with; see :meth:`begin_epoch`."""
        seen = [sealed_of(one) for one in self.witness.all() if isinstance(one, Witnessed)]
        if not seen or _has(seen[-1]):
            raise Refused(_("Nothing is missing: the record holds everything the witness saw."))
        own = newest_checkpoint()
        here = Sealed(own.epoch, own.tree_size, own.root) if own else epochs.NOTHING
        frontier = Frontier(bytes.fromhex(leaf_hash) for _index, leaf_hash in _leaves(0))
        if own:
            self._check(own)
        if (own and here not in seen) or (frontier.size, frontier.root().hex()) != (here.size, here.root):
            sentence = _("This is no older copy of what the witness saw: something was rewritten. Look at it first.")
            raise Inconsistent(sentence)
        return frontier, Beginning(max(here.epoch, seen[-1].epoch) + 1, restored=here, witnessed=seen[-1])

    def _publish(self) -> None:
        """Hand the witness every checkpoint it has not seen, in order; also what an earlier turn left undone."""
        newest, last = newest_checkpoint(), self.witness.last()
        if newest is None or (last and (last.epoch, last.size) >= (newest.epoch, newest.tree_size)):
            return
        with self.witness.turn():
            last = self.witness.last()
            seen = last.size if last and last.epoch == newest.epoch else 0
            missing = Checkpoint.objects.filter(epoch=newest.epoch, tree_size__gt=seen)
            for one in missing.order_by("tree_size").iterator(chunk_size=500):
                self._hand_over(one)

    def _hand_over(self, one: Checkpoint) -> None:
        self._check(one)
        self.witness.keep(epoch=one.epoch, size=one.tree_size, root=one.root, note=one.note)

    def _check(self, one: Checkpoint) -> None:
        """Never hand over what this key did not sign."""
        try:
            said = notes.read(one.note, public_keys(self.key.parent))
        except notes.BadNote as error:
            raise Inconsistent(_("A checkpoint of the record is not signed by our key.")) from error
        if (said.epoch, said.size, said.root) != (one.epoch, one.tree_size, one.root):
            raise Inconsistent(_("A checkpoint of the record says something else than what was signed."))


def witness_of_settings() -> FileWitness:
    """Return the witness of this installation."""
    return FileWitness(Path(settings.GMUD_WITNESS_FILE))


def lineage() -> Lineage:
    """Return the epochs of this record."""
    told = AuditEvent.objects.filter(kind=Kind.AUDIT_EPOCH_BEGUN).values_list("body", flat=True)
    return Lineage(epochs.read(parse(body)["data"]) for body in told)


def newest_checkpoint() -> Checkpoint | None:
    """Return the last checkpoint of the present epoch."""
    return Checkpoint.objects.order_by("-epoch", "-tree_size").first()


def sealed_of(one: Witnessed) -> Sealed:
    """Return what a line of the witness saw."""
    return Sealed(one.epoch, one.size, one.root)


def agrees(last: Witnessed) -> bool:
    """Tell whether what the witness saw last is in the record, or owned up to by the epoch that began after it."""
    return _has(sealed_of(last)) or _owns_up_to(last, lineage())


def _has(one: Sealed) -> bool:
    return Checkpoint.objects.filter(epoch=one.epoch, tree_size=one.size, root=one.root).exists()


def _owns_up_to(last: Witnessed, line: Lineage) -> bool:
    began = line.beginnings.get(line.current)
    return began is not None and began.witnessed == sealed_of(last)


def _wait_for_our_turn() -> None:
    """Wait until no other sealer is at work; on SQLite an open transaction is the only one that writes."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", _LOCK)


def _is_our_turn() -> bool:
    """Let one sealer at a time be at work; on SQLite an open transaction is the only one that writes."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
        return bool(cursor.fetchone()[0])


def _waiting(most: int | None) -> list[AuditEvent]:
    """Return committed events without a leaf, in an order that keeps each stream's."""
    waiting = AuditEvent.objects.filter(event_id__in=Unsealed.objects.values("event_id"))
    return list(waiting.only("event_id", "leaf_hash").order_by("occurred_us", "stream_version", "event_id")[:most])


def _leaves(start: int) -> Iterator[tuple[int, str]]:
    rows = Leaf.objects.filter(tree_index__gte=start).order_by("tree_index").values_list("tree_index", "leaf_hash")
    yield from rows.iterator(chunk_size=5_000)


def _compare(frontier: Frontier, witnessed: Witnessed | None) -> None:
    if witnessed and frontier.size == witnessed.size and frontier.root().hex() != witnessed.root:
        sentence = _("The first %(size)s sealed events are not those the witness saw: something was rewritten.")
        raise Inconsistent(Sentence(sentence, {"size": witnessed.size}))

"""Give committed events their place in the tree, sign a checkpoint, hand it to the witness.

Committed first, witnessed then: killed in between, the next turn hands over what is missing. Two sealers take turns.
An event is found by its row in ``Unsealed``, which stands until the event has its leaf; never by "greater than the
last one", because transactions do not commit in the order in which they took their numbers.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.db import connection, transaction
from django.db.models import Max

from releases.audit import notes
from releases.audit.merkle import Frontier
from releases.audit.models import AuditEvent, Checkpoint, Leaf, Unsealed
from releases.audit.moments import database_us
from releases.audit.witness import FileWitness, Witnessed
from releases.core import keyfile
from releases.core.errors import GmudError, Sentence
from releases.core.words import mark as _

EPOCH = 1
KEY = "checkpoint.pem"
MOST = 5_000  # events per turn, so that a turn stays short
_LOCK = (0x61756469, 1)  # PostgreSQL's advisory lock of the one sealer at work


class Inconsistent(GmudError):
    """The record contradicts its witness or its own signatures: stop signing and call for people."""

    code = "audit_inconsistent"
    status: ClassVar[int] = 503


class Sealer:
    """Remembers the tree's frontier between turns, so that a turn costs what is new and not what is old."""

    def __init__(self, *, witness: FileWitness, key: Path) -> None:
        """Start with an empty frontier; the first turn reads all leaves."""
        self.witness = witness
        self.key = key
        self._frontier = Frontier()
        self._agreed: Witnessed | None = None

    @classmethod
    def of_settings(cls) -> "Sealer":
        """Return a sealer with the witness and the key of this installation."""
        return cls(witness=witness_of_settings(), key=Path(settings.GMUD_KEYS) / KEY)

    def turn(self) -> Checkpoint | None:
        """Seal up to ``MOST`` waiting events and witness the checkpoint; ``None`` when nothing was signed.

        :raises Inconsistent: the tree contradicts the witness or the key is gone; nothing was signed
        """
        made = self._seal() if Unsealed.objects.exists() else None
        self._publish()
        return made

    def _seal(self) -> Checkpoint | None:
        with transaction.atomic(durable=True):
            if not _is_our_turn():
                return None
            key = self._signing_key()
            witnessed = self.witness.last()
            frontier = self._caught_up(witnessed)
            fresh = _waiting()
            if not fresh:
                return None
            first = frontier.size
            for event in fresh:
                frontier.append(bytes.fromhex(event.leaf_hash))
            Leaf.objects.bulk_create(
                Leaf(tree_index=index, event_id=event.event_id, leaf_hash=event.leaf_hash)
                for index, event in enumerate(fresh, start=first)
            )
            Unsealed.objects.filter(event_id__in=[event.event_id for event in fresh]).delete()
            said = notes.Statement(epoch=EPOCH, size=frontier.size, root=frontier.root().hex(), at_us=database_us())
            made = Checkpoint(epoch=EPOCH, tree_size=said.size, root=said.root, note=notes.sign(said, key))
            made.save(force_insert=True)
        self._frontier, self._agreed = frontier, witnessed
        return made

    def _caught_up(self, witnessed: Witnessed | None) -> Frontier:
        """Return the frontier over all leaves, having passed the witness's size with the witness's root.

        Another sealer may have gone on; then its leaves are read here.
        """
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
            raise Inconsistent(_("The key that signed the record is gone; put it back into the folder of keys."))
        return found or keyfile.load_or_make(self.key)

    def _publish(self) -> None:
        """Hand the witness every checkpoint it has not seen, in order; also what an earlier turn left undone."""
        newest = Checkpoint.objects.filter(epoch=EPOCH).order_by("-tree_size").first()
        last = self.witness.last()
        if newest is None or (last and last.size >= newest.tree_size):
            return
        with self.witness.turn():
            last = self.witness.last()
            missing = Checkpoint.objects.filter(epoch=EPOCH, tree_size__gt=last.size if last else 0)
            for one in missing.order_by("tree_size").iterator(chunk_size=500):
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


def public_keys(folder: Path) -> list[Ed25519PublicKey]:
    """Return every key that may have signed a checkpoint: ``checkpoint.pem`` signs, ``checkpoint-….pem`` did.

    :raises BadKey: a file is open to others or not a key
    """
    found = (keyfile.load(place) for place in sorted(folder.glob("checkpoint*.pem")))
    return [key.public_key() for key in found if key]


def _is_our_turn() -> bool:
    """Let one sealer at a time be at work; on SQLite an open transaction is the only one that writes."""
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, %s)", _LOCK)
        return bool(cursor.fetchone()[0])


def _waiting() -> list[AuditEvent]:
    """Return committed events without a leaf, in an order that keeps each stream's."""
    waiting = AuditEvent.objects.filter(event_id__in=Unsealed.objects.values("event_id"))
    return list(waiting.only("event_id", "leaf_hash").order_by("occurred_us", "stream_version", "event_id")[:MOST])


def _leaves(start: int) -> Iterator[tuple[int, str]]:
    rows = Leaf.objects.filter(tree_index__gte=start).order_by("tree_index").values_list("tree_index", "leaf_hash")
    yield from rows.iterator(chunk_size=5_000)


def _compare(frontier: Frontier, witnessed: Witnessed | None) -> None:
    if witnessed and frontier.size == witnessed.size and frontier.root().hex() != witnessed.root:
        sentence = _("The first %(size)s sealed events are not those the witness saw: something was rewritten.")
        raise Inconsistent(Sentence(sentence, {"size": witnessed.size}))

"""What a run printed, as people may read it: its last lines, without what steers a terminal, without a permit."""

import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from uuid import UUID

from releases.core.errors import Missing, Sentence, Unreachable
from releases.core.redaction import redact
from releases.core.words import mark as _
from releases.delivery.models import Deployment
from releases.delivery.ports import Handle
from releases.delivery.providers import provider_for

PATIENCE_SECONDS = 0.5
MOST_LINES = 200
LONGEST_LINE = 500
LONGEST_READ = 8 * LONGEST_LINE  # of one line; what steers, and a permit, are longer than what is shown of them
TAIL_BYTES = 16 * 1024  # of what was read before, so much is read again: enough for the lines that are shown
LEFT_OUT = "[…]"
HIDDEN = re.compile(r"\x1b\[8m.*?(?:\x1b\[0m|$)")  # notes that Jenkins keeps for itself between the lines
STEERING = re.compile(r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]")
UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# A permit, whole or as far as it was printed by now, and the rest of one whose beginning stands in a part before.
PERMIT = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}|[\w-]*\.[\w-]{20,}\.[\w-]{40,}")


_readers: dict[UUID, Lock] = {}


@dataclass(frozen=True, slots=True)
class Console:
    """The end of what a run printed; what came before was left out where ``is_cut``.

    ``start`` is where the next reading begins: before the end, so that the lines stay together. ``next`` is the end.
    """

    lines: tuple[str, ...] = ()
    is_cut: bool = False
    start: int = 0
    next: int = 0
    has_more: bool = False


def read(*, deployment_id: UUID, start: int = 0) -> Console:
    """Ask the CI system for what the run of a deployment printed from byte ``start`` on.

    Of one connection one is read at a time: whoever reads along must not hold every thread of the server when the
    system is slow.

    :raises Missing: there is no such deployment
    :raises Unreachable: no answer that can be trusted, or another console of this connection is being read
    :raises Rejected: the account may not read it
    """
    row = Deployment.objects.select_related("connection").filter(pk=deployment_id).first()
    if row is None:
        raise Missing(Sentence(_("There is no such deployment.")))
    if not row.remote or row.connection is None:
        return Console(has_more=row.ended_at is None)
    with alone_at(row.connection.pk):
        part = provider_for(row.connection).log(Handle.from_json(row.remote), start)
    lines, is_cut = shown(part.text, from_middle=start > 0)
    return Console(lines, is_cut, max(start, part.next - TAIL_BYTES), part.next, part.has_more or row.ended_at is None)


@contextmanager
def alone_at(connection_id: UUID) -> Iterator[None]:
    """Be the only one of this process who reads a console there, while the block lasts.

    :raises Unreachable: somebody else does, and for longer than one waits for them
    """
    reader = _readers.setdefault(connection_id, Lock())
    if not reader.acquire(timeout=PATIENCE_SECONDS):
        raise Unreachable(Sentence(_("Its system is slow, and somebody else reads there. It is read again soon.")))
    try:
        yield
    finally:
        reader.release()


def shown(text: str, *, from_middle: bool = False) -> tuple[tuple[str, ...], bool]:
    """Return the last lines of a text as people may read them, and whether something before them was left out.

    ``from_middle`` says that the first line lacks its beginning: it is left out, too.
    """
    lines = redact(text).rstrip().split("\n") if text.strip() else []
    is_marked = bool(lines) and lines[0] == LEFT_OUT
    kept = lines[1:] if is_marked or from_middle else lines
    return tuple(_clean(line) for line in kept[-MOST_LINES:]), is_marked or from_middle or len(kept) > MOST_LINES


def _clean(line: str) -> str:
    """Return what a terminal would show of a line in the end, without a permit, and not too long."""
    drawn = STEERING.sub("", HIDDEN.sub("", line[:LONGEST_READ])).rstrip("\r").rpartition("\r")[2].replace("\t", "    ")
    plain = PERMIT.sub("[token]", "".join(one for one in drawn if unicodedata.category(one) not in UNSEEN))
    return plain if len(plain) <= LONGEST_LINE else f"{plain[:LONGEST_LINE]} {LEFT_OUT}"

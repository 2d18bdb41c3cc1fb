"""A copy of the checkpoints outside the database: a file that only grows, one JSON line per checkpoint.

Somebody who holds the database and every key can rewrite the record so that it agrees with itself; it will not agree
with this file. Keep it on another volume, better on another machine.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_TAIL = 16 * 1024


@dataclass(frozen=True, slots=True)
class Witnessed:
    """One line of the file; ``root`` is hexadecimal."""

    line: int
    epoch: int
    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that cannot be read."""

    line: int


class FileWitness:
    """The witness that is a file."""

    def __init__(self, place: Path) -> None:
        """Remember where; the file is made with the first checkpoint."""
        self.place = place

    def last(self) -> Witnessed | None:
        """Return the newest checkpoint that can be read, ``None`` when there is none."""
        try:
            with self.place.open("rb") as file:
                file.seek(0, os.SEEK_END)
                reach, size = _TAIL, file.tell()
                while True:
                    file.seek(max(0, size - reach))
                    lines = file.read().split(b"\n")
                    for raw in reversed(lines if reach >= size else lines[1:]):
                        found = _read(raw, 0)
                        if found:
                            return found
                    if reach >= size:
                        return None
                    reach *= 8
        except FileNotFoundError:
            return None

    def all(self) -> Iterator[Witnessed | BadLine]:
        """Yield every checkpoint, oldest first, and every line that cannot be read."""
        try:
            with self.place.open("rb") as file:
                for number, raw in enumerate(file, start=1):
                    if raw.strip():
                        yield _read(raw, number) or BadLine(number)
        except FileNotFoundError:
            return

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Let one process at a time read the last line and add to the file."""
        self.place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self.place.with_name(f"{self.place.name}.lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def keep(self, *, epoch: int, size: int, root: str, note: str) -> None:
        """Add a checkpoint and return when it is on the disk."""
        line = json.dumps({"epoch": epoch, "size": size, "root": root, "note": note}, ensure_ascii=False)
        new = not self.place.exists()
        handle = os.open(self.place, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        with os.fdopen(handle, "rb+") as file:
            end = file.seek(0, os.SEEK_END)
            torn = end > 0 and os.pread(file.fileno(), 1, end - 1) != b"\n"  # the power went away in mid-line
            file.write(b"\n" * torn + line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            folder = os.open(self.place.parent, os.O_RDONLY)
            os.fsync(folder)
            os.close(folder)


def _read(raw: bytes, number: int) -> Witnessed | None:
    try:
        one: Any = json.loads(raw)
        return Witnessed(line=number, epoch=one["epoch"], size=one["size"], root=one["root"], note=one["note"])
    except (ValueError, KeyError, TypeError):
        return None

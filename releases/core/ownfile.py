"""Files with secrets: readable by their owner alone, written whole or not at all."""

import os
import secrets
from pathlib import Path

_OPEN_TO_OTHERS = 0o027  # a group may read (mounted secrets), nobody but the owner may write


class BadFile(Exception):
    """A file with secrets cannot be used; says which and why, to those who run the place."""


def read(place: Path) -> bytes | None:
    """Return what a file holds, ``None`` when there is no file.

    :raises BadFile: others may read or change the file, or it cannot be read
    """
    try:
        content = place.read_bytes()
        mode = place.stat().st_mode
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BadFile(f"{place.name} cannot be read: {error.strerror}.") from error
    if mode & _OPEN_TO_OTHERS:
        raise BadFile(f"{place.name} is open to others on this machine; set its mode to 0600.")
    return content


def write_new(place: Path, content: bytes) -> None:
    """Write a file that is not there yet; of two that do it at once, the first one's stays."""
    draft = _draft(place, content)
    try:
        os.link(draft, place)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def replace(place: Path, content: bytes) -> None:
    """Put another content in place in one step, so that a reader sees the old one or the new one."""
    _draft(place, content).replace(place)


def _draft(place: Path, content: bytes) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return draft

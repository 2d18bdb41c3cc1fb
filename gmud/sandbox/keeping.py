"""What a stand-in still knows after a restart: one JSON file, replaced whole, never half written."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class Memory:
    """The file of one stand-in; without a place nothing is kept."""

    def __init__(self, place: Path | None = None) -> None:
        """Remember where."""
        self.place = place

    def recall(self, read: Callable[[Any], T]) -> T | None:
        """Return what ``read`` makes of what was kept; a file that it cannot read ends the process with one line."""
        if self.place is None or not self.place.exists():
            return None
        try:
            return read(json.loads(self.place.read_text()))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
            sys.exit(f"{self.place} cannot be read ({error!r}): remove it, and the stand-in begins anew.")

    def keep(self, value: object) -> None:
        """Replace what was kept; whoever reads meanwhile, or after a crash, finds the old or the new, whole."""
        if self.place is None:
            return
        fresh = self.place.with_name(f"{self.place.name}.new")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w") as file:
            json.dump(value, file, separators=(",", ":"))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.place)

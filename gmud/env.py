"""Read the environment once; defaults are safe and need nothing installed but Python.

``NAME_FILE`` names a file that holds the value of ``NAME``: secrets then stand in no environment and no process list.
"""

from pathlib import Path

import environ
from environ.fileaware_mapping import FileAwareMapping


class _Given(FileAwareMapping):  # type: ignore[misc]  # the package brings no types
    """The environment with its files; the newline that editors put at a file's end is none of the value."""

    def __getitem__(self, key: str) -> str:
        return str(super().__getitem__(key)).rstrip("\r\n")


ROOT = Path(__file__).resolve().parent.parent
env = environ.Env()
env.ENVIRON = _Given()
DATA = Path(env.str("GMUD_DATA", default=str(ROOT / "var")))

"""Read the environment once; defaults are safe and need nothing installed but Python."""

from pathlib import Path

import environ

ROOT = Path(__file__).resolve().parent.parent
env = environ.Env()
DATA = Path(env.str("GMUD_DATA", default=str(ROOT / "var")))

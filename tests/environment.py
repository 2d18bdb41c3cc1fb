"""Loaded by pytest before Django's settings: gives each run a folder of its own and safe defaults."""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

folder = tempfile.mkdtemp(prefix="gmud-tests-")
atexit.register(shutil.rmtree, folder, ignore_errors=True)
(Path(folder) / "static").mkdir()  # WhiteNoise warns when there is none
os.environ["GMUD_DATA"] = folder
os.environ.setdefault("GMUD_OUTBOUND_NETWORKS", "127.0.0.0/8,::1/128")
if "DATABASE_URL" not in os.environ:
    os.environ["GMUD_TEST_DB"] = f"{folder}/test.sqlite3"

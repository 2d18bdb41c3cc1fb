"""Make the database ready: migrate, collect the static files, make the keys that are missing, tell the demo's story."""

import http.client
import os
import sys
import time
from io import StringIO
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from gmud.env import DATA
from gmud.run.plan import SANDBOXES

PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.1


def main() -> int:
    """Prepare; return an exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gmud.settings")
    django.setup()
    unfinished = DATA / "demo.unfinished"
    if unfinished.exists():
        sys.stderr.write(f"The demo was interrupted and is not whole: remove {DATA} (and its database), start again.\n")
        return 1
    is_new = not MigrationRecorder(connection).has_table()
    call_command("migrate", verbosity=0, interactive=False)
    call_command("collectstatic", verbosity=0, interactive=False)
    call_command("keys", "prepare", stdout=StringIO())
    if is_new and settings.GMUD_DEMO:
        sys.stdout.write("The database is new: telling the story of a bank and its releases ...\n")
        sys.stdout.flush()
        unfinished.touch()
        for name in SANDBOXES:
            begin_anew(os.environ[f"GMUD_SANDBOX_{name.upper()}"])
        call_command("demo")
        unfinished.unlink()
    return 0


def begin_anew(address: str) -> None:
    """Let a stand-in forget what it kept, however long it takes to come up: a new database knows nothing of it.

    :raises OSError: it does not answer
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_SECONDS)
        try:
            connection.request("POST", "/_sandbox/reset")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE_SECONDS)
        else:
            return
        finally:
            connection.close()


if __name__ == "__main__":
    sys.exit(main())

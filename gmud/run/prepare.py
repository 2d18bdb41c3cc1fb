"""Make the database ready: migrate, collect the static files, tell the demo's story when the database is new."""

import os
import sys

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from gmud.env import DATA


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
    if is_new and settings.GMUD_DEMO:
        unfinished.touch()
        call_command("demo")
        unfinished.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())

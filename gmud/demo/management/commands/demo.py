"""``manage.py demo``: tell the story of the demo in an empty installation."""

import os
from io import StringIO
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gmud.demo.haste import haste
from gmud.demo.telling import tell
from gmud.env import DATA
from releases.accounts.models import Person
from releases.catalog.models import Environment
from releases.changes.models import ChangeRequest
from releases.core import clock


class Command(BaseCommand):
    """Only in demo mode, only once."""

    help = "Tell the story of the demo in an empty installation (GMUD_DEMO=1)."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Make a signing key, tell the story, leave the log-ins in the data folder."""
        if not settings.GMUD_DEMO:
            raise CommandError("The demo runs only with GMUD_DEMO=1.")
        if Person.objects.exists():
            raise CommandError("Somebody lives here already: the demo is for an empty installation.")
        os.environ.setdefault("GMUD_OUTBOUND_NETWORKS", "127.0.0.0/8")  # where the stand-ins listen
        call_command("keys", "make", "--if-missing", stdout=StringIO())
        put_witness_aside(Path(settings.GMUD_WITNESS_FILE))
        with haste():
            tell(now=clock.now(), folder=Path(DATA))
        told, places = ChangeRequest.objects.count(), Environment.objects.count()
        self.stdout.write(f"The demo is told: a bank, {places} environments, {told} changes.")


def put_witness_aside(witness: Path) -> None:
    """Keep what an earlier database's witness saw under another name: this record is a new one."""
    if witness.exists():
        witness.rename(witness.with_name(f"{witness.name}.{clock.now():%Y%m%dT%H%M%S}"))

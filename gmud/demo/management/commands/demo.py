"""``manage.py demo``: tell the story of the demo in an empty installation."""

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from gmud.demo.telling import tell
from gmud.env import DATA
from releases.accounts.models import Person
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
        call_command("keys", "make", "--if-missing")
        tell(now=clock.now(), folder=Path(DATA))
        self.stdout.write("The demo is ready.")

"""Fill the catalogue from manifests, and change the keys of its secrets."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from releases.accounts import services as accounts
from releases.audit.actor import system
from releases.catalog import services
from releases.catalog.imports import kubernetes
from releases.core import clock, keyring
from releases.core.errors import GmudError, Invalid
from releases.core.ownfile import BadFile
from releases.notify import services as notices


class Command(BaseCommand):
    """``manage.py catalog import-kubernetes DIR [--dry-run]`` and ``manage.py catalog rotate-keys``."""

    help = "Fill the catalogue from Kubernetes manifests, or change the key that seals connection secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        manifests = verbs.add_parser("import-kubernetes", help="services, owners and edges from manifests")
        manifests.add_argument("folder", type=Path, metavar="DIR")
        manifests.add_argument("--dry-run", action="store_true", help="say what would be added, add nothing")
        manifests.add_argument("--team", default="", help="owner of services whose manifests name none")
        verbs.add_parser("rotate-keys", help="make a new key and seal every secret again with it")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["verb"] == "rotate-keys":
                self._rotate()
            else:
                self._import(options["folder"], dry_run=options["dry_run"], team=options["team"])
        except Invalid as error:
            every = [f"  {field}: {one}" for field, many in error.fields.items() for one in many]
            raise CommandError("\n".join([str(error), *every])) from error
        except (GmudError, BadFile) as error:
            raise CommandError(str(error)) from error

    def _import(self, folder: Path, *, dry_run: bool, team: str) -> None:
        found = kubernetes.read(folder, default_team=team)
        summary = kubernetes.take_over(found=found, actor=system("catalog"), now=clock.now(), dry_run=dry_run)
        added = {
            "teams": summary.teams,
            "environments": summary.environments,
            "services": summary.services,
            "dependencies": summary.dependencies,
            "hints (unconfirmed)": summary.hints,
            "artifacts": summary.artifacts,
        }
        for what, names in added.items():
            if names:
                self.stdout.write(f"{what}: {len(names)} ({', '.join(names)})")
        for note in summary.notes:
            self.stdout.write(f"note: {note}")
        if summary.is_empty:
            self.stdout.write("Nothing is new.")
        elif dry_run:
            self.stdout.write("Dry run: nothing was written.")

    def _rotate(self) -> None:
        name = keyring.rotate(Path(settings.GMUD_KEYS))
        actor, now = system("catalog"), clock.now()
        count = services.reseal_secrets(actor=actor, now=now) + notices.reseal_channels(actor=actor, now=now)
        count += accounts.reseal_factors(actor=actor, now=now)
        self.stdout.write(f"Key {name} seals from now on; {count} secrets were sealed again. Older keys still open.")

"""Make and list the keys of this installation."""

from argparse import ArgumentParser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from releases.audit.keys import KEY as CHECKPOINT_KEY
from releases.core import keyfile, keyring
from releases.core.ownfile import BadFile
from releases.gate import keys


class Command(BaseCommand):
    """``keys prepare`` makes what is missing; ``keys make`` the next key for permits; ``keys list`` names those."""

    help = "Make every key that is missing, make the next one that signs permits and receipts, or list those."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one of three verbs."""
        parser.add_argument("verb", choices=["make", "list", "prepare"])
        parser.add_argument("--if-missing", action="store_true", help="make one only when there is none")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it."""
        folder = Path(settings.GMUD_KEYS)
        try:
            self._do(folder, options)
        except BadFile as error:
            raise CommandError(str(error)) from error

    def _do(self, folder: Path, options: Mapping[str, Any]) -> None:
        if options["verb"] == "prepare":
            self._prepare(folder)
            return
        if options["verb"] == "make" and not (options["if_missing"] and keys.signing(folder)):
            self.stdout.write(f"made {keys.make(folder)}")
            return
        for kid in keys.verifying(folder):
            self.stdout.write(kid)

    def _prepare(self, folder: Path) -> None:
        """Make the key of permits, the key of checkpoints and the ring for secrets of connections, where missing."""
        if keys.signing(folder) is None:
            keys.make(folder)
        keyfile.load_or_make(folder / CHECKPOINT_KEY)
        keyring.load(folder)
        for place in sorted(folder.iterdir()):
            self.stdout.write(place.name)

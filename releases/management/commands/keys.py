"""Make and list the keys that sign permits and receipts."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from releases.gate import keys


class Command(BaseCommand):
    """``keys make [--if-missing]`` makes the next signing key; ``keys list`` names them all."""

    help = "Make and list the keys that sign permits and receipts."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take one of two verbs."""
        parser.add_argument("verb", choices=["make", "list"])
        parser.add_argument("--if-missing", action="store_true", help="make one only when there is none")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Do it."""
        folder = Path(settings.GMUD_KEYS)
        if options["verb"] == "make" and not (options["if_missing"] and keys.signing(folder)):
            self.stdout.write(f"made {keys.make(folder)}")
            return
        for kid in keys.verifying(folder):
            self.stdout.write(kid)

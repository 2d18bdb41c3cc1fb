"""Seal the record about once a second: leaves, a signed checkpoint, a copy for the witness. Runs until SIGTERM."""

import logging
import signal
from argparse import ArgumentParser
from threading import Event
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from releases.audit.sealer import Sealer
from releases.core.errors import GmudError
from releases.core.keyfile import BadKey

logger = logging.getLogger(__name__)
TROUBLE = (GmudError, BadKey, DatabaseError, OSError)
PAUSE = 1.0
LONGEST_PAUSE = 30.0


class Command(BaseCommand):
    """One process is enough; a second one takes turns with it."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="seal what waits, then end")

    def handle(self, *_args: Any, **options: Any) -> None:
        sealer = Sealer.of_settings()
        if options["once"]:
            try:
                while sealer.turn() is not None:
                    pass
            except TROUBLE as error:
                raise CommandError(str(error)) from error
        else:
            stop = Event()
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, lambda *_: stop.set())
            self._run(sealer, stop)

    def _run(self, sealer: Sealer, stop: Event) -> None:
        logger.info("sealer started")
        pause = PAUSE
        while not stop.is_set():
            try:
                sealer.turn()
            except TROUBLE:
                logger.critical("nothing was sealed: look at the record with manage.py audit verify", exc_info=True)
                connection.close()
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = PAUSE
            stop.wait(pause)
        logger.info("sealer ended")

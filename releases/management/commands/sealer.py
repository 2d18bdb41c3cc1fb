"""Seal the record about once a second: leaves, a signed checkpoint, a copy for the witness. Runs until SIGTERM.

Once a day it verifies the whole record beside that, so that the gate knows of what was rewritten.
"""

import logging
import signal
import time
from argparse import ArgumentParser
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection

from releases.audit import queries, services
from releases.audit.sealer import Sealer
from releases.core.errors import GmudError
from releases.core.ownfile import BadFile

logger = logging.getLogger(__name__)
TROUBLE = (GmudError, BadFile, DatabaseError, OSError)
PAUSE = 1.0
LONGEST_PAUSE = 30.0
ASK_WHETHER_DUE = 600.0  # seconds


class Daily:
    """Has the whole record verified when that is due, in a thread of its own: sealing does not wait for it."""

    def __init__(self) -> None:
        """Begin with asking whether it is due."""
        self._ask_at = time.monotonic()
        self._thread: Thread | None = None

    def turn(self) -> None:
        """Start the verification if it is due and not under way; ask the database about that now and then."""
        if time.monotonic() < self._ask_at or (self._thread and self._thread.is_alive()):
            return
        self._ask_at = time.monotonic() + ASK_WHETHER_DUE
        self._thread = Thread(target=verify_if_due, name="verification", daemon=True)
        self._thread.start()


def verify_if_due() -> None:
    """Verify the record unless somebody did within the last day, and shout when something was found."""
    try:
        if queries.is_verification_due(timedelta(seconds=settings.GMUD_AUDIT_SECONDS)):
            report = services.verify()
            for finding in report.findings:
                logger.critical("the record is not as it was written: %s", finding)
    except TROUBLE:
        logger.critical("the record could not be verified", exc_info=True)
    finally:
        connection.close()


class Command(BaseCommand):
    """One process is enough; a second one takes turns with it."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="seal what waits, then end")

    def handle(self, *_args: Any, **options: Any) -> None:
        if settings.GMUD_STRICT:
            self.check(tags=["strict"], include_deployment_checks=True)  # registered by whoever wires the house
        sealer = Sealer.of_settings()
        if options["once"]:
            try:
                while services.seal_with(sealer) is not None:
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
        pause, daily = PAUSE, Daily()
        while not stop.is_set():
            try:
                services.seal_with(sealer)
            except TROUBLE:
                logger.critical("nothing was sealed: look at the record with manage.py audit verify", exc_info=True)
                connection.close()
                pause = min(pause * 2, LONGEST_PAUSE)
            else:
                pause = PAUSE
            daily.turn()  # after the seal: what waited while nobody sealed is no finding
            stop.wait(pause)
        logger.info("sealer ended")

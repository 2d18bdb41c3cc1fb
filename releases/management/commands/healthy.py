"""Say whether the process beside us is well, for platforms that ask: ``healthy worker``, ``healthy sealer``.

A worker is well when a worker of this host gave a sign of life lately; a sealer when no event waits for a minute. Web
answers ``/healthz`` and ``/readyz`` instead, and beat only adds to what workers do by themselves.
"""

import socket
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from releases.audit import queries as audit
from releases.operations import queries as operations

LONGEST_WAIT_SECONDS = 60.0


def worker() -> str:
    """Return why the worker is not well, empty when it is."""
    here = f"@{socket.gethostname()}:"
    alive = operations.workers_alive(operations.database_now())
    return "" if any(here in one.name for one in alive) else "No worker of this host gave a sign of life lately."


def sealer() -> str:
    """Return why the sealer is not well, empty when it is."""
    sealing = audit.sealing()
    if not sealing.agrees:
        return "The record contradicts its witness: nothing is sealed."
    waits = sealing.oldest_waits_seconds
    return f"An event has waited {waits:.0f} seconds for its seal." if waits > LONGEST_WAIT_SECONDS else ""


ASKED: Mapping[str, Callable[[], str]] = MappingProxyType({"sealer": sealer, "worker": worker})


class Command(BaseCommand):
    """Exit code 0 when it is well, 1 with a sentence when it is not."""

    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=sorted(ASKED))

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            why = ASKED[options["what"]]()
        except (DatabaseError, OSError) as error:
            raise CommandError(f"It cannot be known ({type(error).__name__}).") from error
        if why:
            raise CommandError(why)
        self.stdout.write("well")

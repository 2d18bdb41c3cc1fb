"""Check the record: ``audit verify`` looks at every row, ``audit replay`` compares tables with events."""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from releases.audit import queries
from releases.audit.report import Report, Verdict
from releases.changes import queries as changes
from releases.core.errors import GmudError
from releases.operations import queries as operations

# By prefix of the stream: yields each stream with the state its table says.
REPLAYED: dict[str, Callable[[], Iterable[tuple[str, str]]]] = {
    "change": changes.states,
    "operation": operations.states,
}

SAID = {
    Verdict.OK: "ok",
    Verdict.FINDINGS: "NOT AS WRITTEN",
    Verdict.UNWITNESSED: "unwitnessed: nobody outside the database can say that this is the record that was written",
}


class Command(BaseCommand):
    """Exit codes: 0 ok, 1 findings, 2 unwitnessed, 3 cannot run."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("what", choices=["verify", "replay"])
        parser.add_argument("--json", action="store_true", help="print the report for machines")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            report = queries.verify() if options["what"] == "verify" else queries.replay(REPLAYED)
        except (GmudError, DatabaseError, OSError) as error:
            self._cannot(str(error).strip(), as_json=options["json"])
        if options["json"]:
            self.stdout.write(json.dumps(report.as_json(), indent=2))
        else:
            self._tell(report, options["what"])
        if report.exit_code:
            raise SystemExit(report.exit_code)

    def _tell(self, report: Report, what: str) -> None:
        for finding in report.findings:
            self.stdout.write(f"✗ {finding}")
        for note in report.notes:
            self.stdout.write(f"· {note}")
        if what == "verify":
            self.stdout.write(
                f"{report.events} events, {report.sealed_size} sealed, {report.unsealed} waiting, "
                f"witnessed up to {report.witnessed_size}: {SAID[report.verdict]}"
            )
        else:
            self.stdout.write(f"{report.events} subjects replayed: {SAID[report.verdict]}")

    def _cannot(self, why: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(json.dumps({"verdict": Verdict.CANNOT_RUN.name.lower(), "why": why}, indent=2))
        else:
            self.stderr.write(f"cannot run: {why}")
        raise SystemExit(Verdict.CANNOT_RUN)

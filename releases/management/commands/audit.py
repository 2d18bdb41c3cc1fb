"""Check the record: ``audit verify`` looks at every row, ``audit replay`` compares tables with events.

``audit epoch --by NAME --reason TEXT`` goes on with a record that was restored from an older copy (docs/operate.md).
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from releases.accounts import queries as accounts
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.rules import folded
from releases.accounts.services import require
from releases.audit import queries, services
from releases.audit.report import Report, Verdict
from releases.changes import queries as changes
from releases.core.errors import GmudError, Invalid
from releases.core.words import mark as _
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
        parser.add_argument("what", choices=["verify", "replay", "epoch"])
        parser.add_argument("--json", action="store_true", help="print the report for machines")
        parser.add_argument("--by", default="", help="epoch: user name of the person who decides it")
        parser.add_argument("--reason", default="", help="epoch: why the record was restored")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["what"] == "epoch":
                self._begin(options["by"], options["reason"])
            report = services.verify() if options["what"] != "replay" else queries.replay(REPLAYED)
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
        if what != "replay":
            self.stdout.write(
                f"{report.events} events, {report.sealed_size} sealed, {report.unsealed} waiting, "
                f"witnessed up to {report.witnessed_size}: {SAID[report.verdict]}"
            )
        else:
            self.stdout.write(f"{report.events} subjects replayed: {SAID[report.verdict]}")

    def _begin(self, username: str, reason: str) -> None:
        """Begin the epoch in the name of a person who may read the record; what it says is verified at once."""
        user = User.objects.select_related("person").filter(username=folded(username)).first()
        if user is None:
            raise Invalid(_("Name with --by who decides this."))
        actor = accounts.actor_for(user, methods=("command line",))
        require(actor, Right.AUDIT_READ)
        services.begin_epoch(actor=actor, reason=reason)

    def _cannot(self, why: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(json.dumps({"verdict": Verdict.CANNOT_RUN.name.lower(), "why": why}, indent=2))
        else:
            self.stderr.write(f"cannot run: {why}")
        raise SystemExit(Verdict.CANNOT_RUN)

"""Check the record: ``audit verify`` looks at every row, ``audit replay`` compares tables with events.

``audit epoch --by NAME --reason TEXT`` goes on with a record that was restored from an older copy, and
``audit erase --stream NAME --by NAME --reason TEXT`` removes what people wrote beside events (docs/operate.md).
"""

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterable
from typing import Any, NoReturn
from uuid import UUID

from django.core.management.base import BaseCommand
from django.db import DatabaseError

from releases.accounts import queries as accounts
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.accounts.rules import folded
from releases.accounts.services import require
from releases.audit import queries, services
from releases.audit.actor import Actor
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
        parser.add_argument("what", choices=["verify", "replay", "epoch", "erase"])
        parser.add_argument("--json", action="store_true", help="print the report for machines")
        parser.add_argument("--by", default="", help="epoch, erase: user name of the person who decides it")
        parser.add_argument("--reason", default="", help="epoch, erase: why; it stays in the record")
        parser.add_argument("--stream", default="", help="erase: whose events, such as person:ID")
        parser.add_argument("--event", action="append", type=UUID, default=[], help="erase: only beside this event")
        parser.add_argument("--field", action="append", default=[], help="erase: only this text")
        parser.add_argument("--dry-run", action="store_true", help="erase: show what would go, erase nothing")

    def handle(self, *_args: Any, **options: Any) -> None:
        gone: list[dict[str, str]] = []
        try:
            if options["what"] == "epoch":
                actor = self._who(options["by"], Right.AUDIT_READ)
                services.begin_epoch(actor=actor, reason=options["reason"])
            if options["what"] == "erase":
                gone = self._erase(**options)
                self._show(gone, **options)
                if options["dry_run"]:
                    return
            report = services.verify() if options["what"] != "replay" else queries.replay(REPLAYED)
        except (GmudError, DatabaseError, OSError) as error:
            self._cannot(str(error).strip(), as_json=options["json"])
        if options["json"]:
            erased = {"erased": gone} if options["what"] == "erase" else {}
            self.stdout.write(json.dumps({**report.as_json(), **erased}, indent=2))
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

    def _erase(self, **options: Any) -> list[dict[str, str]]:
        """Return the texts that go and, unless it is a dry run, erase them; the record is verified at once."""
        which = {"stream": options["stream"], "events": options["event"], "fields": options["field"]}
        actor = self._who(options["by"], Right.AUDIT_READ, Right.PEOPLE_EDIT)
        gone = [
            {"event": str(event_id), "field": field, "text": text}
            for event_id, texts in queries.written(**which).items()
            for field, text in texts.items()
        ]
        if not options["dry_run"]:
            services.erase_texts(actor=actor, reason=options["reason"], **which)
        return gone

    def _show(self, gone: list[dict[str, str]], **options: Any) -> None:
        """Show what went, or would go; for machines it stands in the report, or alone where nothing was erased."""
        if options["json"]:
            if options["dry_run"]:
                self.stdout.write(json.dumps({"would_erase": gone}, indent=2))
            return
        for one in gone:
            self.stdout.write(f"{one['event']} {one['field']}: {one['text']}")
        if options["dry_run"]:
            self.stdout.write("Dry run: nothing was erased.")

    def _who(self, username: str, *rights: Right) -> Actor:
        """Return the person in whose name this is done, who must have all of these rights."""
        user = User.objects.select_related("person").filter(username=folded(username)).first()
        if user is None:
            raise Invalid(_("Name with --by who decides this."))
        actor = accounts.actor_for(user, methods=("command line",))
        for right in rights:
            require(actor, right)
        return actor

    def _cannot(self, why: str, *, as_json: bool) -> NoReturn:
        if as_json:
            self.stdout.write(json.dumps({"verdict": Verdict.CANNOT_RUN.name.lower(), "why": why}, indent=2))
        else:
            self.stderr.write(f"cannot run: {why}")
        raise SystemExit(Verdict.CANNOT_RUN)

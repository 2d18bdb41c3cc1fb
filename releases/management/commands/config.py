"""Read the configuration of this installation out, and apply one."""

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from releases.accounts.models import User
from releases.accounts.queries import actor_for
from releases.accounts.rules import folded
from releases.audit.actor import Actor, system
from releases.core import clock
from releases.core.errors import GmudError
from releases.setup.document import LARGEST, Unfit
from releases.setup.plan import Act, Plan, Step
from releases.setup.queries import by_hand, export
from releases.setup.services import apply

SIGNS = {Act.ADD: "+", Act.CHANGE: "~", Act.BY_HAND: "!", Act.LEFT: "·"}


class Command(BaseCommand):
    """``manage.py config export`` and ``manage.py config apply FILE [--dry-run] [--as USERNAME]``."""

    help = "Read the configuration of this installation out as one YAML file, or apply one."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        verbs.add_parser("export", help="write the configuration to standard output")
        applying = verbs.add_parser("apply", help="add and change what a file says; all of it or nothing")
        applying.add_argument("file", metavar="FILE", help="the file, or - for standard input")
        applying.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
        applying.add_argument(
            "--as",
            dest="username",
            default="",
            help="in whose name; some things only a person does",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["verb"] == "export":
                self._export()
            else:
                self._apply(options["file"], dry_run=options["dry_run"], username=options["username"])
        except Unfit as error:
            every = [f"  line {one.line}, {one.path}: {one.sentence}" for one in error.problems]
            raise CommandError("\n".join(["Nothing was applied.", *every])) from error
        except GmudError as error:
            raise CommandError(str(error)) from error

    def _export(self) -> None:
        actor = system("config")
        self.stdout.write(export(actor=actor), ending="")
        for one in by_hand(actor=actor):
            team = f", team {one['team']}" if one["team"] else ""
            scopes = ", ".join(one["scopes"])
            self.stderr.write(f"! not in the file, to issue by hand: machine {one['name']} ({scopes}{team})")

    def _apply(self, file: str, *, dry_run: bool, username: str) -> None:
        plan = apply(actor=_actor(username), text=_text(file), dry_run=dry_run, now=clock.now())
        for step in plan.steps:
            if step.act is not Act.KEEP or step.sentence is not None:
                self._tell(step)
        self._sum_up(plan)

    def _tell(self, step: Step) -> None:
        name = f" {step.name}" if step.name else ""
        note = f" ({step.sentence})" if step.sentence else ""
        self.stdout.write(f"{SIGNS.get(step.act, '=')} {step.kind}{name}{note}")
        if step.act is Act.CHANGE:
            for one in step.fields:
                self.stdout.write(f"    {one.field}: {one.before!r} -> {one.after!r}")

    def _sum_up(self, plan: Plan) -> None:
        counts = f"{plan.count(Act.ADD)} added, {plan.count(Act.CHANGE)} changed, {plan.count(Act.KEEP)} as they were."
        self.stdout.write(counts if plan.is_applied else f"Dry run, nothing was written: {counts}")


def _actor(username: str) -> Actor:
    if not username:
        return system("config")
    account = User.objects.select_related("person").filter(username=folded(username), is_active=True).first()
    if account is None:
        raise CommandError(f"There is no open account {username}.")
    return actor_for(account, session="", signed_in_at=None, methods=("shell",))


def _text(file: str) -> bytes:
    try:
        if file == "-":
            return sys.stdin.buffer.read(LARGEST + 1)
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from error

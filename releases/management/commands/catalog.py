"""Fill the catalogue from manifests and from files of other tools, and change the keys of its secrets."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from releases.accounts import services as accounts
from releases.audit.actor import system
from releases.catalog import services
from releases.catalog.imports import applying, kubernetes
from releases.catalog.imports.files import LARGEST, File
from releases.catalog.imports.plan import Act, Answer
from releases.catalog.models import Connection
from releases.core import clock, keyring
from releases.core.errors import GmudError, Invalid
from releases.core.ownfile import BadFile
from releases.notify import services as notices


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise CommandError(f"{path.name} cannot be read: {error.strerror}.") from error


class Command(BaseCommand):
    """``manage.py catalog import FILE…``, ``import-kubernetes DIR``, ``hints NAME`` and ``rotate-keys``."""

    help = "Fill the catalogue from files of other tools, or change the key that seals connection secrets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        verbs = parser.add_subparsers(dest="verb", required=True)
        manifests = verbs.add_parser("import-kubernetes", help="services, owners and edges from manifests")
        manifests.add_argument("folder", type=Path, metavar="DIR")
        manifests.add_argument("--dry-run", action="store_true", help="say what would be added, add nothing")
        manifests.add_argument("--team", default="", help="owner of services whose manifests name none")
        files = verbs.add_parser("import", help="services, dependencies and customers from Backstage, CSV, manifests")
        files.add_argument("files", type=Path, metavar="FILE", nargs="+")
        files.add_argument("--dry-run", action="store_true", help="say what would be done, do nothing")
        files.add_argument("--team", default="", help="owner of new services of which no file says whose they are")
        files.add_argument("--keep-ours", action="store_const", dest="rest", const=Answer.OURS, help="in conflicts")
        files.add_argument("--take-theirs", action="store_const", dest="rest", const=Answer.THEIRS, help="in conflicts")
        hints = verbs.add_parser("hints", help="make a secret for the hints of a connection's system")
        hints.add_argument("connection", metavar="NAME")
        hints.add_argument("--close", action="store_true", help="take its secret away: it hints no more")
        verbs.add_parser("rotate-keys", help="make a new key and seal every secret again with it")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            if options["verb"] == "rotate-keys":
                self._rotate()
            elif options["verb"] == "hints":
                self._hints(options["connection"], close=options["close"])
            elif options["verb"] == "import":
                self._take(options["files"], dry_run=options["dry_run"], team=options["team"], rest=options["rest"])
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

    def _take(self, paths: list[Path], *, dry_run: bool, team: str, rest: Answer | None) -> None:
        files = [File(path.name, _bytes_of(path)) for path in paths]
        actor = system("catalog")
        plan = applying.preview(actor=actor, files=files, default_team=team)
        for line in [*plan.forms, *plan.left]:
            self.stdout.write(str(line))
        for step in plan.steps:
            if step.act is not Act.KEEP or step.note:
                changes = "; ".join(
                    f"{one.field}: {one.before} → {one.after}" for one in step.fields if step.act != "add"
                )
                note = f" ({step.note})" if step.note else ""
                self.stdout.write(f"{step.act} {step.section} {step.name}{': ' if changes else ''}{changes}{note}")
        for one in plan.conflicts:
            ours, theirs = f"{one.edit.by} wrote {one.ours}", f"{one.place.told} says {one.theirs}"
            self.stdout.write(f"conflict {one.section} {one.name}, {one.field}: {ours}, {theirs}")
        if plan.is_empty:
            self.stdout.write("Nothing is new.")
        elif dry_run:
            self.stdout.write("Dry run: nothing was written.")
        elif plan.conflicts and rest is None:
            raise CommandError("Conflicts: say --keep-ours or --take-theirs, or decide each on the page Import.")
        else:
            done = applying.apply(
                actor=actor,
                files=files,
                default_team=team,
                answers={},
                rest=rest,
                seen_digest=plan.digest,
                now=clock.now(),
            )
            self.stdout.write(f"{done.written} things were written.")

    def _hints(self, name: str, *, close: bool) -> None:
        row = Connection.objects.filter(name=name).first()
        if row is None:
            raise CommandError(f"There is no connection {name}.")
        if close:
            services.close_hints(actor=system("catalog"), connection_id=row.pk, now=clock.now())
            self.stdout.write(f"{name} takes no hints any more.")
            return
        secret = services.open_hints(actor=system("catalog"), connection_id=row.pk, now=clock.now())
        self.stdout.write(f"Address: {settings.PUBLIC_URL.rstrip('/')}/api/v1/hints/{row.pk}")
        self.stdout.write(f"Secret, shown this once: {secret}")

    def _rotate(self) -> None:
        name = keyring.rotate(Path(settings.GMUD_KEYS))
        actor, now = system("catalog"), clock.now()
        count = services.reseal_secrets(actor=actor, now=now) + notices.reseal_channels(actor=actor, now=now)
        count += accounts.reseal_factors(actor=actor, now=now)
        self.stdout.write(f"Key {name} seals from now on; {count} secrets were sealed again. Older keys still open.")

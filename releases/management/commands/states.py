"""Draw the life of a change as a diagram, into docs/states.md."""

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from releases.changes.machine import LIFE

PLACE = Path(__file__).resolve().parents[3] / "docs" / "states.md"
PAGE = """# The life of a change

Drawn by `manage.py states` from the table of moves in `releases/changes/machine.py`; change the table, not this page.

```mermaid
{diagram}```

| move | from | to | right | only if |
|---|---|---|---|---|
{rows}
"""


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--print", action="store_true", help="print the page instead of writing it")

    def handle(self, **options: Any) -> None:
        page = PAGE.format(diagram=LIFE.diagram(), rows="\n".join(self._rows()))
        if options["print"]:
            self.stdout.write(page, ending="")
            return
        PLACE.write_text(page)
        self.stdout.write(f"Wrote docs/{PLACE.name}.")

    def _rows(self) -> list[str]:
        return [
            " | ".join(
                (
                    f"| `{move.verb}`",
                    ", ".join(sorted(move.sources)),
                    move.target,
                    f"`{move.right}`",
                    "; ".join(guard.title for guard in move.guards) + " |",
                )
            )
            for move in LIFE
        ]

"""A plan as it is printed (``settings/plan_rows.html``): of an import, of a configuration."""

from dataclasses import dataclass

from releases.web.looks import Look, Words


@dataclass(frozen=True, slots=True)
class Written:
    """One field ready to print."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Row:
    """One step ready to print."""

    name: str
    look: Look
    written: tuple[Written, ...]
    note: Words
    is_new: bool

"""Find a row or say that there is none; save a row or say that its name is taken."""

from typing import TypeVar
from uuid import UUID

from django.db import models

from releases.core.errors import Invalid, Missing, Sentence
from releases.core.taken import unless_taken
from releases.core.words import mark as _

Row = TypeVar("Row", bound=models.Model)


def found(model: type[Row], pk: UUID, *, lock: bool = False) -> Row:
    """Return the row with that id, locked until the caller's transaction ends when asked.

    :raises Missing: there is none
    """
    rows = model._default_manager.all()
    row = (rows.select_for_update() if lock else rows).filter(pk=pk).first()
    if row is None:
        what = model._meta.verbose_name
        raise Missing(Sentence(_("There is no such %(what)s in the catalogue."), {"what": what}))
    return row


def saved(row: Row, *, taken: Sentence, field: str = "name") -> Row:
    """Save a row, a new one or a changed one, inside the caller's transaction.

    :raises Invalid: a row like it exists, perhaps since this very moment
    """
    with unless_taken(invalid(field, taken)):
        row.save(force_insert=row._state.adding)
    return row


def invalid(field: str, sentence: Sentence) -> Invalid:
    """Return the error that names one field."""
    return Invalid(sentence, fields={field: [sentence]})

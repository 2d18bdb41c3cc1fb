"""Columns that the database derives from the text of the event, so that none can be edited beside it."""

from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import BigIntegerField, CharField, F, Field, Func, GeneratedField, IntegerField
from django.db.models.functions import Cast
from django.db.models.sql.compiler import SQLCompiler


class Part(Func):
    """One value inside the canonical JSON text, by its path, as text."""

    arity = 1

    def __init__(self, source: Any, *, path: str, output_field: Field[Any, Any] | None = None) -> None:
        """Take the column and a dotted path such as ``actor.id``."""
        self.path = path
        super().__init__(source, output_field=output_field or CharField())

    def deconstruct(self) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """Tell a migration how to write this."""
        return f"{type(self).__module__}.{type(self).__qualname__}", (self.source_expressions[0],), {"path": self.path}

    @property
    def identity(self) -> tuple[Any, ...]:
        """Tell two expressions apart by their path."""
        return (type(self), self.path, *map(repr, self.source_expressions))

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Read it with json_extract."""
        template = f"json_extract(%(expressions)s, '$.{self.path}')"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> tuple[str, Any]:
        """Read it with ``#>>``."""
        template = "((%(expressions)s)::jsonb #>> '{" + self.path.replace(".", ",") + "}')"
        return super().as_sql(compiler, connection, template=template, **context)


def text_of(path: str, *, length: int = 120) -> GeneratedField:
    """Return a column of text from the body."""
    field = CharField(max_length=length)
    return GeneratedField(expression=Part(F("body"), path=path), output_field=field, db_persist=True)


def number_of(path: str, *, big: bool = False) -> GeneratedField:
    """Return a column of a whole number from the body."""
    field = BigIntegerField() if big else IntegerField()
    return GeneratedField(expression=Cast(Part(F("body"), path=path), field), output_field=field, db_persist=True)

"""Columns that the database derives from an event's text, so that none can be edited unseen."""

from typing import Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.sql.compiler import SQLCompiler


class Part(models.Func):
    """One part of the body, by its path: ``Part("body", path="actor.id", output_field=…)``.

    Both forms are immutable, as a generated column needs. On SQLite a UUID is 32 digits without dashes.
    """

    arity = 1

    def __init__(self, expression: str, *, path: str, output_field: "models.Field[Any, Any]") -> None:
        """Keep the path; its steps are plain names."""
        super().__init__(expression, output_field=output_field)
        self.path = path

    def as_postgresql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Cast the text to jsonb only to look inside; what is kept is the text."""
        kind = self.output_field.db_type(connection)
        template = f"((%(expressions)s)::jsonb #>> '{{{self.path.replace('.', ',')}}}')::{kind}"
        return super().as_sql(compiler, connection, template=template, **context)

    def as_sqlite(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **context: Any) -> Any:
        """Extract by JSON path."""
        template = f"json_extract(%(expressions)s, '$.{self.path}')"
        if isinstance(self.output_field, models.UUIDField):
            template = f"replace({template}, '-', '')"
        return super().as_sql(compiler, connection, template=template, **context)


def part(path: str, output_field: "models.Field[Any, Any]") -> models.GeneratedField:
    """Return a column that the database derives from the body and that nobody can set."""
    return models.GeneratedField(
        expression=Part("body", path=path, output_field=output_field), output_field=output_field, db_persist=True
    )

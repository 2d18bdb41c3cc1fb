"""Read the tables of the record by SQL, all at one moment."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import connection, transaction

CHUNK = 500


@contextmanager
def snapshot() -> Iterator[None]:
    """Read one moment of all tables while others write; inside a caller's transaction, that one's view."""
    if connection.in_atomic_block:
        yield
    elif connection.vendor == "postgresql":
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")
            yield
    else:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")  # Django's own would lock out every writer
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")


def rows(sql: str, parameters: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield rows without holding them all."""
    with connection.chunked_cursor() as cursor:
        cursor.execute(sql, parameters)
        while some := cursor.fetchmany(CHUNK):
            yield from some


def uuid_of(value: object) -> str:
    """Return a UUID as both databases give it in its usual form; anything else as it is."""
    try:
        return str(UUID(str(value)))
    except ValueError:
        return str(value)


def key_of(event_id: str) -> str:
    """Return a UUID as this database keeps it."""
    return event_id if connection.vendor == "postgresql" else event_id.replace("-", "")

"""The database's clock: one for all events, whatever the servers' clocks say. Microseconds since 1970 UTC."""

from datetime import UTC, datetime, timedelta

from django.db import connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOW_US = {
    # SQLite's clock is the machine's, in milliseconds.
    "sqlite": (
        "SELECT CAST(strftime('%s', 'now') AS INTEGER) * 1000000"
        " + CAST(substr(strftime('%f', 'now'), 4) AS INTEGER) * 1000"
    ),
    "postgresql": "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint",
}


def database_us() -> int:
    """Return what the database's clock says now, also in the middle of a transaction."""
    with connection.cursor() as cursor:
        cursor.execute(_NOW_US[connection.vendor])
        return int(cursor.fetchone()[0])


def moment(microseconds: int) -> datetime:
    """Return the moment, exact."""
    return _EPOCH + timedelta(microseconds=microseconds)

"""What every test may use; keep it small."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from django.db import transaction
from django.db.backends.base.operations import BaseDatabaseOperations
from django.db.backends.postgresql.operations import DatabaseOperations
from django.test import override_settings
from django.utils import translation

from releases.audit import guards
from releases.operations import bell
from tests import examples
from tests.canaries import django_db_setup, own_log, pytest_sessionfinish

__all__ = ["django_db_setup", "examples", "own_log", "pytest_sessionfinish"]  # imported for what they register


@pytest.fixture
def now() -> datetime:
    """Return a fixed moment: a Tuesday morning in São Paulo, in the middle of a month, nothing special."""
    return datetime(2026, 9, 15, 13, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def silent_bell() -> None:
    """Call no worker: what a test commits is not worked on behind its back."""
    bell.install(lambda _queue, _kind, _row: None)


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """Leave to the next test no language that a page of this one was read in."""
    yield
    translation.deactivate()


@pytest.fixture(autouse=True, scope="session")
def quick_hashes() -> Iterator[None]:
    """Hash passwords in no time; the real ones take a quarter of a second each, on purpose."""
    with override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]):
        yield


@pytest.fixture(autouse=True, scope="session")
def no_witness_of_another_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the witness of whatever runs on this machine away from the tests' records; who seals brings its own."""
    with override_settings(GMUD_WITNESS_FILE=str(tmp_path_factory.mktemp("witness") / "checkpoints.jsonl")):
        yield


@pytest.fixture(autouse=True, scope="session")
def the_record_can_be_cleared_between_tests() -> Iterator[None]:
    """Let Django empty all tables after a ``transactional_db`` test: the record's guards go down and up around it.

    PostgreSQL deletes the few rows there are: new files for all tables would take ten times as long.
    """

    def flush_without_guards(self: BaseDatabaseOperations, statements: list[str]) -> None:
        with transaction.atomic(), self.connection.cursor() as cursor:
            guards.lower(cursor, self.connection.vendor, kept)
            flush(self, statements)
            guards.lift(cursor, self.connection.vendor, kept)

    def deletions(self: DatabaseOperations, _style: object, tables: list[str], **_how: object) -> list[str]:
        deletes = [f"DELETE FROM {self.quote_name(table)}" for table in tables]
        return ["; ".join(["SET LOCAL session_replication_role = replica", *deletes])] if deletes else []

    kept, flush = {**guards.KEYS, **guards.BESIDE}, BaseDatabaseOperations.execute_sql_flush
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", flush_without_guards)
        patch.setattr(DatabaseOperations, "sql_flush", deletions)
        yield

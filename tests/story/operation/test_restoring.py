"""The guide's backup and restore, done: the copy is older than the witness, and somebody owns up to that."""

import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection

from gmud import strict
from releases.accounts.roles import Role
from releases.audit import privileges
from releases.audit.queries import verify
from releases.audit.report import Lost
from releases.audit.services import seal
from releases.changes.states import State
from releases.core import clock
from releases.core.errors import Missing
from releases.gate import services as gate
from tests.factories.accounts import a_person
from tests.factories.catalog import a_service
from tests.factories.changes import a_change, a_house
from tests.factories.gate import CI, RUN, a_permit, with_keys
from tests.story.operation.conftest import SQL, new_database, run_sql

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def places(settings, tmp_path) -> None:
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness" / "checkpoints.jsonl")
    with_keys(settings, tmp_path / "keys")


@pytest.fixture
def backup(request, transactional_db, places, tmp_path) -> Iterator[Callable[[], Callable[[], None]]]:
    """Return how a backup is made; it returns how that backup is restored."""
    yield from (_on_postgresql if connection.vendor == "postgresql" else _on_sqlite)(tmp_path)


def _on_sqlite(folder: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    place, copy = str(connection.settings_dict["NAME"]), folder / "copy.sqlite3"

    def make() -> Callable[[], None]:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(copy)])
        return restore

    def restore() -> None:
        connection.close()
        for rest in ("-wal", "-shm"):
            Path(place + rest).unlink(missing_ok=True)
        shutil.copyfile(copy, place)

    yield make


def _on_postgresql(folder: Path) -> Iterator[Callable[[], Callable[[], None]]]:
    copy, kept = folder / "gmud.dump", dict(connection.settings_dict)
    restored = f"gmud_restored_{secrets.token_hex(4)}"

    def run(*command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    with new_database() as made:
        owner, app = (address.split("@")[0].rpartition("/")[2] for address in (made.owner, made.app))
        server = made.admin.rpartition("/")[0]

        def become(role: str, name: str) -> None:
            connection.close()
            connection.settings_dict.update(NAME=name, USER=role)

        become(owner, made.name)
        call_command("migrate", verbosity=0)
        become(app, made.name)

        def make() -> Callable[[], None]:
            run("pg_dump", "--format=custom", f"--file={copy}", made.admin)
            return restore

        def restore() -> None:
            with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
                admin.execute(f"CREATE DATABASE {restored}")
            run_sql(f"{server}/{restored}", "-v", f"owner={owner}", "-v", f"app={app}", "-f", str(SQL))
            run("pg_restore", "--exit-on-error", f"--dbname={server}/{restored}", str(copy))
            become(app, restored)

        try:
            yield make
        finally:
            connection.close()
            connection.settings_dict.update(kept)
            with psycopg.connect(f"{server}/postgres", autocommit=True) as admin:
                admin.execute(f"DROP DATABASE IF EXISTS {restored} WITH (FORCE)")


def sealed() -> int:
    while seal() is not None:
        pass
    return verify().sealed_size


def test_a_restored_copy_is_seen_owned_up_to_and_goes_on(backup, capsys):
    now = clock.now()
    house = a_house(now - timedelta(hours=2))
    auditor = a_person("Carla Dias", Role.AUDITOR, now=now).accounts.get()
    before = sealed()
    restore = backup()
    permit = a_permit(house, a_change(house, at=State.SCHEDULED), now=now)
    after = sealed()
    assert after > before

    restore()
    with pytest.raises(SystemExit) as end:
        call_command("audit", "verify")
    assert end.value.code == 1
    assert f"leaves {before} to {after - 1}" in capsys.readouterr().out
    call_command("audit", "epoch", "--by", auditor.username, "--reason", "The disk of the database broke.")
    said = capsys.readouterr().out

    assert f"Events {before} to {after - 1} of epoch 1 were lost with a restore." in said
    with pytest.raises(Missing):  # what was issued meanwhile is not known here: nobody can take it
        gate.redeem(actor=CI, jti=permit.pk, run=RUN, artifact_digest=permit.decision.digest, now=now)
    a_service("after-the-restore")
    sealed()
    assert (verify().exit_code, verify().epoch, verify().lost) == (0, 2, [Lost(1, before, after - 1)])


@pytest.mark.postgres
def test_the_restored_database_is_guarded_as_the_first_one_was(backup):
    a_house(clock.now())
    backup()()

    assert privileges.excessive(connection) == []
    assert [str(one) for one in strict.findings() if one.setting == "DATABASE_URL"] == []


def test_this_test_runs_what_the_guide_says():
    from tests.house.tree import ROOT

    guide = (ROOT / "docs" / "operate.md").read_text()
    for words in ("pg_dump --format=custom", "pg_restore --exit-on-error", "manage.py audit epoch --by", "VACUUM INTO"):
        assert words in guide, os.linesep.join(["The guide does not say:", words])

"""A production installation on PostgreSQL, as ``deploy/`` describes it: two roles, prepared keys, strict."""

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.house.tree import ROOT

SQL = ROOT / "deploy" / "sql" / "roles.sql"
HOST = "gmud.example.com"


@dataclass(frozen=True)
class Roles:
    """A migrated database of its own, and the three ways to connect to it."""

    name: str
    admin: str
    owner: str
    app: str

    def by(self, role: str) -> str:
        """Return the address as which somebody connects."""
        return {"admin": self.admin, "owner": self.owner, "app": self.app}[role]


@pytest.fixture(scope="module")
def roles() -> Iterator[Roles]:
    """Make a database with the roles of ``deploy/sql/roles.sql``, migrated by the one that owns it."""
    with new_database() as made:
        manage(made.owner, "migrate", "--verbosity", "0")
        yield made


class new_database:  # noqa: N801  # reads as a verb where it is used
    """A database and two roles of its own while the block lasts."""

    def __enter__(self) -> Roles:
        given = urlsplit(os.environ["DATABASE_URL"])
        mark = secrets.token_hex(4)
        self._server = given._replace(path="/postgres").geturl()
        self._names = (f"gmud_operation_{mark}", f"gmud_owner_{mark}", f"gmud_app_{mark}")
        database, owner, app = self._names
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(f"CREATE DATABASE {database}")
        here = given._replace(path=f"/{database}")
        made = Roles(
            database,
            here.geturl(),
            here._replace(netloc=f"{owner}@{given.hostname}:{given.port}").geturl(),
            here._replace(netloc=f"{app}@{given.hostname}:{given.port}").geturl(),
        )
        for _again in range(2):  # it may be run again
            run_sql(made.admin, "-v", f"owner={owner}", "-v", f"app={app}", "-f", str(SQL))
        return made

    def __exit__(self, *_: object) -> None:
        database, owner, app = self._names
        with psycopg.connect(self._server, autocommit=True) as admin:
            admin.execute(f"DROP DATABASE {database} WITH (FORCE)")
            admin.execute(f"DROP ROLE {owner}")
            admin.execute(f"DROP ROLE {app}")


def run_sql(address: str, *arguments: str) -> str:
    """Let ``psql`` do something, as an operator does."""
    done = subprocess.run(
        ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", address, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def manage(address: str, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run ``manage.py`` on a database."""
    environment = plain() | {"DATABASE_URL": address, **more}
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def plain() -> dict[str, str]:
    """Return this environment without anything of GMUD's but the folder of this run."""
    kept = {"GMUD_DATA": os.environ["GMUD_DATA"], "DJANGO_SETTINGS_MODULE": "gmud.settings"}
    left_out = ("GMUD_", "PYTEST", "DATABASE_URL", "REDIS_URL")
    return {name: value for name, value in os.environ.items() if not name.startswith(left_out)} | kept


@pytest.fixture(scope="module")
def production(roles: Roles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the environment of an installation that may start."""
    folder = tmp_path_factory.mktemp("production")
    keys = folder / "keys"
    manage(roles.app, "keys", "prepare", GMUD_KEYS=str(keys))
    (folder / "secret").write_text(secrets.token_urlsafe(64) + "\n")
    return plain() | {
        "DATABASE_URL": roles.app,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "GMUD_STRICT": "1",
        "GMUD_DATA": str(folder / "data"),
        "GMUD_KEYS": str(keys),
        "GMUD_WITNESS_FILE": str(folder / "witness" / "checkpoints.jsonl"),
        "GMUD_SECRET_KEY_FILE": str(folder / "secret"),
        "GMUD_PUBLIC_URL": f"https://{HOST}",
        "GMUD_ALLOWED_HOSTS": HOST,
    }


@pytest.fixture
def keys_of(production: dict[str, str]) -> Path:
    """Return where that installation keeps its keys."""
    return Path(production["GMUD_KEYS"])

"""GMUD_STRICT=1: each bad setting is refused by its name, all at once, by every kind of process; a good one starts."""

import base64
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import psycopg
import pytest

from gmud.servers import free_port, redis
from tests.house.tree import ROOT
from tests.story.operation.conftest import HOST, new_database

BIN = Path(sys.executable).parent
NAMED = re.compile(r"^  ([A-Z_]+): ", re.MULTILINE)
PATIENCE = 60.0
WEB = (sys.executable, "-c", "import gmud.wsgi")
pytestmark = pytest.mark.postgres


def end_of(command: tuple[str, ...], environment: dict[str, str]) -> tuple[int, str]:
    """Run a process that ends by itself; return its exit code and what it said."""
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    return done.returncode, done.stdout + done.stderr


def test_a_good_installation_is_not_refused(production):
    code, said = end_of(WEB, production)

    assert (code, NAMED.findall(said)) == (0, []), said


PROVIDER = {
    "GMUD_OIDC_ISSUER": "https://id.example.com/realms/bank",
    "GMUD_OIDC_CLIENT_ID": "gmud",
    "GMUD_OIDC_CLIENT_SECRET": "kR7qXz0wkR7qXz0w",
}


def test_an_installation_with_a_provider_is_not_refused(production):
    code, said = end_of(WEB, production | PROVIDER)

    assert (code, NAMED.findall(said)) == (0, []), said


BAD = [
    ("GMUD_DEBUG", {"GMUD_DEBUG": "1"}),
    ("GMUD_DEMO", {"GMUD_DEMO": "1"}),
    ("GMUD_SANDBOX_JENKINS", {"GMUD_SANDBOX_JENKINS": "http://127.0.0.1:9"}),
    ("GMUD_FAILPOINTS", {"GMUD_FAILPOINTS": "after_send"}),
    ("GMUD_SECRET_KEY", {"GMUD_SECRET_KEY_FILE": None}),
    ("GMUD_SECRET_KEY", {"GMUD_SECRET_KEY_FILE": None, "GMUD_SECRET_KEY": "kR7" * 16}),
    ("GMUD_SECRET_KEY", {"GMUD_SECRET_KEY_FILE": None, "GMUD_SECRET_KEY": "ab" * 40}),
    ("GMUD_SECRET_KEY", {"GMUD_SECRET_KEY_FILE": None, "GMUD_SECRET_KEY": "please-change-me-" + "kR7qXz0w" * 6}),
    ("GMUD_KEYS", {"GMUD_KEYS": None}),
    ("GMUD_KEYS", {"GMUD_KEYS": "{empty}"}),
    ("GMUD_KEYS", {"GMUD_KEYS": "{open}"}),
    ("GMUD_KEYS", {"GMUD_KEYS": "{short}"}),
    ("GMUD_KEYS", {"GMUD_KEYS": "{garbage}"}),
    ("GMUD_WITNESS_FILE", {"GMUD_WITNESS_FILE": None}),
    ("GMUD_WITNESS_FILE", {"GMUD_WITNESS_FILE": "{data}/elsewhere/../witness.jsonl"}),
    ("GMUD_WITNESS_FILE", {"GMUD_WITNESS_FILE": "{keys}/witness.jsonl"}),
    ("GMUD_PUBLIC_URL", {"GMUD_PUBLIC_URL": f"http://{HOST}"}),
    ("GMUD_ALLOWED_HOSTS", {"GMUD_ALLOWED_HOSTS": "*"}),
    ("GMUD_ALLOWED_HOSTS", {"GMUD_ALLOWED_HOSTS": ".example.com"}),
    ("GMUD_ALLOWED_HOSTS", {"GMUD_ALLOWED_HOSTS": "other.example.com"}),
    ("GMUD_PASSWORDS", {"GMUD_PASSWORDS": "0"}),
    ("GMUD_OIDC_ISSUER", PROVIDER | {"GMUD_OIDC_ISSUER": "http://id.example.com"}),
    ("GMUD_OIDC_ISSUER", PROVIDER | {"GMUD_OIDC_ISSUER": "https://id.example.com/" + "x" * 200}),
    ("GMUD_OIDC_CLIENT_ID", PROVIDER | {"GMUD_OIDC_CLIENT_ID": ""}),
    ("GMUD_OIDC_CLIENT_SECRET", PROVIDER | {"GMUD_OIDC_CLIENT_SECRET": ""}),
    ("DATABASE_URL", {"DATABASE_URL": "sqlite:///{data}/gmud.sqlite3"}),
    ("DATABASE_URL", {"DATABASE_URL": "{admin}"}),
    ("DATABASE_URL", {"DATABASE_URL": "{owner}"}),
    ("DATABASE_URL", {"DATABASE_URL": "postgres://gmud@127.0.0.1:1/gmud"}),
]


@pytest.fixture
def places(production, roles, keys_of, tmp_path) -> dict[str, str]:
    """Return what the table above names in braces."""
    made = {"data": production["GMUD_DATA"], "keys": str(keys_of), "admin": roles.admin, "owner": roles.owner}
    for name in ("empty", "open", "short", "garbage"):
        folder = tmp_path / name
        folder.mkdir() if name == "empty" else shutil.copytree(keys_of, folder)
        made[name] = str(folder)
    (tmp_path / "open" / "checkpoint.pem").chmod(0o644)
    short = {"keys": [{"kid": "k1", "key": base64.b64encode(b"only sixteen big").decode()}]}
    (tmp_path / "short" / "connections.keyring.json").write_text(json.dumps(short))
    (tmp_path / "garbage" / "checkpoint.pem").write_text("no key")
    return made


@pytest.mark.parametrize(("name", "changes"), BAD, ids=[f"{name}-{number}" for number, (name, _) in enumerate(BAD)])
def test_each_bad_setting_is_refused_by_its_name_and_no_other_is_named(production, places, name, changes):
    bad = {key: value.format(**places) for key, value in changes.items() if value is not None}
    environment = {key: value for key, value in (production | bad).items() if key in bad or key not in changes}

    code, said = end_of(WEB, environment)

    assert code == 1, said
    assert set(NAMED.findall(said)) == {name}, said


@pytest.mark.parametrize(
    ("cookie", "value"),
    [
        ("SESSION_COOKIE_SECURE", False),
        ("SESSION_COOKIE_HTTPONLY", False),
        ("CSRF_COOKIE_SECURE", False),
        ("SESSION_COOKIE_SAMESITE", "None"),
        ("SESSION_COOKIE_SAMESITE", None),
        ("SESSION_COOKIE_SAMESITE", False),
    ],
)
def test_a_cookie_that_others_could_read_or_use_is_refused(production, cookie, value):
    code, said = end_of(
        (sys.executable, "-c", f"from django.conf import settings; settings.{cookie} = {value!r}; import gmud.wsgi"),
        production,
    )

    assert (code, NAMED.findall(said)) == (1, [cookie])


def test_an_empty_database_is_refused_until_it_is_migrated(production):
    with new_database() as empty:
        code, said = end_of(WEB, production | {"DATABASE_URL": empty.app})

    assert (code, set(NAMED.findall(said))) == (1, {"DATABASE_URL"})
    assert "Run manage.py migrate as the owner" in said


TOO_MUCH = [
    ("GRANT UPDATE ON audit_event TO {app}", "REVOKE UPDATE ON audit_event FROM {app}", "may UPDATE on audit_event"),
    (
        "GRANT UPDATE (note) ON audit_checkpoint TO {app}",
        "REVOKE UPDATE (note) ON audit_checkpoint FROM {app}",
        "may UPDATE on audit_checkpoint",
    ),
    ("GRANT DELETE ON audit_leaf TO PUBLIC", "REVOKE DELETE ON audit_leaf FROM PUBLIC", "may DELETE on audit_leaf"),
    ("GRANT TRUNCATE ON audit_text TO {app}", "REVOKE TRUNCATE ON audit_text FROM {app}", "may TRUNCATE on audit_text"),
    ("GRANT TRIGGER ON audit_event TO {app}", "REVOKE TRIGGER ON audit_event FROM {app}", "may TRIGGER on audit_event"),
    ("GRANT {owner} TO {app}", "REVOKE {owner} FROM {app}", "{owner} owns audit_event"),
    ("ALTER ROLE {app} CREATEROLE", "ALTER ROLE {app} NOCREATEROLE", "{app} may make roles"),
    ("GRANT pg_write_server_files TO {app}", "REVOKE pg_write_server_files FROM {app}", "pg_write_server_files"),
    (
        "ALTER TABLE audit_event DISABLE TRIGGER audit_event_no_change",
        "ALTER TABLE audit_event ENABLE ALWAYS TRIGGER audit_event_no_change",
        "audit_event_no_change not in place",
    ),
]


@pytest.mark.parametrize(("do", "undo", "told"), TOO_MUCH, ids=[do for do, _, _ in TOO_MUCH])
def test_every_way_to_rewrite_the_record_is_seen(production, roles, do, undo, told):
    mark = roles.name.removeprefix("gmud_operation_")
    names = {"app": f"gmud_app_{mark}", "owner": f"gmud_owner_{mark}"}
    with psycopg.connect(roles.admin, autocommit=True) as admin:
        admin.execute(do.format(**names))
        try:
            code, said = end_of(WEB, production)
        finally:
            admin.execute(undo.format(**names))

    assert (code, set(NAMED.findall(said))) == (1, {"DATABASE_URL"}), said
    assert told.format(**names) in said


PROCESSES = {
    "web": (str(BIN / "granian"), "--interface", "wsgi", "--port", "{port}", "gmud.wsgi:application"),
    "worker": (sys.executable, "-m", "celery", "-A", "gmud.celery", "worker", "-Q", "rollback,deploy,notify,default"),
    "beat": (sys.executable, "-m", "celery", "-A", "gmud.celery", "beat", "-s", "{folder}/beat", "--pidfile="),
    "sealer": (sys.executable, "manage.py", "sealer"),
}
EVERYTHING = {
    "GMUD_DEBUG": "1",
    "GMUD_DEMO": "1",
    "GMUD_SECRET_KEY": "short",
    "GMUD_KEYS": "",
    "GMUD_WITNESS_FILE": "",
    "GMUD_PUBLIC_URL": "http://localhost",
    "GMUD_ALLOWED_HOSTS": "*",
    "DATABASE_URL": "sqlite:///{data}/gmud.sqlite3",
}


def command_of(kind: str, folder: Path) -> tuple[str, ...]:
    return tuple(part.format(port=free_port(), folder=folder) for part in PROCESSES[kind])


@pytest.mark.parametrize("kind", PROCESSES)
def test_every_kind_of_process_refuses_everything_at_once(production, places, tmp_path, kind):
    environment = production | {name: value.format(**places) for name, value in EVERYTHING.items()}
    del environment["GMUD_SECRET_KEY_FILE"]

    code, said = end_of(command_of(kind, tmp_path), environment)

    assert code != 0
    assert [name for name in EVERYTHING if f"{name}: " not in said] == []
    assert "short\n" not in said  # a secret is never repeated


def test_the_same_is_said_without_starting_anything(production):
    command = (sys.executable, "manage.py", "check", "--deploy", "--tag", "strict")

    assert end_of(command, production)[0] == 0
    code, said = end_of(command, production | {"GMUD_STRICT": "0", "GMUD_PUBLIC_URL": "http://localhost"})
    assert code == 1
    assert "GMUD_PUBLIC_URL" in said


def test_the_owner_may_migrate_all_the_same(production, roles):
    code, said = end_of((sys.executable, "manage.py", "migrate"), production | {"DATABASE_URL": roles.owner})

    assert code == 0, said


@pytest.fixture
def start(tmp_path) -> Iterator[Callable[[str, dict[str, str]], "subprocess.Popen[bytes]"]]:
    """Start one of the processes; whatever still runs at the end is ended."""
    started: list[subprocess.Popen[bytes]] = []

    def run(kind: str, environment: dict[str, str]) -> "subprocess.Popen[bytes]":
        command = tuple(part.format(port=environment["PORT"], folder=tmp_path) for part in PROCESSES[kind])
        with (tmp_path / f"{kind}.log").open("wb") as log:
            started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
        return started[-1]

    yield run
    for process in started:
        process.send_signal(signal.SIGTERM)
    for process in started:
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def test_a_good_installation_starts_web_worker_beat_and_sealer(production, start, tmp_path):
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, redis(Path(folder)) as broker:
        environment = production | {"PORT": str(port), "REDIS_URL": broker, "GMUD_SWEEP_SECONDS": "1"}
        running = {kind: start(kind, environment) for kind in PROCESSES}

        def ready() -> int:
            try:
                return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code
            except httpx2.HTTPError:
                return 0

        until = time.monotonic() + PATIENCE
        while ready() != 200 and time.monotonic() < until:
            time.sleep(0.2)
        said = {kind: (tmp_path / f"{kind}.log").read_text(errors="replace")[-2000:] for kind in PROCESSES}

        assert ready() == 200, said
        assert {kind: process.poll() for kind, process in running.items()} == dict.fromkeys(PROCESSES), said

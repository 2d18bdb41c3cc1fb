"""The command line as a process of its own, against the real server, or against something that lies in between."""

import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from releases.accounts.rights import Right
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core import clock
from tests.factories.accounts import a_token
from tests.factories.catalog import a_connection
from tests.factories.changes import House, a_change, a_house
from tests.factories.gate import bind_job, with_keys

ROOT = Path(__file__).resolve().parents[3]
Reply = tuple[int, str, bytes]
Twist = Callable[[str, Reply], Reply]


@pytest.fixture
def now() -> datetime:
    """Return this moment: server and command line ask the clock themselves."""
    return clock.now()


@dataclass
class Shell:
    """A shell with the address and the token in its environment."""

    url: str
    token: str
    house: House
    change: ChangeRequest

    def run(self, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Run ``gmud``; return exit code, output and complaints."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            (sys.executable, "-m", "gmud.cli", *arguments),
            cwd=ROOT,
            env={**kept, "GMUD_URL": self.url, "GMUD_TOKEN": self.token, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout, done.stderr

    def artifact(self, **changed: str) -> list[str]:
        """Return the flags that name the artifact of the change and its place."""
        flags = {
            "service": self.house.service.name,
            "environment": "production",
            "digest": self.change.items.get().artifact.digest,
            **changed,
        }
        return [word for name, value in flags.items() for word in (f"--{name}", value)]

    def about(self, **changed: str) -> list[str]:
        """Return the same, and the run that deploys."""
        return self.artifact(**{"run": "jenkins:team/app/deploy#77", **changed})

    def wait(self, timeout: float = 0, **changed: str) -> tuple[int, str, str]:
        """Run ``gmud gate wait``."""
        return self.run("gate", "wait", *self.about(**changed), "--timeout", str(timeout))


@pytest.fixture
def shell(live_server, settings, tmp_path, now) -> Shell:
    with_keys(settings, tmp_path / "keys")
    house = a_house(now)
    bind_job(house, a_connection(origin="http://127.0.0.1:9", now=now).pk)
    change = a_change(
        house, at=State.SCHEDULED, starts_at=now + timedelta(milliseconds=1), ends_at=now + timedelta(hours=2)
    )
    scopes = (Right.CHANGE_READ, Right.GATE_ASK, Right.PERMIT_REDEEM, Right.ROLLBACK_BEGIN)
    _row, plaintext = a_token(*scopes, now=now)
    return Shell(live_server.url, plaintext, house, change)


@contextmanager
def between(server: str, twist: Twist) -> Iterator[str]:
    """Listen, hand every request on to the server, and twist its replies."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name: self.headers[name] for name in ("Authorization", "Content-Type") if name in self.headers}
            request = urllib.request.Request(  # noqa: S310  # the test's own server
                server + self.path, data=body or None, headers=headers, method=self.command
            )
            try:
                with urllib.request.urlopen(request) as answer:  # noqa: S310  # the test's own server
                    reply = (answer.status, answer.headers["Content-Type"], answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    reply = (error.code, error.headers["Content-Type"], error.read())
            status, kind, content = twist(self.path, reply)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815  # the library wants this name

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_port}"
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()

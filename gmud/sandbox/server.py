"""What every sandbox shares: a real HTTP server with a request log, planted faults, and a state to look at.

A stand-in subclasses :class:`Sandbox` and answers requests; :func:`serve` runs it as a process, :func:`running` inside
a test. Paths under ``/_sandbox/`` are for people and tests and are neither logged nor hit by faults::

    GET  /_sandbox/requests   every request in order: method, path, query, headers, body, status, fault
    GET  /_sandbox/state      whatever the stand-in knows
    POST /_sandbox/faults     {"match": {"method": "POST", "path": "regex"}, "times": 1, "do": "500"}
    POST /_sandbox/reset      back to the beginning; log and faults are emptied

``do``: ``500`` · ``html`` (a proxy's page, 200) · ``status:409`` · ``silence`` (``seconds``, then hang up) ·
``close_before`` (hang up, nothing done) · ``close_after`` (do it, then hang up: a lost answer) · ``slow`` (answer after
``seconds``) · ``drip`` (a byte every ``seconds``) · ``huge`` (100 MB) · ``length:-5`` (says five bytes less) ·
``gzip`` (a small body that unpacks to 100 MB). A fault may carry its own ``headers`` and ``body``.
"""

import argparse
import contextlib
import gzip
import json
import os
import re
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

LOG_LENGTH = 5000
BODY_BYTES = 4 * 1024 * 1024
HUGE_BYTES = 100 * 1024 * 1024


@dataclass(frozen=True)
class Call:
    """A request: path without its query and still percent-encoded, header names in lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    origin: str = ""

    def json(self) -> Any:
        """Return the body as JSON.

        :raises ValueError: it is not JSON
        """
        return json.loads(self.body)

    def form(self) -> dict[str, list[str]]:
        """Return the fields of a form-encoded body."""
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True)

    def first(self, name: str, default: str = "") -> str:
        """Return the first value of a query parameter."""
        return (self.query.get(name) or [default])[0]


@dataclass(frozen=True)
class Answer:
    """A response, whole; ``Content-Length`` is added, ``amiss`` by so much. ``pause`` is seconds before each byte."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    pause: float = 0.0
    amiss: int = 0


def json_answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "application/json"
) -> Answer:
    """Return a JSON answer."""
    return Answer(status, json.dumps(value).encode(), {"Content-Type": kind, **(headers or {})})


def text_answer(
    text: str, status: int = 200, headers: Mapping[str, str] | None = None, kind: str = "text/plain;charset=utf-8"
) -> Answer:
    """Return a text or HTML answer."""
    return Answer(status, text.encode(), {"Content-Type": kind, **(headers or {})})


@dataclass
class Fault:
    """A planted failure; it is used up after ``times`` requests."""

    do: str
    method: str = ""
    path: str = ""
    times: int = 1
    seconds: float = 30.0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    query: str = ""

    def hits(self, call: Call) -> bool:
        """Say whether this request is meant; ``path`` and ``query`` are regular expressions searched there."""
        is_there = re.search(self.path, call.path) and re.search(self.query, urlencode(call.query, doseq=True))
        return self.times > 0 and self.method in ("", call.method) and is_there is not None


class Sandbox:
    """A stand-in of one outside system; subclasses answer, and hold their state under ``lock``."""

    title = "sandbox"
    software = ""  # what the header "Server" says; empty: the standard library's own words

    def __init__(self) -> None:
        """Start empty."""
        self.lock = threading.RLock()
        self.log: deque[dict[str, Any]] = deque(maxlen=LOG_LENGTH)
        self.faults: list[Fault] = []
        self.closing = threading.Event()

    def answer(self, call: Call) -> Answer:
        """Answer one request; several threads call at once."""
        raise NotImplementedError

    def state(self) -> Any:
        """Return what ``GET /_sandbox/state`` shows."""
        return {}

    def reset(self) -> None:
        """Go back to the beginning."""

    def fault_for(self, call: Call) -> Fault | None:
        """Return the first planted fault that means this request, used up by one."""
        with self.lock:
            for fault in self.faults:
                if fault.hits(call):
                    fault.times -= 1
                    return fault
        return None

    def control(self, call: Call) -> Answer:
        """Answer what tests and people ask of the sandbox itself."""
        match call.method, call.path:
            case "GET", "/_sandbox/requests":
                return json_answer(list(self.log))
            case "GET", "/_sandbox/state":
                return json_answer(self.state())
            case "POST", "/_sandbox/faults":
                return self._plant(call.json())
            case "POST", "/_sandbox/reset":
                with self.lock:
                    self.log.clear()
                    self.faults.clear()
                    self.reset()
                return json_answer({})
        return json_answer({"message": "no such control"}, 404)

    def _plant(self, asked: Mapping[str, Any]) -> Answer:
        match = asked.get("match", {})
        rest = {name: asked[name] for name in ("times", "seconds", "headers", "body") if name in asked}
        fault = Fault(
            do=asked["do"],
            method=match.get("method", ""),
            path=match.get("path", ""),
            query=match.get("query", ""),
            **rest,
        )
        with self.lock:
            self.faults.append(fault)
        return json_answer({"planted": len(self.faults)}, 201)


class Handler(BaseHTTPRequestHandler):
    """Reads a request, lets a fault or the sandbox answer it, writes the log."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer in two pieces would wait 40 ms for a connection that is kept
    server: "Server"

    def __getattr__(self, name: str) -> Any:
        """Answer every method alike: the standard handler looks for ``do_<METHOD>``."""
        if name.startswith("do_"):
            return self._one
        raise AttributeError(name)

    def version_string(self) -> str:
        """Return what the header ``Server`` says."""
        return self.server.sandbox.software or super().version_string()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the standard library gives it
        """Stay quiet; ``/_sandbox/requests`` is the log."""

    def _one(self) -> None:
        sandbox = self.server.sandbox
        parts = urlsplit(self.path)
        length = min(int(self.headers.get("Content-Length") or 0), BODY_BYTES)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(
            self.command,
            parts.path,
            parse_qs(parts.query, keep_blank_values=True),
            headers,
            self.rfile.read(length),
            f"http://{headers.get('host', '')}",
        )
        if call.path.startswith("/_sandbox/"):
            self._write(sandbox.control(call))
            return
        fault = sandbox.fault_for(call)
        answer = self._faulty(sandbox, call, fault) if fault else self._honest(sandbox, call)
        with sandbox.lock:
            sandbox.log.append(
                {
                    "method": call.method,
                    "path": call.path,
                    "query": call.query,
                    "headers": call.headers,
                    "body": call.body.decode("utf-8", "replace"),
                    "status": answer.status if answer else None,
                    "fault": fault.do if fault else None,
                }
            )
        if answer is None:
            self._hang_up()
        else:
            self._write(answer)

    def _honest(self, sandbox: Sandbox, call: Call) -> Answer:
        try:
            return sandbox.answer(call)
        except Exception as error:  # noqa: BLE001 - a server answers 500 rather than dying, as the real one does
            return text_answer(f"{type(error).__name__}: {error}", 500)

    def _faulty(self, sandbox: Sandbox, call: Call, fault: Fault) -> Answer | None:
        """Return what the planted fault answers; ``None`` means hang up."""
        match fault.do:
            case "silence":
                sandbox.closing.wait(fault.seconds)
                return None
            case "close_before":
                return None
            case "close_after":
                self._honest(sandbox, call)
                return None
            case "slow":
                sandbox.closing.wait(fault.seconds)
                return self._honest(sandbox, call)
            case "html":
                page = fault.body or "<html><body><h1>Please sign in</h1></body></html>"
                return text_answer(page, 200, fault.headers, "text/html;charset=utf-8")
            case "drip":
                answer = self._honest(sandbox, call)
                return Answer(answer.status, answer.body, answer.headers, pause=fault.seconds)
            case "huge":
                return Answer(200, b" " * HUGE_BYTES, {"Content-Type": "application/json"})
            case "gzip":
                packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
                return Answer(200, gzip.compress(b" " * HUGE_BYTES, compresslevel=1), packed)
            case do if do.startswith("length:"):
                answer = self._honest(sandbox, call)
                return Answer(answer.status, answer.body, answer.headers, amiss=int(do.removeprefix("length:")))
        status = int(fault.do.removeprefix("status:"))
        page = fault.body or f"<html><body><h1>{status}</h1></body></html>"
        return text_answer(page, status, fault.headers, "text/html;charset=utf-8")

    def _write(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body) + answer.amiss))
        self.end_headers()
        if answer.pause:
            self._drip(answer)
        elif self.command != "HEAD":
            self.wfile.write(answer.body)
        self.close_connection = self.close_connection or answer.amiss != 0

    def _drip(self, answer: Answer) -> None:
        for byte in answer.body:
            if self.server.sandbox.closing.wait(answer.pause):
                break
            self.wfile.write(bytes([byte]))

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)


class Server(ThreadingHTTPServer):
    """One sandbox on one port of the loopback address."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, sandbox: Sandbox, port: int) -> None:
        """Listen; port 0 takes a free one."""
        super().__init__(("127.0.0.1", port), Handler)
        self.sandbox = sandbox

    @property
    def url(self) -> str:
        """Return the address people and adapters use."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing when a caller went away; complain about everything else."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


@contextlib.contextmanager
def running(sandbox: Sandbox, port: int = 0) -> Iterator[str]:
    """Serve from a thread while the block lasts; gives the address."""
    server = Server(sandbox, port)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        sandbox.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def arguments(title: str) -> argparse.ArgumentParser:
    """Return the parser that every sandbox starts from."""
    parser = argparse.ArgumentParser(description=title)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    return parser


def with_memory(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Let the command line name the file in which a stand-in keeps what outlives a restart."""
    parser.add_argument("--state", type=Path, metavar="FILE", help="keep what changed here; read at the next start")
    return parser


def refuse_in_production() -> None:
    """End the process when this is a strict installation: a stand-in must never answer for the real system."""
    if os.environ.get("GMUD_STRICT", "") not in ("", "0"):
        sys.exit("Sandboxes do not start where GMUD_STRICT is set: they would answer for the real systems.")


def serve(sandbox: Sandbox, port: int) -> None:
    """Serve until the process is told to end; prints the address when it listens."""
    refuse_in_production()
    try:
        server = Server(sandbox, port)
    except OSError as error:
        sys.exit(f"{sandbox.title}: port {port} is not free ({error.strerror}).")

    def end(_signal: int, _frame: object) -> None:
        sandbox.closing.set()
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    print(f"ready {server.url}", flush=True)
    with contextlib.closing(server.socket):
        server.serve_forever(poll_interval=0.1)

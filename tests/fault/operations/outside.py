"""An outside system in a thread of the test: it counts what was done, and loses answers when told."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Outside:
    """What arrived: every effect by key, every message heard; ``lose`` answers are swallowed after the effect."""

    address: str = ""
    done: Counter[str] = field(default_factory=Counter)
    heard: Counter[str] = field(default_factory=Counter)
    lose: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def outside_system() -> Iterator[Outside]:
    """Run the outside system while the block lasts."""
    outside = Outside()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            key = self.path.removeprefix("/done/")
            self.answer(200 if self.path == "/count" or outside.done[key] else 404)

        def do_POST(self) -> None:
            _, what, key = self.path.split("/", 2)
            with outside.lock:
                getattr(outside, what)[key] += 1
                lost = what == "done" and outside.lose > 0
                outside.lose -= lost
            if lost:
                self.close_connection = True
                return
            self.answer(201)

        def answer(self, status: int) -> None:
            body = str(sum(outside.done.values())).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    outside.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield outside
    finally:
        server.shutdown()
        server.server_close()

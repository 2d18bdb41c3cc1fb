"""The control planes that are measured: the stand-ins as processes of their own, which keep every write on the disk."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import httpx2

from gmud.demo import story
from gmud.env import ROOT
from gmud.sandbox.apisix import ADMIN_KEY
from gmud.sandbox.kubernetes.seed import service_objects
from releases.core.http import Allowance, Door
from releases.traffic.guarded import Guarded, raw_weights
from releases.traffic.plane import Place
from releases.traffic.ports import Outcome, RouteRef, Split, System
from releases.traffic.providers import IN_A_CLUSTER, PROVIDERS

HEADERS = {"kubernetes": {"Authorization": "Bearer sandbox-full"}, "kong": {}, "apisix": {"X-API-KEY": ADMIN_KEY}}
MANY = 20


@dataclass(frozen=True)
class Plane:
    """A control plane with the route that is moved."""

    system: System
    url: str
    headers: Mapping[str, str]
    route: RouteRef
    splits: tuple[Split, Split] = (Split({"stable": 90, "canary": 10}), Split({"stable": 100, "canary": 0}))

    @property
    def door(self) -> Door:
        """Return a door to it."""
        return Door(f"bench-{self.system}", self.url, self.headers, Allowance.from_environment())

    def provider(self) -> Guarded[Any]:
        """Return a client that knows nothing yet."""
        found = PROVIDERS[self.system](self.door)
        assert isinstance(found, Guarded)
        return found

    def bare_writes(self, client: httpx2.Client, provider: Guarded[Any]) -> list[Callable[[], object]]:
        """Return what sends the requests of each change alone, without a look or a guard."""
        return [partial(_send, client, self._requests(provider, split)) for split in self.splits]

    def guarded_flip(self, provider: Guarded[Any], split: Split) -> None:
        """Read, run dry where the server can, write under guard, read back."""
        place, wanted = self._wanted(provider, split)
        operations = provider.plane.operations(place, wanted)
        if provider.capabilities().tries_out:
            provider.plane.send(place, operations, dry_run=True)
        provider.plane.send(place, operations)
        assert provider.plane.find(self.route).reading.weights == split.weights

    def whole_flip(self, provider: Guarded[Any], split: Split) -> None:
        """Read, preview and write, as a step does."""
        seen = provider.read(self.route).version
        assert provider.preview(self.route, split).is_possible
        assert provider.write(self.route, split, seen=seen).outcome is Outcome.APPLIED

    def _wanted(self, provider: Guarded[Any], split: Split) -> tuple[Place[Any], dict[str, int | None]]:
        place = provider.plane.find(self.route)
        return place, raw_weights(place.reading, split, largest=provider.capabilities().largest)

    def _requests(self, provider: Guarded[Any], split: Split) -> list[tuple[str, str, object]]:
        """Return the path, the kind and the body of each request that sets these weights."""
        other = next(one for one in self.splits if one is not split)
        if provider.read(self.route).weights == split.weights:
            self.whole_flip(provider, other)
        place, wanted = self._wanted(provider, split)
        operations = provider.plane.operations(place, wanted)
        if self.system not in IN_A_CLUSTER:
            return [(one["path"], "application/json", one["body"]) for one in operations]
        body = place.at.body
        kind = f"/apis/{body['apiVersion']}/namespaces/{body['metadata']['namespace']}/{place.at.kind.plural}"
        weights = [one for one in operations if one["path"].endswith("/weight")]
        return [(f"{kind}/{body['metadata']['name']}", "application/json-patch+json", weights)]

    def control(self, path: str, body: object = None) -> Any:
        """Ask the stand-in itself."""
        method = "GET" if body is None else "POST"
        return httpx2.request(method, f"{self.url}/_sandbox/{path}", json=body, timeout=30).json()

    def requests(self) -> list[dict[str, Any]]:
        """Return what arrived since the log was emptied last."""
        found: list[dict[str, Any]] = self.control("requests")
        return found


@contextmanager
def planes(folder: Path) -> Iterator[Sequence[Plane]]:
    """Yield all five, with the services of the demo behind them."""
    options = {
        "kubernetes": [("--plane", f"{name}={about.plane}") for name, about in story.SERVICES.items()],
        **{name: [("--service", one) for one in story.served_by(System(name))] for name in ("kong", "apisix")},
    }
    with ExitStack() as started:
        urls = {name: started.enter_context(_running(name, folder, *chain(*told))) for name, told in options.items()}
        yield [_plane(system, urls) for system in System]


@contextmanager
def many_routes(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the address of a cluster with so many services on Istio, and their names."""
    names = [f"service-{number:02}" for number in range(MANY)]
    seed = folder / "seed"
    seed.mkdir()
    items = [one for name in names for one in service_objects(name, "shop")]
    (seed / "shop.json").write_text(json.dumps({"items": items}))
    with _running("kubernetes", folder, "--seed", str(seed), name="many") as url:
        yield url, names


def _send(client: httpx2.Client, requests: Sequence[tuple[str, str, object]]) -> None:
    for path, kind, body in requests:
        client.patch(path, content=json.dumps(body), headers={"Content-Type": kind}).raise_for_status()


def _plane(system: System, urls: Mapping[str, str]) -> Plane:
    split = story.SPLITS[system].of(story.served_by(system)[0], "production")
    where: dict[str, Any] = {"namespace": "", **{key: value for key, value in split.locator.items() if key != "system"}}
    route = RouteRef(stable=split.stable, canary=split.canary, **where)
    return Plane(system, urls[split.connection], HEADERS[split.connection], route)


@contextmanager
def _running(sandbox: str, folder: Path, *options: str, name: str = "") -> Iterator[str]:
    """Run a stand-in while the block lasts; yield its address."""
    kept = folder / f"{name or sandbox}.state.json"
    command = (sys.executable, "-m", f"gmud.sandbox.{sandbox}", "--state", str(kept), *options)
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            said = process.stdout.readline() if process.stdout else ""
            yield said.split()[1]
        finally:
            process.terminate()

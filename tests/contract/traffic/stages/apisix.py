"""APISIX's stage: the plugin traffic-split of one route, with a rule by header before the one that splits."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from gmud.sandbox import apisix_store as store
from gmud.sandbox.apisix import Apisix
from gmud.sandbox.server import running
from releases.traffic.apisix.adapter import Apisix as Plane
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.guarded import Guarded
from releases.traffic.ports import RouteRef
from tests.contract.traffic.stages.gateway import KEY, before, keyed_door

ROUTE = RouteRef("", "checkout", "default", "checkout-canary")
BY_HEADER = [{"vars": [["http_x-canary", "==", "always"]]}]


def objects() -> store.Store:
    """Return a route with 90/10, beside another one."""
    found = store.Store()
    for side in ("stable", "canary", "old"):
        found.put("upstreams", f"checkout-{side}", {"type": "roundrobin", "nodes": {f"checkout-{side}:8080": 1}})
    split = {"weighted_upstreams": [{"weight": 90}, {"upstream_id": "checkout-canary", "weight": 10}]}
    by_header = {"match": BY_HEADER, "weighted_upstreams": [{"upstream_id": "checkout-canary", "weight": 1}]}
    plugins = {"traffic-split": {"rules": [by_header, split]}, "key-auth": {"header": "apikey"}}
    route = {"uri": "/checkout/*", "hosts": ["shop.example"], "upstream_id": "checkout-stable", "plugins": plugins}
    found.put("routes", "checkout", route)
    found.put("routes", "cart", {"uri": "/cart/*", "upstream_id": "checkout-stable"})
    return found


class ApisixStage:
    """One route in an APISIX with etcd."""

    can_be_absent = True
    route = ROUTE
    reading = {"method": "GET", "path": "/routes/checkout$"}
    writing = {"method": "PATCH", "path": "/routes/checkout"}

    def __init__(self, url: str, sandbox: Apisix) -> None:
        self.naps: list[float] = []
        self.sandbox = sandbox
        plane = Plane(ApisixClient(keyed_door(url, "X-API-KEY")))
        self.provider = Guarded(plane, sleep=self.naps.append)
        plane.client.api.sleep = self.naps.append

    def edit(self, change: Callable[[store.Json], None], kind: str = "routes", key: str = "checkout") -> None:
        """Change an object, as somebody else does it."""

        def changed(value: store.Json) -> store.Json:
            change(value)
            return value

        self.sandbox.store.patch(kind, key, changed, lambda: None)

    def entries(self, value: store.Json) -> dict[str, store.Json]:
        """Return the two sides as they are stored."""
        stable, canary = value["plugins"]["traffic-split"]["rules"][-1]["weighted_upstreams"]
        return {"stable": stable, "canary": canary}

    def stand(self, stable: int | None, canary: int | None) -> None:
        def change(value: store.Json) -> None:
            for side, weight in (("stable", stable), ("canary", canary)):
                entry = self.entries(value)[side]
                entry.pop("weight", None)
                entry |= {} if weight is None else {"weight": weight}

        self.edit(change)

    def touch(self) -> None:
        self.edit(lambda value: value.update(desc=f"{value.get('desc', '')}."))

    def restructure(self) -> None:
        self.edit(lambda value: value.update(upstream_id="checkout-old"))

    def renew(self) -> None:
        value = self.stored
        self.sandbox.store.remove("routes", "checkout")
        self.sandbox.store.put("routes", "checkout", {k: v for k, v in value.items() if k not in store.STAMPS})

    def remove(self) -> None:
        self.sandbox.store.remove("routes", "checkout")

    def kill(self, side: str) -> None:
        self.edit(lambda value: value.update(nodes={f"checkout-{side}:8080": 0}), "upstreams", f"checkout-{side}")

    def deny(self, status: int) -> None:
        self.sandbox.settings.keys = {"another": "admin"} if status == 401 else {KEY: "admin"}
        self.sandbox.settings.closed = status == 403

    def before_write(self, act: Callable[[], None]) -> None:
        before(self.sandbox, "/upstreams/", act)

    @property
    def stored(self) -> store.Json:
        """Return the route as it is stored."""
        return copy.deepcopy(self.sandbox.store.get("routes", "checkout").value)

    def raw(self) -> dict[str, int | None]:
        return {side: entry.get("weight") for side, entry in self.entries(self.stored).items()}

    def rest(self) -> Any:
        found = copy.deepcopy(self.sandbox.state())
        for entry in self.entries(found["routes"]["checkout"]).values():
            entry.pop("weight", None)
        for rows in found.values():
            for value in rows.values():
                value.pop("update_time")
        return json.dumps(found, sort_keys=True)

    def writes(self) -> int:
        return sum(1 for one in self.sandbox.log if one["method"] not in ("GET", "HEAD"))


@contextlib.contextmanager
def apisix() -> Iterator[ApisixStage]:
    sandbox = Apisix(objects)
    with running(sandbox) as url:
        yield ApisixStage(url, sandbox)

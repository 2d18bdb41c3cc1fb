"""Kong's stage: one upstream of several."""

import contextlib
import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from gmud.sandbox import kong_store as store
from gmud.sandbox.kong import Kong
from gmud.sandbox.server import running
from releases.traffic.guarded import Guarded
from releases.traffic.kong.adapter import Kong as Plane
from releases.traffic.kong.client import KongClient
from releases.traffic.ports import RouteRef
from tests.contract.traffic.stages.gateway import KEY, before, keyed_door

HOST = "checkout-{side}.shop.svc:8080"
ROUTE = RouteRef("", "checkout", HOST.format(side="stable"), HOST.format(side="canary"))
OTHERS = {"user": "somebody", "actions": ["read"]}


def workspaces() -> dict[str, store.Workspace]:
    """Return an upstream with 90/10, beside another one."""
    space = store.Workspace()
    checkout = space.add_upstream("checkout", tags=["shop"])
    space.add_service("shop", "checkout")
    for target, weight in ((HOST.format(side="stable"), 90), (HOST.format(side="canary"), 10)):
        space.add_target(checkout, {"target": target, "weight": weight})
    space.add_target(space.add_upstream("cart"), {"target": "cart:8080"})
    return {"default": space}


class KongStage:
    """One upstream in a Kong with a database."""

    can_be_absent = False
    route = ROUTE
    reading = {"method": "GET", "path": "/targets$"}
    writing = {"method": "PATCH", "path": "/targets/"}

    def __init__(self, url: str, sandbox: Kong) -> None:
        self.naps: list[float] = []
        self.sandbox = sandbox
        plane = Plane(KongClient(keyed_door(url, "Kong-Admin-Token")))
        self.provider = Guarded(plane, sleep=self.naps.append)
        plane.client.api.sleep = self.naps.append

    @property
    def space(self) -> store.Workspace:
        return self.sandbox.workspaces["default"]

    @property
    def upstream(self) -> store.Json:
        return self.space.upstream("checkout")

    def target(self, side: str) -> store.Json:
        """Return the stored target of a side."""
        return self.space.target(self.upstream, HOST.format(side=side))

    def set(self, side: str, weight: int | None) -> None:
        """Set one weight, as somebody else does it."""
        store.change(self.target(side), {"weight": weight}, store.TARGET_FIELDS)

    def stand(self, stable: int | None, canary: int | None) -> None:
        self.set("stable", stable)
        self.set("canary", canary)

    def touch(self) -> None:
        store.change(self.upstream, {"slots": self.upstream["slots"] + 1}, store.UPSTREAM_FIELDS)

    def restructure(self) -> None:
        self.space.add_target(self.upstream, {"target": "checkout-more", "weight": 0})

    def renew(self) -> None:
        old, targets = self.upstream, self.space.targets_of(self.upstream)
        self.space.remove_upstream(old)
        fresh = self.space.add_upstream(old["name"], tags=old["tags"])
        for one in targets:
            self.space.add_target(fresh, {name: one[name] for name in store.TARGET_FIELDS})

    def remove(self) -> None:
        self.space.remove_upstream(self.upstream)

    def kill(self, side: str) -> None:
        self.sandbox.settings.health[HOST.format(side=side)] = "UNHEALTHY"

    def deny(self, status: int) -> None:
        nobody = {"user": "gmud", "actions": []}
        self.sandbox.settings.tokens = {"another": nobody} if status == 401 else {KEY: nobody}

    def before_write(self, act: Callable[[], None]) -> None:
        before(self.sandbox, "/health$", act)

    def raw(self) -> dict[str, int | None]:
        return {side: self.target(side)["weight"] for side in ("stable", "canary")}

    def rest(self) -> Any:
        found = copy.deepcopy(store.told(self.sandbox.workspaces))
        space = found["default"]
        for one in (*space["upstreams"].values(), *space["targets"].values()):
            one.pop("updated_at")
        for side in ("stable", "canary"):
            space["targets"][self.target(side)["id"]].pop("weight")
        return json.dumps(found, sort_keys=True)

    def writes(self) -> int:
        return sum(1 for one in self.sandbox.log if one["method"] not in ("GET", "HEAD"))


@contextlib.contextmanager
def kong() -> Iterator[KongStage]:
    sandbox = Kong(workspaces)
    with running(sandbox) as url:
        yield KongStage(url, sandbox)

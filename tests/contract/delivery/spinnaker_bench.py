"""The bench of Spinnaker."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from gmud.sandbox.spinnaker.accounts import ACCOUNTS, TOKEN
from gmud.sandbox.spinnaker.seed import STAGES
from tests.factories.delivery import ask, basic, fault, requests_of
from tests.factories.spinnaker import TARGET, World, a_world, order

OPERATOR = {"Authorization": basic("operator", ACCOUNTS["operator"]["password"])}


class SpinnakerBench:
    """Spinnaker's stand-in with its gate and its cluster."""

    target = TARGET
    missing = replace(TARGET, job="ledger/none")
    password = TOKEN

    def __init__(self, world: World) -> None:
        self.world = world
        self.adapter = world.adapter
        self.url = world.url
        self.until = world.until
        self.ended = world.ended

    def order(self, key=""):
        return order(key)

    def hold(self):
        self.world.settings(hold="Deploy")

    def release(self):
        self.world.settings(hold="", buffered=False)

    def queue(self):
        self.world.settings(buffered=True)

    def fail(self):
        self.world.settings(outcomes={"Deploy": "TERMINAL"})

    def ask(self, text):
        judgment = {"refId": "3", "type": "manualJudgment", "name": "Judgment", "instructions": text}
        self.world.settings(stages=[*STAGES, judgment])

    def disable(self):
        self.world.settings(disabled=True)

    def lose_answer(self):
        fault(self.url, "close_after", method="POST", path="/pipelines/")

    def refuse(self, do):
        fault(self.url, do, method="POST", path="/pipelines/")

    def break_reads(self, do):
        fault(self.url, do, method="GET", times=10_000)

    def mend(self):
        self.world.spinnaker.faults.clear()

    def forget(self, handle):
        del self.world.spinnaker.orca.executions[handle.run.removeprefix("pipelines/")]

    def stop_elsewhere(self, handle):
        ask(self.url, "PUT", f"/{handle.run}/cancel?reason=by+hand", headers=OPERATOR)

    def started(self):
        return len(self.world.executions())

    def asked(self):
        return requests_of(self.url)

    def orders(self):
        return [one for one in self.asked() if one["method"] == "POST" and one["path"].startswith("/pipelines/")]


@contextlib.contextmanager
def spinnaker_bench() -> Iterator[SpinnakerBench]:
    """Run the stand-ins while the block lasts."""
    with a_world() as world:
        yield SpinnakerBench(world)

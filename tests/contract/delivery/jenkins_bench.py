"""The bench of Jenkins."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from gmud.sandbox.jenkins import TOKEN
from releases.delivery.states import ENDS
from tests.factories.delivery import JOB, TARGET, World, a_world, ask, basic, control, fault, order, requests_of


class JenkinsBench:
    """Jenkins' stand-in with its gate and its cluster."""

    target = TARGET
    missing = replace(TARGET, job="ledger/none")
    password = TOKEN

    def __init__(self, world: World) -> None:
        self.world = world
        self.adapter = world.adapter
        self.url = world.url
        self.until = world.until

    def order(self, key=""):
        return order(key)

    def hold(self):
        self._set(hold="Deploy")

    def release(self):
        self._set(hold="", ask={})
        control(self.url, "settings", {"executors": 4})

    def queue(self):
        control(self.url, "settings", {"executors": 0})

    def fail(self):
        self._set(outcomes={"Deploy": "FAILED"})

    def ask(self, text):
        self._set(ask={"Deploy": {"message": text}})

    def disable(self):
        self._set(disabled=True)

    def lose_answer(self):
        fault(self.url, "close_after", method="POST", path="buildWithParameters")

    def refuse(self, do):
        fault(self.url, do, method="POST", path="buildWithParameters")

    def break_reads(self, do):
        fault(self.url, do, method="GET", times=10_000)

    def mend(self):
        self.world.jenkins.faults.clear()

    def forget(self, handle):
        del self.world.job.builds[int(handle.run)]

    def stop_elsewhere(self, handle):
        path = f"/job/ledger/job/deploy-ledgerwriter/{handle.run}/stop"
        ask(self.url, "POST", path, headers={"Authorization": basic()})

    def started(self):
        return len(self.world.jenkins.controller.items)

    def asked(self):
        return requests_of(self.url)

    def orders(self):
        return [one for one in self.asked() if one["method"] == "POST" and "/build" in one["path"]]

    def ended(self, handle):
        return self.until(handle, lambda one: one.state in ENDS)

    def _set(self, **job):
        control(self.url, "settings", {"jobs": {JOB: job}})


@contextlib.contextmanager
def jenkins_bench() -> Iterator[JenkinsBench]:
    """Run the stand-ins while the block lasts."""
    with a_world() as world:
        yield JenkinsBench(world)

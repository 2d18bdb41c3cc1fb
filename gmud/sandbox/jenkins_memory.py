"""What the sandbox's Jenkins keeps on disk: the numbers it has given out, what waits, and every build.

A real one keeps the same. A build that ran when the process ended is found aborted; what waited, waits again.
"""

import time
from dataclasses import asdict
from typing import Any

from gmud.sandbox.jenkins_controller import Build, Controller, Item, Stage

Json = dict[str, Any]
SIMPLE = ("id", "parameters", "user", "since", "due", "origin", "state", "why", "cancelled", "left_at")
CUT_SHORT = "Aborted: Jenkins was restarted while this build ran."


def told(controller: Controller) -> Json:
    """Return queue, builds and numbers as JSON can say them."""
    return {
        "next_item": controller.next_item,
        "next_numbers": {name: job.next_number for name, job in controller.jobs.items()},
        "items": [_item(one) for one in controller.items.values()],
    }


def recall(controller: Controller, kept: Json) -> None:
    """Put what :func:`told` returned into a controller that is new; jobs that are gone take their builds along."""
    controller.next_item = kept["next_item"]
    for name, number in kept["next_numbers"].items():
        if name in controller.jobs:
            controller.jobs[name].next_number = number
    for row in kept["items"]:
        job = controller.jobs.get(row["job"])
        if job is None:
            continue
        item = Item(job=job, **{name: row[name] for name in SIMPLE})
        controller.items[item.id] = item
        if row["build"] is not None:
            item.build = _recalled(item, row["build"])
            job.builds[item.build.number] = item.build


def _item(one: Item) -> Json:
    row = {name: getattr(one, name) for name in SIMPLE}
    return {**row, "job": one.job.full_name, "build": one.build and _build(one.build)}


def _build(one: Build) -> Json:
    return {
        "number": one.number,
        "started": one.started,
        "ended": one.ended,
        "result": None if one.building else one.result,
        "stages": [asdict(stage) for stage in list(one.stages)],
        "lines": list(one.lines),
    }


def _recalled(item: Item, row: Json) -> Build:
    build = Build(row["number"], item.job, item, row["started"], building=False, in_progress=False)
    build.stages = [Stage(**stage) for stage in row["stages"]]
    build.lines, build.result, build.ended = row["lines"], row["result"], row["ended"]
    if build.result is None:
        now = time.time()
        build.result, build.ended = "ABORTED", now
        build.lines += [CUT_SHORT, "Finished: ABORTED"]
        for stage in build.stages:
            if stage.ended is None:
                stage.status, stage.ended = "ABORTED", now
    return build

"""What the sandbox's Spinnaker keeps on disk: every execution, and what its clouds held."""

from dataclasses import fields
from typing import Any

from gmud.sandbox.spinnaker.models import Execution, Stage
from gmud.sandbox.spinnaker.orca import Orca

Json = dict[str, Any]
KEPT = [one.name for one in fields(Execution) if one.name not in ("stages", "stopped")]


def told(orca: Orca) -> Json:
    """Return executions and clouds as JSON can say them."""
    return {"executions": [_execution(one) for one in orca.executions.values()], "clouds": orca.works.clouds.told()}


def recall(orca: Orca, kept: Json) -> None:
    """Put what :func:`told` returned into an Orca that is new."""
    orca.works.clouds.recall(kept["clouds"])
    for row in kept["executions"]:
        stages = [Stage(**one) for one in row["stages"]]
        one = Execution(**{name: row[name] for name in KEPT}, stages=stages)
        orca.executions[one.id] = one


def _execution(run: Execution) -> Json:
    row = {name: getattr(run, name) for name in KEPT}
    stages = [{**vars(one), "context": dict(one.context), "outputs": dict(one.outputs)} for one in run.stages]
    return {**row, "stages": stages}

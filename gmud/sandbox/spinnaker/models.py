"""What the sandbox's Spinnaker is made of: pipelines as Front50 keeps them, executions and stages as Orca runs them."""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

Json = dict[str, Any]
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
WAITING = frozenset({"NOT_STARTED", "BUFFERED"})
COMPLETE = frozenset({"SUCCEEDED", "FAILED_CONTINUE", "SKIPPED", "STOPPED", "TERMINAL", "CANCELED"})
HALTS = frozenset({"STOPPED", "TERMINAL", "CANCELED"})


_ids = {"last": 0}
_order = threading.Lock()


def ulid() -> str:
    """Return an id as Orca gives: 26 letters, the first ten of them the time; a later one is always greater."""
    with _order:
        _ids["last"] = number = max(int(time.time() * 1000) << 80 | secrets.randbits(80), _ids["last"] + 1)
    return "".join(ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


@dataclass
class Pipeline:
    """A pipeline configuration.

    ``hold`` names a stage that waits until it is let go; ``outcomes`` says which status a stage ends with instead of
    ``SUCCEEDED``; ``buffered`` keeps a new execution from starting, as a throttled Orca does.
    """

    application: str
    name: str
    parameters: list[Json] = field(default_factory=list)
    stages: list[Json] = field(default_factory=list)
    id: str = ""
    disabled: bool = False
    limit_concurrent: bool = True
    keep_waiting: bool = False
    hold: str = ""
    buffered: bool = False
    outcomes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Give it the same id at every start."""
        self.id = self.id or str(uuid5(NAMESPACE_URL, f"spinnaker:{self.application}/{self.name}"))


@dataclass
class Stage:
    """One stage of an execution; times are seconds."""

    ref_id: str
    type: str
    name: str
    context: Json
    id: str = field(default_factory=ulid)
    status: str = "NOT_STARTED"
    started: float | None = None
    ended: float | None = None
    outputs: Json = field(default_factory=dict)
    last_modified: Json | None = None


@dataclass
class Execution:
    """One run of a pipeline (``kind`` PIPELINE) or of a list of jobs (``kind`` ORCHESTRATION)."""

    kind: str
    application: str
    name: str
    trigger: Json
    user: str
    stages: list[Stage]
    config_id: str = ""
    limit_concurrent: bool = False
    keep_waiting: bool = False
    id: str = field(default_factory=ulid)
    status: str = "NOT_STARTED"
    built: float = field(default_factory=time.time)
    started: float | None = None
    ended: float | None = None
    canceled: bool = False
    canceled_by: str | None = None
    reason: str | None = None
    paused: Json | None = None
    stopped: threading.Event = field(default_factory=threading.Event)

    @property
    def is_complete(self) -> bool:
        """Say whether nothing more happens."""
        return self.status in COMPLETE

    @property
    def key(self) -> str:
        """Return the correlation id of its trigger."""
        return str(self.trigger.get("correlationId") or "")


@dataclass
class ServerGroup:
    """A server group of a cloud other than Kubernetes."""

    name: str
    created: float = 0.0
    enabled: bool = True
    image: str = ""
    size: int = 2


def pipeline_from(given: Mapping[str, Any]) -> Pipeline:
    """Read a pipeline from JSON as Deck exports it, with the sandbox's own settings beside."""
    names = {
        "parameterConfig": "parameters",
        "limitConcurrent": "limit_concurrent",
        "keepWaitingPipelines": "keep_waiting",
    }
    known = {names.get(name, name): value for name, value in given.items()}
    return Pipeline(**{name: value for name, value in known.items() if name in Pipeline.__dataclass_fields__})


def stages_of(configured: list[Json]) -> list[Stage]:
    """Return the stages of a new execution; everything but the four names is context."""
    return [
        Stage(
            ref_id=str(one.get("refId", number)),
            type=str(one["type"]),
            name=str(one.get("name") or one["type"]),
            context={
                name: value for name, value in one.items() if name not in ("refId", "type", "requisiteStageRefIds")
            },
        )
        for number, one in enumerate(configured, start=1)
    ]

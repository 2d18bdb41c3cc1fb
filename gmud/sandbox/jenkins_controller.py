"""The life inside the sandbox's Jenkins: jobs, the queue and its folding, executors, builds and their stages."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any
from urllib.parse import quote

from gmud.sandbox.jenkins_pipeline import Pipeline, Run, StageFailed, TryAgain

STAGES = (("Permit", 0.2), ("Deploy", 0.6), ("Verify", 0.2))
PARAMETERS = (
    ("GMUD_CORRELATION", "string", ()),
    ("GMUD_PERMIT", "text", ()),
    ("SERVICE", "string", ()),
    ("ENVIRONMENT", "string", ()),
    ("VERSION", "string", ()),
    ("DIGEST", "string", ()),
    ("SLOT", "choice", ("stable", "canary")),
)
BANK_OF_ANTHOS = {
    "accounts": ("accounts-db", "contacts", "userservice"),
    "frontend": ("frontend",),
    "ledger": ("balancereader", "ledger-db", "ledgerwriter", "transactionhistory"),
    "loadgenerator": ("loadgenerator",),
}
TRIES = 4
KEPT = ("disabled", "concurrent", "quiet_seconds", "next_number", "freestyle", "branch")
NOTE = "\x1b[8mha:////4AAAAB+LCAAAAAAAAP9b85aBtbiIQTGjNKU4P08vOT+vOD8nVc\x1b[0m"


@dataclass
class Parameter:
    """A declared parameter; ``kind`` is string, text, boolean, choice or password."""

    name: str
    kind: str = "string"
    choices: tuple[str, ...] = ()
    default: str = ""


@dataclass
class Job:
    """A job: a pipeline, or freestyle, which knows neither stages nor the harder ways to end.

    ``hold`` names a stage that waits until it is let go, ``outcomes`` what a stage reports, ``ask`` the question that a
    stage asks before it ends: ``{"Deploy": {"message", "submitter", "parameters"}}``. No node has its ``label``.
    ``deaf`` are the ways to end (stop, term) that its builds do not hear. A ``branch`` stands in a multibranch project.
    """

    full_name: str
    parameters: list[Parameter] = field(default_factory=list)
    stages: tuple[tuple[str, float], ...] = STAGES
    disabled: bool = False
    vetoed: bool = False
    concurrent: bool = False
    hold: str = ""
    outcomes: dict[str, str] = field(default_factory=dict)
    quiet_seconds: float = 5.0
    freestyle: bool = False
    branch: bool = False
    label: str = ""
    ask: dict[str, dict[str, Any]] = field(default_factory=dict)
    deaf: tuple[str, ...] = ()
    builds: dict[int, "Build"] = field(default_factory=dict)
    next_number: int = 1

    @property
    def name(self) -> str:
        """Return the last part of the full name."""
        return self.full_name.rsplit("/", 1)[-1]

    @property
    def path(self) -> str:
        """Return ``/job/<folder>/job/<name>``."""
        return "".join(f"/job/{quote(part, safe='')}" for part in self.full_name.split("/"))


@dataclass
class Item:
    """A queue item, from waiting to left."""

    id: int
    job: Job
    parameters: dict[str, str]
    user: str
    since: float
    due: float
    origin: str = ""
    state: str = "Waiting"
    why: str | None = None
    cancelled: bool = False
    left_at: float | None = None
    build: "Build | None" = None


@dataclass
class Stage:
    """A stage that started; the statuses are those of the stage view."""

    name: str
    started: float
    status: str = "IN_PROGRESS"
    ended: float | None = None
    error: str = ""


@dataclass
class Input:
    """What a build waits to hear; ``goes_on`` stays open until somebody entitled says it."""

    message: str
    submitter: str = ""
    parameters: list[Parameter] = field(default_factory=list)
    goes_on: bool | None = None
    values: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """Return the digest of the message, its first letter capitalised."""
        digest = md5(self.message.encode(), usedforsecurity=False).hexdigest()
        return digest[0].upper() + digest[1:]

    def may_be_answered_by(self, user: str) -> bool:
        """Say whether this user is among those it names; nobody named means everybody."""
        return not self.submitter or user in self.submitter.split(",")


@dataclass
class Build:
    """A build; ``result`` is fixed before it is no longer in progress."""

    number: int
    job: Job
    item: Item
    started: float
    building: bool = True
    in_progress: bool = True
    result: str | None = None
    ended: float | None = None
    stages: list[Stage] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    input: Input | None = None

    def text(self) -> bytes:
        """Return the console so far, as it stands in its file: bare line ends, and notes that nobody is shown."""
        return "".join(f"{line}\n" for line in self.lines).encode()


def default_jobs() -> dict[str, Job]:
    """Return one deploy job for each service of Bank of Anthos, in its team's folder."""
    names = [f"{team}/deploy-{service}" for team, services in BANK_OF_ANTHOS.items() for service in services]
    return {name: job_from({"name": name}) for name in names}


def job_from(given: Mapping[str, Any]) -> Job:
    """Read a job from the configuration file; only ``name`` is needed."""
    declared = given.get("parameters")
    rows = [(one["name"], one.get("kind", "string"), tuple(one.get("choices", ()))) for one in declared or ()]
    parameters = [
        Parameter(name, kind, choices, choices[0] if choices else "")
        for name, kind, choices in (PARAMETERS if declared is None else rows)
    ]
    stages = tuple((str(name), float(seconds)) for name, seconds in given.get("stages", STAGES))
    rest = {key: given[key] for key in KEPT if key in given}
    return Job(given["name"], parameters, stages, **rest)


class Controller:
    """Jobs, queue and executors; every item has a thread that carries it through its life."""

    def __init__(self, jobs: Mapping[str, Job], pipeline: Pipeline, speed: float, closing: threading.Event) -> None:
        """Start with an empty queue."""
        self.jobs = dict(jobs)
        self.pipeline = pipeline
        self.speed = speed
        self.closing = closing
        self.changed = threading.Condition(threading.RLock())
        self.items: dict[int, Item] = {}
        self.next_item = 1
        self.executors = 4
        self.left_seconds = 300.0
        self.quieting = False
        self.keep: Callable[[], None] = lambda: None
        """Called, with ``changed`` held, after everything that must outlive a restart."""

    def schedule(
        self, job: Job, parameters: dict[str, str], user: str, delay: float | None, origin: str
    ) -> tuple[Item, bool]:
        """Put a request into the queue; an equal one that still waits is returned instead, with ``True``."""
        with self.changed:
            for item in self.waiting():
                if item.job is job and item.parameters == parameters:
                    return item, True
            now = time.time()
            quiet = job.quiet_seconds / self.speed if delay is None else delay
            item = Item(self.next_item, job, parameters, user, now, now + quiet, origin)
            self.items[item.id] = item
            self.next_item += 1
            self.keep()
        self.carry(item)
        return item, False

    def carry(self, item: Item) -> None:
        """Let a thread lead this item through its life."""
        threading.Thread(target=self._carry, args=(item,), daemon=True).start()

    def waiting(self) -> Iterator[Item]:
        """Give the items that have not left the queue."""
        return (item for item in self.items.values() if item.left_at is None)

    def under_way(self) -> list[Build]:
        """Return the builds that are not over, post-build steps included."""
        return [build for job in self.jobs.values() for build in job.builds.values() if build.in_progress]

    def item(self, number: int) -> Item | None:
        """Return the item unless it left so long ago that Jenkins forgot it."""
        item = self.items.get(number)
        if item and item.left_at is not None and time.time() - item.left_at >= self.left_seconds:
            return None
        return item

    def cancel(self, number: int) -> bool:
        """Take an item out of the queue; ``False`` when it is unknown or has left."""
        with self.changed:
            item = self.items.get(number)
            if item is None or item.left_at is not None:
                return False
            item.cancelled, item.left_at, item.state, item.why = True, time.time(), "Left", None
            self.keep()
            self.changed.notify_all()
            return True

    def stop(self, build: Build, how: str = "stop") -> None:
        """End a build that runs, unless it does not hear this; a kill everything hears."""
        with self.changed:
            if build.building and how not in build.job.deaf:
                if how == "kill":
                    build.lines.append("Hard kill!")
                build.stopped.set()
            self.changed.notify_all()

    def settle(self, build: Build, *, goes_on: bool, user: str, values: dict[str, str]) -> None:
        """Take the answer to what a build asks; the question is gone at once, what follows from it comes later."""
        with self.changed:
            if build.input is not None:
                build.lines.append(f"{'Approved' if goes_on else 'Rejected'} by {NOTE}{user}")
                build.input.values, build.input.goes_on = values, goes_on
                build.input, build.stages[-1].status = None, "IN_PROGRESS"
            self.changed.notify_all()

    def restarted(self) -> None:
        """Forget what a restart forgets: what left the queue. Pipelines go on, freestyle builds do not."""
        with self.changed:
            for item in self.items.values():
                if item.left_at is not None:
                    item.left_at = 0.0
            for build in self.under_way():
                build.lines.append("Resuming build after Jenkins restart")
                if build.job.freestyle:
                    build.stopped.set()
            self.changed.notify_all()

    def rename(self, old: str, new: str) -> None:
        """Move a job; its builds go along, and nothing stands at the old name."""
        with self.changed:
            job = self.jobs.pop(old)
            job.full_name = new
            self.jobs[new] = job

    def forget(self) -> None:
        """Keep nothing from here on: another controller takes this one's place."""
        with self.changed:
            self.keep = lambda: None

    def _carry(self, item: Item) -> None:
        with self.changed:
            while not item.cancelled and (hindrance := self._hindrance(item)):
                item.state, item.why, seconds = hindrance
                self.changed.wait(seconds)
                if self.closing.is_set():
                    return
            if item.cancelled:
                return
            item.state, item.why, item.left_at = "Left", None, time.time()
            build = Build(item.job.next_number, item.job, item, time.time())
            item.job.next_number += 1
            item.job.builds[build.number] = item.build = build
            self.keep()
        self._run(build, f"{item.origin}{build.job.path}/{build.number}/")

    def _hindrance(self, item: Item) -> tuple[str, str, float] | None:
        """Return why the item cannot leave yet: state, sentence for people, seconds until another look."""
        left = item.due - time.time()
        if left > 0:
            return "Waiting", f"In the quiet period. Expires in {left:.1f} sec", left
        running = self.under_way()
        mine = [build for build in running if build.job is item.job]
        if self.quieting:
            return "Buildable", "Jenkins is about to shut down", 0.2
        if item.job.label:
            return "Buildable", f"There are no nodes with the label \u2018{item.job.label}\u2019", 0.2
        if mine and not item.job.concurrent:
            return "Blocked", f"Build #{mine[-1].number} is already in progress (ETA: N/A)", 0.2
        if len(running) >= self.executors:
            return "Buildable", "Waiting for next available executor", 0.2
        return None

    def _run(self, build: Build, url: str) -> None:
        build.lines.append(f"Started by user {NOTE}{build.item.user}")
        run = Run(build.job.full_name, build.number, url, build.item.parameters, build.lines.append)
        result = "SUCCESS"
        for name, seconds in build.job.stages:
            status = self._stage(build, run, name, seconds)
            if status in ("FAILED", "ABORTED"):
                result = {"FAILED": "FAILURE", "ABORTED": "ABORTED"}[status]
                break
            if status == "UNSTABLE":
                result = "UNSTABLE"
        with self.changed:
            build.result, build.building, build.ended = result, False, time.time()
        self.closing.wait(0.05 / self.speed)  # post-production: the result stands, the build is still in progress
        with self.changed:
            build.lines.append(f"Finished: {result}")
            build.in_progress = False
            self.keep()
            self.changed.notify_all()

    def _stage(self, build: Build, run: Run, name: str, seconds: float) -> str:
        stage = Stage(name, time.time())
        build.stages.append(stage)
        build.lines.append(f"[Pipeline] {{ ({name})")
        self._wait(build, seconds / self.speed)
        while build.job.hold == name and not build.stopped.is_set() and not self.closing.is_set():
            build.stopped.wait(0.02)
        if asks := build.job.ask.get(name):
            self._ask(build, stage, asks)
        status = "ABORTED" if build.stopped.is_set() or self.closing.is_set() else self._work(build, run, stage)
        build.lines.append("[Pipeline] }")
        with self.changed:
            stage.status, stage.ended = status, time.time()
        return status

    def _ask(self, build: Build, stage: Stage, asks: Mapping[str, Any]) -> None:
        """Wait for an answer; turned down, the build is aborted."""
        takes = [Parameter(**one) for one in asks.get("parameters", ())]
        asked = Input(asks["message"], asks.get("submitter", ""), takes)
        with self.changed:
            build.input, stage.status = asked, "PAUSED_PENDING_INPUT"
            build.lines.append(asked.message)
        while asked.goes_on is None and not build.stopped.is_set() and not self.closing.is_set():
            build.stopped.wait(0.02)
        with self.changed:
            build.input, stage.status = None, "IN_PROGRESS"
        if asked.goes_on is False:
            build.stopped.set()

    def _work(self, build: Build, run: Run, stage: Stage) -> str:
        for attempt in range(1, TRIES + 1):
            try:
                self.pipeline.perform(stage.name, run)
                return build.job.outcomes.get(stage.name, "SUCCESS")
            except StageFailed as error:
                stage.error = str(error)
                build.lines.append(stage.error)
                if not isinstance(error, TryAgain) or attempt == TRIES:
                    return "FAILED"
            if self._wait(build, 0.5 / self.speed):
                return "ABORTED"
        return "FAILED"

    def _wait(self, build: Build, seconds: float) -> bool:
        """Let time pass; ``True`` when the build was interrupted meanwhile."""
        return build.stopped.wait(seconds)

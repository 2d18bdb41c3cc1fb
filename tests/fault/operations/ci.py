"""A CI system without a network: orders arrive, come late or never, and every run redeems its permit at the real gate.

It lives by the clock of the test, so that a schedule always goes the same way. What differs between Jenkins and
Spinnaker is when an order with a key that is there already becomes no run of its own: Jenkins folds it into an item
that waits and has the same parameters, Orca joins it to an execution that has not ended. A task of Spinnaker's redeems
no permit; it goes back from one group of servers to the other.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import jwt

from releases.audit.actor import system
from releases.core.errors import Refused, Sentence, Unreachable
from releases.delivery.ports import Handle, Order, Sighting, Target
from releases.delivery.ports import Run as Told
from releases.delivery.states import Act, State
from releases.gate import services as gate
from releases.gate.rules import Run as Name

QUEUED, WHOLE = timedelta(seconds=1), timedelta(seconds=12)
LATE = timedelta(seconds=40)  # longer than a lease: by then the order may have been sent again
PIPELINE = system("pipeline")
GROUPS = ("v006", "v007")
TASKS = "Tasks of Spinnaker"


@dataclass
class Run:
    """A run of somebody's order.

    Whether it ``deploys`` is decided at the gate, in its first stage; of a task it says whether it changed anything.
    """

    number: int
    order: Order
    arrived: datetime
    deploys: bool = False
    is_decided: bool = False
    stopped: datetime | None = None

    @property
    def is_refused(self) -> bool:
        """Say whether the gate did not let it through; tasks do not ask."""
        return self.is_decided and not self.deploys and not _is_task(self.order.target)

    @property
    def ends(self) -> datetime:
        """Return when it ends, as it looks now."""
        if self.stopped:
            return self.stopped
        return self.arrived + (QUEUED if self.is_refused else WHOLE)

    def state(self, now: datetime) -> State:
        """Return where it stands."""
        if self.stopped:
            return State.CANCELED
        if now < self.arrived + QUEUED:
            return State.QUEUED
        if self.is_refused:
            return State.FAILED
        return State.RUNNING if now < self.arrived + WHOLE else State.SUCCEEDED


@dataclass(frozen=True)
class System:
    """What differs from system to system: which orders join a run that is there, and the options of what is bound."""

    joins: Callable[[Run, Order, datetime], bool]
    options: Mapping[str, str] = field(default_factory=dict)


def _folds(run: Run, order: Order, at: datetime) -> bool:
    return run.order == order and run.state(at) is State.QUEUED


def _is_joined(run: Run, order: Order, at: datetime) -> bool:
    return run.order.key == order.key and run.state(at) in {State.QUEUED, State.RUNNING}


def _is_task(target: Target) -> bool:
    return "task" in target.options


SYSTEMS = {
    "Jenkins": System(_folds),
    "Spinnaker": System(_is_joined),
    TASKS: System(_is_joined, {"task": "rollbackCluster"}),
}
HOPES = {State.QUEUED: 1, State.RUNNING: 1, State.SUCCEEDED: 2}  # what is hoped of a run, nothing of one that failed


@dataclass
class Ci:
    """A CI system; ``sends`` says how each next order goes: ``ok``, ``lost``, ``late``, ``down``, then always ``ok``.

    Lost: taken, but nobody hears the answer. Late: taken long after its sender gave up. Down: never taken. In three
    ways a lease runs out while it is sent, and another worker takes over ``meanwhile``. Slow: on the way to the order.
    Stalled: right before it leaves, where nobody looks at the clock any more. Unheard: before its answer comes. Nothing
    is answered while it is ``dark``.
    """

    system: System
    now: Callable[[], datetime]
    sends: list[str] = field(default_factory=list)
    began: list[Run] = field(default_factory=list)
    on_their_way: list[tuple[datetime, Order]] = field(default_factory=list)
    dark: datetime | None = None
    meanwhile: Callable[[], object] = lambda: None
    stands: str = GROUPS[1]

    def chosen(self, target: Target) -> Mapping[str, str]:
        """Choose where to go back to: to the group that does not stand there."""
        back = next(one for one in GROUPS if one != self.stands)
        return {**target.options, "task": "rollbackServerGroup", "now": self.stands, "back": back}

    def start(self, order: Order) -> Sighting:
        """Take an order, unless its key is there already."""
        there = self.find(order.target, order.key)
        if there.state is not State.NOT_FOUND:
            return there
        how = self.sends.pop(0) if self.sends else "ok"
        if how == "slow":
            self.meanwhile()
        order.in_time()
        if how == "stalled":
            self.meanwhile()
        if how != "down":
            self.on_their_way.append((self.now() + LATE * (how == "late"), order))
            self.catch_up()
        if how == "unheard":
            self.meanwhile()
        if how in {"lost", "late", "down"}:
            raise Unreachable(Sentence("No answer."))
        return self.find(order.target, order.key)

    def find(self, target: Target, key: str) -> Sighting:
        """Find the run with a key; of several the one that got through."""
        self._hear()
        ours = [run for run in self.began if run.order.key == key]
        best = max(ours, key=self._hope, default=None)
        handle = Handle(key, target.job)
        return self._seen(best, handle) if best else Sighting(State.NOT_FOUND, handle)

    def look(self, handle: Handle) -> Sighting:
        """Look at a run; of one that failed a twin may have got through."""
        self._hear()
        run = self.began[int(handle.run)]
        has_twin = handle.key and self._hope(run) == 0
        return self.find(Target(handle.job), handle.key) if has_twin else self._seen(run, handle)

    def act(self, handle: Handle, act: Act) -> Sighting:
        """Stop a run, unless it has ended."""
        seen = self.look(handle)
        run = self.began[int(seen.handle.run)]
        if act is Act.STOP and run.state(self.now()) in {State.QUEUED, State.RUNNING}:
            run.stopped = self.now()
        return self._seen(run, seen.handle)

    def runs(self, target: Target) -> tuple[Told, ...]:
        """Tell of all runs, the newest first."""
        self._hear()
        return tuple(self._told(run) for run in reversed(self.began))

    def catch_up(self) -> None:
        """Do what happened since: orders arrive one after the other, and runs that began redeem their permit."""
        for at, order in sorted(self.on_their_way, key=lambda one: one[0]):
            if at <= self.now():
                self.on_their_way.remove((at, order))
                self._redeem(at)
                if not any(self.system.joins(run, order, at) for run in self.began):
                    self.began.append(Run(len(self.began), order, at))
        self._redeem(self.now())

    @property
    def deployed(self) -> int:
        """Return how many runs deployed."""
        return sum(run.deploys for run in self.began)

    def _redeem(self, until: datetime) -> None:
        for run in self.began:
            begun = run.arrived + QUEUED
            if not run.is_decided and not run.stopped and begun <= until:
                run.is_decided, run.deploys = True, self._gets_through(run, begun)

    def _gets_through(self, run: Run, at: datetime) -> bool:
        if _is_task(run.order.target):
            before, target = self.stands, run.order.target
            self.stands = target.options.get("back") or self.chosen(target)["back"]
            return before != self.stands
        claims = jwt.decode(run.order.permit, options={"verify_signature": False})
        name, digest = Name("ci", f"{run.order.key}#{run.number}"), run.order.target.parameters["DIGEST"]
        try:
            gate.redeem(actor=PIPELINE, jti=claims["jti"], run=name, artifact_digest=digest, now=at)
        except Refused:
            return False
        return True

    def _hear(self) -> None:
        if self.dark and self.now() < self.dark:
            raise Unreachable(Sentence("No answer."))
        self.catch_up()

    def _hope(self, run: Run) -> int:
        return HOPES.get(run.state(self.now()), 0)

    def _told(self, run: Run) -> Told:
        order, is_over = run.order, run.ends <= self.now()
        given = {**order.target.parameters, order.target.key_parameter: order.key}
        return Told(str(run.number), run.state(self.now()), given, run.ends if is_over else None)

    def _seen(self, run: Run, handle: Handle) -> Sighting:
        return Sighting(run.state(self.now()), handle.moved(run=str(run.number)))

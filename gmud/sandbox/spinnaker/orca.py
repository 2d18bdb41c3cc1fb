"""Orca: executions, one after the other where the pipeline says so, and the correlation that joins equal ones.

From source: a correlation id joins a request to an execution that is **not complete**, and is forgotten once it is; of
the executions that wait behind one another the newest starts and ``spinnaker`` cancels the others, unless they are
kept; a cancelled execution is marked at once and ends later; an execution that ran when Orca stopped goes on when it
starts again. Shortened: stages run in the order of their list.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gmud.sandbox.spinnaker import words
from gmud.sandbox.spinnaker.models import HALTS, WAITING, Execution, Json, Pipeline, Stage, stages_of, ulid
from gmud.sandbox.spinnaker.work import Now, StageFailed, Works

STAGE_SECONDS = 0.4


class Disabled(Exception):
    """The pipeline is disabled."""


class Orca:
    """Every execution that was ever started here."""

    def __init__(self, works: Works, speed: float, closing: threading.Event) -> None:
        """Start without any."""
        self.works = works
        self.speed = speed
        self.closing = closing
        self.roles: Callable[[str], list[str]] = lambda _user: []
        self.pipelines: dict[str, Pipeline] = {}
        self.executions: dict[str, Execution] = {}
        self.changed = threading.Condition(threading.RLock())
        self.keep: Callable[[], None] = lambda: None
        """Called, with ``changed`` held, after everything that must outlive a restart."""

    def orchestrate(self, pipeline: Pipeline, trigger: Json, user: str, wanted: str = "") -> Execution:
        """Start a pipeline, under the id that is ``wanted``, or return the execution a correlation id leads to.

        :raises Disabled: the pipeline is; an execution that ended at once tells of it
        """
        with self.changed:
            if there := self.joined("PIPELINE", trigger):
                return there
            one = Execution(
                kind="PIPELINE",
                application=pipeline.application,
                name=pipeline.name,
                trigger=trigger,
                user=user,
                stages=stages_of(pipeline.stages),
                config_id=pipeline.id,
                limit_concurrent=pipeline.limit_concurrent,
                keep_waiting=pipeline.keep_waiting,
                id=wanted or ulid(),
            )
            self.executions[one.id] = one
            if pipeline.disabled:
                one.status, one.ended = "TERMINAL", time.time()
                self.keep()
                raise Disabled(f"Pipeline '{pipeline.name}' is disabled")
            one.status = "BUFFERED" if pipeline.buffered else "NOT_STARTED"
            self.keep()
            if not pipeline.buffered and not (one.limit_concurrent and self._busy(one)):
                self._begin(one)
            return one

    def operate(self, application: str, description: str, jobs: list[Json], trigger: Json, user: str) -> Execution:
        """Start a list of jobs, one after the other, or return the task that a correlation id leads to."""
        with self.changed:
            if there := self.joined("ORCHESTRATION", trigger):
                return there
            one = Execution("ORCHESTRATION", application, description, trigger, user, stages_of(jobs))
            self.executions[one.id] = one
            self._begin(one)
            return one

    def joined(self, kind: str, trigger: Mapping[str, Any]) -> Execution | None:
        """Return the execution of the same correlation id that is not complete."""
        key = trigger.get("correlationId")
        return next((one for one in self.of(kind) if key and one.key == key and not one.is_complete), None)

    def of(self, kind: str) -> Iterator[Execution]:
        """Give the executions of a kind, the newest first."""
        return iter(
            sorted((one for one in self.executions.values() if one.kind == kind), key=lambda one: one.id, reverse=True)
        )

    def cancel(self, one: Execution, user: str, reason: str) -> None:
        """Cancel an execution: at once where it waits, at its next rest where it runs; an end stays."""
        with self.changed:
            if one.is_complete:
                return
            one.canceled, one.canceled_by, one.reason = True, user, reason
            one.stopped.set()
            if one.status in WAITING:
                self._end(one, "CANCELED")
            self.keep()
            self.changed.notify_all()

    def pause(self, one: Execution, user: str) -> bool:
        """Pause an execution that runs; ``False`` when it does not."""
        with self.changed:
            if one.status != "RUNNING":
                return False
            one.status, one.paused = "PAUSED", {"pausedBy": user, "pauseTime": words.millis(time.time())}
            self.keep()
            return True

    def resume(self, one: Execution, user: str) -> bool:
        """Let a paused execution go on; ``False`` when it is not paused."""
        with self.changed:
            if one.status != "PAUSED":
                return False
            one.status = "RUNNING"
            one.paused = {**(one.paused or {}), "resumedBy": user, "resumeTime": words.millis(time.time())}
            self.keep()
            self.changed.notify_all()
            return True

    def patch(self, one: Execution, stage: Stage, context: Json, user: str) -> None:
        """Put any keys into the context of any stage, as Orca does without asking what they are."""
        with self.changed:
            stage.context.update(context)
            moment = words.millis(time.time())
            stage.last_modified = {"user": user, "allowedAccounts": [], "lastModifiedTime": moment}
            stage.context["lastModifiedBy"] = user
            self.keep()
            self.changed.notify_all()

    def go_on(self) -> None:
        """Carry every execution on that ran when the process ended; the stage it was in begins anew."""
        with self.changed:
            for one in [each for each in self.executions.values() if each.status in ("RUNNING", "PAUSED")]:
                self._carry(one)

    def let_go(self) -> None:
        """Start what was held back, where nothing holds it back any more."""
        with self.changed:
            for one in [each for each in self.executions.values() if each.status == "BUFFERED"]:
                pipeline = self.pipelines.get(one.config_id)
                if pipeline is None or not pipeline.buffered:
                    one.status = "NOT_STARTED"
                    if not (one.limit_concurrent and self._busy(one)):
                        self._begin(one)

    def forget(self) -> None:
        """Keep nothing from here on: another takes this one's place."""
        with self.changed:
            self.keep = lambda: None

    def _busy(self, one: Execution) -> bool:
        return any(
            other.status in ("RUNNING", "PAUSED") and other.config_id == one.config_id and other is not one
            for other in self.executions.values()
        )

    def _begin(self, one: Execution) -> None:
        one.status, one.started = "RUNNING", time.time()
        self.keep()
        self._carry(one)

    def _carry(self, one: Execution) -> None:
        threading.Thread(target=self._run, args=(one,), daemon=True).start()

    def _run(self, one: Execution) -> None:
        status = "SUCCEEDED"
        for stage in one.stages:
            if stage.status not in ("NOT_STARTED", "RUNNING"):
                continue
            status = self._stage(one, stage)
            if self.closing.is_set():
                return
            if status in HALTS:
                break
        with self.changed:
            self._end(one, status if status in HALTS else "SUCCEEDED")

    def _stage(self, one: Execution, stage: Stage) -> str:
        if self._wait_while_paused(one):
            return "CANCELED"
        with self.changed:
            stage.status, stage.started = "RUNNING", time.time()
            self.keep()
        pipeline = self.pipelines.get(one.config_id)
        one.stopped.wait(STAGE_SECONDS / self.speed)
        while pipeline and pipeline.hold == stage.name and not one.stopped.is_set() and not self.closing.is_set():
            one.stopped.wait(0.02)
        status = "CANCELED" if one.stopped.is_set() or self.closing.is_set() else self._work(one, stage, pipeline)
        if one.stopped.is_set() and status != "SUCCEEDED":
            status = "CANCELED"
        with self.changed:
            if not self.closing.is_set():
                stage.status, stage.ended = status, time.time()
                self.keep()
        return status

    def _work(self, one: Execution, stage: Stage, pipeline: Pipeline | None) -> str:
        outcome = pipeline.outcomes.get(stage.name, "") if pipeline else ""
        if outcome == "SKIPPED":
            return outcome
        try:
            done = self.works.perform(Now(one, stage, self.speed, self.roles, self.closing))
        except StageFailed as error:
            stage.context["exception"] = {"details": {"errors": [str(error)]}, "exceptionType": "StageFailed"}
            return "TERMINAL"
        if outcome in HALTS:
            stage.context["exception"] = {"details": {"errors": [f"{stage.name} was told to fail"]}}
        return outcome or done

    def _wait_while_paused(self, one: Execution) -> bool:
        with self.changed:
            while one.status == "PAUSED" and not one.stopped.is_set() and not self.closing.is_set():
                self.changed.wait(0.1)
        return one.stopped.is_set()

    def _end(self, one: Execution, status: str) -> None:
        one.status, one.ended = "CANCELED" if one.canceled and status in HALTS else status, time.time()
        self._start_waiting(one)
        self.keep()
        self.changed.notify_all()

    def _start_waiting(self, ended: Execution) -> None:
        """Start who waited behind this one: the newest, and the others are canceled, unless the pipeline keeps them."""
        if ended.kind != "PIPELINE" or not ended.started or self._busy(ended):
            return
        same = [one for one in self.executions.values() if one.config_id == ended.config_id]
        waiting = sorted((one for one in same if one.status == "NOT_STARTED"), key=lambda one: one.id)
        if not waiting:
            return
        first = waiting[0] if ended.keep_waiting else waiting[-1]
        for one in () if ended.keep_waiting else waiting[:-1]:
            one.canceled, one.canceled_by, one.ended, one.status = True, "spinnaker", time.time(), "CANCELED"
        self._begin(first)

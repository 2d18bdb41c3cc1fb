"""Spinnaker in our words: orders are found again by their key, and nothing is reported that was not read back."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from releases.core.errors import External, Rejected, Sentence, Unreachable
from releases.core.http import Door
from releases.core.words import mark as _
from releases.delivery.ports import (
    Answer,
    Handle,
    Listed,
    LogPart,
    Order,
    Parameter,
    Readiness,
    Run,
    Sighting,
    Target,
    Version,
    unknown_when_unreadable,
)
from releases.delivery.rules import stood_there
from releases.delivery.spinnaker import executions, going_back, previous, tasks
from releases.delivery.spinnaker.client import NEWEST, SHAPE, Gate, Json, Page
from releases.delivery.spinnaker.orders import absent, hindrances, parameter, parted, reference, told_at, trigger_of
from releases.delivery.states import ENDS, Act, State

PAUSE_SECONDS = 0.5
ECHO_PAUSE_SECONDS = 10.0
JUDGMENT_LOOKS = 12
JUDGMENT_SECONDS = 2.0
LOOKS_BACK = timedelta(days=3)
SLACK = timedelta(minutes=10)  # by which the clock of Gate may differ from ours
ECHO_LASTS = timedelta(seconds=60)
VERBS = {Act.STOP: "cancel", Act.PAUSE: "pause", Act.RESUME: "resume"}
LEADS_TO = {Act.PAUSE: State.PAUSED, Act.RESUME: State.RUNNING}
LOST = _("Spinnaker no longer knows this run, or the account may not read it any more. Look there whether it deployed.")
reading = unknown_when_unreadable(SHAPE)


@dataclass(frozen=True, slots=True)
class SpinnakerDelivery:
    """A DeliveryProvider; ``pause`` waits between two looks, ``now`` is asked how far back to search."""

    door: Door
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def version(self) -> str:
        """Return ``Gate`` and who we are to it: which version answers, Gate does not tell.

        :raises Unreachable: no answer, or none of Gate
        :raises Rejected: Gate does not accept the account
        """
        return f"Gate ({self._gate.user()})"

    @reading
    def jobs(self, folder: str = "") -> tuple[Listed, ...]:
        """Return the applications, or the pipelines of one.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: there is no such application, or the account may not read it
        """
        if not folder:
            return tuple(Listed(str(one["name"]), is_folder=True) for one in self._gate.applications())
        return tuple(Listed(f"{folder}/{one['name']}") for one in self._gate.configs(folder))

    @reading
    def parameters(self, job: str) -> tuple[Parameter, ...]:
        """Return the parameters that a pipeline declares.

        :raises Rejected: there is no such pipeline
        """
        config = self._gate.config(*parted(job))
        if config is None:
            raise Rejected(absent(job))
        return tuple(parameter(one) for one in config.get("parameterConfig") or [])

    @reading
    def preflight(self, target: Target) -> Readiness:
        """Look at the pipeline's definition once, or at the place where a task shall go back.

        :raises Unreachable: Gate gave no answer that can be trusted
        :raises Rejected: Gate does not accept the account
        """
        if "task" in target.options:
            application = parted(target.job)[0]
            wrong = tasks.misfits(target) or previous.emptiness(self._gate, application, target.options)
            return Readiness(tuple(wrong))
        config = self._gate.config(*parted(target.job))
        if config is None:
            return Readiness((absent(target.job),))
        return Readiness(tuple(hindrances(config, target)))

    @reading
    def chosen(self, target: Target) -> Mapping[str, Any]:
        """Return the options of a task with what it goes back from and to; a pipeline leaves nothing open.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: there is nothing to go back to, or the options do not fit
        """
        return going_back.chosen(self._gate, target) if "task" in target.options else target.options

    @reading
    def start(self, order: Order) -> Sighting:
        """Start the pipeline or the task unless the key is already there.

        :raises Unreachable: whether it started is not known; search before starting again
        :raises Rejected: it did not start and will not
        """
        readiness = self.preflight(order.target)
        if not readiness.is_ready:
            raise Rejected(readiness.reasons[0])
        there = self._search(order.target, order.key)
        if there.state is not State.NOT_FOUND:
            return there
        if "task" not in order.target.options:
            return self._trigger(order)
        handle = Handle(order.key, order.target.job, order.target.key_parameter)
        return self._begun(handle.moved(run=going_back.operated(self._gate, order)))

    @reading
    def find(self, target: Target, key: str) -> Sighting:
        """Search twice: what Echo was told becomes an execution later.

        :raises Unreachable: no answer that can be trusted, or a pipeline that is gone: absence proves nothing
        """
        there = self._search(target, key)
        if there.state is State.NOT_FOUND:
            self.pause(ECHO_PAUSE_SECONDS if "via" in target.options else PAUSE_SECONDS)
            there = self._search(target, key)
        if there.state is State.NOT_FOUND and "task" not in target.options:
            self._demand(target.job)
        return there

    @reading
    def look(self, handle: Handle) -> Sighting:
        """Look at an execution or a task; one that Echo still owes us is searched for.

        An execution that failed may have a twin, when a request came through after it was repeated: the gate lets one
        of them deploy, and that one counts.

        :raises Unreachable: no answer that can be trusted
        """
        if handle.run.startswith("tasks/"):
            return self._look_at_task(handle)
        if not handle.run:
            return self._await_echo(handle)
        page = self._gate.execution(handle.run.removeprefix("pipelines/"))
        if page is None:
            return _lost(handle)
        seen = self._sighted(page.json, handle)
        twin = self._twin(page.json, handle) if handle.key and seen.state is State.FAILED else None
        return twin if twin and (twin.state is State.SUCCEEDED or twin.state not in ENDS) else seen

    def log(self, handle: Handle, start: int = 0) -> LogPart:
        """Return nothing: Spinnaker keeps no log of an execution."""
        return LogPart(next=start)

    @reading
    def runs(self, target: Target) -> tuple[Run, ...]:
        """Return the newest executions of the pipeline, or the newest tasks of ours in the application.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: there is no such pipeline
        """
        if "task" in target.options:
            return tuple(going_back.runs(_newest(self._gate.tasks(parted(target.job)[0])), target.key_parameter))
        rows = _newest(self._gate.newest(self._demand(target.job)["id"]))
        return tuple(executions.run(one, target.key_parameter) for one in rows)

    @reading
    def versions(self, target: Target) -> Sequence[Version]:
        """Return what stood in the place that the options name, else what the pipeline brought.

        :raises Unreachable: no answer that can be trusted
        """
        if "task" in target.options:
            return previous.versions(self._gate, parted(target.job)[0], target.options)
        return stood_there(self.runs(target), target.parameters)

    @reading
    def act(self, handle: Handle, act: Act) -> Sighting:
        """Ask for it, and look; what has ended stays as it ended, and what stands there already is not asked again.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: it cannot be done now, or the account may not ask for it
        """
        seen = self.look(handle)
        if seen.state in ENDS or seen.state is LEADS_TO.get(act):
            return seen
        if act not in seen.acts:
            raise Rejected(
                Sentence(_("Spinnaker cannot do that with this run now. Look at it again for what it can do."))
            )
        asked = seen.handle.moved(stop_asked=handle.stop_asked or act is Act.STOP)
        if asked.run:
            self._steer(asked, VERBS[act])
        return self.look(asked)

    @reading
    def answer(self, handle: Handle, answer: Answer) -> Sighting:
        """Answer a judgment, and look until it is gone: Gate answers alike whether Orca takes it or not.

        :raises Unreachable: whether it took is not known
        :raises Rejected: Orca put the answer away: the account may not judge here
        """
        seen = self.look(handle)
        if answer.question not in {one.id for one in seen.questions}:
            return seen
        run = seen.handle.run.removeprefix("pipelines/")
        said = answer.values.get(executions.INPUT) or answer.note
        self._gate.judge(run, answer.question, "continue" if answer.goes_on else "stop", said)
        for _look in range(JUDGMENT_LOOKS):
            stage = self._stage(run, answer.question)
            if not executions.waits(stage):
                return self.look(seen.handle)
            if not (stage.get("context") or {}).get("judgmentStatus"):
                text = _("Spinnaker did not take the answer: the account has none of the roles that may judge here.")
                raise Rejected(Sentence(text))
            self.pause(JUDGMENT_SECONDS)
        raise Unreachable(Sentence(_("Whether Spinnaker takes the answer is not known yet.")))

    @property
    def _gate(self) -> Gate:
        return Gate(self.door)

    def _demand(self, job: str) -> Json:
        """Return the definition of a pipeline.

        :raises Unreachable: there is none now, so what it did under that name cannot be found
        """
        config = self._gate.config(*parted(job))
        if config is None:
            raise Unreachable(absent(job))
        return config

    def _since(self, target: Target) -> int:
        begin = target.since - SLACK if target.since else self.now() - LOOKS_BACK
        return int(begin.timestamp() * 1000)

    def _search(self, target: Target, key: str) -> Sighting:
        handle = Handle(key, target.job, target.key_parameter)
        application, name = parted(target.job)
        if "task" in target.options:
            return self._search_tasks(application, handle, self._since(target))
        rows = self._gate.search(application, name, key, self._since(target))
        return self._first(rows, handle) or Sighting(State.NOT_FOUND, handle)

    def _first(self, rows: Iterable[Json], handle: Handle) -> Sighting | None:
        """Return the execution to follow.

        Two have one key when a request arrives once more after the first ended; its permit is used up by then. So what
        succeeded counts, then what still runs, then the newest.
        """

        def rank(one: Json) -> tuple[bool, bool, int]:
            return one["status"] != "SUCCEEDED", bool(one.get("endTime")), -one["buildTime"]

        best = sorted(rows, key=rank)
        return self._sighted(best[0], handle.moved(run=f"pipelines/{best[0]['id']}")) if best else None

    def _twin(self, one: Json, handle: Handle) -> Sighting | None:
        """Return the execution to follow of those with the key of one that failed."""
        application, name = parted(handle.job)
        since = int((executions.moment(one["buildTime"]) - SLACK).timestamp() * 1000)
        return self._first(self._gate.search(application, name, handle.key, since), handle)

    def _search_tasks(self, application: str, handle: Handle, since: int) -> Sighting:
        rows = self._gate.tasks(application)
        for row in rows:
            trigger = (row.get("execution") or {}).get("trigger") or {}
            if trigger.get("correlationId") == handle.key:
                return self._task(Page(row, None), handle.moved(run=f"tasks/{row['id']}"))
        if len(rows) >= NEWEST and min(row["buildTime"] for row in rows) > since:
            text = _("Spinnaker shows its newest %(number)s tasks only, and all of them are newer than this one.")
            raise Unreachable(Sentence(text, {"number": NEWEST}))
        return Sighting(State.NOT_FOUND, handle)

    def _trigger(self, order: Order) -> Sighting:
        target, (application, name) = order.target, parted(order.target.job)
        via = str(target.options.get("via", ""))
        order.in_time()
        reply = self._gate.trigger(application, name, trigger_of(order, via), via=via)
        handle = Handle(order.key, target.job, target.key_parameter)
        ref = reference(reply, {202})
        return self._begun(handle.moved(ticket=ref) if via else handle.moved(run=ref))

    def _begun(self, handle: Handle) -> Sighting:
        return Sighting(State.QUEUED, handle, self._url(handle), acts=frozenset({Act.STOP}))

    def _await_echo(self, handle: Handle) -> Sighting:
        """Search for what Echo was told to start; the reference that Gate gave for it may never come true."""
        application, name = parted(handle.job)
        told = told_at(handle.ticket)
        since = int(((told or self.now() - LOOKS_BACK) - SLACK).timestamp() * 1000)
        seen = self._first(self._gate.search(application, name, handle.key, since), handle)
        if seen is not None:
            return self._stop_late(seen)
        if told is not None and self.now() - told < ECHO_LASTS:
            return Sighting(State.QUEUED, handle, acts=frozenset({Act.STOP}))
        why = _("Echo took the order, but no execution came of it. Look whether the pipeline is enabled.")
        return Sighting(State.LOST, handle, why=Sentence(why))

    def _stop_late(self, seen: Sighting) -> Sighting:
        """Pass on now that it shall stop, when that was asked before it began."""
        if seen.handle.stop_asked and Act.STOP in seen.acts:
            self._steer(seen.handle, VERBS[Act.STOP])
        return seen

    def _steer(self, handle: Handle, verb: str) -> None:
        reason = {"reason": f"GMUD {handle.key}", "force": "false"} if verb == "cancel" else None
        self._gate.steer(handle.run, verb, reason if handle.run.startswith("pipelines/") else None)

    def _sighted(self, one: Json, handle: Handle) -> Sighting:
        seen = executions.sighting(one, handle, self._url(handle))
        if seen.state is State.FAILED:
            return replace(seen, why=executions.failed_in(self._failed(one)))
        if seen.state is State.WAITING_INPUT:
            whole = self._gate.whole(str(one["id"])) or one
            asks = [executions.question(stage) for stage in executions.top(whole) if executions.waits(stage)]
            return replace(seen, questions=tuple(asks))
        if seen.state is State.SUCCEEDED and any(stage["type"] == going_back.CLUSTER for stage in executions.top(one)):
            whole = self._gate.whole(str(one["id"])) or one
            return going_back.unchanged(seen) if going_back.passed_over(executions.top(whole)) else seen
        return seen

    def _failed(self, one: Json) -> list[Json]:
        """Return the stages that failed with what they say; when that cannot be had, without it."""
        try:
            told = self._gate.failed_stages(str(one["id"]))
        except External:
            told = []
        return told or [stage for stage in executions.top(one) if stage["status"] in ("TERMINAL", "STOPPED")]

    def _look_at_task(self, handle: Handle) -> Sighting:
        page = self._gate.task(handle.run.removeprefix("tasks/"))
        return self._task(page, handle) if page else _lost(handle)

    def _task(self, page: Page, handle: Handle) -> Sighting:
        one: Json = {**(page.json.get("execution") or {}), "status": page.json["status"]}
        seen = executions.sighting(one, handle, self._url(handle))
        return going_back.sighted(self._gate, page.json, seen, at=page.at or self.now())

    def _stage(self, execution_id: str, stage_id: str) -> Json:
        whole = self._gate.whole(execution_id)
        found = next((one for one in (whole or {}).get("stages", []) if one.get("id") == stage_id), None)
        if found is None:
            raise Unreachable(Sentence(LOST))
        return cast(Json, found)

    def _url(self, handle: Handle) -> str:
        """Return the address of the run at Gate; where Deck shows it, Gate does not tell."""
        return f"{self.door.origin.rstrip('/')}/{handle.run}" if handle.run else ""


def _newest(rows: list[Json]) -> list[Json]:
    return sorted(rows, key=lambda one: int(one["buildTime"]), reverse=True)


def _lost(handle: Handle) -> Sighting:
    return Sighting(State.LOST, handle, why=Sentence(LOST))

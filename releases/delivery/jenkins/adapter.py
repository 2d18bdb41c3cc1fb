"""Jenkins in our words: orders are found again by their key, and nothing is posted twice on a guess."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from typing import Any, TypeVar, cast

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.delivery.jenkins.client import (
    Jenkins,
    Json,
    Page,
    failure,
    parameters_of,
    path_of,
    queue_number,
    rows,
)
from releases.delivery.ports import Handle, Order, Readiness, Run, Sighting, StageView, Target
from releases.delivery.states import State

PAUSE_SECONDS = 0.5
STAGES = {
    "NOT_EXECUTED": State.CANCELED,
    "ABORTED": State.CANCELED,
    "SUCCESS": State.SUCCEEDED,
    "IN_PROGRESS": State.RUNNING,
    "PAUSED_PENDING_INPUT": State.WAITING_INPUT,
    "FAILED": State.FAILED,
    "UNSTABLE": State.FAILED,
}
FAILURES = {
    "UNSTABLE": _("The job ended with warnings (unstable). That does not count as a success."),
    "FAILURE": _("The job failed."),
    "NOT_BUILT": _("The job ended before it built anything."),
}


Method = TypeVar("Method", bound=Callable[..., Any])


def reading(method: Method) -> Method:
    """Turn an answer of a shape that cannot be read into an outcome that is not known."""

    @wraps(method)
    def read(*args: Any, **kwargs: Any) -> Any:
        try:
            return method(*args, **kwargs)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Unreachable(Sentence(_("Jenkins sent JSON of another shape than it should."))) from error

    return cast(Method, read)


@dataclass(frozen=True, slots=True)
class JenkinsDelivery:
    """A DeliveryProvider; ``pause`` waits between the two rounds of a search."""

    door: Door
    pause: Callable[[float], None] = time.sleep

    def version(self) -> str:
        """Return which Jenkins answers, such as ``2.555.3``, after it took the account.

        :raises Unreachable: no answer, or none of Jenkins
        :raises Rejected: Jenkins does not accept the account
        """
        return self._jenkins.version()

    @reading
    def preflight(self, target: Target) -> Readiness:
        """Look at the job's definition once.

        :raises Unreachable: Jenkins gave no answer that can be trusted
        :raises Rejected: Jenkins does not accept the account
        """
        page = self._jenkins.job(target.job)
        if page is None:
            return Readiness((_sentence(_("Jenkins has no job %(job)s, or the account may not read it."), target),))
        return Readiness(tuple(_hindrances(page.json, target)))

    @reading
    def start(self, order: Order) -> Sighting:
        """Start the job unless the key is already there.

        :raises Unreachable: whether it started is not known; search before starting again
        :raises Rejected: it did not start and will not
        """
        readiness = self.preflight(order.target)
        if not readiness.is_ready:
            raise Rejected(readiness.reasons[0])
        there = self._search(order.target, order.key)
        if there.state is not State.NOT_FOUND:
            return there
        target = order.target
        own = {target.key_parameter: order.key, target.permit_parameter: order.permit, "delay": "0sec"}
        return self._started(order, self._jenkins.trigger(target.job, {**target.parameters, **own}))

    @reading
    def find(self, target: Target, key: str) -> Sighting:
        """Search queue and newest builds, twice: an order moves from one to the other between two calls.

        :raises Unreachable: no answer that can be trusted, so absence proves nothing
        """
        there = self._search(target, key)
        if there.state is State.NOT_FOUND:
            self.pause(PAUSE_SECONDS)
            there = self._search(target, key)
        return there

    @reading
    def look(self, handle: Handle) -> Sighting:
        """Follow the order from queue item to build to stages.

        :raises Unreachable: no answer that can be trusted
        """
        if handle.build_number is None:
            return self._look_in_queue(handle)
        page = self._jenkins.build(handle.job, handle.build_number)
        if page is None or not _carries(page.json, handle):
            return _lost(handle, self._url(handle))
        return self._sighted(page, handle)

    @reading
    def runs(self, target: Target) -> tuple[Run, ...]:
        """Return the newest builds of the job.

        :raises Unreachable: no answer that can be trusted
        """
        return tuple(_run(build) for build in self._jenkins.builds(target.job))

    @reading
    def stop(self, handle: Handle) -> Sighting:
        """Cancel the queue item or interrupt the build, then look; the answer itself says nothing.

        :raises Unreachable: no answer that can be trusted
        :raises Rejected: the account may not cancel
        """
        now = self.look(handle.moved(stop_asked=True))
        if now.state not in (State.QUEUED, State.RUNNING, State.WAITING_INPUT):
            return now
        at = now.handle
        if at.build_number is not None:
            _allowed(self._jenkins.stop(at.job, at.build_number), {200, 204, 302, 303, 404})
        elif at.queue_id is not None:
            _allowed(self._jenkins.cancel(at.queue_id), {204, 302, 404})
        return self.look(at)

    @property
    def _jenkins(self) -> Jenkins:
        return Jenkins(self.door)

    def _started(self, order: Order, reply: Reply) -> Sighting:
        """Read the answer to a trigger: 201 a new item, 303 an equal one that already waited, 302 a veto."""
        number = queue_number(reply)
        handle = _handle(order.target, order.key, queue_id=number)
        if reply.status == 201 and number is not None:
            return Sighting(State.QUEUED, handle)
        if reply.status == 303 and number is not None:
            return self._folded(handle)
        if reply.status == 302 and reply.headers.get("location", "").rstrip("/").endswith(path_of(order.target.job)):
            raise Rejected(
                Sentence(_("Jenkins took the request but decided not to queue it. Ask who runs it.")), http_status=302
            )
        raise failure(reply)

    def _folded(self, handle: Handle) -> Sighting:
        """Accept an item that was there before only when it carries our key."""
        page = self._jenkins.item(handle.queue_id or 0)
        if page is None or not parameters_of(page.json):
            raise Unreachable(Sentence(_("Jenkins joined the request with an older one that cannot be read.")))
        if not _carries(page.json, handle):
            raise Rejected(Sentence(_("Jenkins joined the request with one that is not ours.")), http_status=303)
        return self._queued(page.json, handle)

    def _search(self, target: Target, key: str) -> Sighting:
        handle = _handle(target, key)
        for item in self._jenkins.queue():
            if _carries(item, handle):
                return self._queued(item, handle.moved(queue_id=int(item["id"])))
        return self._find_build(handle) or Sighting(State.NOT_FOUND, handle)

    def _find_build(self, handle: Handle) -> Sighting | None:
        for build in self._jenkins.builds(handle.job):
            if _carries(build, handle):
                return self._sighted(Page(build, None), handle)
        return None

    def _look_in_queue(self, handle: Handle) -> Sighting:
        page = self._jenkins.item(handle.queue_id) if handle.queue_id is not None else None
        if page is not None and _carries(page.json, handle):
            return self._queued(page.json, handle)
        return self._find_build(handle) or _lost(handle, "")

    def _queued(self, item: Json, handle: Handle) -> Sighting:
        made = item.get("executable") or {}
        if made.get("number"):
            return self.look(handle.moved(build_number=int(made["number"])))
        if item.get("cancelled"):
            return Sighting(State.CANCELED, handle, why=Sentence(_("It was taken out of the queue before it started.")))
        why = Sentence(_("Jenkins says: %(why)s"), {"why": item["why"]}) if item.get("why") else None
        return Sighting(State.QUEUED, handle, why=why, is_stuck=bool(item.get("stuck")))

    def _sighted(self, page: Page, handle: Handle) -> Sighting:
        build = page.json
        found = handle.moved(build_number=int(build["number"]), queue_id=build.get("queueId", handle.queue_id))
        stages = tuple(_stage(one) for one in self._jenkins.stages(found.job, int(build["number"])))
        url = self._url(found)
        if not _is_final(build):
            waits = any(stage.state is State.WAITING_INPUT for stage in stages)
            state = State.WAITING_INPUT if waits else State.RUNNING
            return Sighting(state, found, url, stages, progress=_progress(build, page.at))
        state, why = _ended(build.get("result"), stages, stop_asked=found.stop_asked)
        return Sighting(state, found, url, stages, why)

    def _url(self, handle: Handle) -> str:
        """Return the address for people, built on our own base."""
        end = f"/{handle.build_number}/" if handle.build_number is not None else "/"
        return f"{self.door.origin.rstrip('/')}{path_of(handle.job)}{end}"


def _handle(target: Target, key: str, queue_id: int | None = None) -> Handle:
    return Handle(key=key, job=target.job, key_parameter=target.key_parameter, queue_id=queue_id)


def _carries(page: Json, handle: Handle) -> bool:
    return parameters_of(page).get(handle.key_parameter) == handle.key


def _sentence(text: str, target: Target, **parts: object) -> Sentence:
    return Sentence(text, {"job": target.job, **parts})


def _hindrances(job: Json, target: Target) -> list[Sentence]:
    """Return every reason why the job cannot take our orders; undeclared parameters would be dropped in silence."""
    declared = {
        str(one.get("name")): one for part in rows(job, "property") for one in part.get("parameterDefinitions") or []
    }
    found = []
    if not job.get("buildable"):
        found.append(_sentence(_("The job %(job)s is disabled in Jenkins, or is no job that can be built."), target))
    for name in (target.key_parameter, target.permit_parameter, *target.parameters):
        definition = declared.get(name)
        if definition is None:
            text = _("The job %(job)s does not declare the parameter %(name)s. Add it, then run the job once.")
            found.append(_sentence(text, target, name=name))
        elif name == target.key_parameter and definition.get("type") == "PasswordParameterDefinition":
            text = _("The parameter %(name)s of the job %(job)s is a password, so it cannot be searched for.")
            found.append(_sentence(text, target, name=name))
        elif definition.get("choices") and target.parameters.get(name) not in definition["choices"]:
            text = _("The job %(job)s does not allow %(value)s for its parameter %(name)s.")
            found.append(_sentence(text, target, name=name, value=target.parameters.get(name, "")))
    return found


def _allowed(reply: Reply, statuses: set[int]) -> None:
    if reply.status not in statuses:
        raise failure(reply)


def _lost(handle: Handle, url: str) -> Sighting:
    return Sighting(State.LOST, handle, url, why=Sentence(_("Jenkins no longer knows this run. It may be deleted.")))


def _is_final(build: Json) -> bool:
    """Say whether post-build steps are over too; servers before 2.369 do not tell and count when decided."""
    if "inProgress" in build:
        return build["inProgress"] is False and build.get("result") is not None
    return build.get("building") is False and build.get("result") is not None


def _run(build: Json) -> Run:
    number, parameters = int(build["number"]), parameters_of(build)
    if not _is_final(build):
        return Run(number, State.RUNNING, parameters)
    state, _why = _ended(build["result"], (), stop_asked=False)
    return Run(number, state, parameters, _moment(int(build["timestamp"]) + int(build["duration"])))


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


def _stage(one: Json) -> StageView:
    state = STAGES.get(str(one.get("status")), State.RUNNING)
    return StageView(str(one.get("name", "")), state, round(float(one.get("durationMillis") or 0) / 1000, 3))


def _ended(result: object, stages: tuple[StageView, ...], *, stop_asked: bool) -> tuple[State, Sentence | None]:
    if result == "SUCCESS":
        return State.SUCCEEDED, None
    if result == "ABORTED":
        if stop_asked:
            return State.CANCELED, Sentence(_("It was stopped from here."))
        return State.ABORTED_EXTERNALLY, Sentence(_("Somebody stopped it in Jenkins."))
    at = next((stage.name for stage in stages if stage.state is State.FAILED), "")
    if at and result == "FAILURE":
        return State.FAILED, Sentence(_("The job failed in its stage %(stage)s."), {"stage": at})
    return State.FAILED, Sentence(FAILURES.get(str(result), FAILURES["FAILURE"]))


def _progress(build: Json, at: datetime | None) -> float | None:
    """Return the share of the estimate that passed, by the server's clock; ``None`` without estimate or clock."""
    estimate, since = build.get("estimatedDuration") or -1, build.get("timestamp")
    if estimate <= 0 or since is None or at is None:
        return None
    return float(min(0.99, max(0.0, (at.timestamp() * 1000 - since) / estimate)))

"""Jenkins in our words: orders are found again by their key, and nothing is posted twice on a guess."""

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from releases.core.errors import External, Rejected, Sentence, Unreachable
from releases.core.http import Door, Reply
from releases.core.words import mark as _
from releases.delivery import rules
from releases.delivery.jenkins import reading
from releases.delivery.jenkins.client import LOG_BYTES, Jenkins, Json, Page, parameters_of, path_of, queue_number
from releases.delivery.jenkins.refusals import failure
from releases.delivery.ports import (
    Answer,
    Handle,
    Listed,
    LogPart,
    Order,
    Parameter,
    Question,
    Readiness,
    Run,
    Sighting,
    StageView,
    Target,
    Version,
    unknown_when_unreadable,
)
from releases.delivery.states import STOPS, Act, State

PAUSE_SECONDS = 0.5
ROUNDS = 3  # looks until an answer that was taken must have shown
UNDER_WAY = frozenset({State.QUEUED, State.RUNNING, State.WAITING_INPUT})
Enough = Callable[[Json], bool]
JWS = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+")  # a permit, or a token of another kind
UNREAD = _("It waits for an answer, but what it asks cannot be read. Look there.")
LEFT_OUT, LINE = "[…]", "\n"
COLORS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
trusted = unknown_when_unreadable(_("Jenkins sent JSON of another shape than it should."))


@dataclass(frozen=True, slots=True)
class JenkinsDelivery:
    """A DeliveryProvider; ``pause`` waits between the rounds of a search.

    Everything may raise ``Unreachable`` (no answer that can be trusted, so what happened is not known) and ``Rejected``
    (Jenkins does not accept the account, or says no).
    """

    door: Door
    pause: Callable[[float], None] = time.sleep

    def version(self) -> str:
        """Return which Jenkins answers, such as ``2.555.3``, after it took the account."""
        return self._jenkins.version()

    @trusted
    def jobs(self, folder: str = "") -> tuple[Listed, ...]:
        """Return what is in a folder; a project with a job for each branch is one, too. Only jobs have a colour."""
        above = f"{folder}/" if folder else ""
        found = self._jenkins.folder(folder)
        return tuple(Listed(str(one.get("fullName") or above + one["name"]), "color" not in one) for one in found)

    @trusted
    def parameters(self, job: str) -> tuple[Parameter, ...]:
        """Return what the job declares.

        :raises Rejected: there is no such job, or it is a folder
        """
        page = self._jenkins.job(job)
        if page is None:
            raise Rejected(_absent(job))
        if reading.is_folder(page.json):
            raise Rejected(Sentence(reading.NO_JOB, {"job": job}))
        return reading.parameters(page.json)

    @trusted
    def preflight(self, target: Target) -> Readiness:
        """Look at the job's definition once."""
        page = self._jenkins.job(target.job)
        if page is None:
            return Readiness((_absent(target.job),))
        return Readiness(tuple(reading.hindrances(page.json, target)))

    def chosen(self, target: Target) -> Mapping[str, Any]:
        """Return the options as they are: Jenkins takes none."""
        return target.options

    @trusted
    def start(self, order: Order) -> Sighting:
        """Start the job unless the key is already there.

        :raises Unreachable: whether it started is not known; search before starting again
        :raises Rejected: it did not start and will not
        """
        readiness = self.preflight(order.target)
        if not readiness.is_ready:
            raise Rejected(readiness.reasons[0])
        there = self._search(order.target, order.key, reading.older_than(order.target.since))
        if there.state is not State.NOT_FOUND:
            return there
        target = order.target
        own = {target.key_parameter: order.key, target.permit_parameter: order.permit, "delay": "0sec"}
        order.in_time()
        return self._started(order, self._jenkins.trigger(target.job, {**target.parameters, **own}))

    @trusted
    def find(self, target: Target, key: str) -> Sighting:
        """Search queue and builds, twice: an order moves from one to the other between two calls."""
        return self._find(target, key, reading.older_than(target.since))

    @trusted
    def look(self, handle: Handle) -> Sighting:
        """Follow the order from queue item to build to stages.

        A build that failed may have a twin, when a request came through after it was repeated: the gate lets one of
        them deploy, and that one counts.
        """
        if not handle.run:
            return self._look_in_queue(handle)
        page = self._jenkins.build(handle.job, handle.run)
        if page is None or not _carries(page.json, handle):
            return self._lost(handle)
        if handle.key and reading.is_final(page.json) and not reading.hope(page.json):
            twin = self._best(handle, self._jenkins.builds(handle.job))
            if twin is not None and reading.hope(twin):
                return self._sighted(Page(twin, page.at), handle)
        return self._sighted(page, handle)

    @trusted
    def log(self, handle: Handle, start: int = 0) -> LogPart:
        """Return what the build printed from ``start`` on; of a part that is too long its last lines, after ``[…]``."""
        reply = self._jenkins.console(handle.job, handle.run, start) if handle.run else None
        if reply is None:
            return LogPart(next=start)
        if reply.is_cut:
            end = int(reply.headers["x-text-size"])
            rest = self._jenkins.console(handle.job, handle.run, max(start, end - LOG_BYTES // 2)) or reply
            return _part(rest, f"{LEFT_OUT}\n{rest.text.partition(LINE)[2]}")
        return _part(reply, reply.text)

    @trusted
    def runs(self, target: Target) -> tuple[Run, ...]:
        """Return the newest builds of the job."""
        return tuple(reading.run(build) for build in self._jenkins.builds(target.job))

    def versions(self, target: Target) -> tuple[Version, ...]:
        """Return which versions the job's newest builds brought there."""
        return rules.stood_there(self.runs(target), target.parameters)

    @trusted
    def act(self, handle: Handle, act: Act) -> Sighting:
        """End it one way or another: out of the queue, or the build; the answer itself says nothing.

        :raises Rejected: a build that runs cannot be ended this way, or the account may not cancel
        """
        if act not in STOPS:
            raise Rejected(
                Sentence(_("Jenkins cannot pause a run, nor let a paused one go on. Stop it, or let it end."))
            )
        now = self.look(handle)
        if now.state not in UNDER_WAY:
            return now
        if act not in now.acts:
            raise Rejected(Sentence(_("Only a pipeline that runs can be ended this hard in Jenkins.")))
        at = now.handle.moved(stop_asked=True)
        if not at.run:
            _allowed(self._jenkins.cancel(at.ticket), {204, 302, 404})
            now = self.look(at)
            if now.state not in UNDER_WAY or not now.handle.run:
                return now
            at = now.handle  # it left the queue in that very moment, as a build
        _allowed(self._jenkins.end(at.job, at.run, reading.ENDING[act]), {200, 204, 302, 303, 404})
        return self.look(at)

    @trusted
    def answer(self, handle: Handle, answer: Answer) -> Sighting:
        """Answer an input; Jenkins notes our account as who did.

        :raises Rejected: Jenkins does not take it from this account, or the input does not take these values
        """
        now = _read(self.look(handle))
        asked = next((one for one in now.questions if one.id == answer.question), None)
        if asked is None:
            return now
        at = now.handle
        if answer.goes_on:
            reply = self._jenkins.proceed(at.job, at.run, asked.id, _values(asked, answer))
        else:
            at = at.moved(stop_asked=True)
            reply = self._jenkins.abort(at.job, at.run, asked.id)
        is_taken = reply.status in {200, 302, 303}
        for _round in range(ROUNDS if is_taken else 1):
            now = _read(self.look(at))
            if all(one.id != asked.id for one in now.questions):
                return now  # by us, or by somebody who was quicker
            self.pause(PAUSE_SECONDS)
        if is_taken:
            raise Rejected(Sentence(_("Jenkins took the answer, but the question is still open. Look there.")))
        raise failure(reply)

    @property
    def _jenkins(self) -> Jenkins:
        return Jenkins(self.door)

    def _started(self, order: Order, reply: Reply) -> Sighting:
        """Read the answer to a trigger: 201 a new item, 303 an equal one that already waited, 302 a veto."""
        number = queue_number(reply)
        handle = _handle(order.target, order.key, ticket=number)
        if reply.status == 201 and number:
            return Sighting(State.QUEUED, handle, acts=frozenset({Act.STOP}))
        if reply.status == 303 and number:
            return self._folded(handle)
        if reply.status == 302 and reply.headers.get("location", "").rstrip("/").endswith(path_of(order.target.job)):
            raise Rejected(
                Sentence(_("Jenkins took the request but decided not to queue it. Ask who runs it.")), http_status=302
            )
        raise failure(reply)

    def _folded(self, handle: Handle) -> Sighting:
        """Accept an item that was there before only when it carries our key."""
        page = self._jenkins.item(handle.ticket)
        if page is None or not parameters_of(page.json):
            raise Unreachable(Sentence(_("Jenkins joined the request with an older one that cannot be read.")))
        if not _carries(page.json, handle):
            raise Rejected(Sentence(_("Jenkins joined the request with one that is not ours.")), http_status=303)
        return self._queued(page.json, handle)

    def _find(self, target: Target, key: str, enough: Enough) -> Sighting:
        there = self._search(target, key, enough)
        if there.state is State.NOT_FOUND:
            self.pause(PAUSE_SECONDS)
            there = self._search(target, key, enough)
        return there

    def _search(self, target: Target, key: str, enough: Enough) -> Sighting:
        """Search the queue, then the builds, in the order in which an order moves; a build tells more than an item."""
        handle = _handle(target, key)
        item = next((one for one in self._jenkins.queue() if _carries(one, handle)), None)
        build = self._best(handle, self._jenkins.builds(target.job, enough))
        if build is not None and (item is None or reading.hope(build)):
            return self._sighted(Page(build, None), handle)
        if item is not None:
            return self._queued(item, handle.moved(ticket=str(item["id"])))
        return Sighting(State.NOT_FOUND, handle)

    def _best(self, handle: Handle, builds: Iterable[Json]) -> Json | None:
        """Return the build that carries our key; of several, which a late request leaves, the one that got through."""
        ours = [one for one in builds if _carries(one, handle)]
        return max(ours, key=reading.hope, default=None)

    def _look_in_queue(self, handle: Handle) -> Sighting:
        """Look at the item, which Jenkins forgets 300 s after it left the queue, and when it restarts."""
        page = self._jenkins.item(handle.ticket) if handle.ticket else None
        if page is not None and _carries(page.json, handle):
            return self._queued(page.json, handle)
        target = Target(handle.job, key_parameter=handle.key_parameter)
        found = self._find(target, handle.key, reading.as_old_as(handle.ticket))
        if found.state is State.NOT_FOUND:
            return self._lost(handle)
        return self.look(found.handle.moved(stop_asked=handle.stop_asked)) if found.handle.run else found

    def _queued(self, item: Json, handle: Handle) -> Sighting:
        made = item.get("executable") or {}
        if made.get("number"):
            return self.look(handle.moved(run=str(made["number"])))
        if item.get("cancelled"):
            return Sighting(State.CANCELED, handle, why=Sentence(_("It was taken out of the queue before it started.")))
        why = Sentence(_("Jenkins says: %(why)s"), {"why": item["why"]}) if item.get("why") else None
        is_stuck = bool(item.get("stuck"))
        return Sighting(State.QUEUED, handle, why=why, is_stuck=is_stuck, acts=frozenset({Act.STOP}))

    def _sighted(self, page: Page, handle: Handle) -> Sighting:
        build = page.json
        ticket = str(build.get("queueId") or handle.ticket)
        found = handle.moved(run=str(build["number"]), ticket=ticket)
        url, stages = self._url(found), self._stages(found)
        if reading.is_final(build):
            state, why = reading.ended(build["result"], stages, stop_asked=found.stop_asked)
            return Sighting(state, found, url, stages, why)
        waits = any(one.state is State.WAITING_INPUT for one in stages)
        progress, left = reading.course(build, page.at)
        asked = self._questions(found) if waits else ()
        return Sighting(
            State.WAITING_INPUT if waits else State.RUNNING,
            found,
            url,
            stages,
            Sentence(UNREAD) if asked is None else None,
            progress=progress,
            left=left,
            questions=asked or (),
            acts=reading.acts(build),
        )

    def _stages(self, handle: Handle) -> tuple[StageView, ...]:
        """Return the stages; the build alone decides, so a plugin that is missing or ill only leaves them out."""
        try:
            return tuple(reading.stage(one) for one in self._jenkins.stages(handle.job, handle.run))
        except External:
            return ()

    def _questions(self, handle: Handle) -> tuple[Question, ...] | None:
        """Return what a build asks, ``None`` where that cannot be read: it hides nothing else of the build."""
        try:
            asked = self._jenkins.inputs(handle.job, handle.run)
        except External:
            return None
        try:
            submitters = self._jenkins.submitters(handle.job, handle.run)
        except External:
            submitters = {}
        return tuple(reading.question(one, submitters) for one in asked)

    def _lost(self, handle: Handle) -> Sighting:
        """Say what is gone: the run, or its job."""
        if self._jenkins.job(handle.job) is None:
            why = Sentence(_("The job %(job)s was deleted, moved or renamed in Jenkins."), {"job": handle.job})
        else:
            why = Sentence(_("Jenkins no longer knows this run. It may be deleted: look there whether it deployed."))
        return Sighting(State.LOST, handle, self._url(handle) if handle.run else "", why=why)

    def _url(self, handle: Handle) -> str:
        """Return the address for people, built on our own base."""
        return f"{self.door.origin.rstrip('/')}{path_of(handle.job)}/{handle.run}/"


def _read(seen: Sighting) -> Sighting:
    """Return what was seen of a build whose questions could be read.

    :raises Unreachable: they could not, so whether one is open is not known
    """
    if seen.why is not None and seen.why.text == UNREAD:
        raise Unreachable(seen.why)
    return seen


def _part(reply: Reply, text: str) -> LogPart:
    """Return a part of a console as people read it: no colours, plain line ends, no permit that the job printed."""
    shown = JWS.sub("[token]", COLORS.sub("", text)).replace("\r\n", "\n")
    return LogPart(shown, int(reply.headers["x-text-size"]), reply.headers.get("x-more-data") == "true")


def _handle(target: Target, key: str, ticket: str = "") -> Handle:
    return Handle(key=key, job=target.job, key_parameter=target.key_parameter, ticket=ticket)


def _carries(page: Json, handle: Handle) -> bool:
    """Say whether this is ours; a run that others began carries no key, and is known by its number."""
    return not handle.key or parameters_of(page).get(handle.key_parameter) == handle.key


def _absent(job: str) -> Sentence:
    """Say that there is no such job; a name with an encoded slash has one more way to get lost."""
    if "%" in job:
        text = _("Jenkins has no job %(job)s, the account may not read it, or a proxy changes the %% in its address.")
        return Sentence(text, {"job": job})
    return Sentence(_("Jenkins has no job %(job)s, or the account may not read it."), {"job": job})


def _values(asked: Question, answer: Answer) -> dict[str, str] | None:
    """Return what the input is given, defaults included; ``None`` where it takes nothing.

    :raises Rejected: a value that it does not take
    """
    takes = {one.name: one for one in asked.takes}
    for name, value in answer.values.items():
        if name not in takes or (takes[name].choices and value not in takes[name].choices):
            parts = {"name": name, "value": value}
            raise Rejected(Sentence(_("The question does not take %(value)s for %(name)s."), parts))
    return {name: answer.values.get(name, one.default) for name, one in takes.items()} or None


def _allowed(reply: Reply, statuses: set[int]) -> None:
    if reply.status not in statuses:
        raise failure(reply)

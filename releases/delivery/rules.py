"""What the CI system's runs tell: which version runs, what stood there before, when to look again. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter

from releases.accounts.rights import Right
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.ports import Question, Run, Version
from releases.delivery.states import State

PLACE = ("SERVICE", "ENVIRONMENT", "SLOT")
SOON, LATER, RARELY = 2.0, 5.0, 15.0
FIRST_MINUTE = 60.0
SKEW = timedelta(minutes=10)  # by which the clock of a CI system may differ from ours
LOOKS_LEFT = 4  # how often to look until the estimate is over


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should run: our own run by its key, the artifact, and the sides; ``live`` is the side customers are on.

    ``live`` is empty where there is one side only.
    """

    key: str
    key_parameter: str
    service: str
    environment: str
    version: str
    digest: str
    slot: str
    live: str = ""

    def is_at(self, run: Run, slot: str) -> bool:
        """Say whether a run was for this service, environment and side."""
        place = (self.service, self.environment, slot)
        return tuple(run.parameters.get(name) for name in PLACE) == place

    def is_ours(self, run: Run) -> bool:
        """Say whether a run carries our key."""
        return run.parameters.get(self.key_parameter) == self.key

    def fits(self, run: Run) -> bool:
        """Say whether a run brought the wanted artifact."""
        return run.parameters.get("DIGEST") == self.digest


def look_after(state: State, *, age: float, left: float | None) -> float:
    """Return in how many seconds to look again; ``age`` and ``left`` are seconds, ``left`` by the system's estimate.

    Often in the first minute and when it should end, seldom in the middle of a long run or while people are asked.
    """
    if state in {State.WAITING_INPUT, State.PAUSED}:
        return LATER
    if state is State.RUNNING and left is not None:
        return min(RARELY, max(SOON, left / LOOKS_LEFT))
    return SOON if age < FIRST_MINUTE else LATER


def rights_to_steer(intent: str) -> tuple[Right, ...]:
    """Return the rights of which one lets somebody ask something of a run: on the way back, going back is enough."""
    return (Right.ROLLBACK_BEGIN, Right.CHANGE_RELEASE) if intent == "rollback" else (Right.CHANGE_RELEASE,)


READ_CONSOLES = (Right.CHANGE_RELEASE, Right.ROLLBACK_BEGIN)  # one of them: nobody knows what a job prints


def misgiven(asked: Question, values: Mapping[str, str]) -> dict[str, list[Sentence | str]]:
    """Return by name which values a question does not take, and why; passwords are taken by nobody here."""
    takes = {one.name: one for one in asked.takes}
    wrong: dict[str, list[Sentence | str]] = {}
    for name, value in values.items():
        if name not in takes:
            wrong[name] = [Sentence(_("The question does not ask for this."))]
        elif takes[name].is_secret:
            wrong[name] = [Sentence(_("This is a password. Give it in the CI system itself."))]
        elif takes[name].choices and value not in takes[name].choices:
            names = ", ".join(takes[name].choices)
            wrong[name] = [Sentence(_("Choose one of: %(names)s."), {"names": names})]
    return wrong


def misreported(run: Run | None, name: str, wanted: Mapping[str, str], *, since: datetime) -> Sentence | None:
    """Return why a run is not the one that a report tells of, or brought something else; ``None`` when it may be.

    ``since`` is when its start was reported: whatever had ended before, by the clock of either side, is another one.
    """
    if run is None:
        return Sentence(_("By the CI system, %(run)s is no run of the job that is bound here."), {"run": name})
    if run.ended_at is not None and run.ended_at < since - SKEW:
        return Sentence(_("By the CI system, %(run)s had ended before its start was reported."), {"run": name})
    return misbrought(run, wanted)


def misbrought(run: Run, wanted: Mapping[str, str]) -> Sentence | None:
    """Return that a run was given another artifact, place or side than its permit is for, where it tells."""
    for name in (*PLACE, "DIGEST"):
        found = run.parameters.get(name) or wanted[name]
        if found != wanted[name]:
            parts = {"run": run.name, "name": name, "found": found, "wanted": wanted[name]}
            text = _("By the CI system, run %(run)s was given %(found)s as %(name)s, and not %(wanted)s.")
            return Sentence(text, parts)
    return None


def stood_there(runs: Sequence[Run], place: Mapping[str, str]) -> tuple[Version, ...]:
    """Return the versions that runs brought to one service, environment and side, newest first, each once in a row."""
    wanted = {name: place[name] for name in PLACE if name in place}
    there = [run for run in runs if run.ended_at and run.state is State.SUCCEEDED]
    found: list[Version] = []
    for run in sorted(there, key=attrgetter("ended_at"), reverse=True):
        version = Version(run.parameters.get("VERSION", ""), run.name, run.parameters.get("DIGEST", ""))
        is_same = found and (found[-1].name, found[-1].digest) == (version.name, version.digest)
        if wanted.items() <= run.parameters.items() and not is_same:
            found.append(version)
    return tuple(found)


def under_way(runs: Sequence[Run], wanted: Wanted) -> Sentence | None:
    """Return which run may still change what runs there, or ``None``."""
    sides = {wanted.slot, wanted.live} - {""}
    for run in runs:
        if not run.is_over and any(wanted.is_at(run, side) for side in sides):
            parts = {"number": run.name, "service": wanted.service}
            return Sentence(_("Run %(number)s of %(service)s is still under way there."), parts)
    return None


def misfit(runs: Sequence[Run], wanted: Wanted) -> Sentence | None:
    """Return why the wanted version does not run, or ``None``; what no run tells of stands as it was approved."""
    ours = max((run for run in runs if wanted.is_ours(run)), key=_hope, default=None)
    if ours is None or ours.ended_at is None:
        text = _(
            "The CI system no longer shows the run that redeployed %(service)s, so nobody can say what runs there."
        )
        return Sentence(text, {"service": wanted.service})
    if ours.state is not State.SUCCEEDED or not wanted.fits(ours):
        text = _(
            "Run %(number)s was to bring %(service)s %(version)s; by the CI system it brought %(found)s (%(how)s)."
        )
        parts = {"number": ours.name, "service": wanted.service, "version": wanted.version}
        return Sentence(text, {**parts, "found": _version(ours), "how": ours.state.value})
    latest = _latest(runs, wanted, wanted.slot)
    if latest is not None and not wanted.fits(latest):
        text = _("Run %(number)s brought %(service)s %(found)s afterwards; %(version)s no longer runs there.")
        return _said(text, latest, wanted)
    live = _latest(runs, wanted, wanted.live) if wanted.live else None
    if live is not None and not wanted.fits(live):
        text = _("Customers are on the side where run %(number)s brought %(service)s %(found)s, not %(version)s.")
        return _said(text, live, wanted)
    return None


def _hope(run: Run) -> int:
    """Return what can be hoped of a run: of two with our key the gate let one deploy, and that one counts."""
    return 2 if run.state is State.SUCCEEDED else int(not run.is_over)


def _latest(runs: Sequence[Run], wanted: Wanted, slot: str) -> Run | None:
    """Return the run that succeeded last on that side."""
    there = [run for run in runs if run.ended_at and run.state is State.SUCCEEDED and wanted.is_at(run, slot)]
    return max(there, key=attrgetter("ended_at"), default=None)


def _said(text: str, run: Run, wanted: Wanted) -> Sentence:
    parts = {"number": run.name, "service": wanted.service, "version": wanted.version, "found": _version(run)}
    return Sentence(text, parts)


def _version(run: Run) -> str:
    return run.parameters.get("VERSION") or "?"

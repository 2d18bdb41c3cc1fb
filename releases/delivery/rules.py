"""Whether the version that was wanted runs, by what the CI system tells of its runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.delivery.ports import Run
from releases.delivery.states import State


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
        return tuple(run.parameters.get(name) for name in ("SERVICE", "ENVIRONMENT", "SLOT")) == place

    def is_ours(self, run: Run) -> bool:
        """Say whether a run carries our key."""
        return run.parameters.get(self.key_parameter) == self.key

    def fits(self, run: Run) -> bool:
        """Say whether a run brought the wanted artifact."""
        return run.parameters.get("DIGEST") == self.digest


def under_way(runs: Sequence[Run], wanted: Wanted) -> Sentence | None:
    """Return which run may still change what runs there, or ``None``."""
    sides = {wanted.slot, wanted.live} - {""}
    for run in runs:
        if not run.is_over and any(wanted.is_at(run, side) for side in sides):
            parts = {"number": run.number, "service": wanted.service}
            return Sentence(_("Run %(number)s of %(service)s is still under way there."), parts)
    return None


def misfit(runs: Sequence[Run], wanted: Wanted) -> Sentence | None:
    """Return why the wanted version does not run, or ``None``; what no run tells of stands as it was approved."""
    ours = next((run for run in runs if wanted.is_ours(run)), None)
    if ours is None or ours.ended_at is None:
        text = _(
            "The CI system no longer shows the run that redeployed %(service)s, so nobody can say what runs there."
        )
        return Sentence(text, {"service": wanted.service})
    if ours.state is not State.SUCCEEDED or not wanted.fits(ours):
        text = _(
            "Run %(number)s was to bring %(service)s %(version)s; by the CI system it brought %(found)s (%(how)s)."
        )
        parts = {"number": ours.number, "service": wanted.service, "version": wanted.version}
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


def _latest(runs: Sequence[Run], wanted: Wanted, slot: str) -> Run | None:
    """Return the run that succeeded last on that side."""
    there = [run for run in runs if run.ended_at and run.state is State.SUCCEEDED and wanted.is_at(run, slot)]
    return max(there, key=lambda run: (run.ended_at, run.number), default=None)


def _said(text: str, run: Run, wanted: Wanted) -> Sentence:
    parts = {"number": run.number, "service": wanted.service, "version": wanted.version, "found": _version(run)}
    return Sentence(text, parts)


def _version(run: Run) -> str:
    return run.parameters.get("VERSION") or "?"

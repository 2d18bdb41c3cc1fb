"""The rules of durable work: what comes next, how long to wait, when a human is needed. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from releases.core.errors import Refused, Sentence
from releases.core.words import mark as _
from releases.operations.states import IN_FLIGHT, OperationState, StepState

CLAIMS = 5
"""Claims in a row that nobody came back from (or that ended in an unforeseen error) before a human is asked."""
SENDS = 5
"""Times one step is sent at most."""
BLIND_PROBES = 3
"""Probes without an answer before a human is asked."""
DELIVERIES = 5
"""Times a message is tried before it is quarantined."""
DOUBLINGS = 3
"""Times a wait is doubled: by then it is longer than a lease."""
SHORTEST_WAIT = timedelta(milliseconds=100)
LONGEST_ERROR = 2000


class OperationActive(Refused):
    """Another operation is active on this target."""

    code = "operation_active"


class KeyReused(Refused):
    """The key was given before, for something else."""

    code = "key_reused"


class Phase(StrEnum):
    """What to do with a claimed step."""

    PROBE = "probe"
    SNAPSHOT = "snapshot"
    SEND = "send"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class StepFacts:
    """What the rules know of one step."""

    stage: int
    state: StepState
    has_snapshot: bool = False
    attempts: int = 0
    sends: int = 0
    blind: int = 0
    sent_at: datetime | None = None
    repeatable: bool = False
    position: int = 0
    after: frozenset[int] = frozenset()
    goes_on: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an operation stands as a whole.

    ``gives_up`` are the positions that will never begin, each with those whose failure is to blame; ``waits`` those
    that come after one which has not ended well yet.
    """

    state: OperationState
    stage: int
    gives_up: Mapping[int, frozenset[int]] = field(default_factory=dict)
    waits: frozenset[int] = frozenset()


def next_phase(step: StepFacts) -> Phase:
    """Return what comes next for a claimed step: what may have been sent is looked for first."""
    match step.state:
        case StepState.APPLIED:
            return Phase.OBSERVE
        case StepState.SENDING | StepState.UNKNOWN:
            return Phase.PROBE
        case _:
            return Phase.SEND if step.has_snapshot else Phase.SNAPSHOT


def standing(steps: Sequence[StepFacts]) -> Standing:
    """Return where an operation stands, from its steps alone.

    A step that needs a human holds the operation open; its neighbours of the same stage go on. After a failure nothing
    new is begun but what goes on without it, and what is in flight is let finish.
    """
    states = {step.state for step in steps}
    unfinished = [step.stage for step in steps if step.state is not StepState.CONFIRMED]
    stage = min(unfinished, default=max(step.stage for step in steps))
    gives_up = _given_up(steps, stage)
    left = {step.position for step in steps if step.state is StepState.TODO} - gives_up.keys()
    confirmed = {step.position for step in steps if step.state is StepState.CONFIRMED}
    waits = frozenset(step.position for step in steps if step.position in left and step.after - confirmed)
    if StepState.NEEDS_HUMAN in states:
        state = OperationState.NEEDS_HUMAN
    elif not unfinished:
        state = OperationState.SUCCEEDED
    elif StepState.FAILED in states and not states & IN_FLIGHT and not left:
        state = OperationState.FAILED
    else:
        state = OperationState.RUNNING
    return Standing(state, stage, gives_up, waits)


def _given_up(steps: Sequence[StepFacts], stage: int) -> dict[int, frozenset[int]]:
    """Return which steps never begin now that others failed, and which of those each came after; else all of them."""
    failed = frozenset(step.position for step in steps if step.state is StepState.FAILED)
    if not failed:
        return {}
    blame = {position: frozenset({position}) for position in failed}
    for _round in steps:  # blame travels one step further each round, whatever the order they stand in
        blame |= {
            step.position: frozenset().union(*(blame.get(one, frozenset()) for one in step.after))
            for step in steps
            if step.position not in failed
        }
    return {
        step.position: blame[step.position] or failed
        for step in steps
        if step.state is StepState.TODO and (blame[step.position] or not step.goes_on or step.stage != stage)
    }


def worn_out(attempts: int) -> Sentence | None:
    """Return why no program may claim the step again, or ``None``; ``attempts`` counts the claims before this one."""
    if attempts < CLAIMS:
        return None
    parts = {"count": attempts}
    return Sentence(
        _("It was begun %(count)s times and never came to an end. Look at the error, then try again."), parts
    )


def too_late(*, deadline: datetime, now: datetime) -> Sentence | None:
    """Return why nothing is sent or waited for any more, or ``None``. Looking once is still allowed."""
    if now < deadline:
        return None
    return Sentence(_("The deadline has passed. Look at the outside system, then try again or take over."))


def sent_in_the_dark(blind: int) -> Sentence | None:
    """Return why no program may probe again for what was perhaps sent, or ``None``."""
    if blind < BLIND_PROBES:
        return None
    return Sentence(_("The outside system does not say whether it got this. Look there, then try again or take over."))


def sent_in_vain(sends: int) -> Sentence | None:
    """Return why no program may send again what never arrived, or ``None``."""
    if sends < SENDS:
        return None
    parts = {"count": sends}
    return Sentence(_("It was sent %(count)s times and never arrived. Check the connection, then try again."), parts)


def may_resend_at(step: StepFacts, *, lease: timedelta) -> datetime | None:
    """Return when a step that never arrived may be sent again; ``None`` means at once.

    A call lives shorter than a lease. Once a lease's length has passed since it was begun, nothing of it is under way.
    """
    if step.repeatable or step.sent_at is None:
        return None
    return step.sent_at + lease


def wait_after(failures: int, *, lease: timedelta) -> timedelta:
    """Return how long to wait after so many failures in a row: a sixth of the lease, then twice that, a lease at most.

    With the lease of 30 s: 5, 10, 20, 30, 30 s.
    """
    factor: int = 2 ** min(max(failures, 1) - 1, DOUBLINGS)
    return min(lease / 6 * factor, lease)


def soon(*, lease: timedelta) -> timedelta:
    """Return how long to wait before looking for what was sent without an answer; with the lease of 30 s: 1 s."""
    return lease / 30


def rest(ours: timedelta, asked_seconds: float) -> timedelta:
    """Return how long to leave an outside alone: as long as it asked for, and never shorter than by our own table."""
    return max(ours, timedelta(seconds=asked_seconds))


def until_next_look(after_seconds: float) -> timedelta:
    """Return the wait a handler asked for, never so short that workers would spin."""
    return max(timedelta(seconds=after_seconds), SHORTEST_WAIT)


def is_poison(deliveries: int) -> bool:
    """Tell whether a message was tried often enough."""
    return deliveries >= DELIVERIES


def printable(text: str) -> str:
    """Return a vendor's words as the database can carry them: no NUL, no lone surrogates, not endless."""
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")[:LONGEST_ERROR]

"""What may be done with a change now, and why not: checklist and buttons, from the table of moves."""

from dataclasses import dataclass, replace
from datetime import datetime

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.changes import appraising
from releases.changes.document import items_of
from releases.changes.facts import gather
from releases.changes.machine import COMPLETE, LIFE, REPORTABLE
from releases.changes.models import ChangeRequest
from releases.changes.rules import Facts
from releases.changes.states import ChangeType, State
from releases.committee import queries as committee
from releases.core.errors import Reason, Refused, Sentence
from releases.core.machine import Guard
from releases.core.words import mark as _
from releases.impact import rules as impact


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist: what is checked, whether it holds, and what to do when not."""

    code: str
    title: str
    sentence: Sentence | None

    @property
    def holds(self) -> bool:
        """Say whether it holds."""
        return self.sentence is None


@dataclass(frozen=True, slots=True)
class Button:
    """One move a person could ask for here; ``reasons`` empty means it may be pressed."""

    verb: str
    reasons: tuple[Reason, ...]

    @property
    def is_open(self) -> bool:
        """Say whether it may be pressed."""
        return not self.reasons


def checklist(facts: Facts) -> list[Check]:
    """Return every guard of a complete request of its type, in order, each with its sentence when it fails."""
    guards: tuple[Guard[Facts], ...] = REPORTABLE if facts.type is ChangeType.RETROACTIVE else COMPLETE
    return [Check(guard.code, guard.title, guard.check(facts)) for guard in guards]


def buttons(change: ChangeRequest, *, actor: Actor, now: datetime) -> list[Button]:
    """Return the moves that start here and that people make, each with every reason against it.

    Moves of the system are left out, and so are submissions of another type.
    """
    facts, rights = gather(change, now=now), accounts.rights_of(actor)
    if change.state == State.DRAFT and facts.type is ChangeType.STANDARD:
        facts = replace(facts, is_foreseen_pre_approved=_would_be_pre_approved(change, now=now))
    moves = [
        move
        for move in LIFE.leaving(change.state)
        if move.right != Right.SYSTEM_ACT and not any(g.code == "type" and g.check(facts) for g in move.guards)
    ]
    lacking = {right: _lacking(right) for right in {move.right for move in moves} - rights}
    return [Button(move.verb, (*lacking.get(move.right, ()), *move.refusals(facts))) for move in moves]


def _would_be_pre_approved(change: ChangeRequest, *, now: datetime) -> bool:
    """Say whether the policy would ask nobody, were this draft submitted now."""
    policy, kinds = committee.current_policy(), {item.environment.kind for item in items_of(change)}
    if policy is None:
        return False
    level = impact.assess(appraising.facts_of(change, now=now), now).level
    try:
        need = committee.required(policy, environment_kinds=kinds, level=level, change_type=change.type)
    except Refused:
        return False
    return need.is_pre_approved


def _lacking(right: str) -> tuple[Reason, ...]:
    who = [person.name for person in accounts.holders_of_right(Right(right))[:3]]
    if not who:
        return (Reason("not_permitted", Sentence(_("Nobody holds the right to do this yet."))),)
    return (Reason("not_permitted", Sentence(_("You may not do this. %(who)s can."), {"who": who})),)

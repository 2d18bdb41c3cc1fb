"""The truth about a release in one sentence, and what it means for the reader."""

from collections.abc import Mapping

from django.utils.translation import gettext_lazy as _

from releases.changes.states import State
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.operations.queries import OperationView
from releases.operations.states import OPEN, OperationState, StepState
from releases.rollback import services as rollback
from releases.rollback.states import ByHand
from releases.rollout.states import Stage, Work
from releases.rollout.steps import PAUSE_KIND
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web.looks import Words
from releases.web.pages.seen import Seen

ROLLOUT_STAGES: Mapping[int, str] = {
    Stage.DEPLOY: mark("%(version)s is being deployed; no customer sees it yet"),
    Stage.CANARY: mark("The first customers move to %(version)s"),
    Stage.VERDICT: mark("10 %% of customers are on %(version)s, and it is being judged"),
    Stage.ALL: mark("Everybody moves to %(version)s"),
}

BY_HAND: Mapping[ByHand, tuple[str, Words]] = {
    ByHand.BACK: (mark("Everything is back on %(back)s, by hand"), _("The new version is in quarantine.")),
    ByHand.STAY: (mark("%(version)s stays; the rollback was ended by hand"), _("The review says why.")),
}


def headline_of(seen: Seen) -> tuple[Sentence, Words]:
    """Return the truth in one sentence, and what it means for the reader."""
    current, names = seen.current, seen.names
    if seen.by_hand:
        text, more = BY_HAND[seen.by_hand]
        return Sentence(text, names), more
    if current is None:
        return _elsewhere(seen)
    if current.kind == rollback.KIND:
        return _backward(current, names)
    state = current.state
    if state is OperationState.NEEDS_HUMAN:
        return Sentence(mark("A step waits for you"), names), _("Traffic stays as it is meanwhile.")
    if state is OperationState.FAILED:
        otherwise = _("Traffic stays as it is. Go back, or look at the steps.")
        return Sentence(mark("%(version)s did not hold"), names), _why(current) or otherwise
    if state is OperationState.STOPPED:
        return Sentence(mark("Stopped: %(version)s stays where it stands"), names), _("Go back, or file a new change.")
    if state is OperationState.SUCCEEDED and current.kind == Work.ROLLOUT and seen.row.state != State.WATCHING:
        return Sentence(mark("%(version)s serves everybody"), names), ""
    if current.kind == Work.WATCH or state is OperationState.SUCCEEDED:
        watched = {**names, "until": seen.card.watch_until_at}
        text = mark("%(version)s serves everybody; watched until %(until)s")
        if state is OperationState.SUCCEEDED and current.kind == Work.WATCH:
            text = mark("%(version)s held")
        return Sentence(text, watched), _("Going back needs no further approval while the watch lasts.")
    if _waits_for_advance(current):
        text = mark("10 %% of customers are on %(version)s, and nothing measures how it does")
        return Sentence(text, names), _("It waits until somebody advances it, or goes back.")
    text = ROLLOUT_STAGES.get(current.stage, mark("%(version)s goes out"))
    return Sentence(text, names), _("The next step follows by itself; you may stop it at any time.")


def _elsewhere(seen: Seen) -> tuple[Sentence, Words]:
    """Say how a release stands that somebody else carries out: a CI job with its permit, or a person."""
    if seen.row.state == State.WATCHING:
        watched = {**seen.names, "until": seen.card.watch_until_at}
        text = mark("%(version)s serves everybody; watched until %(until)s")
        return Sentence(text, watched), _("Going back needs no further approval while the watch lasts.")
    text = mark("%(version)s is being deployed outside GMUD")
    return Sentence(text, seen.names), _("GMUD waits for the report how it ended. Going back works all the same.")


def _backward(current: OperationView, names: Mapping[str, object]) -> tuple[Sentence, Words]:
    state, is_traffic_back = current.state, _is_done(current, SHIFT)
    if state is OperationState.SUCCEEDED:
        return Sentence(mark("Everything is back on %(back)s"), names), _("The new version is in quarantine.")
    if state is OperationState.NEEDS_HUMAN:
        text = (
            mark("A step waits for you. Customers are on %(back)s.")
            if is_traffic_back
            else mark("Going back is stuck: a step waits for you")
        )
        return Sentence(text, names), _("Nothing is worse than a minute ago: traffic stays where it is.")
    if not current.is_active:
        text = (
            mark("Going back has failed. Customers are on %(back)s.")
            if is_traffic_back
            else mark("Going back has failed. Customers may still be on %(version)s.")
        )
        return Sentence(text, names), _why(current) or _("Begin it anew: what is done already is found and kept.")
    if is_traffic_back:
        return Sentence(mark("Customers are on %(back)s again"), names), _("The redeployment follows by itself.")
    return Sentence(mark("Going back to %(back)s"), names), _("Traffic goes first, the redeployment follows.")


def _waits_for_advance(current: OperationView) -> bool:
    """Say whether only a person can take it further: every open step of its stage is a pause."""
    kinds = {step.kind for step in current.steps if step.stage == current.stage and step.state in OPEN}
    return kinds == {PAUSE_KIND}


def _why(current: OperationView) -> Words:
    """Return what the step that failed says."""
    return next((step.note for step in current.steps if step.state is StepState.FAILED and step.note), "")


def _is_done(current: OperationView, kind: str) -> bool:
    """Say whether the first stage of that kind is confirmed."""
    stages = sorted({step.stage for step in current.steps if step.kind == kind})
    first = [step for step in current.steps if step.kind == kind and step.stage == stages[0]] if stages else []
    return bool(first) and all(step.state is StepState.CONFIRMED for step in first)

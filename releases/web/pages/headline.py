"""The truth about a release in one sentence, and what it means for the reader."""

from collections.abc import Iterable, Mapping

from django.utils.translation import gettext_lazy as _

from releases.changes.states import State
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.delivery.states import State as Deployed
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import OPEN, OperationState, StepState
from releases.rollback import services as rollback
from releases.rollback.states import ByHand
from releases.rollback.steps import BY_HAND_KIND
from releases.rollout.services.putting_back import is_whole, moves_of
from releases.rollout.states import ALL_PERCENT, Work
from releases.rollout.steps import PAUSE_KIND
from releases.traffic.finishing import FINISH_KIND
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web.looks import Words
from releases.web.pages.phases import service_of
from releases.web.pages.seen import Seen
from releases.web.tags import both, say

DEPLOYED = mark("%(version)s is being deployed; no customer sees it yet")
FIRST = mark("The first customers move to %(version)s")
MORE = mark("%(share)s %% of customers move to %(version)s")
EVERYBODY = mark("Everybody moves to %(version)s")
JUDGED = mark("%(share)s %% of customers are on %(version)s, and it is being judged")

ANSWERED = _("It goes on once somebody answers, here or there.")

BY_HAND: Mapping[ByHand, tuple[str, Words]] = {
    ByHand.BACK: (mark("Everything is back on %(back)s, by hand"), _("The new version is in quarantine.")),
    ByHand.STAY: (mark("%(version)s stays; the rollback was ended by hand"), _("The review says why.")),
}


LED = _("Whoever drives its route may go on: go back, or look there.")


def headline_of(seen: Seen) -> tuple[Sentence, Words]:
    """Return the truth in one sentence, and what it means for the reader."""
    current, names = seen.current, seen.names
    if seen.by_hand:
        text, more = BY_HAND[seen.by_hand]
        return Sentence(text, names), more
    if current is None:
        return _elsewhere(seen)
    if current.kind == rollback.KIND:
        return _backward(current, seen)
    if current.kind == Work.PUT_BACK:
        return _put_back(current, seen)
    state = current.state
    is_led = any("driver" in (step.prev or {}) for step in current.steps)
    if state is OperationState.NEEDS_HUMAN:
        meanwhile = LED if is_led else _("Traffic stays as it is meanwhile.")
        return Sentence(mark("A step waits for you"), names), meanwhile
    if state is OperationState.FAILED:
        otherwise = _("Traffic stays as it is. Go back, or look at the steps.")
        return Sentence(mark("%(version)s did not hold"), names), _why(current) or otherwise
    if state is OperationState.STOPPED and is_led:
        return Sentence(mark("Stopped: GMUD sends nothing more of %(version)s"), names), LED
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
    if asks := _asks(seen):
        return Sentence(mark("%(service)s waits for an answer in %(where)s"), {**names, **asks}), ANSWERED
    text, share = _where(current)
    parts = {**names, "share": share}
    if _is_unmeasured(current):
        text = mark("%(share)s %% of customers are on %(version)s, and nothing measures how it does")
        if not _ends_by_itself(current):
            return Sentence(text, parts), _("It waits until somebody advances it, or goes back.")
    return Sentence(text, parts), _("The next step follows by itself; you may stop it at any time.")


def _where(current: OperationView) -> tuple[str, int]:
    """Return how far a rollout is, and the share of its last move."""
    here = next((step for step in current.steps if step.stage == current.stage), None)
    share, move = (here.desired.get("percent", 0), here.desired.get("move")) if here else (0, None)
    if here is None or move is None:
        return DEPLOYED, share
    if here.kind != SHIFT:
        return JUDGED, share
    return EVERYBODY if share == ALL_PERCENT else FIRST if move == 1 else MORE, share


def _put_back(current: OperationView, seen: Seen) -> tuple[Sentence, Words]:
    """Say which routes made a step and which did not, and what stands where now that they are put back."""
    state = current.state
    if state is OperationState.SUCCEEDED:
        text = mark("Put back: what made the step stands where it stood before")
    elif state is OperationState.STOPPED:
        text = mark("Stopped: not every route of %(version)s is put back")
    elif state in {OperationState.NEEDS_HUMAN, OperationState.FAILED}:
        text = mark("Putting back is stuck: a step waits for you")
    else:
        text = mark("Not every route made the step: those that did are put back")
    return Sentence(text, seen.names), " ".join(say(one) for one in _standing(current, seen))


def _standing(current: OperationView, seen: Seen) -> Iterable[Sentence]:
    """Yield what stands where: put back and read again, not put back, never moved."""
    back = {service_of(step): step.state is StepState.CONFIRMED for step in current.steps}
    torn = next((one for one in seen.operations if one.kind == Work.ROLLOUT), None)
    legs = next((move for move in moves_of(torn) if not is_whole(move)), []) if torn else []
    told = (
        (mark("Put back and read again: %(names)s."), [name for name, is_back in back.items() if is_back]),
        (mark("Not put back: %(names)s."), [name for name, is_back in back.items() if not is_back]),
        (mark("Never moved: %(names)s."), [service_of(leg) for leg in legs if service_of(leg) not in back]),
    )
    for text, names in told:
        if names:
            yield Sentence(text, {"names": both(names)})


def _elsewhere(seen: Seen) -> tuple[Sentence, Words]:
    """Say how a release stands that somebody else carries out: a CI job with its permit, or a person."""
    if seen.row.state == State.WATCHING:
        watched = {**seen.names, "until": seen.card.watch_until_at}
        text = mark("%(version)s serves everybody; watched until %(until)s")
        return Sentence(text, watched), _("Going back needs no further approval while the watch lasts.")
    text = mark("%(version)s is being deployed outside GMUD")
    return Sentence(text, seen.names), _("GMUD waits for the report how it ended. Going back works all the same.")


def _backward(current: OperationView, seen: Seen) -> tuple[Sentence, Words]:
    names, state, is_traffic_back = seen.names, current.state, _is_traffic_back(current)
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
    if asks := _asks(seen):
        text = (
            mark("Customers are on %(back)s again. %(service)s waits for an answer in %(where)s.")
            if is_traffic_back
            else mark("Going back to %(back)s: %(service)s waits for an answer in %(where)s")
        )
        return Sentence(text, {**names, **asks}), ANSWERED
    if is_traffic_back:
        return Sentence(mark("Customers are on %(back)s again"), names), _("The redeployment follows by itself.")
    after = _("Traffic goes first, the redeployment follows.")
    if any(step.data.get("is_promoted") for step in current.steps):
        after = _("The redeployment goes first: no weight takes this version back.")
    return Sentence(mark("Going back to %(back)s"), names), after


def _asks(seen: Seen) -> dict[str, object]:
    """Return whose run asks people something, and in which system; nothing when none does."""
    waiting = next((one for one in seen.deployments.values() if one.state is Deployed.WAITING_INPUT), None)
    return {"service": waiting.service, "where": waiting.connection} if waiting else {}


def _is_unmeasured(current: OperationView) -> bool:
    """Say whether nothing judges while it pauses: every open step of its stage only waits."""
    return {step.kind for step in current.steps if step.stage == current.stage and step.state in OPEN} == {PAUSE_KIND}


def _ends_by_itself(current: OperationView) -> bool:
    """Say whether the pause has a time; without one only a person takes it further."""
    return any(step.desired.get("lasts") for step in current.steps if step.stage == current.stage)


def _why(current: OperationView) -> Words:
    """Return what the step that failed says."""
    return next((step.note for step in current.steps if step.state is StepState.FAILED and step.note), "")


def _is_traffic_back(current: OperationView) -> bool:
    """Say whether the weights are back, and where the new version was promoted the old one is again."""
    shifts = [step for step in current.steps if step.kind == SHIFT and step.stage == rollback.TRAFFIC_STAGE]
    done = {one.desired.get("route") for one in current.steps if one.kind == FINISH_KIND and _is_done(one)}
    by_weight = [_is_done(one) and (not one.data.get("is_promoted") or one.desired["route"] in done) for one in shifts]
    return bool(shifts) and all(by_weight) and not any(one.kind == BY_HAND_KIND for one in current.steps)


def _is_done(step: StepLine) -> bool:
    return step.state is StepState.CONFIRMED

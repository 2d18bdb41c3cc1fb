"""How a release stands: its phases, its traffic, its health, its way back; read once, ready to print."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.queries import ChangeCard
from releases.changes.states import RUNNING, State
from releases.core.errors import Missing, Sentence
from releases.core.words import mark
from releases.delivery.queries import DeploymentCard
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import OperationState, StepState
from releases.rollback import services as rollback
from releases.rollout.states import Stage, Work
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web import curves, looks
from releases.web.looks import Bar, Line, Look, Step, Words
from releases.web.pages.going_back import GoBack, go_back_of
from releases.web.pages.measured import curves_of, health_of, log_of, traffic_of
from releases.web.pages.seen import DEPLOY, STEP_LOOKS, VERDICT, WATCH, Seen, look_at, shown_of
from releases.web.shell import Count
from releases.web.tags import both


@dataclass(frozen=True, slots=True)
class Running:
    """One change that moves, in the list."""

    name: str
    title: str
    href: str
    look: Look
    sentence: Words
    began_at: datetime


@dataclass(frozen=True, slots=True)
class Stuck:
    """A step that waits for a person, with what they may do about it."""

    title: Words
    said: Words
    step_id: UUID
    is_rollback: bool


@dataclass(frozen=True, slots=True)
class Live:
    """The page of one rollout or rollback."""

    number: int
    name: str
    title: str
    href: str
    change_href: str
    look: Look
    tone: str
    headline: Words
    more: Words
    since_at: datetime | None
    since: Words
    steps: tuple[Step, ...]
    steps_note: Words
    traffic: tuple[Bar, ...]
    traffic_title: Words
    seen_at: datetime | None
    log: tuple[Line, ...]
    health: Look | None
    curves: tuple[curves.Curve, ...]
    upcoming: tuple[Line, ...]
    go_back: GoBack | None
    stuck: tuple[Stuck, ...]
    can_advance: bool
    can_stop: bool
    is_moving: bool


# Of the steps of one phase, the state that says most about it comes first.
TELLING_FIRST = (
    StepState.NEEDS_HUMAN,
    StepState.FAILED,
    StepState.UNKNOWN,
    StepState.SENDING,
    StepState.APPLIED,
    StepState.ABANDONED,
    StepState.TODO,
    StepState.SKIPPED,
    StepState.CONFIRMED,
)
MOVING = frozenset({StepState.SENDING, StepState.UNKNOWN, StepState.APPLIED})
PHASES: Mapping[tuple[str, str], str] = {
    (Work.ROLLOUT, DEPLOY): mark("Deploy %(version)s"),
    (Work.ROLLOUT, SHIFT): mark("Shift traffic to %(version)s"),
    (Work.ROLLOUT, VERDICT): mark("Judge its health"),
    (Work.WATCH, WATCH): mark("Watch"),
    (rollback.KIND, SHIFT): mark("Traffic back to %(back)s"),
    (rollback.KIND, DEPLOY): mark("Redeploy %(back)s"),
    (rollback.KIND, VERDICT): mark("Verify"),
}
SHARE_BACK = mark("Share of traffic on %(back)s")
SHARE_FORWARD = mark("Share of traffic on %(version)s")


def live_of(number: int, *, actor: Actor, now: datetime) -> Live:
    """Return the page of one change as it moves.

    :raises Missing: nothing of it has been started here
    """
    seen = look_at(number, now)
    current = seen.current
    if current is None:
        name = {"name": seen.card.name}
        raise Missing(Sentence(mark("Nothing of %(name)s has been started here yet."), name))
    rights = accounts.rights_of(actor)
    shown = shown_of(seen)
    steps = [step for one in shown for step in one.steps]
    done = sum(step.state is StepState.CONFIRMED for step in steps)
    headline, more = _headline(seen)
    bars, seen_at = traffic_of(seen)
    release = Right.CHANGE_RELEASE in rights and current.kind == Work.ROLLOUT and current.is_active
    places = both(dict.fromkeys(item.environment for item in seen.card.items))
    return Live(
        number=number,
        name=seen.card.name,
        title=f"{seen.card.title}, {places}",
        href=reverse("live-change", args=[number]),
        change_href=reverse("change", args=[number]),
        look=looks.STATES[seen.card.state],
        tone=_tone(current),
        headline=headline,
        more=more,
        since_at=current.begun_at if current.is_active else None,
        since=Sentence(mark("since %(who)s began"), {"who": current.begun_by}),
        steps=tuple(step for one in shown for step in _phases(one, seen)),
        steps_note=Sentence(mark("%(done)s of %(all)s steps done"), {"done": done, "all": len(steps)}),
        traffic=bars,
        traffic_title=Sentence(SHARE_BACK if seen.is_back else SHARE_FORWARD, seen.names),
        seen_at=seen_at,
        log=log_of(seen),
        health=health_of(seen),
        curves=curves_of(seen),
        upcoming=_upcoming(seen),
        go_back=go_back_of(seen, actor),
        stuck=tuple(_stuck(current)),
        can_advance=release and current.stage == Stage.VERDICT,
        can_stop=release,
        is_moving=current.is_active or seen.row.state in RUNNING,  # somebody may go back at any moment
    )


def _tone(current: OperationView) -> str:
    if current.state in {OperationState.NEEDS_HUMAN, OperationState.FAILED}:
        return "stop"
    if current.kind == rollback.KIND:
        return "undo"
    return "wait" if current.state is OperationState.STOPPED else "info"


def _headline(seen: Seen) -> tuple[Sentence, Words]:
    """Return the truth in one sentence, and what it means for the reader."""
    current, names = seen.current, seen.names
    if current is None:
        return Sentence(mark("Nothing moves")), ""
    is_traffic_back = _is_done(current, SHIFT)
    state = current.state
    if current.kind == rollback.KIND:
        if state is OperationState.SUCCEEDED:
            return Sentence(mark("Everything is back on %(back)s"), names), _("The new version is in quarantine.")
        if state in {OperationState.NEEDS_HUMAN, OperationState.FAILED}:
            text = (
                mark("A step waits for you. Customers are on %(back)s.")
                if is_traffic_back
                else mark("Going back is stuck: a step waits for you")
            )
            return Sentence(text, names), _("Nothing is worse than a minute ago: traffic stays where it is.")
        if is_traffic_back:
            return Sentence(mark("Customers are on %(back)s again"), names), _("The redeployment follows by itself.")
        return Sentence(mark("Going back to %(back)s"), names), _("Traffic goes first, the redeployment follows.")
    if state is OperationState.NEEDS_HUMAN:
        return Sentence(mark("A step waits for you"), names), _("Traffic stays as it is meanwhile.")
    if state is OperationState.FAILED:
        return Sentence(mark("%(version)s did not hold"), names), _failed_more(current)
    if state is OperationState.STOPPED:
        return Sentence(mark("Stopped: %(version)s stays where it stands"), names), _("Go back, or file a new change.")
    if current.kind == Work.WATCH:
        watched = {**names, "until": seen.card.watch_until_at}
        text = mark("%(version)s serves everybody; watched until %(until)s")
        if state is OperationState.SUCCEEDED:
            text = mark("%(version)s held")
        return Sentence(text, watched), _("Going back needs no further approval while the watch lasts.")
    text = ROLLOUT_STAGES.get(current.stage, mark("%(version)s goes out"))
    return Sentence(text, names), _("The next step follows by itself; you may stop it at any time.")


ROLLOUT_STAGES: Mapping[int, str] = {
    Stage.DEPLOY: mark("%(version)s is being deployed; no customer sees it yet"),
    Stage.CANARY: mark("The first customers move to %(version)s"),
    Stage.VERDICT: mark("10 %% of customers are on %(version)s, and it is being judged"),
    Stage.ALL: mark("Everybody moves to %(version)s"),
}


def _failed_more(current: OperationView) -> Words:
    notes = [step.note for step in current.steps if step.state is StepState.FAILED and step.note]
    return notes[0] if notes else _("Traffic stays as it is. Go back, or look at the steps.")


def _is_done(current: OperationView, kind: str) -> bool:
    """Say whether the first stage of that kind is confirmed."""
    stages = sorted({step.stage for step in current.steps if step.kind == kind})
    first = [step for step in current.steps if step.kind == kind and step.stage == stages[0]] if stages else []
    return bool(first) and all(step.state is StepState.CONFIRMED for step in first)


def _phases(operation: OperationView, seen: Seen) -> Iterable[Step]:
    """Yield one phase per stage with a line per step in it."""
    stages: dict[int, list[StepLine]] = {}
    for step in operation.steps:
        stages.setdefault(step.stage, []).append(step)
    for stage, steps in sorted(stages.items()):
        states = {step.state for step in steps}
        state = next(one for one in TELLING_FIRST if one in states)
        kinds = {step.kind for step in steps}
        kind = VERDICT if len(kinds) > 1 else next(iter(kinds))
        if operation.kind == rollback.KIND and stage > rollback.TRAFFIC_STAGE and kind == SHIFT:
            kind = VERDICT
        title = Sentence(PHASES.get((operation.kind, kind), mark("Work")), seen.names)
        done = sum(step.state is StepState.CONFIRMED for step in steps)
        ended = [step.ended_at for step in steps if step.ended_at]
        is_over = state is StepState.CONFIRMED and bool(ended)
        yield Step(
            look=STEP_LOOKS[state],
            title=title,
            end="" if is_over else Sentence(mark("%(done)s of %(all)s done"), {"done": done, "all": len(steps)}),
            at=max(ended) if is_over else None,
            lines=tuple(_line(step, seen) for step in steps),
            is_live=bool(states & MOVING),
        )


def _line(step: StepLine, seen: Seen) -> Line:
    look = STEP_LOOKS[step.state]
    subject = step.name.split(" ")[-1]
    if step.kind == SHIFT and "%" in step.name:
        subject = step.name
    detail: Words = step.note or DETAILS.get(step.kind, _plain)(step, seen)
    return Line(look.tone, look.sign, subject, detail=detail, end=look.word, at=step.ended_at, href=_url(step, seen))


def _plain(step: StepLine, _seen: Seen) -> Words:
    return step.connection


def _shift_detail(step: StepLine, _seen: Seen) -> Words:
    weights: Mapping[str, Any] = step.desired.get("weights", {})
    told = ", ".join(f"{name} {weight} %" for name, weight in weights.items())
    return f"{step.connection}: {told}"


def _deployment_of(step: StepLine, seen: Seen) -> DeploymentCard | None:
    key = step.desired.get("deployment")
    return seen.deployments.get(UUID(str(key))) if key else None


def _deploy_detail(step: StepLine, seen: Seen) -> Words:
    deployment = _deployment_of(step, seen)
    if deployment is None:
        return step.connection
    stage = next((one.name for one in reversed(deployment.stages)), "")
    parts = {"where": step.connection, "job": deployment.job, "stage": stage}
    return Sentence(mark("%(where)s, %(job)s: %(stage)s") if stage else mark("%(where)s, %(job)s"), parts)


def _verdict_detail(step: StepLine, _seen: Seen) -> Words:
    kept = step.data.get("sentence")
    return Sentence(kept["text"], kept.get("parts", {})) if isinstance(kept, dict) else step.connection


DETAILS: Mapping[str, Callable[[StepLine, Seen], Words]] = {
    SHIFT: _shift_detail,
    DEPLOY: _deploy_detail,
    VERDICT: _verdict_detail,
    WATCH: _verdict_detail,
}


def _url(step: StepLine, seen: Seen) -> str:
    deployment = _deployment_of(step, seen) if step.kind == DEPLOY else None
    return deployment.url if deployment and deployment.url.startswith(("http://", "https://")) else ""


def _upcoming(seen: Seen) -> tuple[Line, ...]:
    names, current = seen.names, seen.current
    if current is None or not current.is_active:
        return ()
    if current.kind == rollback.KIND:
        words: tuple[Words, ...] = (
            Sentence(mark("The redeployment of %(back)s ends"), names),
            _("Weights and health are read back and compared"),
            Sentence(mark("%(version)s goes to quarantine: the gate refuses it everywhere"), names),
            _("A review opens, due in some days. Not tonight."),
        )
    elif current.kind == Work.WATCH:
        words = (Sentence(mark("The watch ends %(until)s"), {"until": seen.card.watch_until_at}), _("The review opens"))
    else:
        words = (
            Sentence(mark("10 %% of traffic goes to %(version)s"), names),
            _("Its health is judged"),
            _("All traffic follows, or it stops by itself"),
            _("The watch begins"),
        )
    return tuple(Line("", str(at), word) for at, word in enumerate(words, start=1))


def _stuck(current: OperationView) -> Iterable[Stuck]:
    for step in current.steps:
        if step.state is StepState.NEEDS_HUMAN:
            said: Words = step.note or step.error or _("It did not answer. Look at the other side, then decide.")
            yield Stuck(step.name, said, step.id, current.kind == rollback.KIND)


def count(_actor: Actor, _now: datetime) -> Count | None:
    """Return how many changes move or are watched, for the frame of every page."""
    moving = ChangeRequest.objects.filter(state__in=RUNNING)
    number = moving.count()
    if not number:
        return None
    is_back = moving.filter(state=State.ROLLING_BACK).exists()
    return Count(number, "undo", "↶") if is_back else Count(number, "info", "▶")


def running(now: datetime) -> tuple[Running, ...]:
    """Return every change that moves or is watched, with its truth in one sentence."""
    found = queries.page(states=tuple(sorted(RUNNING))).cards
    return tuple(_running(card, now) for card in found)


def _running(card: ChangeCard, now: datetime) -> Running:
    seen = look_at(card.number, now)
    current = seen.current
    return Running(
        name=card.name,
        title=card.title,
        href=reverse("live-change" if current else "change", args=[card.number]),
        look=looks.STATES[card.state],
        sentence=_headline(seen)[0] if current else looks.STATES[card.state].word,
        began_at=current.begun_at if current else card.updated_at,
    )

"""How a release stands: its phases, its traffic, its health, its way back; read once, ready to print."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
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
from releases.operations.queries import OperationView, StepLine
from releases.operations.states import OperationState, StepState
from releases.rollback import services as rollback
from releases.rollback.steps import BY_HAND_KIND
from releases.rollout.services import paused_after, rights_to_help
from releases.rollout.states import ALL_PERCENT, Work
from releases.rollout.steps import PAUSES
from releases.web import curves, looks
from releases.web.looks import Bar, Line, Look, Step, Words
from releases.web.pages.going_back import GoBack, go_back_of, lacking
from releases.web.pages.headline import headline_of
from releases.web.pages.measured import curves_of, health_of, log_of, traffic_of
from releases.web.pages.phases import phases_of, time_left, words_of
from releases.web.pages.runs import Run, runs_of, watched
from releases.web.pages.seen import JUDGES, Seen, look_at, shown_of
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
    """A step that does not go on by itself: what it says, and whether it can be tried again or only ended by hand."""

    title: Words
    said: Words
    step_id: UUID
    can_retry: bool
    is_by_hand: bool


@dataclass(frozen=True, slots=True)
class Help:
    """What somebody can do about work that does not go on by itself; refusals say why not this reader.

    ``act`` is the door beside trying a step again: ``take-over``, ``stop``, or none.
    """

    stuck: tuple[Stuck, ...]
    act: str
    refusals: tuple[Line, ...]


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
    runs: tuple[Run, ...]
    traffic: tuple[Bar, ...]
    traffic_title: Words
    counted: tuple[Words, ...]
    seen_at: datetime | None
    log: tuple[Line, ...]
    health: Look | None
    curves: tuple[curves.Curve, ...]
    upcoming: tuple[Line, ...]
    go_back: GoBack | None
    help: Help | None
    pause: Words
    held: Words
    can_advance: bool
    can_stop: bool
    can_hold: bool
    can_let_go_on: bool
    can_try_again: bool
    is_moving: bool


SHARE_BACK = mark("Share of traffic on %(back)s")
SHARE_FORWARD = mark("Share of traffic on %(version)s")


def live_of(number: int, *, actor: Actor, now: datetime) -> Live:
    """Return the page of one change as it moves, whoever moves it.

    :raises Missing: it does not move, and nothing of it has been started here
    """
    seen = look_at(number, now)
    current = seen.current
    if current is None and seen.row.state not in RUNNING:
        name = {"name": seen.card.name}
        raise Missing(Sentence(mark("Nothing of %(name)s has been started here yet."), name))
    shown = shown_of(seen)
    steps = [step for one in shown for step in one.steps]
    done = sum(step.state is StepState.CONFIRMED for step in steps)
    headline, more = headline_of(seen)
    bars, counted, seen_at = traffic_of(seen)
    moving = current if current and current.is_active else None
    may_release = Right.CHANGE_RELEASE in accounts.rights_of(actor)
    rollout = moving if moving and moving.kind == Work.ROLLOUT else None
    pauses = rollout is not None and paused_after(rollout) is not None
    places = both(dict.fromkeys(item.environment for item in seen.card.items))
    return Live(
        number=number,
        name=seen.card.name,
        title=f"{seen.card.title}, {places}",
        href=reverse("live-change", args=[number]),
        change_href=reverse("change", args=[number]),
        look=looks.STATES[seen.card.state],
        tone="undo" if seen.by_hand else _tone(current),
        headline=headline,
        more=more,
        since_at=moving.begun_at if moving else None,
        since=Sentence(mark("since %(who)s began"), {"who": moving.begun_by}) if moving else "",
        steps=tuple(step for one in shown for step in phases_of(one, seen)),
        steps_note=Sentence(mark("%(done)s of %(all)s steps done"), {"done": done, "all": len(steps)}),
        runs=runs_of(watched(seen), actor),
        traffic=bars,
        traffic_title=Sentence(SHARE_BACK if seen.is_back else SHARE_FORWARD, seen.names),
        counted=counted,
        seen_at=seen_at,
        log=log_of(seen),
        health=health_of(seen),
        curves=curves_of(seen),
        upcoming=_upcoming(seen),
        go_back=go_back_of(seen, actor),
        help=_help(seen, actor),
        pause=(time_left(rollout, seen) if rollout else None) or "",
        held=Sentence(mark("On hold: %(reason)s"), {"reason": seen.row.hold_reason}) if seen.row.is_on_hold else "",
        can_advance=may_release and pauses and not seen.row.is_on_hold,
        can_stop=may_release and rollout is not None,
        can_hold=may_release and rollout is not None and not seen.row.is_on_hold,
        can_let_go_on=seen.row.is_on_hold and Right.FREEZE_SET in accounts.rights_of(actor),
        can_try_again=may_release and is_put_back(seen),
        is_moving=bool(moving) or seen.row.state in RUNNING,  # somebody may go back at any moment
    )


def _tone(current: OperationView | None) -> str:
    if current is None:
        return "info"
    if current.state in {OperationState.NEEDS_HUMAN, OperationState.FAILED}:
        return "stop"
    if current.kind in {rollback.KIND, Work.PUT_BACK}:
        return "undo"
    return "wait" if current.state is OperationState.STOPPED else "info"


def _upcoming(seen: Seen) -> tuple[Line, ...]:
    names, current = seen.names, seen.current
    if current is None and seen.row.state == State.IMPLEMENTING:
        page = f"{reverse('change', args=[seen.row.number])}#acts"
        report = Line("", "1", _("Report that it is deployed, or that it failed"), href=page)
        return (report, Line("", "2", _("The watch begins")))
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
        words = tuple(_ahead(current, seen))
    return tuple(Line("", str(at), word) for at, word in enumerate(words, start=1))


def is_put_back(seen: Seen) -> bool:
    """Say whether the release rests where it stood before a step that not every route could make."""
    current = seen.current
    is_done = current is not None and current.kind == Work.PUT_BACK and current.state is OperationState.SUCCEEDED
    return is_done and seen.row.state == State.IMPLEMENTING


def _ahead(current: OperationView, seen: Seen) -> Iterable[Words]:
    """Yield what a rollout still does, stage by stage; what puts routes back only asks somebody then."""
    if current.kind == Work.PUT_BACK:
        yield _("Somebody tries the step again, or goes back")
        return
    later = {step.stage: step for step in reversed(current.steps) if step.stage > current.stage}
    for _stage, step in sorted(later.items()):
        share = step.desired.get("percent", 0)
        if step.kind in PAUSES:
            yield _("Its health is judged") if step.kind in JUDGES else _("It pauses")
        elif share == ALL_PERCENT:
            yield _("All traffic follows, or it stops by itself")
        else:
            yield Sentence(mark("%(share)s %% of traffic goes to %(version)s"), {**seen.names, "share": share})
    yield _("The watch begins")


def _help(seen: Seen, actor: Actor) -> Help | None:
    """Return the next press for whatever does not go on by itself, what goes aside included."""
    current = seen.current
    work = ((current,) if current and not seen.by_hand else ()) + seen.aside
    stuck = [(one, step) for one in work for step in one.steps if _is_stuck(one, step)]
    if not stuck:
        return None
    first = stuck[0][0]
    act = "" if first is not current else "take-over" if seen.is_back else "stop"
    shown = tuple(_stuck(step, words_of(one, step, seen)[1]) for one, step in stuck)
    return Help(shown, act, lacking(actor, *rights_to_help(first.kind)))


def _is_stuck(operation: OperationView, step: StepLine) -> bool:
    """Say whether a step waits for a person, or has failed where failing must not be the end: on the way back."""
    is_over = operation.kind == rollback.KIND and not operation.is_active
    return step.state is StepState.NEEDS_HUMAN or (is_over and step.state is StepState.FAILED)


def _stuck(step: StepLine, title: Words) -> Stuck:
    waits, is_by_hand = step.state is StepState.NEEDS_HUMAN, step.kind == BY_HAND_KIND
    silent = _("It did not answer. Look at the other side, then decide.") if waits else _("It failed.")
    return Stuck(title, step.note or step.error or silent, step.id, waits and not is_by_hand, is_by_hand)


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
        href=reverse("live-change", args=[card.number]),
        look=looks.STATES[card.state],
        sentence=headline_of(seen)[0],
        began_at=current.begun_at if current else card.updated_at,
    )

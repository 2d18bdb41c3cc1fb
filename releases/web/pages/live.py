"""Live: whether it goes well, and whether we are back yet."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.catalog import queries as catalog
from releases.changes import queries
from releases.changes.models import ChangeRequest
from releases.changes.queries import ChangeCard, ItemCard
from releases.changes.states import ENDED, RUNNING, Outcome, State
from releases.core import clock
from releases.core.errors import GmudError, Missing, Sentence
from releases.core.words import mark
from releases.delivery import queries as delivery
from releases.delivery.queries import DeploymentCard
from releases.health.ports import Measure
from releases.operations import queries as operations
from releases.operations import services as operations_services
from releases.operations.queries import OperationView, StepLine, Try
from releases.operations.states import OperationState, StepState
from releases.rollback import services as rollback
from releases.rollout import services as rollout
from releases.rollout.rules import idle_target, live_target
from releases.rollout.states import Stage, Work
from releases.traffic import queries as traffic
from releases.traffic.steps import STEP_KIND as SHIFT
from releases.web import curves, looks
from releases.web.answer import page, part
from releases.web.errors import trouble_of
from releases.web.looks import Bar, Line, Look, Step, Words, line_of
from releases.web.pages.panels import share
from releases.web.request import Request, shows_again, signed_in
from releases.web.shell import Count
from releases.web.tags import both

TEMPLATE = "live/live.html"
LINES_OF_LOG = 12
DEPLOY, VERDICT, WATCH = "delivery.deploy", "health.verdict", "health.watch"


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
class GoBack:
    """The one button; refusals say why it cannot be pressed."""

    word: Words
    title: Words
    lines: tuple[Line, ...]
    stay: Words
    refusals: tuple[Line, ...] = ()
    is_running: bool = False


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


STEP_LOOKS: Mapping[StepState, Look] = {
    StepState.TODO: Look("", "○", _("Waiting")),
    StepState.SENDING: Look("info", "▶", _("Sending")),
    StepState.UNKNOWN: Look("wait", "?", _("Looking whether it arrived")),
    StepState.APPLIED: Look("info", "▶", _("Running")),
    StepState.NEEDS_HUMAN: Look("stop", "!", _("Waits for a person")),
    StepState.CONFIRMED: Look("go", "✓", _("Done")),
    StepState.FAILED: Look("stop", "✕", _("Failed")),
    StepState.SKIPPED: Look("", "–", _("Not sent")),
    StepState.ABANDONED: Look("wait", "■", _("Left as it is")),
}
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
HEALTH: Mapping[str, Look] = {
    "healthy": Look("go", "✓", _("Healthy")),
    "unhealthy": Look("stop", "✕", _("Unhealthy")),
    "unknown": Look("wait", "?", _("Not known yet")),
}


@dataclass(frozen=True, slots=True)
class _Seen:
    """Everything read of one change, once."""

    row: ChangeRequest
    card: ChangeCard
    operations: tuple[OperationView, ...]
    deployments: Mapping[UUID, DeploymentCard]
    now: datetime

    @property
    def current(self) -> OperationView | None:
        """Return the latest operation."""
        return self.operations[0] if self.operations else None

    @property
    def names(self) -> dict[str, object]:
        """Return versions forward and back, for sentences."""
        return {
            "version": both(dict.fromkeys(item.version for item in self.card.items)),
            "back": both(dict.fromkeys(item.back_version or "—" for item in self.card.items)),
        }

    @property
    def is_back(self) -> bool:
        """Say whether the latest work goes backward."""
        return self.current is not None and self.current.kind == rollback.KIND


def _look_at(number: int, now: datetime) -> _Seen:
    row = queries.by_number(number)
    found = operations.operations_of(row.pk)
    found = [one for one in found if one.state != OperationState.SUPERSEDED] or found
    deployments = {one.id: one for one in delivery.deployments_of(row.pk, now=now)}
    return _Seen(row, queries.card(row), tuple(found), deployments, now)


def live_of(number: int, *, actor: Actor, now: datetime) -> Live:
    """Return the page of one change as it moves.

    :raises Missing: nothing of it has been started here
    """
    seen = _look_at(number, now)
    current = seen.current
    if current is None:
        name = {"name": seen.card.name}
        raise Missing(Sentence(mark("Nothing of %(name)s has been started here yet."), name))
    rights = accounts.rights_of(actor)
    shown = _shown(seen)
    steps = [step for one in shown for step in one.steps]
    done = sum(step.state is StepState.CONFIRMED for step in steps)
    headline, more = _headline(seen)
    bars, seen_at = _traffic(seen)
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
        log=_log(seen),
        health=_health(seen),
        curves=_curves(seen),
        upcoming=_upcoming(seen),
        go_back=_go_back(seen, actor),
        stuck=tuple(_stuck(current)),
        can_advance=release and current.stage == Stage.VERDICT,
        can_stop=release,
        is_moving=current.is_active,
    )


def _shown(seen: _Seen) -> list[OperationView]:
    """Return what belongs together: a rollback alone, or the rollout with its watch, in order of time."""
    if seen.is_back and seen.current:
        return [seen.current]
    return [one for one in reversed(seen.operations) if one.kind != rollback.KIND]


def _tone(current: OperationView) -> str:
    if current.state in {OperationState.NEEDS_HUMAN, OperationState.FAILED}:
        return "stop"
    if current.kind == rollback.KIND:
        return "undo"
    return "wait" if current.state is OperationState.STOPPED else "info"


def _headline(seen: _Seen) -> tuple[Sentence, Words]:
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


def _phases(operation: OperationView, seen: _Seen) -> Iterable[Step]:
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


def _line(step: StepLine, seen: _Seen) -> Line:
    look = STEP_LOOKS[step.state]
    subject = step.name.split(" ")[-1]
    if step.kind == SHIFT and "%" in step.name:
        subject = step.name
    detail: Words = step.note or DETAILS.get(step.kind, _plain)(step, seen)
    return Line(look.tone, look.sign, subject, detail=detail, end=look.word, at=step.ended_at, href=_url(step, seen))


def _plain(step: StepLine, _seen: _Seen) -> Words:
    return step.connection


def _shift_detail(step: StepLine, _seen: _Seen) -> Words:
    weights: Mapping[str, Any] = step.desired.get("weights", {})
    told = ", ".join(f"{name} {weight} %" for name, weight in weights.items())
    return f"{step.connection}: {told}"


def _deployment_of(step: StepLine, seen: _Seen) -> DeploymentCard | None:
    key = step.desired.get("deployment")
    return seen.deployments.get(UUID(str(key))) if key else None


def _deploy_detail(step: StepLine, seen: _Seen) -> Words:
    deployment = _deployment_of(step, seen)
    if deployment is None:
        return step.connection
    stage = next((one.name for one in reversed(deployment.stages)), "")
    parts = {"where": step.connection, "job": deployment.job, "stage": stage}
    return Sentence(mark("%(where)s, %(job)s: %(stage)s") if stage else mark("%(where)s, %(job)s"), parts)


def _verdict_detail(step: StepLine, _seen: _Seen) -> Words:
    kept = step.data.get("sentence")
    return Sentence(kept["text"], kept.get("parts", {})) if isinstance(kept, dict) else step.connection


DETAILS: Mapping[str, Callable[[StepLine, _Seen], Words]] = {
    SHIFT: _shift_detail,
    DEPLOY: _deploy_detail,
    VERDICT: _verdict_detail,
    WATCH: _verdict_detail,
}


def _url(step: StepLine, seen: _Seen) -> str:
    deployment = _deployment_of(step, seen) if step.kind == DEPLOY else None
    return deployment.url if deployment and deployment.url.startswith(("http://", "https://")) else ""


def _traffic(seen: _Seen) -> tuple[tuple[Bar, ...], datetime | None]:
    """Return what was asked of each route beside what was seen there, as the share the reader hopes for."""
    asked = {shift.route_id: shift.asked for shift in traffic.of_change(seen.row.pk)}
    bars: list[Bar] = []
    moments: list[datetime] = []
    for item, one in zip(seen.row.items.all(), seen.card.items, strict=True):
        route = catalog.route_for(item.service_id, item.environment_id)
        if route is None:
            continue
        side = live_target(one.snapshot) if seen.is_back else idle_target(one.snapshot)
        reading = route.reading
        if reading:
            moments.append(reading.seen_at)
        version = one.back_version if seen.is_back else one.version
        observed = share(reading.weights, side) if reading else None
        tone = "undo" if seen.is_back else ""
        bars.append(Bar(one.service, share(asked.get(route.id, {}), side), observed, version, tone))
    return tuple(bars), min(moments, default=None)


def _log(seen: _Seen) -> tuple[Line, ...]:
    lines: list[Line] = []
    for operation in seen.operations:
        parts = {"who": operation.begun_by, "what": operation.reason or operation.kind}
        lines.append(Line("", "▶", Sentence(mark("%(who)s: %(what)s"), parts), at=operation.begun_at))
        for step in operation.steps:
            lines += [_sent(step.name, one) for one in step.tries]
            if step.ended_at:
                look = STEP_LOOKS[step.state]
                lines.append(Line(look.tone, look.sign, step.name, detail=step.note or "", at=step.ended_at))
    ordered = sorted(lines, key=lambda line: line.at or seen.now, reverse=True)
    return tuple(ordered[:LINES_OF_LOG])


def _sent(name: str, one: Try) -> Line:
    return Line("", "→", name, detail=Sentence(mark("sent by %(worker)s"), {"worker": one.worker}), at=one.sent_at)


def _judged(seen: _Seen) -> list[StepLine]:
    return [
        step
        for operation in _shown(seen)
        for step in operation.steps
        if step.kind in {VERDICT, WATCH} and step.data.get("measures")
    ]


def _health(seen: _Seen) -> Look | None:
    judged = _judged(seen)
    return HEALTH.get(str(judged[-1].data.get("health"))) if judged else None


def _curves(seen: _Seen) -> tuple[curves.Curve, ...]:
    """Return one line per service: the measures of verdict and watch, one after the other."""
    values: dict[str, list[tuple[datetime, float]]] = {}
    limits: dict[str, float] = {}
    for step in _judged(seen):
        service = str(step.desired.get("service", ""))
        kept: Sequence[Mapping[str, Any]] = step.data.get("measures", ())
        measures = [Measure.from_json(one) for one in kept]
        values.setdefault(service, []).extend((one.seen_at, one.value) for one in measures if one.value is not None)
        limits[service] = float(step.desired["question"]["limit"])
    drawn = [
        curves.draw(
            Sentence(mark("Error rate, %(service)s"), {"service": service}),
            sorted(many),
            limit=limits[service],
            click=seen.current.begun_at if seen.is_back and seen.current else None,
        )
        for service, many in values.items()
    ]
    return tuple(curve for curve in drawn if curve)


def _upcoming(seen: _Seen) -> tuple[Line, ...]:
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


def _go_back(seen: _Seen, actor: Actor) -> GoBack | None:
    """Return the one button with its consequences in words, or why it cannot be pressed."""
    names = seen.names
    word = Sentence(mark("Go back to %(back)s"), names)
    if seen.row.state == State.ROLLING_BACK:
        running = Sentence(mark("Going back to %(back)s"), names)
        why = Line("info", "↶", _("The rollback is running. A second click is the same rollback."))
        return GoBack(running, "", (), "", refusals=(why,), is_running=True)
    if seen.row.state in ENDED or seen.row.outcome == Outcome.ROLLED_BACK:
        return None
    buttons = {one.verb: one for one in queries.buttons(seen.row, actor=actor, now=seen.now)}
    button = buttons.get("roll_back")
    if button is None:
        return None
    return GoBack(
        word=word,
        title=Sentence(mark("Go back to %(back)s?"), names),
        lines=tuple(_consequences(seen)),
        stay=Sentence(mark("Stay on %(version)s"), names),
        refusals=tuple(line_of(reason) for reason in button.reasons),
    )


def _consequences(seen: _Seen) -> Iterable[Line]:
    names = {**seen.names, "services": both(dict.fromkeys(item.service for item in seen.card.items))}
    if any(item.snapshot for item in seen.card.items):
        yield Line("undo", "↶", Sentence(mark("At once, every request to %(services)s goes to %(back)s."), names))
    jobs = list(dict.fromkeys(item.job for item in seen.card.items if item.job))
    if jobs:
        yield Line("info", "▶", Sentence(mark("Then %(back)s is deployed again."), names), detail=both(jobs))
    yield from (_data(item) for item in seen.card.items)
    refused = Sentence(mark("%(version)s is refused by the gate afterwards, until a person clears it."), names)
    yield Line("wait", "◔", refused)
    until = seen.card.watch_until_at
    text = mark("You may do this now: the committee approved the way back with %(name)s, in any freeze.")
    yield Line("go", "✓", Sentence(text, {"name": seen.card.name}), at=until)


def _data(item: ItemCard) -> Line:
    line = looks.MIGRATIONS[item.migration_class]
    return Line(line.tone, line.sign, line.text, detail=line.detail or item.service)


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
    seen = _look_at(card.number, now)
    current = seen.current
    return Running(
        name=card.name,
        title=card.title,
        href=reverse("live-change" if current else "change", args=[card.number]),
        look=looks.STATES[card.state],
        sentence=_headline(seen)[0] if current else looks.STATES[card.state].word,
        began_at=current.begun_at if current else card.updated_at,
    )


@require_GET
@signed_in
def live(request: Request) -> HttpResponse:
    """List what moves."""
    require(request.actor, Right.CHANGE_READ)
    context = {"running": running(clock.now())}
    if request.GET.get("part") == "operations":
        return part(request, "live/list.html#operations", context)
    return page(request, "live/list.html", context, here="live")


@require_GET
@signed_in
def live_change(request: Request, number: int) -> HttpResponse:
    """Show one change as it moves, or only the part that changes."""
    require(request.actor, Right.CHANGE_READ)
    return _answer(request, number)


def _answer(request: Request, number: int, *, status: int = 200, **context: object) -> HttpResponse:
    shown = {"live": live_of(number, actor=request.actor, now=clock.now()), **context}
    if getattr(request, "htmx", False):
        return part(request, f"{TEMPLATE}#live", shown, status=status)
    return page(request, TEMPLATE, shown, here="live", status=status)


def _again(request: Request, error: GmudError, number: int, **_kwargs: object) -> HttpResponse:
    if operations.operations_of(queries.by_number(number).pk):
        return _answer(request, number, status=error.status, trouble=trouble_of(error))
    messages.error(request, str(error.detail))
    return HttpResponseRedirect(reverse("change", args=[number]))


Deed = Callable[[ChangeRequest, Actor, str, datetime], object]


def _door(deed: Deed) -> Callable[..., HttpResponse]:
    """Return the view that does one thing to a release and shows how it stands."""

    @require_POST
    @signed_in
    @shows_again(_again)
    def view(request: Request, number: int) -> HttpResponse:
        row, reason = queries.by_number(number), request.POST.get("reason", "")[:500]
        deed(row, request.actor, reason, clock.now())
        if getattr(request, "htmx", False):
            return _answer(request, number)
        return HttpResponseRedirect(reverse("live-change", args=[number]))

    return view


def _start(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return rollout.start(change_id=row.pk, actor=actor, now=now)


def _advance(row: ChangeRequest, actor: Actor, _reason: str, now: datetime) -> object:
    return rollout.advance(change_id=row.pk, actor=actor, now=now)


def _stop(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollout.stop(change_id=row.pk, actor=actor, reason=reason, now=now)


def _back(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollback.begin(change_id=row.pk, actor=actor, reason=reason, now=now)


def _take_over(row: ChangeRequest, actor: Actor, reason: str, now: datetime) -> object:
    return rollback.take_over(change_id=row.pk, actor=actor, reason=reason, now=now)


@require_POST
@signed_in
@shows_again(_again)
def retry_step(request: Request, number: int, step_id: UUID) -> HttpResponse:
    """Try a step again that waits for a person; what was sent before is looked for first."""
    row = queries.by_number(number)
    own = {step.id for one in operations.operations_of(row.pk) for step in one.steps}
    if step_id not in own:
        raise Missing(Sentence(mark("There is no such step.")))
    require(request.actor, Right.ROLLBACK_BEGIN if row.state == State.ROLLING_BACK else Right.CHANGE_RELEASE)
    operations_services.retry_step(step_id=step_id, actor=request.actor, now=clock.now())
    return HttpResponseRedirect(reverse("live-change", args=[number]))


DOORS: Mapping[str, Deed] = {
    "release": _start,
    "advance": _advance,
    "stop": _stop,
    "go-back": _back,
    "take-over": _take_over,
}

urlpatterns = [
    path("live", live, name="live"),
    path("live/<int:number>", live_change, name="live-change"),
    *(path(f"live/<int:number>/{name}", _door(deed), name=name) for name, deed in DOORS.items()),
    path("live/<int:number>/steps/<uuid:step_id>/retry", retry_step, name="retry-step"),
]

"""A run at a CI system as people see it: its stages, what it waits for, what it asks, what may be asked of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog.kinds import ConnectionKind
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark
from releases.delivery.ports import Parameter, Question
from releases.delivery.queries import DeploymentCard, WishCard
from releases.delivery.rules import READ_CONSOLES, rights_to_steer
from releases.delivery.services import CALL_OFF_STEP, STEP_KIND
from releases.delivery.states import ANSWER, STOPS, Act, State
from releases.web.looks import Line, Look, Step, Words
from releases.web.names import SYSTEMS
from releases.web.pages.seen import Seen
from releases.web.request import why_not
from releases.web.tags import say, took

RUNS: Mapping[str, Look] = {
    State.REQUESTED: Look("", "○", pgettext_lazy("deployment", "Asked for")),
    State.QUEUED: Look("info", "◔", pgettext_lazy("deployment", "In the queue")),
    State.RUNNING: Look("info", "▶", pgettext_lazy("deployment", "Running")),
    State.WAITING_INPUT: Look("wait", "?", pgettext_lazy("deployment", "Waits for an answer")),
    State.PAUSED: Look("wait", "◫", pgettext_lazy("deployment", "Paused")),
    State.SUCCEEDED: Look("go", "✓", pgettext_lazy("deployment", "Deployed")),
    State.FAILED: Look("stop", "✕", pgettext_lazy("deployment", "Failed")),
    State.CANCELED: Look("wait", "■", pgettext_lazy("deployment", "Stopped from here")),
    State.ABORTED_EXTERNALLY: Look("stop", "■", pgettext_lazy("deployment", "Stopped elsewhere")),
    State.LOST: Look("stop", "?", pgettext_lazy("deployment", "Lost")),
    State.NOT_FOUND: Look("stop", "○", pgettext_lazy("deployment", "Never arrived")),
    State.SUPERSEDED: Look("", "→", pgettext_lazy("deployment", "Superseded")),
    State.UNCHANGED: Look("wait", "=", pgettext_lazy("deployment", "Changed nothing")),
}
STAGES: Mapping[str, Look] = {
    **RUNS,
    State.QUEUED: Look("", "○", pgettext_lazy("stage", "Not begun")),
    State.SUCCEEDED: Look("go", "✓", pgettext_lazy("stage", "Done")),
    State.CANCELED: Look("wait", "■", pgettext_lazy("stage", "Stopped")),
    State.UNCHANGED: Look("", "–", pgettext_lazy("stage", "Skipped")),
}
HAVE_A_RUN = frozenset({STEP_KIND, CALL_OFF_STEP})
KEEP_A_CONSOLE = frozenset({ConnectionKind.JENKINS})


@dataclass(frozen=True, slots=True)
class Deed:
    """What may be asked of a run: its word, and what that means; one that ends the run is confirmed first."""

    act: str
    word: Words
    means: Words
    is_ending: bool

    @property
    def url(self) -> str:
        """Return the name of the address that asks for it."""
        return f"deployment-{self.act}"


DEEDS = (
    Deed(Act.PAUSE, _("Pause"), _("The stage that runs goes on; none begins after it."), is_ending=False),
    Deed(Act.RESUME, _("Let it go on"), _("The next stage begins."), is_ending=False),
    Deed(Act.STOP, _("Stop it"), _("The run ends after it has cleaned up after itself."), is_ending=True),
    Deed(
        Act.TERMINATE, _("Break it off"), _("What it does right now fails; the rest still cleans up."), is_ending=True
    ),
    Deed(
        Act.KILL, _("Kill it"), _("Nothing cleans up. What it began elsewhere may go on unseen: look."), is_ending=True
    ),
)
WISHES: Mapping[str, str] = {
    Act.STOP: mark("%(who)s asked to stop it"),
    Act.TERMINATE: mark("%(who)s asked to break it off"),
    Act.KILL: mark("%(who)s asked to kill it"),
    Act.PAUSE: mark("%(who)s asked to pause it"),
    Act.RESUME: mark("%(who)s asked to let it go on"),
}
ANSWERS: Mapping[bool, str] = {
    True: mark("%(who)s answered “%(question)s”: go on"),
    False: mark("%(who)s answered “%(question)s”: do not go on"),
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value that a question takes, as a field of its form; ``name`` is the field's, ``label`` the parameter's."""

    name: str
    label: str
    default: str
    options: tuple[tuple[str, str], ...]
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Asked:
    """A question of a run as a form; ``there`` says why it is answered in the CI system itself."""

    id: str
    text: str
    who: Words
    values: tuple[Value, ...]
    there: Words
    note_name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One deployment, ready to print."""

    id: UUID
    title: Words
    href: str
    system: str
    system_href: str
    look: Look
    percent: int | None
    done_at: datetime | None
    late: Words
    says: tuple[Line, ...]
    ladder: tuple[Step, ...]
    questions: tuple[Asked, ...]
    deeds: tuple[Deed, ...]
    why_not: Words
    wishes: tuple[Line, ...]
    has_console: bool
    console_why_not: Words
    seen_at: datetime | None
    is_moving: bool


def runs_of(cards: Iterable[DeploymentCard], actor: Actor) -> tuple[Run, ...]:
    """Return deployments as they stand, with what this person may ask of their runs."""
    whys: dict[tuple[Right, ...], Words] = {}
    return tuple(_run(card, actor, whys) for card in cards)


def _run(card: DeploymentCard, actor: Actor, whys: dict[tuple[Right, ...], Words]) -> Run:
    rights = rights_to_steer(card.intent)
    for one in {rights, READ_CONSOLES} - whys.keys():
        whys[one] = why_not(actor, *one)
    return Run(
        id=card.id,
        title=title_of(card),
        href=reverse("deployment", args=[card.id]),
        system=str(system_of(card)),
        system_href=card.url if card.url.startswith(("http://", "https://")) else "",
        look=RUNS[card.state],
        percent=None if card.progress is None else round(100 * card.progress),
        done_at=card.seen_at + card.age + card.left if card.left and card.age is not None and card.seen_at else None,
        late="" if card.left != timedelta() else _("longer than it usually takes"),
        says=tuple(_says(card)),
        ladder=tuple(_stages(card)),
        questions=tuple(_asked(one, card) for one in card.questions),
        deeds=tuple(_deeds(card)),
        why_not="" if card.has_ended or card.reported_by is not None else whys[rights],
        wishes=tuple(_wish(one, card) for one in card.wishes),
        has_console=bool(card.run) and card.system in KEEP_A_CONSOLE,
        console_why_not=whys[READ_CONSOLES],
        seen_at=card.seen_at,
        is_moving=not card.has_ended,
    )


def system_of(card: DeploymentCard) -> str | Promise:
    """Return what people call the system of a run; one that others began may be any."""
    return SYSTEMS.get(card.system) or card.system or _("another system")


def title_of(card: DeploymentCard) -> Sentence:
    """Return what a deployment is about, in a few words."""
    text = (
        mark("Redeploy %(service)s %(version)s")
        if card.intent == "rollback"
        else mark("Deploy %(service)s %(version)s")
    )
    return Sentence(text, {"service": card.service, "version": card.version})


def watched(seen: Seen) -> list[DeploymentCard]:
    """Return the deployments of the latest work that somebody looks at: under way, or ended otherwise than well."""
    work = (seen.current, *seen.aside) if seen.current else seen.aside
    ids = {UUID(str(step.desired["deployment"])) for one in work for step in one.steps if step.kind in HAVE_A_RUN}
    found = (seen.deployments[one] for one in sorted(ids & seen.deployments.keys()))
    return [one for one in found if one.state not in {State.REQUESTED, State.SUCCEEDED}]


def field_of(question: str, name: str) -> str:
    """Return what the field of a value is called: several questions stand on one page."""
    return f"{question}:{name}"


def typed_into(run: Run, given: Mapping[str, str], error: Invalid) -> Run:
    """Return the run with what was typed into the form of one question, and what is wrong with it."""
    questions = (_typed(one, given, error) if one.id == given.get("question") else one for one in run.questions)
    return replace(run, questions=tuple(questions))


def _typed(asked: Asked, given: Mapping[str, str], error: Invalid) -> Asked:
    values = (
        replace(one, default=given.get(one.name, ""), errors=tuple(map(say, error.fields.get(one.label, ()))))
        for one in asked.values
    )
    return replace(asked, values=tuple(values), note=given.get(asked.note_name, ""))


def _says(card: DeploymentCard) -> Iterable[Line]:
    """Yield why it stands where it stands: what the queue says, what went wrong, that it is stuck."""
    if card.is_stuck:
        text = mark("It is stuck in the queue: %(system)s sees nothing that could take it. Look there.")
        yield Line("stop", "!", Sentence(text, {"system": system_of(card)}))
    if card.why is not None:
        yield Line("wait", "◔", card.why) if not card.has_ended else Line(RUNS[card.state].tone, "→", card.why)
    if card.state is State.REQUESTED:
        yield Line("", "○", Sentence(mark("It was not sent yet.")))


def _stages(card: DeploymentCard) -> Iterable[Step]:
    for stage in card.stages:
        look = STAGES[stage.state]
        end = took(timedelta(seconds=stage.seconds)) if stage.seconds else look.word
        yield Step(look, stage.name, end, is_live=stage.state is State.RUNNING and not card.has_ended)


def _asked(question: Question, card: DeploymentCard) -> Asked:
    system = system_of(card)
    who: Words = Sentence(mark("GMUD passes the answer on with its own account, and says who gave it."))
    if question.may_answer:
        text = mark("%(system)s takes the answer from %(who)s only; GMUD passes it on with its own account.")
        who = Sentence(text, {"system": system, "who": list(question.may_answer)})
    secret = any(one.is_secret for one in question.takes)
    there = Sentence(mark("It asks for a password. Answer it in %(system)s itself."), {"system": system})
    values = tuple(_value(question, one) for one in question.takes)
    return Asked(question.id, question.text, who, values, there if secret else "", field_of(question.id, ""))


def _value(question: Question, one: Parameter) -> Value:
    return Value(field_of(question.id, one.name), one.name, one.default, tuple((each, each) for each in one.choices))


def _deeds(card: DeploymentCard) -> Iterable[Deed]:
    """Yield what its system lets us ask now: to stop, even before it began. Runs of others are theirs to steer."""
    if not card.has_ended and card.reported_by is None:
        yield from (one for one in DEEDS if one.act in card.acts | {Act.STOP})


def _wish(wish: WishCard, card: DeploymentCard) -> Line:
    who = {"who": wish.asked_by, "question": wish.text}
    text = Sentence(ANSWERS[wish.goes_on] if wish.act == ANSWER else WISHES[wish.act], who)
    system = {"system": system_of(card)}
    if wish.refusal is not None:
        return Line("stop", "✕", text, wish.refusal, at=wish.asked_at)
    if wish.passed_at is None and not (card.state is State.CANCELED and wish.act in STOPS):
        waits = mark("%(system)s hears it with the next look.") if not card.has_ended else mark("It had ended before.")
        return Line("wait", "◔", text, Sentence(waits, system), at=wish.asked_at)
    took_it = mark("It took: %(system)s no longer asks.") if wish.act == ANSWER else mark("%(system)s took it.")
    return Line("go", "✓", text, Sentence(took_it, system), at=wish.asked_at)

"""Deployments: what was deployed where, how it went, what its run asks, and what may be asked of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.catalog.kinds import ConnectionKind
from releases.catalog.rules import is_digest
from releases.changes.models import ChangeRequest
from releases.core import clock
from releases.core.errors import External, GmudError, Invalid, Missing, Rejected, Sentence
from releases.core.words import mark
from releases.delivery import console as consoles
from releases.delivery import queries, services
from releases.delivery.console import Console
from releases.delivery.queries import Asked, DeploymentCard
from releases.delivery.rules import READ_CONSOLES
from releases.delivery.states import ENDS, Act, State
from releases.web import errors
from releases.web.answer import page, part
from releases.web.errors import trouble_of
from releases.web.looks import Chip, Fact, Look, Words
from releases.web.names import SYSTEMS
from releases.web.pages.runs import RUNS, field_of, runs_of, system_of, title_of, typed_into
from releases.web.request import Request, shows_again, signed_in
from releases.web.tags import took

FILTERS = ("state", "service", "environment", "system", "before")
OPEN = "open"
DELIVERS = (ConnectionKind.JENKINS, ConnectionKind.SPINNAKER)
ONE, RUN = "deployments/deployment.html", "deployments/run.html"


@dataclass(frozen=True, slots=True)
class Row:
    """One deployment in a list."""

    href: str
    service: str
    version: str
    is_back: bool
    environment: str
    slot: str
    look: Look
    system: str
    connection: str
    system_href: str
    run: str
    change: str
    change_title: str
    change_href: str
    who: str
    at: datetime
    lasted: str


@dataclass(frozen=True, slots=True)
class Select:
    """A filter that is chosen from a list."""

    name: str
    label: Words
    value: str
    options: tuple[tuple[str, Words], ...]


@dataclass(frozen=True, slots=True)
class Deployments:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    headline: Words
    rows: tuple[Row, ...]
    chips: tuple[Chip, ...]
    selects: tuple[Select, ...]
    state: str
    total: int
    is_moving: bool
    href: str
    older: str = ""


def rows_of(cards: Iterable[DeploymentCard]) -> tuple[Row, ...]:
    """Return deployments ready for a list, with the changes that asked for them."""
    cards = tuple(cards)
    changes = ChangeRequest.objects.in_bulk({card.change_id for card in cards})
    return tuple(_row(card, changes.get(card.change_id)) for card in cards)


def _row(card: DeploymentCard, change: ChangeRequest | None) -> Row:
    return Row(
        href=reverse("deployment", args=[card.id]),
        service=card.service,
        version=card.version,
        is_back=card.intent == "rollback",
        environment=card.environment,
        slot=card.slot,
        look=RUNS[card.state],
        system=str(system_of(card)),
        connection=card.connection,
        system_href=card.url if card.url.startswith(("http://", "https://")) else "",
        run=card.run.rpartition("/")[2] or (card.reported_by or "").partition(":")[2],
        change=change.name if change else "",
        change_title=change.title if change else "",
        change_href=reverse("change", args=[change.number]) if change else "",
        who=card.requested_by,
        at=card.started_at or card.requested_at,
        lasted=took(card.ended_at - card.started_at) if card.ended_at and card.started_at else "",
    )


@require_GET
@signed_in
def deployments(request: Request) -> HttpResponse:
    """List the deployments that match the filters in the address."""
    require(request.actor, Right.CHANGE_READ)
    asked = {name: request.GET[name][:120] for name in FILTERS if request.GET.get(name)}
    state = asked.get("state", "")
    found = queries.page(
        Asked(
            service=asked.get("service", ""),
            environment=asked.get("environment", ""),
            system=asked.get("system", ""),
            state=state if state in set(State) else "",
            open=state == OPEN,
            before=_uuid(asked.get("before", "")),
        ),
        now=clock.now(),
    )
    moving = sum(count for name, count in found.counts.items() if name not in ENDS)
    shown = Deployments(
        headline=Sentence(mark("%(n)s under way"), {"n": moving}) if moving else _("Nothing is being deployed"),
        rows=rows_of(found.cards),
        chips=_chips(asked, found.counts, moving),
        selects=tuple(_selects(asked)),
        state=state,
        total=sum(found.counts.values()),
        is_moving=bool(moving),
        href=_address({**asked, "part": "rows"}),
        older=_address({**asked, "before": str(found.next_before)}) if found.next_before else "",
    )
    if request.GET.get("part") == "rows":
        return part(request, "deployments/deployments.html#rows", {"deployments": shown})
    return page(request, "deployments/deployments.html", {"deployments": shown}, here="deployments")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _address(asked: Mapping[str, str]) -> str:
    return f"{reverse('deployments')}?{urlencode(asked)}" if asked else reverse("deployments")


def _chips(asked: Mapping[str, str], counts: Mapping[str, int], moving: int) -> tuple[Chip, ...]:
    """Return one chip for all, one for what is under way, and one per state that a deployment is in."""
    state = asked.get("state", "")
    kept = {name: value for name, value in asked.items() if name not in {"state", "before"}}
    chips = [
        Chip(_("All"), _address(kept), sum(counts.values()), is_on=not state),
        Chip(_("Under way"), _address({**kept, "state": OPEN}), moving, "info", "▶", is_on=state == OPEN),
    ]
    for name, look in RUNS.items():
        if counts.get(name) or name == state:
            address = _address({**kept, "state": name})
            chips.append(Chip(look.word, address, counts.get(name, 0), look.tone, look.sign, is_on=name == state))
    return tuple(chips)


def _selects(asked: Mapping[str, str]) -> Iterable[Select]:
    every: Mapping[str, tuple[Words, Words, Iterable[tuple[str, Words]]]] = {
        "service": (_("Service"), _("every service"), [(one.name, one.name) for one in catalog.services()]),
        "environment": (_("Environment"), _("every environment"), [(e.name, e.name) for e in catalog.environments()]),
        "system": (_("System"), _("every system"), [(one.value, SYSTEMS[one.value]) for one in DELIVERS]),
    }
    for name, (label, whole, options) in every.items():
        yield Select(name, label, asked.get(name, ""), (("", whole), *options))


@require_GET
@signed_in
def deployment(request: Request, deployment_id: UUID) -> HttpResponse:
    """Show one deployment, or only what changes of it."""
    require(request.actor, Right.CHANGE_READ)
    if request.GET.get("part") == "deployment":
        return part(request, f"{ONE}#deployment", _context(request, deployment_id))
    return _one(request, deployment_id)


def _one(request: Request, deployment_id: UUID, *, status: int = 200, **more: object) -> HttpResponse:
    """Answer with the panel of the run where a part of a page asked, else with the whole page."""
    context = {**_context(request, deployment_id), **more}
    if getattr(request, "htmx", False):
        return part(request, RUN, context, status=status)
    return page(request, ONE, context, here="deployments", status=status)


def _context(request: Request, deployment_id: UUID) -> dict[str, object]:
    card = queries.deployment(deployment_id, now=clock.now())
    (row,), (run,) = rows_of([card]), runs_of([card], request.actor)
    parameters = [Fact(name, value, code=is_digest(value)) for name, value in sorted(card.parameters.items())]
    return {"row": row, "title": title_of(card), "run": run, "facts": tuple(_facts(card)), "parameters": parameters}


def _facts(card: DeploymentCard) -> Iterable[Fact]:
    """Yield what it is, and how its run was found and is looked at."""
    yield Fact(_("Service"), card.service, href=reverse("service", args=[card.service]))
    yield Fact(_("Environment"), card.environment, note=card.slot)
    yield Fact(_("Artifact"), card.digest, note=card.version, code=True)
    yield Fact(_("Who"), card.requested_by, at=card.requested_at)
    yield Fact(_("System"), system_of(card), note=card.connection)
    if card.reported_by:
        yield Fact(_("Reported by"), card.reported_by)
    if card.job:
        yield Fact(_("Job"), card.job)
    if card.ticket:
        yield Fact(_("Order there"), card.ticket)
    if card.run:
        yield Fact(_("Run there"), card.run)
    if card.key:
        found = Sentence(mark("found by its parameter %(name)s"), {"name": card.key_parameter}) if card.run else ""
        yield Fact(_("Correlation key"), card.key, note=found)
    if card.started_at:
        yield Fact(_("Began"), card.started_at)
    if card.seen_at:
        yield Fact(_("Last look"), card.seen_at)
    if card.ended_at:
        lasted = took(card.ended_at - (card.started_at or card.requested_at))
        yield Fact(_("Ended"), card.ended_at, note=Sentence(mark("after %(time)s"), {"time": lasted}))


def _console(request: Request, deployment_id: UUID, **shown: object) -> HttpResponse:
    return part(request, "deployments/console.html", {"id": deployment_id, **shown})


def _unread(request: Request, error: GmudError, deployment_id: UUID) -> HttpResponse:
    """Say in the place of the lines why they cannot be read, and go on asking where that may change."""
    if not isinstance(error, External):
        return errors.show(request, trouble_of(error))
    is_shut = isinstance(error, Rejected)
    return _console(request, deployment_id, console=Console(), trouble=trouble_of(error), has_more=not is_shut)


@require_GET
@signed_in
@shows_again(_unread)
def console(request: Request, deployment_id: UUID) -> HttpResponse:
    """Show the last lines that the run printed, read there now."""
    require(request.actor, *READ_CONSOLES)
    asked = request.GET.get("start", "")
    read = consoles.read(deployment_id=deployment_id, start=int(asked[:18]) if asked.isdecimal() else 0)
    return _console(request, deployment_id, console=read, has_more=read.has_more)


def _refused(request: Request, error: GmudError, deployment_id: UUID, **_kwargs: object) -> HttpResponse:
    """Show the run as it stands with why not; a wrong value is named under its field."""
    if isinstance(error, Missing) or not accounts.can(request.actor, Right.CHANGE_READ):
        return errors.show(request, trouble_of(error))
    if isinstance(error, Invalid):
        (run,) = runs_of([queries.deployment(deployment_id, now=clock.now())], request.actor)
        return _one(request, deployment_id, status=422, run=typed_into(run, request.POST, error))
    return _one(request, deployment_id, status=error.status, trouble=trouble_of(error))


@require_POST
@signed_in
@shows_again(_refused)
def ask(request: Request, deployment_id: UUID, act: str) -> HttpResponse:
    """Ask something of the run; the worker passes it on with its next look."""
    services.ask(deployment_id=deployment_id, act=Act(act), actor=request.actor, now=clock.now())
    return _shown(request, deployment_id)


@require_POST
@signed_in
@shows_again(_refused)
def answer(request: Request, deployment_id: UUID) -> HttpResponse:
    """Answer what the run asks; the worker passes it on with its next look, and sees whether it took."""
    question = request.POST.get("question", "")[:200]
    prefix = field_of(question, "")
    typed = {name.removeprefix(prefix): str(value) for name, value in request.POST.items() if name.startswith(prefix)}
    services.answer(
        deployment_id=deployment_id,
        question=question,
        goes_on=request.POST.get("said") == "go",
        note=typed.pop("", "")[:500],
        values={name: value[:2000] for name, value in typed.items()},
        actor=request.actor,
        now=clock.now(),
    )
    return _shown(request, deployment_id)


def _shown(request: Request, deployment_id: UUID) -> HttpResponse:
    if getattr(request, "htmx", False):
        return _one(request, deployment_id)
    return HttpResponseRedirect(reverse("deployment", args=[deployment_id]))


urlpatterns = [
    path("deployments", deployments, name="deployments"),
    path("deployments/<uuid:deployment_id>", deployment, name="deployment"),
    path("deployments/<uuid:deployment_id>/console", console, name="deployment-console"),
    path("deployments/<uuid:deployment_id>/answer", answer, name="deployment-answer"),
    *(
        path(f"deployments/<uuid:deployment_id>/{act}", ask, {"act": act.value}, name=f"deployment-{act}")
        for act in Act
    ),
]

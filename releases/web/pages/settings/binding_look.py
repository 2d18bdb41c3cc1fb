"""What the CI system tells while a binding is filled in: jobs to choose from, what a job takes, what is missing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import filling
from releases.catalog.filling import BACK, carriers
from releases.catalog.kinds import Purpose
from releases.catalog.models import Binding, Connection
from releases.catalog.rules import GIVEN_TO_EVERY_JOB
from releases.core.errors import GmudError, Sentence
from releases.core.words import mark
from releases.delivery.ports import Target
from releases.setup import wiring
from releases.setup.wiring import Looked
from releases.web.answer import part
from releases.web.looks import Line, Words, held
from releases.web.pages.settings.bindings import BindingForm, NewBindingForm, settings_of
from releases.web.request import Request, shows_again, signed_in

TEMPLATE = "settings/binding_look.html"
FIRST = 12  # of the jobs that are told; the field offers all of them


@dataclass(frozen=True, slots=True)
class Taken:
    """One parameter of the job: what it gets with the binding, and what it would be otherwise."""

    name: str
    gets: Words
    default: str
    choices: str


def _unlooked(request: Request, error: GmudError) -> HttpResponse:
    return part(request, TEMPLATE, {"lines": (Line("stop", "✕", error.detail),)})


@require_POST
@signed_in
@shows_again(_unlooked)
def look(request: Request) -> HttpResponse:
    """Show what there is to choose from, and what stands in the way; nothing is saved."""
    require(request.actor, Right.CATALOG_EDIT)
    about = _uuid(request.POST.get("about", ""))
    row = Binding.objects.filter(pk=about).first() if about else None
    form = (BindingForm if row else NewBindingForm)(request.POST, actor=request.actor, about=str(row.pk) if row else "")
    form.is_valid()
    said = form.cleaned_data
    if (row.purpose if row else said.get("purpose")) != Purpose.DEPLOY or not said.get("connection"):
        return part(request, TEMPLATE, {"lines": (Line("", "○", _("To deploy, choose a connection first.")),)})
    settings = settings_of(said, Purpose.DEPLOY, {})
    found = wiring.look(
        actor=request.actor,
        connection_id=UUID(said["connection"]),
        service_id=row.service_id if row else _uuid(said.get("service", "")),
        environment_id=row.environment_id if row else _uuid(said.get("environment", "")),
        settings=settings,
    )
    connection = Connection.objects.get(pk=said["connection"])
    lines = (*_wrong(form, settings), *_lines(found))
    shown = {"looked": found, "lines": lines, "taken": tuple(_taken(found, settings, connection))}
    return part(request, TEMPLATE, shown)


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _wrong(form: BindingForm, settings: Mapping[str, Any]) -> Iterable[Line]:
    """Yield what is wrong with what was typed, before anybody else is asked."""
    for name, many in form.errors.items():
        if name in form.fields and name.endswith(("job", "parameters", "options")):
            yield from (Line("stop", "✕", str(one), detail=form.fields[name].label or "") for one in many)
    for said in (settings, settings.get(BACK, {})):
        if wrong := filling.problem(said.get("parameters", {})):
            yield Line("stop", "✕", wrong)


def _lines(found: Looked) -> Iterable[Line]:
    yield from (Line("stop", "✕", one) for one in found.obstacles)
    if found.is_job and not found.obstacles:
        yield held(_("It can be started as it is filled in."))
    if not found.is_job:
        names = [f"{one.name}/" if one.is_folder else one.name for one in found.listed]
        parts = {"folder": found.folder or "/", "names": ", ".join(names[:FIRST]) or "—"}
        more = len(names) - FIRST
        rest = Sentence(mark("and %(n)s more; the field offers them"), {"n": more}) if more > 0 else ""
        yield Line("info", "i", Sentence(mark("In %(folder)s there are: %(names)s"), parts), detail=rest)


def _taken(found: Looked, settings: Mapping[str, Any], connection: Connection) -> Iterable[Taken]:
    given = settings.get("parameters", {})
    carried = carriers(given)
    target = Target("")
    key = carried.key_parameter or str(connection.config.get("key_parameter", target.key_parameter))
    permit = carried.permit_parameter or str(connection.config.get("permit_parameter", target.permit_parameter))
    ours: dict[str, Words] = {
        **dict.fromkeys(GIVEN_TO_EVERY_JOB, _("given by GMUD")),
        key: _("the correlation key"),
        permit: _("the permit, once"),
    }
    for one in found.parameters:
        gets = ours.get(one.name) or given.get(one.name) or _("left as it is")
        yield Taken(one.name, gets, one.default, ", ".join(one.choices))


urlpatterns = [path("settings/bindings/look", look, name="binding-look")]

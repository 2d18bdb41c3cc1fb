"""Configuration: read all of it out as one file, see what another would do step by step, apply exactly that."""

import binascii
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence, Stale
from releases.core.words import mark, plural
from releases.setup import queries, services
from releases.setup.document import LARGEST, Unfit
from releases.setup.plan import Act, Difference, Plan, Step
from releases.setup.shape import POLICY
from releases.web.answer import page
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Look
from releases.web.pages.settings import SECTIONS
from releases.web.pages.settings.planned import Row, Written
from releases.web.pages.settings.printed import groups
from releases.web.request import Request, shows_again, signed_in, why_not
from releases.web.tags import say

TEMPLATE, PLAN = "settings/configuration.html", "settings/plan.html"
SLUG, HERE = "configuration", "settings"
FILE_NAME = "gmud.yaml"
APPLIED = plural(
    "The file is applied: %(n)s thing was written.", "The file is applied: %(n)s things were written.", by="n"
)
LOOKS: Mapping[Act, Look] = {
    Act.ADD: Look("go", "+", _("is added")),
    Act.CHANGE: Look("wait", "→", _("changes")),
    Act.BY_HAND: Look("info", "!", _("by hand")),
    Act.KEEP: Look("", "=", _("stays as it is")),
    Act.LEFT: Look("", "○", _("stays")),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The steps of one section; of those that change nothing only how many."""

    slug: str
    word: str | Promise
    rows: tuple[Row, ...]
    kept: int


def parts_of(plan: Plan) -> Iterator[Part]:
    """Yield the steps by section, in the order they are taken."""
    for section, steps in groupby(plan.steps, key=lambda step: step.kind):
        every = list(steps)
        told = [step for step in every if step.act is not Act.KEEP or step.sentence is not None]
        word = _("Policy") if section == POLICY else SECTIONS[section].word
        yield Part(section, word, tuple(map(_row, told)), len(every) - len(told))


def _row(step: Step) -> Row:
    written = tuple(map(_written, step.fields))
    return Row(step.name, LOOKS[step.act], written, step.sentence or "", is_new=step.act is Act.ADD)


def _written(one: Difference) -> Written:
    return Written(one.field, _printed(one.before), _printed(one.after))


def _printed(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value) or "—"
    return (value or "—") if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _packed(text: bytes) -> str:
    return b64encode(zlib.compress(text)).decode()


def _unpacked(packed: str) -> bytes:
    """Return the text that a plan was made of, as the page carries it along.

    :raises Invalid: this is none
    """
    try:
        return zlib.decompressobj().decompress(b64decode(packed, validate=True), LARGEST + 1)
    except (binascii.Error, zlib.error, ValueError) as error:
        raise Invalid(Sentence(mark("The file did not arrive whole: choose it again."))) from error


def _given(request: Request) -> bytes:
    """Return the text that was sent: carried along, chosen as a file, or typed.

    :raises Invalid: there is none
    """
    if packed := request.POST.get("packed", ""):
        return _unpacked(packed)
    if file := request.FILES.get("file"):
        return bytes(file.read(LARGEST + 1))
    if text := request.POST.get("text", "").strip():
        return text.encode()
    raise Invalid(Sentence(mark("Choose a file, or paste its text.")))


def _form(request: Request, *, text: str = "", trouble: Trouble | None = None, status: int = 200) -> HttpResponse:
    why = why_not(request.actor, *queries.MAY_LOOK)
    context = {"groups": groups(SLUG), "why": why, "text": text, "trouble": trouble}
    return page(request, TEMPLATE, context, here=HERE, status=status)


def _planned(request: Request, text: bytes, *, trouble: Trouble | None = None, status: int = 200) -> HttpResponse:
    plan = services.apply(actor=request.actor, text=text, dry_run=True, now=clock.now())
    parts = list(parts_of(plan))
    context = {
        "groups": groups(SLUG),
        "plan": plan,
        "parts": [part for part in parts if part.rows],
        "unchanged": [part for part in parts if not part.rows],
        "adds": plan.count(Act.ADD),
        "changes": plan.count(Act.CHANGE),
        "packed": _packed(text),
        "trouble": trouble,
    }
    return page(request, PLAN, context, here=HERE, status=status)


def _again(request: Request, error: GmudError) -> HttpResponse:
    """Show the new plan when the old one holds no longer, else the form with what was sent and why it cannot be."""
    try:
        text = _given(request) if request.method == "POST" else b""
    except Invalid:
        text = b""
    status = 422 if isinstance(error, Invalid) else error.status
    if isinstance(error, Stale):
        try:
            return _planned(request, text, trouble=trouble_of(error), status=status)
        except GmudError as now_refused:
            error = now_refused
    return _form(request, text=text.decode("utf-8", "replace"), trouble=_trouble(error), status=status)


def _trouble(error: GmudError) -> Trouble:
    """Return what is wrong; of a file every line, without saying the first of them twice."""
    found = trouble_of(error)
    if isinstance(error, Unfit):
        return replace(found, title=_("Nothing was applied"), detail=_("Mend these lines, then show the plan again."))
    return found


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def configuration(request: Request) -> HttpResponse:
    """Offer the file of this installation and take another; show what it would do before anything is done."""
    if request.method == "GET":
        return _form(request)
    return _planned(request, _given(request))


@require_POST
@signed_in
@shows_again(_again)
def apply(request: Request) -> HttpResponse:
    """Do exactly what was shown."""
    seen = request.POST.get("plan", "")
    if not seen:
        raise Invalid(Sentence(mark("Look at the plan first, then apply it.")))
    plan = services.apply(actor=request.actor, text=_given(request), dry_run=False, seen_digest=seen, now=clock.now())
    done = plan.count(Act.ADD) + plan.count(Act.CHANGE)
    messages.success(request, say(Sentence(APPLIED, {"n": done})))
    return HttpResponseRedirect(reverse(SLUG))


@require_GET
@signed_in
@shows_again(_again)
def export(request: Request) -> HttpResponse:
    """Give the configuration as a file."""
    text = queries.export(actor=request.actor)
    headers = {"Content-Disposition": f'attachment; filename="{FILE_NAME}"'}
    return HttpResponse(text, content_type="application/yaml; charset=utf-8", headers=headers)


urlpatterns = [
    path("settings/configuration", configuration, name=SLUG),
    path("settings/configuration/apply", apply, name="configuration-apply"),
    path("settings/configuration/export", export, name="configuration-export"),
]

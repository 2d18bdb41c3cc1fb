"""Import: give files of other tools, see what they would do to the catalogue, answer what is in doubt, apply that."""

import binascii
import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST

from releases.accounts.models import Team
from releases.accounts.rights import Right
from releases.catalog.imports import applying
from releases.catalog.imports.applying import Unanswered
from releases.catalog.imports.files import LARGEST, File
from releases.catalog.imports.plan import Act, Answer, Conflict, Difference, Plan, Step
from releases.catalog.imports.said import Flaw, Section, Unfit
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence, Stale
from releases.core.words import mark, plural
from releases.web.answer import page
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Line, Look
from releases.web.pages.settings.planned import Row, Written
from releases.web.pages.settings.printed import groups
from releases.web.request import Request, shows_again, signed_in, why_not
from releases.web.tags import say

TEMPLATE, PLAN = "settings/import.html", "settings/import_plan.html"
SLUG, HERE = "import", "settings"
SHOWN = 200  # rows of a section, and conflicts, on one page; the rest is told by name
MOST_PACKED = 900_000  # what a form may carry back to us
APPLIED = plural("Imported: %(n)s thing was written.", "Imported: %(n)s things were written.", by="n")
MORE = plural("and %(n)s more problem", "and %(n)s more problems", by="n")
WORDS: Mapping[Section, str | Promise] = {
    Section.TEAMS: _("Teams"),
    Section.ENVIRONMENTS: _("Environments"),
    Section.SERVICES: _("Services"),
    Section.DEPENDENCIES: _("Dependencies"),
    Section.CUSTOMERS: _("Customers"),
    Section.ARTIFACTS: _("Artifacts"),
}
NOTES: Mapping[Section, str | Promise] = {
    Section.DEPENDENCIES: _("Those of Backstage and CSV count as hints until a team that owns one end confirms them."),
}
LOOKS: Mapping[Act, Look] = {
    Act.ADD: Look("go", "+", _("is added")),
    Act.CHANGE: Look("wait", "→", _("changes")),
    Act.ASK: Look("info", "?", _("is asked")),
    Act.KEEP: Look("", "=", _("stays as it is")),
}


@dataclass(frozen=True, slots=True)
class Part:
    """The steps of one section: those that are shown, the names of further ones, and how many change nothing."""

    slug: str
    word: str | Promise
    note: str | Promise
    rows: tuple[Row, ...]
    further: tuple[str, ...]
    kept: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One conflict ready to print, with what was chosen so far."""

    conflict: Conflict
    ours: str
    theirs: str
    chosen: str
    is_missed: bool


@dataclass(frozen=True, slots=True)
class Given:
    """What was sent: the files, whose new services are that name no team, and the answers so far."""

    files: tuple[File, ...]
    team: str
    answers: Mapping[str, Answer]
    rest: Answer | None


def parts_of(plan: Plan) -> Iterator[Part]:
    """Yield the steps by section, in the order they are taken."""
    for section, steps in groupby(plan.steps, key=lambda step: step.section):
        every = list(steps)
        told = [step for step in every if step.act is not Act.KEEP or step.note is not None]
        rows = tuple(map(_row, told[:SHOWN]))
        further = tuple(step.name for step in told[SHOWN:])
        yield Part(section.value, WORDS[section], NOTES.get(section, ""), rows, further, len(every) - len(told))


def _row(step: Step) -> Row:
    written = tuple(Written(one.field, _printed(one.before), _printed(one.after)) for one in step.fields if _tells(one))
    asked = ", ".join(one.field for one in step.asked)
    note = Sentence(mark("You decide above: %(fields)s."), {"fields": asked}) if asked else step.note or ""
    return Row(step.name, LOOKS[step.act], written, note, is_new=step.act is Act.ADD)


def _tells(one: Difference) -> bool:
    return one.before is not None or one.after not in ("", [])


def _printed(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "—"
    return str(value) if value not in ("", None) else "—"


def _asked(plan: Plan, given: Given, missed: frozenset[str]) -> list[Asked]:
    """Return the conflicts that are shown: first those that somebody forgot."""
    every = sorted(plan.conflicts, key=lambda one: one.id not in missed)
    return [
        Asked(one, _printed(one.ours), _printed(one.theirs), given.answers.get(one.id, ""), one.id in missed)
        for one in every[:SHOWN]
    ]


def _packed(files: Sequence[File]) -> str:
    """Return the files as the page carries them along, so that nobody keeps them.

    :raises Invalid: they are too much for a form
    """
    plain = json.dumps([[one.name, one.data.decode("latin-1")] for one in files], ensure_ascii=False)
    packed = b64encode(zlib.compress(plain.encode())).decode()
    if len(packed) > MOST_PACKED:
        sentence = mark("This is more than a page can carry: import it in parts, or with manage.py catalog import.")
        raise Invalid(Sentence(sentence))
    return packed


def _unpacked(packed: str) -> tuple[File, ...]:
    """Return the files that a plan was made of.

    :raises Invalid: these are none
    """
    try:
        plain = zlib.decompressobj().decompress(b64decode(packed, validate=True), 4 * LARGEST)
        return tuple(File(str(name), data.encode("latin-1")) for name, data in json.loads(plain))
    except (binascii.Error, zlib.error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Invalid(Sentence(mark("The files did not arrive whole: choose them again."))) from error


def _given(request: Request) -> Given:
    """Return what was sent: carried along, chosen as files, or typed.

    :raises Invalid: it did not arrive whole
    """
    sent = request.POST
    if packed := sent.get("packed", ""):
        files = _unpacked(packed)
    else:
        chosen = request.FILES.getlist("file")
        files = tuple(File(str(one.name)[:120], bytes(one.read(LARGEST + 1))) for one in chosen)
        if text := sent.get("text", ""):
            files = (*files, File(gettext("pasted text"), text.encode()))
    answers = {name.removeprefix("say:"): _answer(str(sent[name])) for name in sent if name.startswith("say:")}
    known = {name: answer for name, answer in answers.items() if answer is not None}
    return Given(files, sent.get("team", "").strip(), known, _answer(sent.get("rest", "")))


def _answer(said: str) -> Answer | None:
    return Answer(said) if said in set(Answer) else None


def _form(request: Request, *, trouble: Trouble | None = None, status: int = 200) -> HttpResponse:
    context = {
        "groups": groups(SLUG),
        "why": why_not(request.actor, Right.CATALOG_EDIT),
        "text": request.POST.get("text", ""),
        "team": request.POST.get("team", ""),
        "teams": Team.objects.values_list("name", flat=True),
        "trouble": trouble,
    }
    return page(request, TEMPLATE, context, here=HERE, status=status)


def _planned(
    request: Request,
    given: Given,
    *,
    trouble: Trouble | None = None,
    missed: frozenset[str] = frozenset(),
    status: int = 200,
) -> HttpResponse:
    plan = applying.preview(actor=request.actor, files=given.files, default_team=given.team)
    parts = list(parts_of(plan))
    asked = _asked(plan, given, missed)
    context = {
        "groups": groups(SLUG),
        "plan": plan,
        "digest": plan.digest,
        "parts": [part for part in parts if part.rows],
        "unchanged": [part for part in parts if not part.rows],
        "adds": plan.count(Act.ADD),
        "changes": plan.count(Act.CHANGE),
        "read": [*(Line("go", "✓", one) for one in plan.forms), *(Line("", "○", one) for one in plan.left)],
        "asked": asked,
        "hidden": len(plan.conflicts) - len(asked),
        "rest": given.rest or "",
        "packed": _packed(given.files),
        "team": given.team,
        "trouble": trouble,
    }
    return page(request, PLAN, context, here=HERE, status=status)


def _again(request: Request, error: GmudError) -> HttpResponse:
    """Show the new plan when the old one holds no longer or is not answered, else the form with what is wrong."""
    status = 422 if isinstance(error, Invalid) else error.status
    try:
        if isinstance(error, Stale):
            return _planned(request, _given(request), trouble=trouble_of(error), status=status)
        if isinstance(error, Unanswered):
            trouble = Trouble(status, _("Not everything is answered"), error.detail)
            return _planned(request, _given(request), trouble=trouble, missed=error.ids, status=status)
    except GmudError as now_refused:
        error = now_refused
    return _form(request, trouble=_trouble(error), status=status)


def _trouble(error: GmudError) -> Trouble:
    """Return what is wrong; of files every flaw, with its place."""
    found = trouble_of(error)
    if not isinstance(error, Unfit):
        return found
    lines = [_line(flaw) for flaw in error.flaws]
    if error.count > len(lines):
        lines.append(Line("", "…", Sentence(MORE, {"n": error.count - len(lines)})))
    detail = _("Mend these, then show again what would be done.")
    return replace(found, title=_("Nothing was imported"), detail=detail, lines=lines)


def _line(flaw: Flaw) -> Line:
    place = Sentence("%(place)s, %(field)s", {"place": flaw.place.told, "field": flaw.field})
    return Line("stop", "✕", flaw.sentence, detail=place)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def show(request: Request) -> HttpResponse:
    """Ask for files; show what they would do before anything is done."""
    if request.method == "GET":
        return _form(request)
    return _planned(request, _given(request))


@require_POST
@signed_in
@shows_again(_again)
def apply(request: Request) -> HttpResponse:
    """Do exactly what was shown, as it was answered."""
    seen, given = request.POST.get("plan", ""), _given(request)
    if not seen:
        raise Invalid(Sentence(mark("Look at the plan first, then apply it.")))
    plan = applying.apply(
        actor=request.actor,
        files=given.files,
        default_team=given.team,
        answers=given.answers,
        rest=given.rest,
        seen_digest=seen,
        now=clock.now(),
    )
    messages.success(request, say(Sentence(APPLIED, {"n": plan.written})))
    return HttpResponseRedirect(reverse(SLUG))


urlpatterns = [
    path("settings/import", show, name=SLUG),
    path("settings/import/apply", apply, name="import-apply"),
]

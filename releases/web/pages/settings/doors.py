"""The doors of every section: the list, the form that adds, the page of one, and what can be done to it."""

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import NoReverseMatch, path, reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_GET, require_http_methods

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit.actor import Actor
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Missing, Sentence
from releases.core.words import mark
from releases.web import errors
from releases.web.answer import page
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Words
from releases.web.pages.settings import SECTIONS
from releases.web.pages.settings.form import SettingForm
from releases.web.pages.settings.history import history
from releases.web.pages.settings.printed import block_of, button_of, groups, refusals, row_of
from releases.web.pages.settings.section import MOST, Act, Section, Shown
from releases.web.request import Request, shows_again, signed_in, why_not
from releases.web.tags import say

LIST, ONE, FORM = "settings/list.html", "settings/one.html", "settings/form.html"
HERE = "settings"
BARE = SettingForm  # an act without fields still has a form: a button


def _section(slug: str) -> Section:
    try:
        return SECTIONS[slug]
    except KeyError:
        raise Missing(Sentence(mark("There is no such part of the settings."))) from None


def _why(actor: Actor, right: Right | None) -> Words:
    """Return why this person may not, with whom to ask; empty when they may."""
    return "" if right is None else why_not(actor, right)


@require_GET
@signed_in
def overview(request: Request) -> HttpResponse:
    """List the sections."""
    return page(request, "settings/settings.html", {"groups": groups()}, here=HERE)


@require_GET
@signed_in
def listing(request: Request, slug: str) -> HttpResponse:
    """List the things of a section that answer to the search in the address."""
    section, asked = _section(slug), request.GET.get("q", "").strip()[:120]
    entries = section.entries(asked)
    context = {
        "section": section,
        "groups": groups(slug),
        "search": asked,
        "columns": section.columns,
        "rows": [row_of(section, entry) for entry in entries[:MOST]],
        "has_more": len(entries) > MOST,
        "can_add": section.form is not None,
        "why": _why(request.actor, section.right),
        "configuration": _configuration() if section.in_configuration else "",
    }
    return page(request, LIST, context, here=HERE)


def _configuration() -> str:
    """Return where many are read and written at once, empty while there is no such page."""
    try:
        return reverse("configuration")
    except NoReverseMatch:
        return ""


@require_GET
@signed_in
def one(request: Request, slug: str, key: str) -> HttpResponse:
    """Show one thing: its facts, what can be done to it, and what was."""
    section = _section(slug)
    return _one(request, section, key)


def _one(
    request: Request, section: Section, key: str, *, trouble: Trouble | None = None, status: int = 200
) -> HttpResponse:
    thing = section.thing(key, request.actor)
    whys: dict[Right | None, Words] = {}
    buttons = {}
    for act in section.acts:
        right = act.right or section.right
        if right not in whys:
            whys[right] = _why(request.actor, right)
        if thing.verbs is None or act.verb in thing.verbs:
            buttons[act.verb] = button_of(section, act, key, thing.refused.get(act.verb, "") or whys[right])
    beside = [buttons[act.verb] for act in section.acts if act.verb in buttons and not act.in_rows]
    context = {
        "section": section,
        "groups": groups(section.slug),
        "thing": thing,
        "offers": [one for one in beside if not one.why],
        "refusals": refusals(beside),
        "blocks": [block_of(block, buttons, [one.why for one in beside]) for block in thing.blocks],
        "told": history(thing.streams, thing.events),
        "trouble": trouble,
    }
    return page(request, ONE, context, status=status, here=HERE)


def _form(
    request: Request,
    section: Section,
    form: SettingForm,
    *,
    key: str = "",
    act: Act | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> HttpResponse:
    """Answer with the page of one form; ``act`` is ``None`` when something is added."""
    thing = section.thing(key, request.actor) if key else None
    context = {
        "section": section,
        "groups": groups(section.slug),
        "thing": thing,
        "key": key,
        "thing_href": reverse("settings-one", args=[section.slug, key]) if key else "",
        "title": act.word if act else section.add_word,
        "act": act,
        "inputs": list(form.inputs()),
        "errors": form.non_field_errors(),
        "trouble": trouble,
    }
    return page(request, FORM, context, status=status, here=HERE)


def _shown(request: Request, section: Section, shown: Shown) -> HttpResponse:
    """Answer with a secret that is shown this once; nothing of it is kept."""
    href = reverse("settings-one", args=[section.slug, shown.id])
    context = {"section": section, "groups": groups(section.slug), "shown": shown, "href": href}
    return page(request, "settings/shown.html", context, here=HERE)


def _refused(form: SettingForm, error: GmudError) -> tuple[Trouble | None, int]:
    """Return what stands above the form and the status: under the fields what belongs there, 422."""
    form.is_valid()
    if isinstance(error, Invalid):
        return (None if form.take(error) else trouble_of(error)), 422
    return trouble_of(error), error.status


def _must_sign_in(error: GmudError) -> bool:
    return any(reason.code == "sign_in_again" for reason in error.reasons)


def _to_sign_in(request: Request, form: SettingForm) -> HttpResponse:
    """Ask who it is once more, then come back to the form with what was typed."""
    back = f"{request.path}?{form.typed()}"
    return HttpResponseRedirect(f"{reverse('sign-in-again')}?{urlencode({'next': back})}")


def _add_again(request: Request, error: GmudError, *, slug: str) -> HttpResponse:
    if request.method == "GET" or isinstance(error, Missing):
        return errors.show(request, trouble_of(error))
    section = _section(slug)
    form = (section.form or BARE)(request.POST, actor=request.actor)
    if _must_sign_in(error):
        return _to_sign_in(request, form)
    trouble, status = _refused(form, error)
    return _form(request, section, form, trouble=trouble, status=status)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_add_again)
def add(request: Request, slug: str) -> HttpResponse:
    """Show the form that adds one, and add it."""
    section = _section(slug)
    if section.form is None or section.add is None:
        raise Missing(Sentence(mark("Nothing is added here.")))
    if request.method == "GET":
        if section.right is not None:
            require(request.actor, section.right)
        return _form(request, section, section.form(filled=request.GET, actor=request.actor))
    form = section.form(request.POST, actor=request.actor)
    if not form.is_valid():
        return _form(request, section, form, status=422)
    made = section.add(request.actor, form.cleaned_data, clock.now())
    if isinstance(made, Shown):
        return _shown(request, section, made)
    messages.success(request, say(section.added))
    return HttpResponseRedirect(reverse("settings-one", args=[slug, made]))


def _bound(request: Request, section: Section, act: Act, key: str) -> SettingForm:
    return (act.form or BARE)(request.POST, read=act.reader(key), about=key, actor=request.actor)


def _act_again(request: Request, error: GmudError, *, slug: str, key: str, verb: str) -> HttpResponse:
    if request.method == "GET" or isinstance(error, Missing):
        return errors.show(request, trouble_of(error))
    section = _section(slug)
    act = section.act(verb)
    if act.form is None and not act.confirm:
        return _one(request, section, key, trouble=trouble_of(error), status=error.status)
    form = _bound(request, section, act, key)
    if _must_sign_in(error):
        return _to_sign_in(request, form)
    trouble, status = _refused(form, error)
    return _form(request, section, form, key=key, act=act, trouble=trouble, status=status)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_act_again)
def act(request: Request, slug: str, key: str, verb: str) -> HttpResponse:
    """Show the form of one act, and do it."""
    section = _section(slug)
    chosen = section.act(verb)
    section.thing(key, request.actor)  # before its forms look for it
    if request.method == "GET":
        right = chosen.right or section.right
        if right is not None:
            require(request.actor, right)
        form = (chosen.form or BARE)(read=chosen.reader(key), about=key, filled=request.GET, actor=request.actor)
        return _form(request, section, form, key=key, act=chosen)
    bound = _bound(request, section, chosen, key)
    if not bound.is_valid():
        return _form(request, section, bound, key=key, act=chosen, status=422)
    values = bound.cleaned_data | ({"unchanged": bound.unchanged} if chosen.initial else {})
    return _done(request, section, chosen, key, chosen.do(request.actor, key, values, clock.now()))


def _done(request: Request, section: Section, act: Act, key: str, shown: Shown | None) -> HttpResponse:
    if shown is not None:
        return _shown(request, section, shown)
    messages.success(request, say(act.done))
    where = reverse("settings-list", args=[section.slug])
    return HttpResponseRedirect(where if act.goes_back else reverse("settings-one", args=[section.slug, key]))


urlpatterns = [
    path("settings", overview, name="settings"),
    path("settings/<slug:slug>", listing, name="settings-list"),
    path("settings/<slug:slug>/add", add, name="settings-add"),
    path("settings/<slug:slug>/<str:key>", one, name="settings-one"),
    path("settings/<slug:slug>/<str:key>/<slug:verb>", act, name="settings-act"),
]

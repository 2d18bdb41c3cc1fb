"""What people read when something did not work: what happened, why, and the way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from releases.core.errors import GmudError, Invalid, Stale
from releases.web.looks import Line, Words, line_of


@dataclass(frozen=True, slots=True)
class Trouble:
    """One failure, ready to print."""

    status: int
    title: str | Promise
    detail: Words
    lines: Sequence[Line] = ()
    is_stale: bool = False


TITLES: Mapping[int, str | Promise] = {
    400: _("This cannot be read"),
    401: _("Sign in first"),
    403: _("You may not do this"),
    404: _("There is no such page"),
    405: _("This address does not take that"),
    409: _("Not now"),
    413: _("This is too large"),
    422: _("Something is missing"),
    500: _("Something broke on our side"),
    502: _("The other side did not answer"),
    503: _("GMUD cannot answer right now"),
}
DETAILS: Mapping[int, str | Promise] = {
    400: _("Go back and try again."),
    403: _("Ask an owner for the right you need."),
    404: _("It may have moved, or the address has a typing mistake."),
    500: _("Nothing was changed. It is in our log with the number below; try again, or tell an owner."),
    503: _("The database does not answer. Nothing was changed; the gate says deny until it is back."),
}


def trouble_of(error: GmudError) -> Trouble:
    """Return a failure of ours as people read it."""
    lines = [line_of(reason) for reason in error.reasons]
    if isinstance(error, Invalid):
        lines += [Line("stop", "✕", one, code=name) for name, many in error.fields.items() for one in many]
    stale = isinstance(error, Stale)
    title = _("This moved while you looked") if stale else TITLES.get(error.status, TITLES[500])
    return Trouble(error.status, title, error.detail, lines, is_stale=stale)


def plain(status: int) -> Trouble:
    """Return a failure that has only its status."""
    return Trouble(status, TITLES.get(status, TITLES[500]), DETAILS.get(status, ""))


def show(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """Answer with a toast when a part of a page asked, else with a page of its own."""
    context = {"trouble": trouble, "request_id": getattr(request, "id", "")}
    if getattr(request, "htmx", False):
        html = render_to_string("errors/toast.html", context, request=request)
        headers = {"HX-Retarget": "#toasts", "HX-Reswap": "afterbegin", "HX-Trigger": "refused"}
        return HttpResponse(html, status=trouble.status, headers=headers)
    return HttpResponse(render_to_string("errors/page.html", context, request=request), status=trouble.status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400."""
    return show(request, plain(400))


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    return show(request, plain(403))


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return show(request, plain(404))


def broken(request: HttpRequest) -> HttpResponse:
    """Answer 500 with nothing that could break again."""
    return show(request, plain(500))


def no_token(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer a form whose token does not belong to this session."""
    detail = _("The form was open for too long, or came from another site. Load the page again, then repeat it.")
    return show(request, Trouble(403, TITLES[403], detail))

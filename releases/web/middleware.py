"""Turn every error we know into a page or a part of one, and keep what is governed out of caches."""

import logging
from collections.abc import Callable
from contextlib import suppress

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

from releases.core.errors import GmudError
from releases.web import errors

log = logging.getLogger(__name__)

Again = Callable[..., HttpResponse]

_POLICY = "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"
_DOWN: tuple[type[DatabaseError] | type[InterfaceError], ...] = (OperationalError, InterfaceError)


class ErrorPages:
    """One place for all failures of the pages; the API has its own."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and mark every answer made for one person as not to be stored."""
        response = self.get_response(request)
        response.headers.setdefault("Permissions-Policy", _POLICY)
        if not request.path.startswith("/static/"):
            response.headers.setdefault("Cache-Control", "no-store")
        return response

    def process_view(self, request: HttpRequest, _view: object, _args: object, _kwargs: object) -> HttpResponse | None:
        """Refuse what no text of ours may contain, before it reaches a query."""
        if request.path.startswith("/api/"):
            return None
        given = [one for values in (request.GET, request.POST) for many in values.lists() for one in many[1]]
        if any("\x00" in one for one in (request.path, *given)):
            return errors.show(request, errors.plain(400))
        return None

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Answer an error of ours; a view may say how it shows itself again beside the notice (``again``)."""
        if request.path.startswith("/api/"):
            return None
        if isinstance(exception, _DOWN):
            log.error("the database does not answer", exc_info=exception)
            return errors.show(request, errors.plain(503))
        if not isinstance(exception, GmudError):
            return None
        match = request.resolver_match
        again: Again | None = getattr(match.func, "again", None) if match else None
        if match and again and hasattr(request, "actor"):
            with suppress(GmudError):  # what it would show again is not there: the notice stands alone
                return again(request, exception, **match.kwargs)
        return errors.show(request, errors.trouble_of(exception))

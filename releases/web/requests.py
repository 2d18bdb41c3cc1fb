"""Every request gets an id, one line in the log, and a place in the figures.

The id goes into the audit record (``Actor.request``), into what is posted for workers, into every log line and back to
the caller. A proxy's ``X-Request-ID`` is taken over when it is plain. The log names the path without its query:
queries carry codes and tokens.
"""

import time
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse

from releases.core import request_id, tracing
from releases.web.metrics import counted

HEADER = "X-Request-ID"
STATIC = "/static/"
_log = structlog.get_logger(__name__)


class Requests:
    """Stand around everything that answers people and machines; probes are answered before."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """Keep the next layer."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, count and log."""
        name = request_id.taken_over(request.headers.get(HEADER, ""))
        request.id = name  # type: ignore[attr-defined]  # read by ``actor_of``
        began = time.perf_counter()
        with request_id.bound(name), tracing.span(request.method or "", tracing.SpanKind.SERVER) as span:
            response = self.get_response(request)
            route = request.resolver_match.route if request.resolver_match else ""
            span.rename(f"{request.method} /{route}")
            span.tell({**_asked(request, route), "http.response.status_code": response.status_code})
            seconds = time.perf_counter() - began
            counted.count(request, response.status_code, seconds)
            if not request.path.startswith(STATIC):
                _log.info(
                    "request_finished",
                    method=request.method,
                    path=request.path,
                    status=response.status_code,
                    milliseconds=round(seconds * 1000),
                )
        response.headers[HEADER] = name
        return response


def _asked(request: HttpRequest, route: str) -> dict[str, str]:
    """Return what a span says of a request; the names are OpenTelemetry's."""
    return {"http.request.method": request.method or "", "http.route": f"/{route}", "url.path": request.path}

"""Who may scrape: callers from the operator's networks, loopback unless told otherwise, and tokens of that scope."""

import ipaddress
from collections.abc import Iterator
from datetime import datetime

from django.conf import settings
from django.db import Error
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, Metric, generate_latest

from releases.accounts.queries import can
from releases.accounts.rights import Right
from releases.accounts.services import use_token
from releases.web.metrics import counted, stored

# A proxy on this machine calls from loopback, too, in the name of somebody else.
FORWARDED = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-IP")
SCHEME = "bearer"


class _All:
    """Everything, as ``generate_latest`` collects it."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collect(self) -> Iterator[Metric]:
        yield from counted.collect()
        yield from stored.collect(self._now)


def scrape(request: HttpRequest, now: datetime) -> HttpResponse:
    """Answer with all figures, or refuse and say what is needed."""
    if not (_is_near(request) or _holds_a_token(request, now)):
        needed = "Call from GMUD_METRICS_NETWORKS, or with a token whose scope is metrics.read.\n"
        refused = HttpResponse(needed, status=401, content_type="text/plain; charset=utf-8")
        refused["WWW-Authenticate"] = 'Bearer realm="gmud"'
        return refused
    return HttpResponse(generate_latest(_All(now)), content_type=CONTENT_TYPE_LATEST)


def _is_near(request: HttpRequest) -> bool:
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    return any(address in ipaddress.ip_network(one) for one in settings.GMUD_METRICS_NETWORKS)


def _holds_a_token(request: HttpRequest, now: datetime) -> bool:
    scheme, _space, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != SCHEME:
        return False
    try:
        machine = use_token(token=token.strip(), now=now)
        return machine is not None and can(machine, Right.METRICS_READ)
    except Error:  # without the database nobody can say whose token it is
        return False

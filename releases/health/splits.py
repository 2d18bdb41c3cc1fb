"""Count requests: which share of them a version gets, as Prometheus says it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from releases.catalog import queries as catalog
from releases.catalog.cards import BindingCard, RouteCard
from releases.catalog.doors import door_for
from releases.catalog.kinds import Purpose
from releases.catalog.models import Environment, Service
from releases.core import clock
from releases.core.errors import External, Refused
from releases.health.prometheus.adapter import PrometheusProbe
from releases.health.services import split_question

Provide = Callable[[BindingCard], PrometheusProbe]


@dataclass(frozen=True, slots=True)
class Share:
    """Which share of the requests a version got, from 0 to 1, and who says so; ``None`` while nobody can."""

    share: float | None
    by: str


def probe_for(binding: BindingCard) -> PrometheusProbe:
    """Return what counts requests."""
    return PrometheusProbe(door_for(binding.connection))


def share_of(
    route: RouteCard, version: str, *, now: Callable[[], datetime] = clock.now, provide: Provide = probe_for
) -> Share | None:
    """Return which share of the requests to the service of a route a version gets; ``None`` where nobody counts them.

    Silence, a refused query and a value that is no share are no share.
    """
    binding = catalog.binding_for(route.service_id, route.environment_id, Purpose.HEALTH)
    if binding is None:
        return None
    service = Service.objects.values_list("name", flat=True).get(pk=route.service_id)
    environment = Environment.objects.values_list("name", flat=True).get(pk=route.environment_id)
    question = split_question(binding=binding, service=service, environment=environment, version=version)
    if question is None:
        return None
    try:
        probe = provide(binding)
        value = probe.measure(question, at=now()).value
        by = f"Prometheus {probe.version()}".rstrip()
    except (External, Refused):
        return Share(None, binding.connection.name)
    return Share(value if value is not None and 0 <= value <= 1 else None, by)

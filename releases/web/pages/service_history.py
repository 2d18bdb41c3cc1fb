"""The history of a service: what ran where, from when to when, by which change; and every deployment of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.catalog.models import Running
from releases.changes.models import ChangeRequest
from releases.changes.states import Outcome
from releases.core import clock
from releases.delivery import queries as delivery
from releases.web.answer import page
from releases.web.looks import Chip, Look
from releases.web.pages.deployments import rows_of
from releases.web.request import Request, signed_in
from releases.web.tags import took

MOST = 50
RUNS = Look("go", "✓", _("runs"))
TAKEN_BACK = Look("undo", "↶", _("taken back"))
REPLACED = Look("", "→", _("replaced"))


@dataclass(frozen=True, slots=True)
class Spell:
    """A version in one environment, from when to when, and how that ended."""

    environment: str
    version: str
    digest: str
    since_at: datetime
    until_at: datetime | None
    lasted: str
    look: Look
    change: str
    change_href: str


@require_GET
@signed_in
def service_history(request: Request, name: str) -> HttpResponse:
    """Show what ran of a service, and what was deployed; ``?environment=`` keeps one place."""
    require(request.actor, Right.CHANGE_READ)
    card, now = catalog.service_named(name), clock.now()
    environment = request.GET.get("environment", "")[:63]
    rows = Running.objects.filter(service_id=card.id).select_related("artifact", "environment")
    if environment:
        rows = rows.filter(environment__name=environment)
    found = delivery.page(delivery.Asked(service=name, environment=environment), now=now)
    context = {
        "name": name,
        "spells": tuple(_spells(rows.order_by("-since_at", "-pk")[:MOST], now)),
        "rows": rows_of(found.cards),
        "chips": tuple(_chips(name, environment)),
        "all_href": f"{reverse('deployments')}?{urlencode({'service': name})}",
    }
    return page(request, "catalog/history.html", context, here="catalog")


def _chips(name: str, environment: str) -> Iterable[Chip]:
    here = reverse("service-history", args=[name])
    yield Chip(_("All"), here, is_on=not environment)
    for one in catalog.environments():
        yield Chip(one.name, f"{here}?{urlencode({'environment': one.name})}", is_on=one.name == environment)


def _spells(rows: Iterable[Running], now: datetime) -> Iterable[Spell]:
    rows = tuple(rows)
    numbers = [row.change_number for row in rows if row.change_number]
    gone_back = ChangeRequest.objects.filter(number__in=numbers, outcome=Outcome.ROLLED_BACK)
    back = set(gone_back.values_list("number", flat=True))
    for row in rows:
        number = row.change_number
        ended = TAKEN_BACK if number in back else REPLACED
        yield Spell(
            environment=row.environment.name,
            version=row.artifact.version,
            digest=row.artifact.digest,
            since_at=row.since_at,
            until_at=row.ended_at,
            lasted=took((row.ended_at or now) - row.since_at),
            look=RUNS if row.ended_at is None else ended,
            change=f"CHG-{number}" if number else "",
            change_href=reverse("change", args=[number]) if number else "",
        )


urlpatterns = [path("catalog/<slug:name>/history", service_history, name="service-history")]

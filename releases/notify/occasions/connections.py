"""A connection's secret comes near its last day: tell whoever depends on it, before nothing works any more."""

from datetime import date, datetime, timedelta
from uuid import UUID

from releases.catalog import rules as catalog
from releases.catalog.models import Connection
from releases.notify import queries as notices
from releases.notify import services
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import people

STAGES = (timedelta(days=3), catalog.ENDS_SOON)  # told when it comes this near, and once more when it is over
TOPIC = Topic.CREDENTIAL_ENDS


def secrets_end(*, now: datetime) -> None:
    """Tell of secrets that end soon, once for each stage; take it back where a new one was put in."""
    today, ending = now.date(), {}
    for row in Connection.objects.order_by("name"):
        if reason := catalog.ending(row.name, row.config, today=today):
            ending[_case(row, today)] = (row, reason)
    for case in notices.open_cases(TOPIC):
        if case not in ending:
            services.withdraw(case=case, now=now)
    for case, (row, reason) in ending.items():
        about = _users(row)
        occasion = Occasion(TOPIC, case, reason, link=f"/settings/connections/{row.pk}", services=about)
        services.tell(occasion=occasion, people=people.of_services(TOPIC, about), now=now)


def _case(row: Connection, today: date) -> str:
    """Return the case of a secret that ends: its day, and the stage that was reached."""
    last = catalog.ends_on(row.config) or today
    stage = next((str(one.days) for one in STAGES if last - today <= one), "") if last >= today else "over"
    return f"credential:{row.pk}:{last.isoformat()}:{stage}"


def _users(row: Connection) -> frozenset[UUID]:
    bound = row.bindings.values_list("service_id", flat=True)
    return frozenset(bound) | frozenset(row.routes.values_list("service_id", flat=True))

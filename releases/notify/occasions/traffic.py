"""The traffic of a route is not as asked for: tell whoever can look, once, and take it back when it agrees again."""

from datetime import datetime
from uuid import UUID

from releases.core.errors import Missing, Sentence
from releases.core.words import mark as _
from releases.notify import services
from releases.notify.facts import Occasion
from releases.notify.kinds import Topic
from releases.notify.occasions import people
from releases.traffic import queries
from releases.traffic.rules import printed


def traffic_drifted(*, drift_id: UUID, now: datetime) -> None:
    """Tell on-call and the owners of the service, unless it is over by now."""
    try:
        drift = queries.drift(drift_id)
    except Missing:
        return
    if drift.ended_at is not None:
        return
    names = {"service": drift.service, "environment": drift.environment}
    text = _("Traffic of %(service)s in %(environment)s is %(found)s, but %(wanted)s was asked for.")
    reason = Sentence(text, {**names, "found": printed(drift.observed), "wanted": printed(drift.asked)})
    about = frozenset({drift.service_id})
    lines = tuple(line for line in (queries.who_did_it(drift), drift.consequence) if line)
    occasion = Occasion(Topic.DRIFT, _case(drift_id), reason, lines, f"/traffic/{drift.route_id}", about)
    services.tell(occasion=occasion, people=people.of_services(Topic.DRIFT, about), now=now)


def traffic_agrees(*, drift_id: UUID, now: datetime) -> None:
    """Take back what was told of a drift."""
    services.withdraw(case=_case(drift_id), now=now)


def _case(drift_id: UUID) -> str:
    return f"drift:{drift_id}"

"""Read the error budgets: one figure each, kept where the gate and the assessment find it."""

from collections.abc import Callable
from datetime import datetime, timedelta

import structlog

from releases.catalog import queries as catalog
from releases.catalog import services
from releases.catalog.cards import BindingCard
from releases.catalog.doors import door_for
from releases.core.errors import External, Refused, Unreachable
from releases.health.ports import Probe
from releases.health.prometheus.adapter import PrometheusProbe
from releases.health.services import question_for

EVERY = timedelta(seconds=60)
AT_MOST = timedelta(seconds=60)
_log = structlog.get_logger(__name__)
Provide = Callable[[BindingCard], Probe]


def probe_for(binding: BindingCard) -> Probe:
    """Return what answers for a budget; of several series the one with the least left counts."""
    return PrometheusProbe(door_for(binding.connection), worst=min)


def read_due(*, now: Callable[[], datetime], provide: Provide = probe_for) -> None:
    """Look at every budget that nobody looked at for a while, from those on that were read longest ago.

    What cannot be read stays as it was, and so grows old. A connection that does not answer is not asked again in this
    round, and a round that takes too long leaves the rest to the next, which begins one further on: those that never
    answer, which are the oldest, keep nobody else from a turn.
    """
    began, silent = now(), set[str]()
    due = [one for one in catalog.budgets() if one[2].seen_at is None or began - one[2].seen_at >= EVERY]
    first = int(began.timestamp() // EVERY.total_seconds()) % len(due) if due else 0
    for service, environment, budget in (*due[first:], *due[:first]):
        at, name = now(), budget.binding.connection.name
        if at - began >= AT_MOST:
            return
        if name in silent:
            continue
        try:
            question = question_for(binding=budget.binding, service=service, environment=environment, version="")
            measure = provide(budget.binding).measure(question, at=at)
        except (External, Refused) as error:
            if isinstance(error, Unreachable):
                silent.add(name)
            _log.warning("budget_not_read", service=service, environment=environment, why=str(error))
            continue
        if measure.value is None:
            _log.warning("budget_not_read", service=service, environment=environment, why=str(measure.why))
        else:
            services.note_budget(binding=budget.binding, left=measure.value, now=measure.seen_at)

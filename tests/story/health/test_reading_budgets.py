"""Error budgets are read on a schedule through the connection that is bound, and kept with their moment."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from django.conf import settings
from django.core.exceptions import ObjectDoesNotExist

from releases.catalog import services as catalog
from releases.catalog.cards import BindingCard
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import BudgetReading
from releases.catalog.queries import budgets_in
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.health import budgets
from releases.health.ports import Measure, Question
from releases.worker.tasks import budgets_due
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_budget, a_connection, a_service, an_environment
from tests.factories.delivery import Clock
from tests.factories.health import LABELS, a_mesh

pytestmark = pytest.mark.django_db(transaction=True)
LEFT = (
    f'1 - (sum(rate(istio_requests_total{{{LABELS},response_code=~"5.."}}[30d]))'
    f" / sum(rate(istio_requests_total{{{LABELS}}}[30d]))) / 0.05"
)


@dataclass
class Says:
    """A probe that says what it was told to say, and remembers what it was asked."""

    said: dict[str, object]
    asked: list[str] = field(default_factory=list)

    def __call__(self, binding: BindingCard) -> "Says":
        return self

    def measure(self, question: Question, *, at: datetime) -> Measure:
        self.asked.append(question.text)
        said = self.said[question.text]
        if isinstance(said, Exception):
            raise said
        why = None if said is not None else Sentence("Prometheus has no data for this query.")
        return Measure(said, at, "prometheus", why)


def bound(name, query, *, left=None, now=NOW, connection=None):
    """Return a service whose budget is read by this query."""
    service = a_service(name)
    row = a_budget(service, an_environment(), now=now)
    there = connection.pk if connection else row.connection_id
    catalog.rebind(actor=SETUP, binding_id=row.pk, connection_id=there, settings={"query": query}, now=now)
    if left is not None:
        BudgetReading.objects.create(binding=row, left=left, seen_at=now)
    return service


def read(probe, at=NOW):
    budgets.read_due(now=lambda: at, provide=probe)


def test_the_figure_of_a_real_query_is_kept_with_its_moment():
    with a_mesh() as mesh:
        connection = a_connection("figures", ConnectionKind.PROMETHEUS, origin=mesh.url, account="", secret=None)
        service = a_service("ledgerwriter")
        place = (service.pk, an_environment().pk)
        catalog.bind(
            actor=SETUP,
            service_id=place[0],
            environment_id=place[1],
            purpose=Purpose.BUDGET,
            connection_id=connection.pk,
            settings={"query": LEFT},
            now=NOW,
        )
        mesh.set(0)
        budgets_due()
        whole = budgets_in([place])[place]
        mesh.set(100)
        BudgetReading.objects.update(seen_at=NOW)
        budgets_due()

    assert whole.left == pytest.approx(0.96)
    spent = budgets_in([place])[place]
    assert spent.left == pytest.approx(-15)
    assert spent.seen_at > NOW


def test_of_several_series_the_one_with_the_least_left_counts():
    card = budgets_in([(bound("cart", "left").pk, an_environment().pk)]).popitem()[1]

    assert budgets.probe_for(card.binding).worst([0.9, -0.1, 0.4]) == -0.1


def a_turn_of(count):
    """Return a moment whose round begins with the first of so many."""
    return NOW - timedelta(minutes=int(NOW.timestamp() // 60) % count)


def test_what_was_just_read_is_left_alone_and_each_round_begins_one_further_on():
    bound("fresh", "fresh", left=1, now=a_turn_of(3) - budgets.EVERY + timedelta(microseconds=1))
    bound("older", "older", left=1, now=NOW - timedelta(hours=2))
    bound("old", "old", left=1, now=NOW - timedelta(hours=1))
    bound("never", "never")
    silent = Says(dict.fromkeys(("never", "older", "old"), Rejected(Sentence("No."), http_status=422)))

    for minute in range(3):
        read(silent, a_turn_of(3) - timedelta(minutes=3 - minute))
    assert silent.asked == ["never", "older", "old", "older", "old", "never", "old", "never", "older"]

    probe = Says({"never": 0.1, "older": 0.2, "old": 0.3})
    read(probe, a_turn_of(3))
    assert probe.asked == ["never", "older", "old"]


def test_connections_that_never_answer_keep_no_other_from_its_turn():
    clock, dead = Clock(NOW), [f"dead-{number}" for number in range(6)]
    for name in dead:
        there = a_connection(name, ConnectionKind.PROMETHEUS, origin="http://127.0.0.1:9", account="", secret=None)
        bound(name, name, connection=there)
    bound("whole", "whole", left=0.7, now=NOW - timedelta(hours=1))

    class Slow(Says):
        def measure(self, question, *, at):
            clock.now += budgets.AT_MOST / 6
            return super().measure(question, at=at)

    probe = Slow({"whole": 0.5, **dict.fromkeys(dead, Unreachable(Sentence("Nobody there.")))})
    for minute in range(7):
        clock.now = NOW + timedelta(minutes=minute)
        budgets.read_due(now=clock, provide=probe)

    assert "whole" in probe.asked
    assert BudgetReading.objects.get().left == 0.5


@pytest.mark.parametrize("answer", [Rejected(Sentence("No."), http_status=422, body=""), None], ids=["refused", "none"])
def test_what_cannot_be_read_stays_as_it_was_and_the_rest_is_read(answer):
    before = bound("before", "broken", left=0.7, now=NOW - timedelta(hours=1))
    bound("after", "whole", left=0.7, now=NOW - timedelta(minutes=30))

    read(Says({"broken": answer, "whole": 0.5}))

    kept = BudgetReading.objects.get(binding__service=before)
    assert (kept.left, kept.seen_at) == (0.7, NOW - timedelta(hours=1))
    assert BudgetReading.objects.exclude(binding__service=before).get().left == 0.5


def test_a_connection_that_does_not_answer_is_asked_once():
    for name in ("one", "two", "three"):
        bound(name, name)
    probe = Says(dict.fromkeys(("one", "two", "three"), Unreachable(Sentence("Nobody there."))))

    read(probe)

    assert len(probe.asked) == 1


def test_a_round_that_takes_too_long_leaves_the_rest_to_the_next():
    for name in ("one", "two", "three"):
        bound(name, name)
    moments = iter([NOW, NOW, NOW + budgets.AT_MOST])
    probe = Says(dict.fromkeys(("one", "two", "three"), 0.5))

    budgets.read_due(now=lambda: next(moments), provide=probe)

    assert len(probe.asked) == 1


def test_an_older_look_and_one_through_what_is_bound_no_more_change_nothing():
    service = bound("cart", "left", left=0.5)
    place = (service.pk, an_environment().pk)
    binding = budgets_in([place])[place].binding
    catalog.note_budget(binding=binding, left=0.9, now=NOW - timedelta(seconds=1))
    assert budgets_in([place])[place].left == 0.5

    row = BudgetReading.objects.get().binding
    catalog.rebind(actor=SETUP, binding_id=row.pk, connection_id=row.connection_id, settings={"query": "new"}, now=NOW)
    catalog.note_budget(binding=binding, left=0.9, now=NOW)
    with pytest.raises(ObjectDoesNotExist):
        BudgetReading.objects.get()


def test_the_clock_calls_for_it():
    every = settings.CELERY_BEAT_SCHEDULE["budgets_due"]

    assert every["task"] == "budgets_due"
    assert timedelta(seconds=every["schedule"]) <= budgets.EVERY

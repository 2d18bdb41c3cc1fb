"""Verdicts and watches through the real engine, against figures that follow the cluster."""

from uuid import uuid4

import pytest

from releases.audit import queries as audit
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.core.errors import Refused, Sentence
from releases.health import steps
from releases.health.models import Verdict
from releases.health.states import Health
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.delivery import Clock, begin, fault, run
from tests.factories.health import QUERY, a_mesh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
PROMETHEUS = (ConnectionKind.PROMETHEUS, {"query": QUERY, "limit": 0.05})
HTTP = (ConnectionKind.HTTP, {"url": "/health/production/ledgerwriter"})


@pytest.fixture
def mesh():
    with a_mesh() as found:
        yield found


@pytest.fixture
def clock():
    """Return the real time: the figures are remembered by it."""
    from releases.core.clock import now

    return Clock(now())


def bound(mesh, kind, settings):
    service, environment = a_service("ledgerwriter"), an_environment()
    connection = a_connection("", kind, origin=mesh.url, account="", secret=None)
    catalog.bind(
        actor=SETUP,
        service_id=service.pk,
        environment_id=environment.pk,
        purpose=Purpose.HEALTH,
        connection_id=connection.pk,
        settings=settings,
        now=NOW,
    )
    return catalog_queries.binding_for(service.pk, environment.pk, Purpose.HEALTH)


def judged(binding, clock, *, kind="verdict", seconds=20.0, looks=30):
    change = uuid4()
    step = steps.plan(
        binding=binding,
        kind=kind,
        service="ledgerwriter",
        environment="production",
        version="v0.6.11-bad",
        change_id=change,
        seconds=seconds,
        name=f"{kind} ledgerwriter",
        stage=1,
    )
    handlers = {"health.verdict": steps.VerdictStep(clock), "health.watch": steps.WatchStep(clock)}
    operation = run(begin([step], change, clock.now), handlers, clock, looks=looks)
    return operation, list(Verdict.objects.filter(change_id=change)), change


def test_a_good_canary_is_healthy_after_measures_in_a_row(mesh, clock):
    mesh.set(10, "v0.6.12")

    operation, (verdict,), change = judged(bound(mesh, *PROMETHEUS), clock)

    assert (operation.state, verdict.health) == ("succeeded", Health.HEALTHY)
    assert (verdict.service.name, verdict.environment.name, verdict.version) == (
        "ledgerwriter",
        "production",
        "v0.6.11-bad",
    )
    assert len(verdict.measures) == 3
    assert verdict.question["limit"] == 0.05
    (entry,) = audit.story(f"change:{change}")
    assert (entry.kind, entry.data["health"]) == ("verdict.given", "healthy")
    assert "state" not in entry.data


@pytest.mark.parametrize(
    ("how", "said"), [(PROMETHEUS, "% of requests failed, the limit is 5 %"), (HTTP, "in a row that it is ill")]
)
def test_a_bad_canary_is_unhealthy_and_the_step_fails_with_the_figure(mesh, clock, how, said):
    mesh.set(100)

    operation, (verdict,), _change = judged(bound(mesh, *how), clock)

    assert (operation.state, verdict.health) == ("failed", Health.UNHEALTHY)
    assert said in str(Sentence(**verdict.sentence))


def test_the_same_bad_version_without_traffic_harms_nobody(mesh, clock):
    mesh.set(0)

    operation, (verdict,), _change = judged(bound(mesh, *PROMETHEUS), clock)

    assert (operation.state, verdict.health) == ("succeeded", Health.HEALTHY)


def test_without_an_answer_it_is_never_healthy_and_in_the_end_a_human_is_asked(mesh, clock):
    mesh.set(0)
    fault(mesh.url, "500", times=10_000)

    operation, verdicts, _change = judged(bound(mesh, *PROMETHEUS), clock, looks=400)

    assert operation.state == "needs_human"
    assert verdicts == []


def test_one_lost_answer_only_begins_the_row_anew(mesh, clock):
    mesh.set(0)
    fault(mesh.url, "close_before")

    operation, (verdict,), _change = judged(bound(mesh, *PROMETHEUS), clock)

    assert operation.state == "succeeded"
    assert [one["value"] is None for one in verdict.measures] == [True, False, False, False]


def test_a_watch_lasts_and_ends_at_once_when_it_turns_bad(mesh, clock):
    mesh.set(100, "v0.6.12")
    binding = bound(mesh, *PROMETHEUS)
    operation, (verdict,), _change = judged(binding, clock, kind="watch", seconds=100)
    assert (operation.state, verdict.health, len(verdict.measures)) == ("succeeded", Health.HEALTHY, 11)

    mesh.set(100)
    operation, (verdict,), _change = judged(binding, clock, kind="watch", seconds=100)

    assert (operation.state, verdict.health, len(verdict.measures)) == ("failed", Health.UNHEALTHY, 2)


def test_a_long_watch_keeps_when_it_began(mesh, clock, monkeypatch):
    monkeypatch.setattr(steps, "KEPT", 5)
    mesh.set(0)

    operation, (verdict,), _change = judged(bound(mesh, *PROMETHEUS), clock, kind="watch", seconds=100)

    assert operation.state == "succeeded"
    assert len(verdict.measures) == 5


def test_a_query_that_is_refused_asks_a_human(mesh, clock):
    operation, verdicts, _change = judged(bound(mesh, ConnectionKind.PROMETHEUS, {"query": "up(", "limit": 1}), clock)

    assert (operation.state, verdicts) == ("needs_human", [])


def test_a_binding_that_its_connection_cannot_answer_is_refused(mesh, clock):
    binding = bound(mesh, ConnectionKind.HTTP, {"query": "up", "limit": 1})

    with pytest.raises(Refused) as caught:
        judged(binding, clock)

    assert [reason.code for reason in caught.value.reasons] == ["no_health_check"]


def test_a_version_cannot_break_out_of_the_query(mesh):
    binding = bound(mesh, ConnectionKind.PROMETHEUS, {"query": 'x{v="$version"}', "limit": 1})

    from releases.health import services

    question = services.question_for(binding=binding, service="a", environment="b", version='1"} or y{z="')

    assert question.text == 'x{v="1\\"} or y{z=\\""}'

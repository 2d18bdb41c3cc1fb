"""Whoever counts requests says which share of them a version gets; nobody who cannot say is believed."""

import pytest

from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.core.errors import Invalid
from releases.health.splits import Share, share_of
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.health import LABELS, QUERY, a_mesh

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
OF_ALL = f"sum(rate(istio_requests_total{{{LABELS}}}[1m]))"
OF_VERSION = f'sum(rate(istio_requests_total{{{LABELS},destination_version="$version"}}[1m]))'
SPLIT = f"{OF_VERSION} / {OF_ALL}"


def a_route(url, *, split, kind=ConnectionKind.PROMETHEUS):
    service, place = a_service("ledgerwriter"), an_environment()
    figures = a_connection("figures", kind, origin=url, account="", secret=None)
    catalog.bind(
        actor=SETUP,
        service_id=service.pk,
        environment_id=place.pk,
        purpose=Purpose.HEALTH,
        connection_id=figures.pk,
        settings={"query": QUERY, "limit": 0.05, "url": "/ready", **({"split": split} if split else {})},
        now=NOW,
    )
    row = catalog.register_route(
        actor=SETUP,
        service_id=service.pk,
        environment_id=place.pk,
        connection_id=a_connection("mesh", ConnectionKind.KUBERNETES, origin="https://mesh.example.com").pk,
        locator={"namespace": "bank-production", "name": "ledgerwriter", "route": "primary"},
        stable="stable",
        canary="canary",
        now=NOW,
    )
    return catalog_queries.route(row.pk)


def test_the_share_of_a_version_is_counted_and_who_counts_is_said_in_its_own_words():
    with a_mesh() as mesh:
        mesh.set(canary=10, version="v0.6.11")
        route = a_route(mesh.url, split=SPLIT)
        counted = share_of(route, "v0.6.11")
        assert (round(counted.share, 6), counted.by) == (0.1, "Prometheus 3.5.0 (the stand-in counts)")
        assert share_of(route, "v9").share is None


@pytest.mark.parametrize("query", [OF_ALL, "no query at all"])
def test_what_is_no_share_is_none(query):
    with a_mesh() as mesh:
        assert share_of(a_route(mesh.url, split=query), "v0.6.11").share is None


def test_silence_is_no_share():
    assert share_of(a_route("http://127.0.0.1:1", split=SPLIT), "v0.6.11") == Share(None, "figures")


@pytest.mark.parametrize(("split", "kind"), [("", ConnectionKind.PROMETHEUS), (SPLIT, ConnectionKind.HTTP)])
def test_without_a_query_or_a_prometheus_nobody_counts(split, kind):
    assert share_of(a_route("http://127.0.0.1:1", split=split, kind=kind), "v0.6.11") is None


def test_the_query_that_counts_is_a_text():
    with pytest.raises(Invalid) as refused:
        a_route("http://127.0.0.1:1", split=["x"])
    assert "is a text" in str(refused.value)

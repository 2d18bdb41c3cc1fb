"""Routes are looked at by the clock: each connection for itself, none of them for long, and what was seen thins out."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import UUID

import pytest

from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.core.errors import Sentence, Unreachable
from releases.traffic import queries, services
from releases.traffic.facts import Seen
from releases.traffic.models import Drift, Observation
from releases.traffic.ports import Reading, Target, Version, Writer
from releases.traffic.services import looking
from releases.worker import tasks
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.drifts import seen, shifted

pytestmark = pytest.mark.django_db(transaction=True)
SPLIT = {"stable": 90, "canary": 10}
EVERY = timedelta(seconds=60)


@dataclass
class Says:
    """A control plane per connection that says what it was told to; remembers who was asked, and in which thread."""

    said: dict[str, object] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    threads: set[int] = field(default_factory=set)
    name: str = ""

    def __call__(self, route, *, urgent=False):
        return Says(self.said, self.asked, self.threads, route.connection.name)

    def read(self, ref):
        self.asked.append(ref.name)
        self.threads.add(threading.get_ident())
        answer = self.said.get(self.name)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            answer()
        version = Version("7", "uid", 1, "sha256:0", SPLIT)
        targets = tuple(Target(name, name, weight) for name, weight in SPLIT.items())
        return Reading(targets, version, ("host",), writer=Writer("gmud", NOW))


def a_split(name, connection="cluster", *, kind=ConnectionKind.KUBERNETES):
    """Register a route of a service of its own."""
    there = Connection.objects.filter(name=connection).first()
    there = there or a_connection(connection, kind, origin=f"https://{connection}.example.com", now=NOW)
    place = {"service_id": a_service(name).pk, "environment_id": an_environment().pk}
    locator = {"namespace": "bank", "name": name}
    parts = {"connection_id": there.pk, "locator": locator, "stable": "stable", "canary": "canary", "now": NOW}
    return catalog.register_route(actor=SETUP, **place, **parts)


def read(provider, at=NOW):
    services.read_due(now=at, provide=provider)


def test_every_route_is_read_and_kept_with_its_moment_and_its_cause():
    route = a_split("cart")
    read(Says())

    card = queries.last_seen()[route.pk]
    assert (card.weights, card.revision, card.writer, card.seen_by) == (SPLIT, "7", "gmud", "clock")
    assert NOW <= card.seen_at <= NOW + looking.ROUND


def test_what_was_just_seen_is_left_alone_and_what_is_oldest_comes_first():
    names = ("fresh", "older", "old", "never")
    ages = dict(zip(names, (0.7 * EVERY, timedelta(hours=2), timedelta(hours=1)), strict=False))
    for name in names:
        route = a_split(name)
        if name in ages:
            seen(route.pk, Seen(SPLIT), NOW - ages[name])
    provider = Says()

    read(provider)

    assert provider.asked == ["never", "older", "old"]


def test_not_every_route_has_its_turn_at_the_same_moment():
    turns = [looking._is_due(NOW, UUID(int=number), NOW + EVERY) for number in range(20)]

    assert set(turns) == {True, False}


def test_a_dead_control_plane_costs_only_its_own_routes_their_turn():
    for name in ("one", "two", "three"):
        a_split(name, "dead")
    alive = a_split("alive", "well")
    hangs, answered = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        assert answered.wait(5), "the other connection had to wait for this one"

    def answer():
        assert hangs.wait(5)
        answered.set()

    provider = Says({"dead": hang, "well": answer})

    read(provider)

    assert len(provider.threads) == 2
    assert alive.pk in queries.last_seen()


def test_a_connection_that_does_not_answer_is_asked_once_and_the_reason_is_kept():
    routes = [a_split(name, "dead") for name in ("one", "two")]
    provider = Says({"dead": Unreachable(Sentence("Nobody there."))})

    read(provider)

    assert len(provider.asked) == 1
    (card,) = [one for pk, one in queries.last_seen().items() if pk in {route.pk for route in routes}]
    assert str(card.why) == "Nobody there."


def test_connections_that_were_silent_wait_behind_the_others_and_take_turns(monkeypatch):
    names = ("dead-1", "dead-2", "dead-3")
    for name in names:
        for route in ("a", "b"):
            a_split(f"{name}-{route}", name)
    a_split("well-a", "well")
    provider, rounds = Says(dict.fromkeys(names, Unreachable(Sentence("Nobody there.")))), []

    def half_a_round_each(now):
        before = len(provider.asked)
        return lambda: now + (len(provider.asked) - before) * looking.ROUND / 2

    monkeypatch.setattr(looking, "AT_ONCE", 1)
    monkeypatch.setattr(looking, "_elapsed_since", half_a_round_each)
    for turn in range(5):
        provider.asked.clear()
        read(provider, NOW + 2 * turn * EVERY)
        rounds.append({name[:-2] for name in provider.asked})

    one, two = rounds[0] - {"well"}, rounds[1] - {"well"}
    assert "well" in rounds[0] | rounds[1]
    assert all("well" in each for each in rounds[2:])
    assert one | two == set(names)
    assert set.union(*rounds[2:]) == {"well", *names}, "each of the silent has its turn"


def test_a_round_that_takes_too_long_leaves_the_rest_to_the_next(monkeypatch):
    for name in ("one", "two", "three"):
        a_split(name)
    monkeypatch.setattr(looking, "ROUND", timedelta(microseconds=1))
    provider = Says()

    read(provider)

    assert provider.asked == []


def test_a_drift_is_found_by_the_clock():
    route = a_split("cart")
    shifted(route.pk, {"stable": 50, "canary": 50}, NOW - timedelta(hours=1))

    read(Says())

    assert Drift.objects.get().observed == SPLIT


def test_the_same_seen_again_is_one_span_and_anything_new_begins_another():
    route = a_split("cart")
    looks = [
        (0, Seen(SPLIT, "1"), "clock"),
        (60, Seen(SPLIT, "2"), "clock"),  # only the revision moved
        (90, Seen(SPLIT, "2"), "Ana"),
        (120, Seen(SPLIT, "2", writer="helm"), "clock"),
        (180, Seen(SPLIT, "2", writer="helm"), "clock"),
        (500, Seen(SPLIT, "2", writer="helm"), "clock"),  # nobody looked in between
        (560, Seen(why=Sentence("Gone.")), "clock"),
    ]
    for seconds, look, by in looks:
        seen(route.pk, look, NOW + timedelta(seconds=seconds), by=by)

    spans = [(one.seen_by, one.writer, one.looks, one.revision) for one in reversed(queries.observations(route.pk))]
    assert spans == [
        ("clock", "", 2, "2"),
        ("Ana", "", 1, "2"),
        ("clock", "helm", 2, "2"),
        ("clock", "helm", 1, "2"),
        ("clock", "", 1, ""),
    ]


def test_what_was_seen_long_ago_is_forgotten_but_not_what_was_seen_last(settings):
    cart, old = a_split("cart"), a_split("old")
    long_ago = timedelta(days=settings.GMUD_READINGS_DAYS, seconds=1)
    for route in (cart, old):
        seen(route.pk, Seen({"stable": 100, "canary": 0}), NOW - 2 * long_ago)
        seen(route.pk, Seen(SPLIT), NOW - long_ago)
    seen(cart.pk, Seen(SPLIT), NOW)

    services.forget(now=NOW)

    kept = Counter(Observation.objects.values_list("route__service__name", flat=True))
    assert kept == {"cart": 1, "old": 1}
    assert queries.last_seen()[old.pk].weights == SPLIT


def test_of_one_route_only_so_much_is_kept(monkeypatch):
    route = a_split("cart")
    monkeypatch.setattr(looking, "MOST_KEPT", 3)
    for minute in range(6):
        seen(route.pk, Seen({"stable": 100 - minute, "canary": minute}), NOW + timedelta(minutes=minute))

    services.forget(now=NOW + timedelta(hours=1))

    assert sorted(one.weights["canary"] for one in queries.observations(route.pk)) == [3, 4, 5]


def test_the_clock_calls_for_it(settings):
    beat = settings.CELERY_BEAT_SCHEDULE
    for name in ("readings_due", "readings_thin"):
        assert beat[name]["task"] == getattr(tasks, name).name
    assert beat["readings_due"]["schedule"] < settings.GMUD_READ_TRAFFIC_SECONDS

    tasks.readings_due()
    tasks.readings_thin()

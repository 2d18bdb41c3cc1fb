"""Workers and people at the same moment: told once, sent once, taken once."""

from datetime import timedelta
from functools import partial

import pytest

from gmud.sandbox.server import running
from releases.accounts.models import Grant
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.core import breaker
from releases.notify import services
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Channel, Notice, Subscription
from tests.factories.accounts import a_person, actor_of
from tests.factories.notify import Listener, a_channel, an_occasion, states
from tests.factories.races import at_once
from tests.fault.harness import database

ROUNDS = 8


@pytest.fixture(scope="module", autouse=True)
def _house(tmp_path_factory, django_db_setup, django_db_blocker):
    with django_db_blocker.unblock(), database(tmp_path_factory.mktemp("house")):
        yield


@pytest.fixture(autouse=True)
def _alone(settings, tmp_path):
    settings.GMUD_KEYS = str(tmp_path)
    breaker._breakers.clear()
    Notice.objects.filter(follows__isnull=False).delete()
    Notice.objects.all().delete()
    Subscription.objects.all().delete()
    Channel.objects.all().delete()
    Grant.objects.all().delete()


def well(results) -> list:
    assert not [one for one in results if isinstance(one, Exception)], results
    return results


def test_two_workers_that_tell_the_same_tell_it_once(now):
    people = [a_person(f"Person {number}") for number in range(3)]
    for _ in range(ROUNDS):
        tell = partial(
            services.tell,
            occasion=an_occasion(Topic.VOTE_NEEDED),
            people=[one.pk for one in people],
            now=now,
            again=True,
        )
        counts = well(at_once([tell] * 4))
        assert sum(counts) == 3
    assert Notice.objects.count() == 3 * ROUNDS


def test_two_workers_send_each_letter_once(now):
    listener = Listener()
    with running(listener) as origin:
        for _ in range(3):
            a_channel(ChannelKind.WEBHOOK, Topic.NEEDS_HUMAN, origin=origin)
        for _ in range(ROUNDS):
            occasion = an_occasion(Topic.NEEDS_HUMAN)
            services.tell(occasion=occasion, people=[], now=now)
            well(at_once([partial(services.send_due, now=lambda: now)] * 4))
            services.send_due(now=lambda: now)
            assert states(occasion.case) == ["sent"] * 3
    ids = [call.headers["webhook-id"] for call in listener.heard]
    assert len(ids) == len(set(ids)) == 3 * ROUNDS


def test_a_letter_that_is_settled_while_it_is_sent_is_never_lost_track_of(now):
    listener = Listener()
    with running(listener) as origin:
        a_channel(ChannelKind.WEBHOOK, Topic.VOTE_NEEDED, origin=origin)
        for _ in range(ROUNDS):
            occasion = an_occasion(Topic.VOTE_NEEDED)
            services.tell(occasion=occasion, people=[], now=now)
            withdraw = partial(services.withdraw, case=occasion.case, now=now)
            well(at_once([withdraw, partial(services.send_due, now=lambda: now)]))
            services.send_due(now=lambda: now)
            heard = [body for body in listener.bodies() if body["data"]["case"] == occasion.case]
            told = [body["type"] for body in heard]
            assert told in ([], ["notice.told", "notice.settled"])


def test_a_page_is_taken_by_one_and_climbs_no_further(now):
    on_call = [a_person(f"On call {number}", Role.ON_CALL) for number in range(3)]
    a_person("Manager", Role.RELEASE_MANAGER)
    for _ in range(ROUNDS):
        occasion = an_occasion(Topic.NEEDS_HUMAN)
        services.tell(occasion=occasion, people=[one.pk for one in on_call], now=now)
        notices = list(Notice.objects.of_case(occasion.case))
        late = now + timedelta(hours=1)
        take = [
            partial(services.acknowledge, notice_id=row.pk, actor=actor_of(one), now=late)
            for row, one in zip(notices, on_call, strict=True)
        ]
        well(at_once([*take, partial(services.escalate, now=late)]))
        services.escalate(now=late + timedelta(hours=1))
        kinds = [entry.kind for entry in audit.story(f"notice:{occasion.case}")]
        assert kinds.count("notice.acknowledged") == 1
        takers = set(Notice.objects.of_case(occasion.case).exclude(acknowledged_by="").values_list("acknowledged_by"))
        assert len(takers) == 1
        assert not Notice.objects.of_case(occasion.case).filter(acknowledged_at=None).exists()

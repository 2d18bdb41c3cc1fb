"""Pages: who is called, who takes it, and who is called when nobody does."""

from datetime import timedelta

import pytest

from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.accounts.services import use_token
from releases.audit import queries as audit
from releases.core.errors import Missing, NotPermitted, Refused
from releases.core.ids import uuid7
from releases.notify import queries, services
from releases.notify.kinds import ChannelKind, Topic
from releases.notify.models import Notice
from tests.factories.accounts import a_person, a_token, actor_of
from tests.factories.notify import a_channel, an_occasion, states, told

pytestmark = pytest.mark.django_db


@pytest.fixture
def people():
    """Return who is on call, who manages releases, who owns the house."""
    return (
        a_person("Davi Nunes", Role.ON_CALL),
        a_person("Marta Sá", Role.RELEASE_MANAGER),
        a_person("Olga Braga", Role.OWNER),
    )


def called(case: str) -> list[str]:
    rows = Notice.objects.of_case(case).asked().filter(person__isnull=False).order_by("told_at", "pk")
    return list(rows.values_list("person__name", flat=True))


def page(*whom, **facts) -> str:
    return told(*whom, topic=Topic.NEEDS_HUMAN, **facts)


def first(case: str) -> Notice:
    return Notice.objects.of_case(case).order_by("told_at", "pk")[0]


def test_a_page_nobody_takes_climbs_rung_by_rung_and_stays_on_the_last(people, clock):
    case = page(people[0])
    steps = []
    for _turn in range(8):
        services.escalate(now=clock())
        steps.append(len(called(case)))
        clock.tick(minutes=5)

    assert steps == [1, 1, 2, 2, 3, 3, 3, 3]
    assert called(case) == ["Davi Nunes", "Marta Sá", "Olga Braga"]
    kinds = [entry.kind for entry in audit.story(f"notice:{case}")]
    assert kinds == ["notice.escalated", "notice.escalated"]


def test_it_says_the_same_on_every_rung_and_channels_hear_it_once(people, clock, mailbox):
    a_channel(ChannelKind.WEBHOOK, Topic.NEEDS_HUMAN)
    case = page(people[0])

    services.escalate(now=clock.tick(minutes=10))

    rows = Notice.objects.of_case(case)
    assert rows.filter(channel__isnull=False).count() == 1
    assert len({str((row.reason, row.lines, row.link)) for row in rows}) == 1


def test_how_long_a_rung_has_is_a_setting(people, clock, settings):
    settings.GMUD_ESCALATE_SECONDS = 60.0
    case = page(people[0])

    services.escalate(now=clock.tick(seconds=59))
    assert len(called(case)) == 1
    services.escalate(now=clock.tick(seconds=1))
    assert len(called(case)) == 2


def test_whoever_takes_it_stops_the_climb_and_what_was_not_sent_is_dropped(people, clock, mailbox):
    case = page(*people[:2])

    services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[0]), now=clock())
    services.send_due(now=clock)
    services.escalate(now=clock.tick(hours=1))

    assert states(case) == ["acknowledged", "acknowledged"]
    assert mailbox.mails() == []
    assert set(Notice.objects.of_case(case).values_list("acknowledged_by", flat=True)) == {"Davi Nunes"}
    assert queries.open_pages() == []
    assert [entry.kind for entry in audit.story(f"notice:{case}")] == ["notice.acknowledged"]


def test_taking_it_twice_changes_nothing(people, clock):
    case = page(*people[:2])
    services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[0]), now=clock())

    again = services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[1]), now=clock.tick(minutes=1))

    assert again.acknowledged_by == "Davi Nunes"
    assert len(audit.story(f"notice:{case}")) == 1


def test_who_was_not_called_may_not_take_it_unless_they_could_go_back(people, clock):
    case = page(people[2])
    bystander = a_person("Ana Reis", Role.ENGINEER)

    with pytest.raises(NotPermitted):
        services.acknowledge(notice_id=first(case).pk, actor=actor_of(bystander), now=clock())
    services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[0]), now=clock())


def test_the_called_owner_may_take_it_without_any_right_to_go_back(people, clock):
    case = page(people[2])

    services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[2]), now=clock())

    assert states(case) == ["acknowledged"]


def test_a_machine_takes_it_only_with_the_right_to_go_back(people, clock):
    case = page(people[0])
    reader, bot = (
        use_token(token=a_token(right)[1], now=clock()) for right in (Right.CHANGE_READ, Right.ROLLBACK_BEGIN)
    )

    with pytest.raises(NotPermitted):
        services.acknowledge(notice_id=first(case).pk, actor=reader, now=clock())
    taken = services.acknowledge(notice_id=first(case).pk, actor=bot, now=clock())

    assert taken.acknowledged_by == "Owner of tokens"


def test_only_an_open_page_can_be_taken(people, clock):
    calm, settled = told(people[0]), page(people[0])
    services.withdraw(case=settled, now=clock())

    for case in (calm, settled):
        with pytest.raises(Refused):
            services.acknowledge(notice_id=first(case).pk, actor=actor_of(people[0]), now=clock())
    with pytest.raises(Missing):
        services.acknowledge(notice_id=uuid7(), actor=actor_of(people[0]), now=clock())


def test_a_page_for_nobody_begins_where_somebody_stands(clock):
    owner = a_person("Olga Braga", Role.OWNER)

    case = page()

    assert called(case) == [owner.name]
    assert first(case).rung == 2


def test_a_rung_without_anybody_is_passed(clock):
    on_call, owner = a_person("Davi Nunes", Role.ON_CALL), a_person("Olga Braga", Role.OWNER)
    case = page(on_call)

    services.escalate(now=clock.tick(minutes=10))

    assert called(case) == [on_call.name, owner.name]


def test_a_page_that_reaches_nobody_climbs_at_once(people, clock, mailbox):
    mailbox.answer(f"{people[0].email} 550 no such user", to="rcpt")
    case = page(people[0])

    services.send_due(now=clock)

    assert called(case) == ["Davi Nunes", "Marta Sá"]
    assert [mail["To"] for mail in mailbox.mails() if "happened" in mail["Subject"]] == [people[1].email]


def test_a_page_that_is_settled_climbs_no_further(people, clock):
    case = page(people[0])
    services.withdraw(case=case, now=clock())

    services.escalate(now=clock.tick(hours=1))

    assert called(case) == ["Davi Nunes"]


def test_the_open_pages_of_one_are_those_they_were_called_for(people, clock):
    mine, theirs = page(people[0]), page(people[1])
    services.escalate(now=clock.tick(minutes=10))

    assert [one.card.case for one in queries.open_pages(person_id=people[0].pk)] == [mine]
    assert {one.card.case for one in queries.open_pages()} == {mine, theirs}
    [only] = queries.open_pages(person_id=people[0].pk)
    assert only.called == ("Davi Nunes", "Marta Sá")
    assert only.card.waits


def test_told_twice_it_calls_once(people, clock):
    occasion = an_occasion(Topic.NEEDS_HUMAN)

    counts = [services.tell(occasion=occasion, people=[people[0].pk], now=clock()) for _twice in range(2)]

    assert counts == [1, 0]
    assert timedelta(0) == first(occasion.case).due_at - clock()

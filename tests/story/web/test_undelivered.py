"""What was given up is shown to those who may have it tried again, and to nobody else."""

import pytest

from releases.audit import queries as audit
from releases.changes.states import State
from releases.core.ids import uuid7
from releases.operations import services as operations
from releases.operations.models import OutboxMessage
from releases.operations.rules import DELIVERIES
from releases.web.pages import undelivered
from releases.worker.reactions import REACTIONS
from tests.factories.changes import a_change


def revoke_permits(_message):
    raise ConnectionError("the witness is away")


def given_up(now, *, kind, ref, data=None, reaction=revoke_permits):
    """Return a message whose reaction failed as often as it may."""
    message = operations.post(kind=kind, ref=ref, data=data, now=now)
    for _try in range(DELIVERIES):
        OutboxMessage.objects.filter(pk=message.pk).update(available_at=now)
        operations.deliver(message_id=message.pk, worker="w", reactions={kind: [reaction]}, now=lambda: now)
    return message


@pytest.fixture
def stuck(house, now):
    change = a_change(house, at=State.SCHEDULED)
    return change, given_up(now, kind="change.withdraw", ref=change.pk)


def test_who_may_act_reads_what_was_not_done_since_when_and_why(house, stuck, browse):
    change, message = stuck
    text = browse(house.on_call).get("/").content.decode()

    assert "1 message was not delivered" in text
    assert f"Open permits of {change.name} were not revoked." in text
    assert "ConnectionError(&#x27;the witness is away" in text
    assert f'action="/today/messages/{message.pk}/again"' in text


def test_others_read_nothing_of_it_and_may_not_press(house, stuck, browse):
    _change, message = stuck
    browser = browse(house.engineer)

    assert "not delivered" not in browser.get("/").content.decode()
    assert browser.post(f"/today/messages/{message.pk}/again").status_code == 403
    assert OutboxMessage.objects.get(pk=message.pk).dead_at is not None


def test_one_press_sends_it_on_its_way_again_and_the_record_says_who(house, stuck, browse, now):
    _change, message = stuck
    browser = browse(house.on_call)

    text = browser.post(f"/today/messages/{message.pk}/again", follow=True).content.decode()

    assert "It is on its way again." in text
    assert "not delivered" not in text
    row = OutboxMessage.objects.get(pk=message.pk)
    assert (row.dead_at, row.attempts, row.done_at) == (None, 0, None)
    last = audit.story(f"message:{message.pk}")[-1]
    assert (last.kind, last.actor_name) == ("message.requeued", "Davi Nunes")
    heard = []
    operations.deliver(
        message_id=row.pk, worker="w", reactions={row.kind: [heard.append]}, now=lambda: row.available_at
    )
    assert [one.ref for one in heard] == [message.ref]


def test_what_is_on_its_way_already_is_not_sent_twice(house, stuck, browse):
    _change, message = stuck
    browser = browse(house.on_call)
    browser.post(f"/today/messages/{message.pk}/again")

    answer = browser.post(f"/today/messages/{message.pk}/again")

    assert answer.status_code == 409
    assert "This was sent on its way again meanwhile." in answer.content.decode()
    assert browser.post(f"/today/messages/{uuid7()}/again").status_code == 404


def test_each_reaction_that_failed_is_told_with_what_it_means():
    names = {reaction.__name__ for reactions in REACTIONS.values() for reaction in reactions}
    own = {name for name in names if not name.startswith(undelivered.TELLING)} - {"send_notices"}

    assert own <= set(undelivered.WORDS) <= names


def test_what_nobody_has_a_word_for_is_told_by_its_kind(house, browse, now):
    def unheard_of(_message):
        raise ValueError("no")

    given_up(now, kind="test.unheard_of", ref=uuid7(), reaction=unheard_of)

    text = browse(house.on_call).get("/?part=undelivered").content.decode()

    assert "Nobody heard that this happened: test.unheard_of." in text

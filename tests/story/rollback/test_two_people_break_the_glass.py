"""While the record contradicts its witness, going back takes two people; what is under way goes on."""

from datetime import timedelta
from pathlib import Path

import pytest

from releases.accounts import services as accounts
from releases.accounts.rights import Right
from releases.audit import queries as audit_queries
from releases.audit import services as audit
from releases.changes.states import State
from releases.core import clock
from releases.core.errors import NotPermitted, Refused
from releases.operations.models import OutboxMessage
from releases.rollback import services
from releases.rollback.models import Rollback
from releases.rollback.services import SecondPersonNeeded
from tests.factories.accounts import a_token
from tests.factories.rollback import go_back
from tests.factories.rollout import an_engineer_on_call, scheduled, told

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WHY = "INC-4711: bookings are late."


@pytest.fixture
def witness(settings, tmp_path: Path) -> Path:
    settings.GMUD_WITNESS_FILE = str(tmp_path / "elsewhere" / "checkpoints.jsonl")
    return Path(settings.GMUD_WITNESS_FILE)


@pytest.fixture
def released(bank, witness, settings):
    """Return a release that is watched for long, whose record contradicts its witness from now on."""
    settings.GMUD_WATCH_SECONDS = 7200.0
    change = bank.released()
    contradict(witness)
    return change


def contradict(witness: Path) -> None:
    audit.seal()
    witness.write_text(witness.read_text().replace('"root": "', '"root": "ab'))
    assert audit_queries.contradiction() is not None


def begin(change, actor, *, reason: str = WHY, now=None):
    return services.begin(change_id=change.pk, actor=actor, reason=reason, now=now or clock.now())


def codes(error) -> list[str]:
    return [str(reason.code) for reason in error.value.reasons]


def test_the_first_is_asked_to_find_a_second_and_with_the_second_everything_goes_back(bank, released):
    iara = an_engineer_on_call()

    with pytest.raises(SecondPersonNeeded) as refused:
        begin(released, bank.on_call)
    assert codes(refused) == ["second_person_needed"]
    assert not Rollback.objects.exists()
    assert told(released)[-1] == "rollback.asked"
    assert OutboxMessage.objects.filter(kind="rollback.asked", ref=released.pk).exists()

    begin(released, iara, reason="")
    bank.until_state(released, "reviewing")

    assert (bank.weights(), bank.running()) == ({"stable": 100, "canary": 0}, "v0.6.10")
    begun = next(one for one in audit_queries.story(released.stream) if one.kind == "rollback.begun")
    assert (begun.actor_id, begun.data["first"]) == (iara.id, bank.on_call.id)


def test_one_person_is_never_two_and_the_first_wish_ends_after_a_quarter_of_an_hour(bank, released):
    iara, now = an_engineer_on_call(), clock.now()

    for _click in range(2):
        with pytest.raises(SecondPersonNeeded):
            begin(released, bank.on_call, now=now)
    late = now + timedelta(minutes=15)
    with pytest.raises(SecondPersonNeeded):
        begin(released, iara, now=late)

    begin(released, bank.on_call, now=late + timedelta(minutes=15, microseconds=-1))
    assert Rollback.objects.get().begun_by == bank.on_call.name


def test_the_first_says_why(bank, released):
    with pytest.raises(Refused) as refused:
        begin(released, bank.on_call, reason=" ")

    assert codes(refused) == ["reason_missing"]
    assert "rollback.asked" not in told(released)


def test_neither_a_machine_nor_somebody_without_the_right_is_one_of_the_two(bank, released):
    _client, plaintext = a_token(Right.ROLLBACK_BEGIN, now=clock.now())
    machine = accounts.use_token(token=plaintext, now=clock.now())

    with pytest.raises(NotPermitted) as refused:
        begin(released, machine)
    assert codes(refused) == ["machine"]
    with pytest.raises(NotPermitted):
        begin(released, bank.house.actor("engineer"))
    assert "rollback.asked" not in told(released)


def test_nobody_is_asked_for_help_in_vain(bank, witness):
    change = scheduled(bank.house)
    contradict(witness)

    with pytest.raises(Refused) as refused:
        begin(change, bank.on_call)

    assert codes(refused) == ["wrong_state"]


def test_a_rollback_that_is_under_way_goes_on_and_a_second_click_joins_it(bank, witness):
    change = bank.released()
    first = go_back(bank, change)
    contradict(witness)

    assert begin(change, bank.on_call).operation == first.operation
    bank.until_state(change, State.REVIEWING)

    assert bank.running() == "v0.6.10"

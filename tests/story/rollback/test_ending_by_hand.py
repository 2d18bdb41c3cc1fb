"""A rollback that does not end by itself ends on the word of a person, who says why and what shows it."""

import pytest

from releases.accounts.rights import Right
from releases.accounts.services import use_token
from releases.audit import queries as audit
from releases.catalog.kinds import ConnectionKind
from releases.catalog.models import Connection
from releases.changes import queries as changes
from releases.changes import services as changes_services
from releases.changes.states import Outcome
from releases.core import clock
from releases.core.errors import Invalid, NotPermitted, Refused
from releases.delivery.models import Deployment
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.operations.models import Operation
from releases.rollback import services
from releases.rollback.models import Rollback
from releases.rollback.states import ByHand
from tests.factories.accounts import a_token
from tests.factories.delivery import control, fault
from tests.factories.rollback import go_back
from tests.factories.rollout import told, unsound

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]
WHY = {"reason": "The figures of the old version never fit.", "evidence": "https://wiki.example/incident-7"}
HOME = {"stable": 100, "canary": 0}


def by_hand(bank, change, how=ByHand.BACK, actor=None, **given):
    said = {**WHY, **given}
    return services.end_by_hand(change_id=change.pk, how=how, actor=actor or bank.on_call, now=clock.now(), **said)


@pytest.fixture
def failed(bank):
    """Return a change whose rollback can never verify: the figures of the old version are bad."""
    change = bank.released()
    bank.prometheus.rates.bad["ledgerwriter", "v0.6.10"] = 0.5
    go_back(bank, change)
    bank.until_operation(change, "failed")
    change.refresh_from_db()
    return change


def test_what_was_brought_back_by_hand_counts_as_rolled_back_and_its_artifact_is_refused(bank, failed):
    row = by_hand(bank, failed)
    bank.rest()

    failed.refresh_from_db()
    item = failed.items.get()
    assert (failed.state, failed.outcome, bank.running()) == ("reviewing", "rolled_back", "v0.6.10")
    assert (row.outcome, row.ended_at is not None) == ("back_by_hand", True)
    assert item.artifact.is_quarantined
    with pytest.raises(Refused) as again:
        go_back(bank, failed)
    assert again.value.code == "already_rolled_back"


def test_the_story_names_the_person_the_reason_the_evidence_and_what_the_mesh_said(bank, failed):
    by_hand(bank, failed)

    [event] = [entry for entry in audit.story(failed.stream) if entry.kind == "change.back_by_hand"]
    assert event.actor_name == bank.on_call.name
    assert event.text == WHY
    assert event.data["seen"] == [{"service": "ledgerwriter", "approved": HOME, "weights": HOME}]
    assert (event.data["from"], event.data["state"]) == ("rolling_back", "reviewing")
    told_states = {stream: data["state"] for stream, data in audit.states_from_events().items()}
    assert dict(changes.states()).items() <= told_states.items()
    assert unsound() == []


def test_what_stays_on_the_new_version_counts_as_failed_and_is_not_refused(bank, failed):
    by_hand(bank, failed, ByHand.STAY)
    bank.rest()

    failed.refresh_from_db()
    assert (failed.state, failed.outcome, bank.running()) == ("reviewing", "failed", "v1.5.0")
    assert not failed.items.get().artifact.is_quarantined
    assert told(failed).count("change.stayed") == 1
    with pytest.raises(Refused) as again:
        go_back(bank, failed)
    assert again.value.reasons[0].code == "wrong_state"
    changes_services.close(
        change_id=failed.pk, actor=bank.releaser, outcome=Outcome.SUCCESSFUL, summary="It stayed.", now=clock.now()
    )
    failed.refresh_from_db()
    assert failed.outcome == "failed"


@pytest.mark.parametrize("how", list(ByHand))
def test_nobody_is_called_any_longer_once_a_person_has_ended_it(bank, failed, how):
    pages = Notice.objects.filter(topic=Topic.ROLLBACK_FAILED, settled_at=None)
    assert pages.exists()

    by_hand(bank, failed, how)
    bank.rest()

    assert not pages.exists()


def test_work_that_waits_for_a_person_is_let_go_and_called_off(bank):
    change = bank.released()
    control(bank.jenkins_url, "settings", {"jobs": {"ledger/deploy-ledgerwriter": {"hold": "Deploy"}}})
    go_back(bank, change)
    job = bank.jenkins.controller.jobs["ledger/deploy-ledgerwriter"]
    bank.work_until(lambda: len(job.builds) == 2)
    Operation.objects.filter(kind="rollback").update(deadline_at=clock.now())
    bank.until_operation(change, "needs_human")

    by_hand(bank, change)
    bank.rest()

    assert Operation.objects.get(kind="rollback").state == "superseded"
    assert job.builds[2].result == "ABORTED"
    assert not Deployment.objects.filter(ended_at=None).exists()
    assert Rollback.objects.get(change=change).outcome == "back_by_hand"


def test_a_rollback_that_goes_on_by_itself_is_left_to_itself(bank):
    change = bank.released()
    go_back(bank, change)

    with pytest.raises(Refused) as refused:
        by_hand(bank, change)

    assert [reason.code for reason in refused.value.reasons] == ["work_rests"]
    bank.until_state(change, "reviewing")
    with pytest.raises(Refused) as late:
        by_hand(bank, change)
    assert [reason.code for reason in late.value.reasons] == ["no_rollback"]


def test_of_a_rollback_that_succeeded_nobody_says_that_the_new_version_stayed(bank, failed):
    Operation.objects.filter(kind="rollback").update(state="succeeded")  # its message is still on the way

    with pytest.raises(Refused) as refused:
        by_hand(bank, failed, ByHand.STAY)

    assert [reason.code for reason in refused.value.reasons] == ["work_rests"]
    by_hand(bank, failed)
    assert Rollback.objects.get(change=failed).outcome == "back_by_hand"


def test_a_mesh_that_cannot_be_seen_keeps_nobody_in_the_dark_for_ever(bank, failed):
    fault(bank.cluster.url, "status:500", times=100_000)

    by_hand(bank, failed)

    [event] = [entry for entry in audit.story(failed.stream) if entry.kind == "change.back_by_hand"]
    assert event.data["seen"] == [{"service": "ledgerwriter", "approved": HOME, "weights": None}]


def test_a_connection_whose_secret_does_not_open_keeps_no_rollback_open(bank, failed):
    Connection.objects.filter(kind=ConnectionKind.KUBERNETES).update(secret_version=99)

    by_hand(bank, failed)

    [event] = [entry for entry in audit.story(failed.stream) if entry.kind == "change.back_by_hand"]
    assert event.data["seen"] == [{"service": "ledgerwriter", "approved": HOME, "weights": None}]


@pytest.mark.parametrize("missing", ["reason", "evidence"])
def test_without_a_reason_or_evidence_nothing_ends(bank, failed, missing):
    with pytest.raises(Invalid) as refused:
        by_hand(bank, failed, **{missing: "  "})

    assert list(refused.value.fields) == [missing]
    failed.refresh_from_db()
    assert failed.state == "rolling_back"


def test_neither_a_machine_nor_who_may_not_go_back_can_say_so(bank, failed):
    _client, secret = a_token(Right.ROLLBACK_BEGIN, now=clock.now())
    machine = use_token(token=secret, now=clock.now())

    for actor in (machine, bank.house.actor("engineer")):
        with pytest.raises(NotPermitted):
            by_hand(bank, failed, actor=actor)

    failed.refresh_from_db()
    assert failed.state == "rolling_back"

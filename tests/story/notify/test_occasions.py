"""What happens in the house reaches those who must act, through the table of reactions, and is taken back."""

from datetime import timedelta

import pytest
from django.db import transaction

from releases.accounts import services as accounts
from releases.accounts.roles import Role
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import services as catalog
from releases.changes import services as changes
from releases.changes.models import Review
from releases.changes.states import Outcome, State
from releases.committee import queries as committee_queries
from releases.committee import services as committee
from releases.committee.seats import Decision
from releases.core import clock as real
from releases.core.errors import Sentence
from releases.notify import occasions, services
from releases.notify.kinds import Topic
from releases.notify.models import Notice
from releases.notify.states import NoticeState
from releases.operations import services as operations
from releases.operations.models import Operation, OutboxMessage
from releases.operations.ports import Failed, NeedsHuman
from releases.rollback import services as rollback
from releases.worker.reactions import REACTIONS
from releases.worker.sweeper import Sweeper
from releases.worker.telling import TELLING
from tests.factories.accounts import SETUP, a_person, a_team, actor_of
from tests.factories.catalog import a_connection, a_customer, a_service, an_artifact
from tests.factories.changes import a_change, a_house, approve, fields, inside, start
from tests.factories.gate import bind_job
from tests.factories.notify import Clock, work
from tests.factories.operations import KIND, Outside, a_plan

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture
def clock():
    return Clock(real.now())


@pytest.fixture
def house(clock):
    return a_house(clock())


def heard(topic: Topic, *, state: str = "") -> set[str]:
    """Return who was told of a topic, and of whom it still asks something."""
    rows = Notice.objects.asked().filter(topic=topic)
    rows = rows.filter(state=state) if state else rows
    return set(rows.values_list("person__name", flat=True))


def asked(topic: Topic = Topic.VOTE_NEEDED) -> set[str]:
    return set(Notice.objects.asked().filter(topic=topic, settled_at=None).values_list("person__name", flat=True))


def test_everybody_who_may_vote_is_asked_once_per_round_and_nobody_else(house, clock):
    change = a_change(house, at=State.AUTHORIZING)
    for _twice in range(2):
        work(clock)
        occasions.moved(change_id=change.pk, verb="assessed", now=clock())

    assert asked() == {"Bruno Lima", "Helena Costa"}
    assert Notice.objects.count() == 2
    notice = Notice.objects.filter(person=house.security).get()
    assert notice.link == f"/changes/{change.number}"
    said = str(notice.lines)
    for evidence in ("v1.4.2", "v1.5.0", "ledgerwriter", "Ana Reis", change.content_digest[:19], "Security", "214"):
        assert evidence in said


def test_who_voted_is_asked_no_more_and_who_is_no_longer_needed_either(house, clock):
    change = a_change(house, at=State.AUTHORIZING)
    another = a_person("Carla Dias", Role.SEAT_ENGINEERING)
    work(clock)
    assert asked() == {"Bruno Lima", "Helena Costa", "Carla Dias"}

    approve(house, change, "engineering")
    work(clock)
    assert asked() == {"Helena Costa"}
    assert Notice.objects.get(person=another).state == NoticeState.WITHDRAWN

    approve(house, change, "security")
    work(clock)
    assert asked() == set()
    assert heard(Topic.APPROVED) == {"Ana Reis"}


def test_a_new_round_asks_anew(house, clock):
    change = a_change(house, at=State.AUTHORIZING)
    work(clock)
    changes.revise(
        change_id=change.pk, actor=house.actor("engineer"), fields=fields(house, plan="Another."), now=clock()
    )
    work(clock)
    assert asked() == set()

    changes.submit(change_id=change.pk, actor=house.actor("engineer"), now=clock())
    work(clock)

    assert asked() == {"Bruno Lima", "Helena Costa"}
    assert Notice.objects.filter(person=house.security, topic=Topic.VOTE_NEEDED).count() == 2


def test_somebody_to_whom_a_seat_is_lent_is_asked_too(house, clock):
    a_change(house, at=State.AUTHORIZING)
    work(clock)
    lender = a_person("Olga Braga", Role.SEAT_SECURITY)
    accounts.revoke(actor=SETUP, person_id=house.security.pk, role=Role.SEAT_SECURITY, now=clock())
    occasions.foresee(now=clock())
    assert asked() == {"Bruno Lima", "Olga Braga"}

    committee.delegate(
        actor=actor_of(lender),
        to_person=house.operations.pk,
        seat=Role.SEAT_SECURITY,
        starts_at=clock(),
        ends_at=clock() + timedelta(days=1),
        now=clock(),
    )
    work(clock)

    assert asked() == {"Bruno Lima", "Olga Braga", "Rui Paz"}


@pytest.mark.parametrize(
    ("decision", "topic"),
    [(Decision.REQUEST_CHANGES, Topic.CHANGES_REQUESTED), (Decision.REJECT, Topic.REJECTED)],
)
def test_the_requester_hears_what_the_committee_said(house, clock, decision, topic):
    change = a_change(house, at=State.AUTHORIZING)
    changes.vote(
        change_id=change.pk,
        actor=house.actor("security"),
        decision=decision,
        seen_digest=change.content_digest,
        reason="Where is the load test?",
        now=clock(),
    )
    work(clock)

    [notice] = Notice.objects.filter(topic=topic)
    assert notice.person == house.engineer
    assert "Where is the load test?" in str(notice.lines)
    assert asked() == set()


def test_news_that_come_late_are_not_told(house, clock):
    change = a_change(house, at=State.SCHEDULED)
    changes.withdraw(change_id=change.pk, actor=house.actor("engineer"), now=clock())

    work(clock)

    assert heard(Topic.APPROVED) == set()


def test_a_proposed_policy_asks_its_committee(house, clock):
    weaker = [{"seats": {"seat_engineering": 1}}]
    proposed = committee.save_policy(actor=house.actor("manager"), name="Lighter", rules=weaker, now=clock())
    work(clock)

    waiting = {call.subject: call.needed for call in committee_queries.calls_for_votes(clock())}[proposed.pk]
    told = Notice.objects.filter(topic=Topic.VOTE_NEEDED, settled_at=None)
    assert waiting
    assert set(told.values_list("person", flat=True)) == waiting
    assert all("Lighter" in str(notice.reason) for notice in told)


def test_whoever_runs_a_change_hears_half_an_hour_before_its_window(house, clock):
    change = a_change(house, at=State.SCHEDULED)
    assert change.starts_at is not None
    occasions.foresee(now=change.starts_at - timedelta(minutes=31))
    assert heard(Topic.WINDOW_SOON) == set()

    for minutes in (30, 15, 1):
        occasions.foresee(now=change.starts_at - timedelta(minutes=minutes))

    assert heard(Topic.WINDOW_SOON) == {"Ana Reis"}
    assert Notice.objects.filter(topic=Topic.WINDOW_SOON).count() == 1
    start(change, actor=house.actor("manager"), now=inside(change))
    clock.at = inside(change)
    occasions.moved(change_id=change.pk, verb="start", now=clock())
    assert heard(Topic.WINDOW_SOON, state="withdrawn") == {"Ana Reis"}


def test_a_review_is_asked_for_then_asked_for_louder_then_settled(house, clock):
    change = a_change(house, at=State.REVIEWING)
    occasions.moved(change_id=change.pk, verb="settled", now=clock())
    assert asked(Topic.REVIEW_DUE) == {"Ana Reis"}

    due = Review.objects.get(change=change).due_at
    occasions.foresee(now=due - timedelta(seconds=1))
    assert heard(Topic.REVIEW_OVERDUE) == set()
    for _twice in range(2):
        occasions.foresee(now=due)
    assert asked(Topic.REVIEW_OVERDUE) == {"Ana Reis", "Marta Sá"}
    assert Notice.objects.filter(topic=Topic.REVIEW_OVERDUE).count() == 2

    manager = house.actor("manager")
    changes.close(change_id=change.pk, actor=manager, outcome=Outcome.SUCCESSFUL, summary="Well.", now=clock())
    occasions.moved(change_id=change.pk, verb="close", now=clock())
    assert asked(Topic.REVIEW_DUE) | asked(Topic.REVIEW_OVERDUE) == set()


def test_a_failure_before_any_traffic_is_told_once_to_who_can_look(house, clock):
    member = a_person("Lia Melo")
    accounts.join_team(actor=SETUP, team_id=house.service.team_id, person_id=member.pk, now=clock())
    change = a_change(house, at=State.IMPLEMENTING)
    changes.failed(change_id=change.pk, actor=house.actor("manager"), now=inside(change))

    occasions.moved(change_id=change.pk, verb="failed", now=clock())

    assert heard(Topic.VERDICT_BAD) == {"Davi Nunes", "Lia Melo", "Ana Reis"}
    assert heard(Topic.REVIEW_DUE) == {"Ana Reis"}


def an_operation(change, kind, clock) -> Operation:
    with transaction.atomic():
        return operations.begin(
            kind=kind,
            target=change.stream,
            subject=change.pk,
            steps=[a_plan("deploy ledgerwriter")],
            actor=SETUP,
            deadline=clock() + timedelta(hours=1),
            key=f"{kind}:{change.pk}:{clock()}",
            now=clock(),
            supersede=True,
        )


def run(operation, outcome, clock, outside=None) -> None:
    outside = outside or Outside()
    outside.outcomes = [outcome]
    operations.run(operation_id=operation.pk, worker="one", handlers={KIND: outside}, now=clock)


WHY = Sentence("Look at %(what)s.", {"what": "build 42"})


def test_work_that_waits_for_a_person_pages_each_time_and_is_taken_back_when_it_goes_on(house, clock):
    change = a_change(house, at=State.IMPLEMENTING)
    operation = an_operation(change, "rollout", clock)
    outside = Outside()
    for turn in (1, 2):
        run(operation, NeedsHuman(WHY), clock, outside)
        for _twice in range(2):
            [message] = OutboxMessage.objects.filter(kind="operation.needs_human").order_by("-posted_at")[:1]
            occasions.work_moved(operation_id=operation.pk, state="needs_human", message_id=message.pk, now=clock())
        pages = Notice.objects.filter(topic=Topic.NEEDS_HUMAN, person=house.on_call)
        assert pages.count() == turn
        assert pages.filter(settled_at=None).count() == 1
        assert "build 42" in str(pages.latest("told_at").lines)
        clock.tick(seconds=1)
        step = operation.steps.get()
        operations.retry_step(step_id=step.pk, actor=house.actor("on_call"), now=clock())
        occasions.foresee(now=clock())
        assert pages.filter(settled_at=None).count() == 0


def test_a_rollback_that_failed_pages_until_it_is_begun_anew(house, clock):
    change = a_change(house, at=State.WATCHING)
    changes_row = type(change).objects.filter(pk=change.pk)
    changes_row.update(state=State.ROLLING_BACK)
    operation = an_operation(change, "rollback", clock)
    run(operation, Failed(WHY), clock)
    occasions.work_moved(operation_id=operation.pk, state="failed", message_id=operation.pk, now=clock())
    assert asked(Topic.ROLLBACK_FAILED) == {"Davi Nunes"}

    clock.tick(seconds=1)
    an_operation(change, "rollback", clock)
    occasions.foresee(now=clock())

    assert asked(Topic.ROLLBACK_FAILED) == set()


def test_a_release_that_fails_after_traffic_is_told_with_what_failed(house, clock):
    change = a_change(house, at=State.IMPLEMENTING)
    operation = an_operation(change, "rollout", clock)
    run(operation, Failed(WHY), clock)

    for _twice in range(2):
        occasions.work_moved(operation_id=operation.pk, state="failed", message_id=operation.pk, now=clock())

    assert heard(Topic.VERDICT_BAD) == {"Davi Nunes", "Ana Reis"}
    assert "build 42" in str(Notice.objects.filter(topic=Topic.VERDICT_BAD)[0].lines)


def test_a_freeze_reaches_whom_it_stops_and_is_taken_back(house, clock):
    change = a_change(house, at=State.SCHEDULED)
    assert change.starts_at is not None
    span = {"starts_at": change.starts_at, "ends_at": change.starts_at + timedelta(hours=9)}
    freeze = calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=house.actor("manager"),
        environment_id=house.environment.pk,
        title="Black Friday",
        now=clock(),
        **span,
    )
    work(clock)
    assert asked(Topic.FREEZE) == {"Ana Reis"}
    assert change.name in str(Notice.objects.get(topic=Topic.FREEZE).lines)

    calendar.lift(window_id=freeze.pk, actor=house.actor("manager"), now=clock())
    work(clock)
    assert asked(Topic.FREEZE) == set()


@pytest.mark.parametrize("for_segment", [False, True])
def test_a_freeze_of_a_customer_reaches_whose_change_would_hurt_them(house, clock, for_segment):
    change = a_change(house, at=State.SCHEDULED)
    contacts = a_service("contacts")
    other = a_customer(contacts, name="Notaries", segment="notary")
    mine = a_customer(house.service)
    span = {"starts_at": change.starts_at, "ends_at": change.ends_at, "now": clock()}
    for customer in (other, mine):
        of = {"segment": customer.segment} if for_segment else {"customer_id": customer.pk}
        calendar.freeze_for(actor=house.actor("manager"), title=f"Audit of {customer.name}", **of, **span)
    work(clock)

    [notice] = Notice.objects.filter(topic=Topic.FREEZE)
    assert notice.person == house.engineer
    assert "Audit of Partner banks" in str(notice.reason)
    assert ("customers of %(segment)s" if for_segment else "'where': 'Partner banks'") in str(notice.reason)
    assert change.name in str(notice.lines)


def test_a_lock_reaches_whom_it_stops_and_one_that_is_over_nobody(house, clock):
    a_change(house, at=State.SCHEDULED)
    for until in (clock() - timedelta(days=1), None):
        lock = calendar.lock(
            actor=house.actor("on_call"), reason="Incident 7", now=clock() - timedelta(days=2), until_at=until
        )
        occasions.line_shut(ref=lock.pk, now=clock())

    [notice] = Notice.objects.filter(topic=Topic.FREEZE)
    assert notice.person == house.engineer
    assert "Incident 7" in str(notice.reason)
    calendar.unlock(lock_id=lock.pk, actor=house.actor("on_call"), now=clock())
    work(clock)
    assert asked(Topic.FREEZE) == set()


def test_a_quarantine_reaches_the_owners_and_is_taken_back_when_cleared(house, clock):
    owner = a_person("Lia Melo")
    accounts.join_team(actor=SETUP, team_id=house.service.team_id, person_id=owner.pk, now=clock())
    a_team("others", a_person("Not Me"))
    artifact = an_artifact(house.service, "v9")
    catalog.quarantine(actor=house.actor("manager"), artifact_id=artifact.pk, reason="It loses money.", now=clock())
    work(clock)
    assert asked(Topic.QUARANTINED) == {"Lia Melo"}

    catalog.clear_quarantine(actor=house.actor("manager"), artifact_id=artifact.pk, reason="Mended.", now=clock())
    work(clock)
    assert asked(Topic.QUARANTINED) == set()


def poison(clock) -> OutboxMessage:
    """Return a message that was given up."""
    message = operations.post(kind="happened", ref=house_id(), now=clock())

    def fails(_message):
        raise ValueError("poison")

    for _try in range(5):
        operations.deliver(message_id=message.pk, worker="one", reactions={"happened": [fails]}, now=clock)
        clock.tick(minutes=1)
    message.refresh_from_db()
    assert message.dead_at
    return message


def house_id():
    return Notice().pk


def test_a_message_that_is_given_up_pages_until_it_is_on_its_way_again(house, clock):
    message = poison(clock)
    work(clock)
    assert asked(Topic.MESSAGE_DEAD) == {"Davi Nunes"}
    assert "poison" in str(Notice.objects.get(topic=Topic.MESSAGE_DEAD).lines)

    operations.requeue_message(message_id=message.pk, actor=house.actor("manager"), now=clock())
    occasions.foresee(now=clock())

    assert asked(Topic.MESSAGE_DEAD) == set()


def test_letters_that_cannot_be_sent_page_once_a_day_and_not_about_themselves(house, clock):
    for _broken in range(3):
        dead = operations.post(kind="notice.due", ref=house_id(), now=clock())
        OutboxMessage.objects.filter(pk=dead.pk).update(dead_at=clock(), attempts=5)
        occasions.message_given_up(message_id=dead.pk, now=clock())

    assert Notice.objects.filter(topic=Topic.MESSAGE_DEAD).count() == 1


def test_a_record_that_contradicts_its_witness_pages_until_it_agrees_again(house, clock, settings, tmp_path):
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness.jsonl")
    (tmp_path / "witness.jsonl").write_text('{"epoch": 1, "size": 999, "root": "00", "note": ""}\n')
    for _twice in range(2):
        occasions.foresee(now=clock())
    assert asked(Topic.WITNESS_INCONSISTENT) == {"Davi Nunes"}

    (tmp_path / "witness.jsonl").unlink()
    occasions.foresee(now=clock())

    assert asked(Topic.WITNESS_INCONSISTENT) == set()


@pytest.fixture
def watched_in_doubt(house, clock, settings, tmp_path):
    """Return a change under watch whose record contradicts its witness since."""
    bind_job(house, a_connection(now=house.now).pk)
    change = a_change(house, at=State.WATCHING)
    clock.at = inside(change)
    settings.GMUD_WITNESS_FILE = str(tmp_path / "witness.jsonl")
    (tmp_path / "witness.jsonl").write_text('{"epoch": 1, "size": 999, "root": "00", "note": ""}\n')
    return change


def ask_for_a_second(change, house, clock):
    with pytest.raises(rollback.SecondPersonNeeded):
        rollback.begin(change_id=change.pk, actor=house.actor("on_call"), reason="INC-4711", now=clock())
    work(clock)


def test_whoever_may_be_the_second_to_go_back_is_paged_once_until_somebody_is(house, clock, watched_in_doubt):
    change, iara = watched_in_doubt, a_person("Iara Melo", Role.ON_CALL)

    ask_for_a_second(change, house, clock)
    clock.tick(minutes=1)
    ask_for_a_second(change, house, clock)

    assert asked(Topic.ROLLBACK_ASKED) == {"Iara Melo", "Marta Sá"}
    page = Notice.objects.get(person=iara, topic=Topic.ROLLBACK_ASKED)
    assert page.link == f"/live/{change.number}"
    assert page.reason["parts"]["who"] == "Davi Nunes"

    with transaction.atomic():
        changes.move(changes.locked(change.pk), "roll_back", actor=actor_of(iara), now=clock())
    work(clock)
    assert asked(Topic.ROLLBACK_ASKED) == set()


def test_nobody_is_called_for_a_wish_that_ran_out_and_for_the_next_one_they_are(house, clock, watched_in_doubt):
    change = watched_in_doubt
    ask_for_a_second(change, house, clock)
    assert asked(Topic.ROLLBACK_ASKED) == {"Marta Sá"}

    occasions.foresee(now=clock.tick(minutes=15))
    assert asked(Topic.ROLLBACK_ASKED) == set()
    occasions.second_person_asked(change_id=change.pk, now=clock())
    assert asked(Topic.ROLLBACK_ASKED) == set()

    ask_for_a_second(change, house, clock)
    assert asked(Topic.ROLLBACK_ASKED) == {"Marta Sá"}


def test_what_a_dead_worker_left_is_called_for_again(house, clock):
    services.tell(occasion=an_old_one(), people=[house.engineer.pk], now=clock())
    Notice.objects.update(state=NoticeState.PENDING, sent_at=None, sink="email")
    OutboxMessage.objects.all().delete()

    occasions.foresee(now=clock.tick(minutes=2))
    occasions.foresee(now=clock())

    assert OutboxMessage.objects.filter(kind="notice.due").count() == 1


def an_old_one():
    from tests.factories.notify import an_occasion

    return an_occasion()


def test_the_sweep_of_every_worker_foresees_now_and_then(house, clock):
    change = a_change(house, at=State.SCHEDULED)
    type(change).objects.filter(pk=change.pk).update(starts_at=clock() + timedelta(minutes=5))
    sweeper = Sweeper(worker="w", queues=["notify"])

    sweeper.turn()
    assert heard(Topic.WINDOW_SOON) == {"Ana Reis"}
    Notice.objects.all().delete()
    sweeper.turn()
    assert heard(Topic.WINDOW_SOON) == set()  # half a minute is not over


def test_the_clock_foresees_on_the_queue_of_notices(settings):
    assert settings.CELERY_BEAT_SCHEDULE["notices_due"]["options"]["queue"] == "notify"


def test_every_row_that_tells_stands_in_the_table_of_reactions_after_what_the_house_does():
    for kind, reactions in TELLING.items():
        assert tuple(REACTIONS[kind][-len(reactions) :]) == tuple(reactions)

"""The demo that a newcomer finds: people, seats, a bank, forty changes that are over, and those that are open."""

import json
from contextlib import ExitStack
from functools import partial

import pytest
from django.apps import apps
from django.core.management import CommandError

from gmud.demo import story
from gmud.demo.management.commands.demo import Command
from gmud.sandbox import apisix_store, kong_store
from gmud.sandbox.apisix import ADMIN_KEY, Apisix
from gmud.sandbox.jenkins_controller import default_jobs
from gmud.sandbox.kong import Kong
from gmud.sandbox.kubernetes import seed
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.server import running
from gmud.sandbox.spinnaker.seed import bank_of_anthos
from releases.accounts import queries as accounts
from releases.accounts import services as machines
from releases.accounts.models import Person, Team, User
from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.models import AuditEvent, AuditText
from releases.audit.sealer import Sealer
from releases.catalog import queries as catalog
from releases.catalog.filling import backward, forward
from releases.catalog.kinds import ConnectionKind, DependencySource, Purpose
from releases.catalog.models import (
    Artifact,
    Binding,
    Customer,
    Dependency,
    Environment,
    Reading,
    Running,
    Service,
)
from releases.changes import queries, services
from releases.changes.models import ChangeRequest, Item, Review
from releases.changes.states import ChangeType, Outcome, State
from releases.committee import queries as committee
from releases.committee.models import Vote
from releases.committee.seats import SEAT_TITLES, Decision
from releases.core.http import Door
from releases.gate import services as gate
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Request, Run
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.management.commands.audit import REPLAYED
from releases.operations import queries as operations
from releases.operations.models import OutboxMessage
from releases.rollback.models import Rollback
from releases.rollout.models import Rollout
from releases.traffic.models import ShiftEnd
from releases.traffic.ports import System
from releases.traffic.providers import PROVIDERS, reference, system_of
from releases.traffic.states import ShiftState
from tests.factories.audit import ANOTHER, name_of, underived, write_by_sql
from tests.factories.traffic import FULL, LOOPBACK
from tests.house.tree import ROOT

BAD, GOOD, WAITING, DRAFT = 1039, 1040, 1041, 1042
AT_OTHERS = {plane: 1043 + at for at, plane in enumerate(story.AT_OTHERS)}
DOORS = {
    ConnectionKind.KUBERNETES: {"Authorization": f"Bearer {FULL}"},
    ConnectionKind.KONG: {},
    ConnectionKind.APISIX: {"X-API-KEY": ADMIN_KEY},
}
OVER = (State.CLOSED, State.REJECTED)
pytestmark = [pytest.mark.django_db, pytest.mark.slow, pytest.mark.once]  # the browser sees it told on both
PRINTED = {"ana", "bruno", "helena", "davi", "marta", "owner"}


def change(number):
    return ChangeRequest.objects.get(number=number)


def signed_in(username, now):
    user = User.objects.select_related("person").get(username=username)
    return accounts.actor_for(user, session="visit", signed_in_at=now, methods=("password",))


def known(told):
    return json.loads((told.folder / "demo.json").read_text())


def test_forty_changes_are_over_each_as_the_story_says(told):
    over = ChangeRequest.objects.filter(state__in=OVER).order_by("number")

    assert [(one.title, one.outcome, one.type) for one in over] == [
        (one.title, one.outcome, one.type) for one in story.past()
    ]
    assert len(over) == 38
    assert {one.outcome for one in over} == {*Outcome} - {Outcome.NOT_IMPLEMENTED} | {""}
    assert {one.type for one in over} == {ChangeType.NORMAL, ChangeType.STANDARD, ChangeType.EMERGENCY}


def test_several_engineers_filed_them_each_for_their_team(told):
    filed = {
        (item.service.team.name, item.change.requester.name)
        for item in Item.objects.filter(change__state__in=OVER).select_related("service__team", "change__requester")
    }

    assert filed == {("frontend", "Nina Alves"), ("accounts", "Iara Melo"), ("ledger", "Ana Reis")}


def test_what_runs_is_what_the_last_change_that_went_well_brought(told):
    brought = {}
    for item in Item.objects.select_related("change", "artifact").order_by("change__number"):
        if item.change.outcome in {Outcome.SUCCESSFUL, Outcome.SUCCESSFUL_WITH_ISSUES}:
            brought[item.service_id, item.environment_id] = (item.artifact_id, item.change.number)
    runs = {
        (one.service_id, one.environment_id): (one.artifact_id, one.change_number)
        for one in Running.objects.filter(ended_at=None)
    }

    assert runs == brought
    assert len(runs) == 2 * len(story.SERVICES)
    assert set(Running.objects.filter(ended_at=None).values_list("artifact__version", flat=True)) == {story.RUNNING}


def test_each_of_them_that_went_out_passed_the_gate_inside_its_window_with_a_permit_that_was_taken(told):
    for one in ChangeRequest.objects.filter(state=State.CLOSED):
        permit = Permit.objects.get(change=one, decision__intent=Intent.DEPLOY)
        assert permit.decision.verdict == Verdict.ALLOW
        assert one.starts_at <= permit.decision.decided_at <= permit.redeemed_at < one.ends_at < told.now
    assert not Permit.objects.filter(redeemed_at=None).exists()


def test_the_gate_refused_what_was_rejected_and_what_was_rolled_back_when_ci_asked_all_the_same(told):
    refused = GateDecision.objects.filter(verdict=Verdict.DENY).order_by("decided_at")

    assert [(one.service, [reason["code"] for reason in one.reasons][-1]) for one in refused] == [
        ("contacts", ReasonCode.QUARANTINED_ARTIFACT),
        ("ledgerwriter", ReasonCode.NO_CHANGE_REQUEST),
    ]


def test_one_was_rolled_back_its_traffic_and_its_version_and_is_quarantined(told):
    back = Rollback.objects.select_related("change").get()
    item = back.change.items.select_related("artifact", "way_back__target_artifact").get()
    ends = ShiftEnd.objects.filter(shift__change_id=back.change_id, state=ShiftState.CONFIRMED).order_by("ended_at")

    assert (back.change.outcome, back.begun_by) == (Outcome.ROLLED_BACK, "Davi Nunes")
    assert [one.shift.asked["canary"] for one in ends] == [10, 0, 0]
    assert item.artifact.quarantined_at == back.ended_at
    assert f"CHG-{back.change.number}" in item.artifact.quarantine_reason
    assert Artifact.objects.exclude(quarantined_at=None).count() == 1


def test_the_emergency_was_let_go_by_operations_and_reviewed_in_time(told):
    emergency = ChangeRequest.objects.get(type=ChangeType.EMERGENCY)
    review = Review.objects.get(change=emergency)

    assert emergency.round.needed == {"seat_operations": 1}
    assert review.written_at < review.due_at
    assert "operations let it go" in review.summary


def test_a_standard_change_went_without_a_vote_and_the_rejected_one_says_why(told):
    standard = ChangeRequest.objects.filter(type=ChangeType.STANDARD)
    rejected = ChangeRequest.objects.get(state=State.REJECTED)

    assert standard.count() == len(story.STANDARD)
    assert not Vote.objects.filter(round__in=standard.values("round")).exists()
    assert "lose their order" in Vote.objects.get(round=rejected.round, decision=Decision.REJECT).reason


def test_live_shows_what_was_rolled_out_and_nothing_is_left_to_do_or_to_tell_of_it(told):
    assert Rollout.objects.count() == len(story.ROLLOUTS)
    work = Rollout.objects.values_list("operation", flat=True)
    assert [one for one in map(operations.operation, work) if one.is_active] == []
    assert not OutboxMessage.objects.undone().filter(available_at__lt=told.now).exists()


def test_each_of_them_was_approved_by_others_reviewed_and_happened_in_the_past_in_order(told):
    over = list(ChangeRequest.objects.filter(state=State.CLOSED).order_by("number"))
    assert len(over) == 37
    reviews = [queries.review_of(one.pk) for one in over]

    assert all(committee.tally_of(one.round, told.now).approved for one in over)
    assert all(review.summary for review in reviews)
    assert [one.starts_at for one in over] == sorted(one.starts_at for one in over)
    assert all(one.starts_at < one.closed_at < told.now for one in over)


def test_one_that_went_out_with_issues_ended_so_and_its_review_says_which(told):
    with_issues = ChangeRequest.objects.filter(outcome=Outcome.SUCCESSFUL_WITH_ISSUES)

    assert sorted(with_issues.values_list("title", flat=True)) == [
        "Cache balances for two seconds",
        "Drop the old booking table",
    ]
    assert all("error rate" in queries.review_of(one.pk).summary for one in with_issues)


def ask(told, number):
    item = change(number).items.select_related("service", "environment", "artifact").get()
    token = (told.folder / "ci.token").read_text().strip()
    request = Request(
        service=item.service.name,
        environment=item.environment.name,
        artifact_name=item.service.name,
        digest=item.artifact.digest,
        intent=Intent.DEPLOY,
        run=Run("shell", "41", ""),
    )
    return gate.ask(actor=machines.use_token(token=token, now=told.visit), request=request, now=told.visit)


@pytest.mark.parametrize("number", [BAD, GOOD, *AT_OTHERS.values()])
def test_some_are_scheduled_and_the_gate_lets_them_go(told, number):
    assert change(number).state == State.SCHEDULED

    answer = ask(told, number)

    assert (answer.decision.verdict, answer.decision.reasons) == (Verdict.ALLOW, [])
    assert answer.permit.count(".") == 2


def test_the_first_of_them_is_the_version_that_will_fail_its_canary(told):
    item = change(BAD).items.select_related("service", "artifact", "environment").get()

    assert (item.service.name, item.artifact.version, item.environment.name) == (*story.BAD, "production")


def test_engineer_and_on_call_may_start_and_take_it_back(told):
    ana, davi = (accounts.rights_of(signed_in(name, told.visit)) for name in ("ana", "davi"))

    assert Right.CHANGE_RELEASE in ana
    assert Right.ROLLBACK_BEGIN in davi
    (start,) = [
        one
        for one in queries.buttons(change(BAD), actor=signed_in("ana", told.visit), now=told.visit)
        if one.verb == "start"
    ]
    assert start.is_open, start.reasons


def test_one_waits_for_just_the_two_whose_log_ins_are_printed(told):
    waiting = change(WAITING)
    assert waiting.state == State.AUTHORIZING

    for name in ("bruno", "helena"):
        actor = signed_in(name, told.visit)
        assert waiting.pk in committee.awaits(actor.person_id, told.visit)
        services.vote(
            change_id=waiting.pk,
            actor=actor,
            decision=Decision.APPROVE,
            seen_digest=waiting.content_digest,
            now=told.visit,
        )

    assert change(WAITING).state == State.SCHEDULED


def test_one_is_a_draft_and_no_other_is_open(told):
    unfinished = ChangeRequest.objects.exclude(state__in=OVER).order_by("number")

    assert list(unfinished.values_list("number", "state")) == [
        (BAD, State.SCHEDULED),
        (GOOD, State.SCHEDULED),
        (WAITING, State.AUTHORIZING),
        (DRAFT, State.DRAFT),
        *((number, State.SCHEDULED) for number in AT_OTHERS.values()),
    ]


def test_two_environments_and_a_bank_whose_edges_are_not_all_taken_as_fact(told):
    assert set(Environment.objects.values_list("name", "kind")) == {
        ("staging", "staging"),
        ("production", "production"),
    }
    assert set(story.SERVICES) <= set(Service.objects.values_list("name", flat=True))
    assert {DependencySource(one).is_hint for one in Dependency.objects.values_list("source", flat=True)} == {
        True,
        False,
    }


def test_every_seat_has_somebody_and_every_team_has_members(told):
    assert all(accounts.holders_of(seat) for seat in SEAT_TITLES)
    assert {team.name for team in Team.objects.all() if team.members.exists()} == {"frontend", "accounts", "ledger"}


def test_customers_stand_in_segments_and_use_services(told):
    assert set(Customer.objects.values_list("segment", flat=True)) == {"retail", "business", "partner"}
    assert all(customer.services.exists() for customer in Customer.objects.all())


def test_every_printed_log_in_works_and_nobody_else_has_a_password(told):
    printed = {one["username"]: one["password"] for one in known(told)["accounts"]}

    assert printed.keys() == PRINTED
    assert len(set(printed.values())) == len(printed)
    for user in User.objects.all():
        if user.username in printed:
            assert user.check_password(printed[user.username])
        else:
            assert not user.has_usable_password()


def test_the_things_to_try_name_the_changes_that_are_there(told):
    bad, waiting, others, good = known(told)["try"]

    assert f"CHG-{BAD} " in bad
    assert f"{{address}}/changes/{BAD}" in bad
    assert f"{{address}}/changes/{WAITING}" in waiting
    assert f"CHG-{GOOD} " in good
    assert f"{{address}}/changes/{AT_OTHERS['kong']}" in others
    assert all(f"CHG-{number}" in others for number in AT_OTHERS.values())
    assert bad.format(address="http://localhost:1").count("http://localhost:1/") == 2


def test_the_readme_walks_through_what_is_there(told):
    shell = (ROOT / "README.md").read_text().partition("<!-- walk-through -->")[2].partition("<!-- /walk-through")[0]
    item = change(GOOD).items.select_related("service", "artifact").get()

    assert f"change show CHG-{GOOD}" in shell
    assert f"printf {item.service.name}:{item.artifact.version} " in shell


def test_no_password_and_no_token_stands_in_the_database(told):
    secrets = [one["password"] for one in known(told)["accounts"]]
    secrets += [(told.folder / name).read_text().strip() for name in ("ci.token", "jenkins.token", "spinnaker.token")]
    rows = [row for model in apps.get_models() for row in model.objects.values_list()]
    text = "\n".join(map(repr, rows))

    assert "Book transfers in parallel" in text  # everything was looked at
    assert [secret for secret in secrets if secret in text] == []


def test_its_files_are_for_their_owner_only(told):
    modes = {path.name: path.stat().st_mode & 0o777 for path in told.folder.iterdir() if path.is_file()}

    assert modes == {"ci.token": 0o600, "demo.json": 0o600, "jenkins.token": 0o600, "spinnaker.token": 0o600}


@pytest.fixture
def sealed(told, settings, tmp_path):
    """Seal the record of the demo; what that writes is taken back with the test."""
    settings.GMUD_WITNESS_FILE = str(tmp_path / "checkpoints.jsonl")
    sealer = Sealer.of_settings()
    while sealer.turn() is not None:
        pass


@pytest.fixture
def one_of_each(sealed):
    """Return one event of every kind that the story told, the way forward and the way back."""
    events = {one.kind: one for one in AuditEvent.objects.order_by("occurred_us", "stream_version")}
    assert {"permit.redeemed", "shift.ended", "verdict.given", "artifact.quarantined", "rollback.ended"} <= set(events)
    return list(events.values())


def columns_named():
    """Return what the verification finds: the beginning of each row's name, and the column."""
    return {(one.table, one.row.partition(")")[0] + ")", one.column) for one in audit.verify().findings}


@pytest.mark.parametrize("column", ANOTHER)
def test_an_edit_of_any_column_names_the_event_whatever_its_kind(one_of_each, column):
    derived = [] if column in {"body", "leaf_hash"} else underived(column)
    command = f"UPDATE audit_event SET {column} = %s WHERE leaf_hash = %s"

    write_by_sql(*derived, *((command, [ANOTHER[column](one), one.leaf_hash]) for one in one_of_each))

    named = columns_named()
    assert [one.kind for one in one_of_each if ("audit_event", name_of(one), column) not in named] == []


@pytest.mark.parametrize(("column", "found_in"), [("field", "field"), ("salt", "body"), ("body", "body")])
def test_an_edit_of_any_text_names_the_event_it_stands_beside_whatever_its_kind(one_of_each, column, found_in):
    texts = {one.event_id: one for one in AuditText.objects.filter(event_id__in=[one.event_id for one in one_of_each])}
    beside = [one for one in one_of_each if one.event_id in texts]
    assert len(beside) > 5
    command = f"UPDATE audit_text SET {column} = %s WHERE salt = %s"

    write_by_sql(*((command, ["other", texts[one.event_id].salt]) for one in beside))

    named = columns_named()
    assert [one.kind for one in beside if ("audit_text", name_of(one), found_in) not in named] == []


def test_the_record_verifies_once_it_is_sealed_and_replays_to_the_tables(sealed):
    assert audit.verify().ok, audit.verify().findings[:3]
    assert audit.replay(REPLAYED).findings == []


def test_every_control_plane_has_a_service_that_may_go_now(told):
    scheduled = Item.objects.filter(change__number__in=[BAD, WAITING, *AT_OTHERS.values()]).select_related("service")

    assert {story.SERVICES[one.service.name].plane for one in scheduled} == set(System)


def test_part_of_the_past_went_through_every_control_plane(told):
    moved = ShiftEnd.objects.filter(state=ShiftState.CONFIRMED).values_list("shift__route", flat=True)

    assert {system_of(catalog.route(one)) for one in moved} == set(System)


def test_what_stands_in_splits_and_runs_what_the_demo_says(told):
    planes = {name: about.plane for name, about in story.SERVICES.items()}
    cluster = Cluster(seed.bank_of_anthos(planes))
    running_there = {(one["namespace"], one["service"]): one for one in cluster.state()["traffic"]}
    doors = {ConnectionKind.KUBERNETES: cluster}
    doors[ConnectionKind.KONG] = Kong(partial(kong_store.bank_of_anthos, story.served_by(System.KONG)))
    doors[ConnectionKind.APISIX] = Apisix(partial(apisix_store.bank_of_anthos, story.served_by(System.APISIX)))
    with ExitStack() as servers:
        urls = {kind: servers.enter_context(running(one)) for kind, one in doors.items()}
        for reading in Reading.objects.select_related("route__service", "route__environment"):
            route = catalog.route(reading.route_id)
            kind = ConnectionKind(route.connection.kind)
            door = Door(kind, urls[kind], DOORS[kind], LOOPBACK)
            assert PROVIDERS[system_of(route)](door).read(reference(route)).weights == reading.weights
    assert {one["versions"]["stable"] for one in running_there.values()} == {story.RUNNING}
    assert len(cluster.state()["traffic"]) + 4 == 2 * len(seed.SERVICES)


def test_the_systems_that_stand_in_have_every_job(told):
    jobs = {"jenkins": default_jobs(), "spinnaker": bank_of_anthos()}

    assert Binding.objects.filter(purpose=Purpose.DEPLOY).count() == 2 * len(story.SERVICES)
    bound = Binding.objects.filter(purpose=Purpose.DEPLOY).select_related("connection")
    assert all(how(one.settings)["job"] in jobs[one.connection.kind] for one in bound for how in (forward, backward))
    assert {one.connection.kind for one in bound} == set(jobs)


def test_it_refuses_where_somebody_lives(told, settings):
    settings.GMUD_DEMO = True

    with pytest.raises(CommandError, match="Somebody lives here"):
        Command().handle()


def test_it_refuses_outside_demo_mode(told, settings):
    settings.GMUD_DEMO = False
    before = Person.objects.count()

    with pytest.raises(CommandError, match="GMUD_DEMO=1"):
        Command().handle()
    assert Person.objects.count() == before

"""The demo that a newcomer finds: people, seats, a bank, forty changes that are over, and four that are open."""

import json

import pytest
from django.apps import apps
from django.core.management import CommandError

from gmud.demo import story
from gmud.demo.management.commands.demo import Command
from gmud.sandbox.jenkins_controller import default_jobs
from gmud.sandbox.kubernetes.api import Cluster
from releases.accounts import queries as accounts
from releases.accounts import services as machines
from releases.accounts.models import Person, Team, User
from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.audit.sealer import Sealer
from releases.catalog.kinds import DependencySource, Purpose
from releases.catalog.models import Binding, Customer, Dependency, Environment, Reading, Service
from releases.changes import queries, services
from releases.changes.models import ChangeRequest
from releases.changes.states import Outcome, State
from releases.committee import queries as committee
from releases.committee.seats import SEAT_TITLES, Decision
from releases.gate import services as gate
from releases.gate.rules import Request, Run
from releases.gate.states import Intent, Verdict
from releases.management.commands.audit import REPLAYED
from tests.house.tree import ROOT

BAD, GOOD, WAITING, DRAFT = 1039, 1040, 1041, 1042
pytestmark = [pytest.mark.django_db, pytest.mark.slow]
PRINTED = {"ana", "bruno", "helena", "davi", "marta", "owner"}


def change(number):
    return ChangeRequest.objects.get(number=number)


def signed_in(username, now):
    user = User.objects.select_related("person").get(username=username)
    return accounts.actor_for(user, session="visit", signed_in_at=now, methods=("password",))


def known(told):
    return json.loads((told.folder / "demo.json").read_text())


def test_forty_changes_are_over_each_as_the_story_says(told):
    over = ChangeRequest.objects.filter(state=State.CLOSED).order_by("number")

    assert [(one.title, one.outcome) for one in over] == [(one.title, one.outcome) for one in story.past()]
    assert len(over) == 38
    assert {one.outcome for one in over} == {Outcome.SUCCESSFUL, Outcome.SUCCESSFUL_WITH_ISSUES, Outcome.FAILED}


def test_each_of_them_was_approved_by_others_reviewed_and_happened_in_the_past_in_order(told):
    over = list(ChangeRequest.objects.filter(state=State.CLOSED).order_by("number"))
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


@pytest.mark.parametrize("number", [BAD, GOOD])
def test_two_are_scheduled_and_the_gate_lets_them_go(told, number):
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
    unfinished = ChangeRequest.objects.exclude(state=State.CLOSED).order_by("number")

    assert list(unfinished.values_list("number", "state")) == [
        (BAD, State.SCHEDULED),
        (GOOD, State.SCHEDULED),
        (WAITING, State.AUTHORIZING),
        (DRAFT, State.DRAFT),
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


def test_the_three_things_to_try_name_the_changes_that_are_there(told):
    bad, waiting, good = known(told)["try"]

    assert f"CHG-{BAD} " in bad
    assert f"{{address}}/changes/{BAD}" in bad
    assert f"{{address}}/changes/{WAITING}" in waiting
    assert f"CHG-{GOOD} " in good
    assert bad.format(address="http://localhost:1").count("http://localhost:1/") == 2


def test_the_readme_walks_through_what_is_there(told):
    shell = (ROOT / "README.md").read_text().partition("<!-- walk-through -->")[2].partition("<!-- /walk-through")[0]
    item = change(GOOD).items.select_related("service", "artifact").get()

    assert f"change show CHG-{GOOD}" in shell
    assert f"printf {item.service.name}:{item.artifact.version} " in shell


def test_no_password_and_no_token_stands_in_the_database(told):
    secrets = [one["password"] for one in known(told)["accounts"]]
    secrets += [(told.folder / name).read_text().strip() for name in ("ci.token", "jenkins.token")]
    rows = [row for model in apps.get_models() for row in model.objects.values_list()]
    text = "\n".join(map(repr, rows))

    assert "Book transfers in parallel" in text  # everything was looked at
    assert [secret for secret in secrets if secret in text] == []


def test_its_files_are_for_their_owner_only(told):
    modes = {path.name: path.stat().st_mode & 0o777 for path in told.folder.iterdir() if path.is_file()}

    assert modes == {"ci.token": 0o600, "demo.json": 0o600, "jenkins.token": 0o600}


def test_the_record_verifies_once_it_is_sealed_and_replays_to_the_tables(told, settings, tmp_path):
    settings.GMUD_WITNESS_FILE = str(tmp_path / "checkpoints.jsonl")  # what it seals is taken back with the test
    sealer = Sealer.of_settings()
    while sealer.turn() is not None:
        pass

    assert audit.verify().ok, audit.verify().findings[:3]
    assert audit.replay(REPLAYED).findings == []


def test_the_cluster_that_stands_in_runs_what_the_demo_says(told):
    seen = {(one["namespace"], one["service"]): one for one in Cluster().state()["traffic"]}

    for reading in Reading.objects.select_related("route"):
        place = reading.route.locator
        side = seen[place["namespace"], place["name"]]
        assert side["weights"] == reading.weights
        assert side["versions"]["stable"] == story.RUNNING


def test_the_jenkins_that_stands_in_has_every_job(told):
    jobs = default_jobs()

    assert Binding.objects.filter(purpose=Purpose.DEPLOY).count() == 2 * len(story.SERVICES)
    assert all(one.settings["job"] in jobs for one in Binding.objects.filter(purpose=Purpose.DEPLOY))


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

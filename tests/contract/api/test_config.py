"""The configuration over REST: read out, seen as a plan, applied as it was seen."""

import pytest
import yaml
from django.db import transaction

from releases.accounts.models import Person, Team
from releases.accounts.rights import Right
from releases.catalog.models import Environment, Service
from releases.committee.models import Policy
from releases.setup.services import apply
from tests.factories.setup import SMALL, the_first_owner

# A person confirms a dependency, never a machine.
BANK = SMALL.replace("confirmed: true", "confirmed: false")
CATALOG = ("environments", "services", "dependencies", "customers", "connections", "bindings", "routes")
PLACES = "gmud: 1\nenvironments:\n- {name: qa, kind: staging, rank: 5}\n"


@pytest.fixture
def editor(machine):
    return machine(Right.CATALOG_EDIT)


def post(client, **body):
    return client.post("/api/v1/config", body, content_type="application/json")


def test_a_plan_is_seen_first_and_applied_as_it_was_seen(editor):
    seen = post(editor, document=PLACES)
    assert seen.status_code == 200
    assert seen.json()["applied"] is False
    assert [(one["kind"], one["name"], one["act"]) for one in seen.json()["steps"]] == [("environments", "qa", "add")]
    assert {"field": "rank", "before": None, "after": 5} in seen.json()["steps"][0]["fields_written"]
    assert not Environment.objects.exists()

    done = post(editor, document=PLACES, dry_run=False, plan=seen.json()["plan"])
    assert (done.status_code, done.json()["applied"]) == (200, True)
    assert Environment.objects.get().rank == 5

    again = post(editor, document=PLACES, dry_run=False, plan=seen.json()["plan"])
    assert (again.status_code, again.json()["code"]) == (409, "stale")


def test_what_is_read_out_changes_nothing_when_it_is_read_in(editor):
    post(editor, document=PLACES, dry_run=False)
    document = editor.get("/api/v1/config").json()["document"]

    assert "- name: qa\n  kind: staging\n  rank: 5\n" in document
    steps = post(editor, document=document).json()["steps"]
    assert [one["act"] for one in steps if one["kind"] == "environments"] == ["keep"]
    assert not [one for one in steps if one["act"] in {"add", "change"}]


def test_what_cannot_be_applied_is_named_by_path_and_line(editor):
    answer = post(editor, document=f"{PLACES}teams:\n- {{name: x}}\nservices:\n- {{name: y, team: z}}\n")

    assert answer.status_code == 400
    assert answer["Content-Type"].startswith("application/problem+json")
    assert answer.json()["fields"]["services[0].team"][0].startswith("Line 7: There is no “z”")


def test_a_machine_edits_no_people_and_one_that_edits_nothing_sees_nothing(editor, ci):
    answer = post(editor, document="gmud: 1\nteams:\n- {name: x}\n", dry_run=False)
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["teams[0]"])

    assert ci.get("/api/v1/config").status_code == 403
    assert post(ci, document=PLACES).status_code == 403


def test_the_catalogue_moves_over_the_api_and_comes_out_the_same(editor, now):
    here = transaction.savepoint()
    apply(actor=the_first_owner(), text=BANK, dry_run=False, now=now)
    written = editor.get("/api/v1/config").json()
    transaction.savepoint_rollback(here)
    assert not Service.objects.exists()
    whole = yaml.safe_load(written["document"])
    people = {name: one for name, one in whole.items() if name not in CATALOG}
    apply(actor=the_first_owner(), text=yaml.safe_dump(people), dry_run=False, now=now)

    seen = post(editor, document=written["document"])
    assert {one["kind"] for one in seen.json()["steps"] if one["act"] == "add"} == set(CATALOG)
    done = post(editor, document=written["document"], dry_run=False, plan=seen.json()["plan"])

    assert done.status_code == 200, done.json()
    assert editor.get("/api/v1/config").json() == written


def test_a_token_never_changes_who_may_decide_and_every_place_is_told(editor, now):
    apply(actor=the_first_owner(), text=BANK, dry_run=False, now=now)
    before = (Person.objects.count(), Team.objects.count(), Policy.objects.count())
    asked = (
        f"{PLACES}teams:\n- {{name: ledger, title: Mine}}\n"
        "people:\n- {username: ana, roles: [owner]}\n- {username: eve, name: Eve}\n"
        "policy: {name: Lax, rules: [{seats: {seat_engineering: 1}}]}\n"
    )

    for dry_run in (True, False):
        answer = post(editor, document=asked, dry_run=dry_run)
        said = answer.json()
        assert (answer.status_code, sorted(said["fields"])) == (400, ["people[0]", "people[1]", "policy", "teams[0]"])
        for (one,) in said["fields"].values():
            assert "A token never changes who may decide" in one
    assert (Person.objects.count(), Team.objects.count(), Policy.objects.count()) == before
    assert not Environment.objects.filter(name="qa").exists()


def test_machines_stand_beside_the_document(editor):
    (one,) = editor.get("/api/v1/config").json()["by_hand"]
    assert (one["name"], one["scopes"], one["team"]) == ("ci", ["catalog.edit"], "")

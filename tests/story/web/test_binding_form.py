"""The form of a binding: jobs and parameters read live, checked before it is saved, forward and back."""

import pytest

from gmud.sandbox.jenkins import TOKEN as JENKINS_TOKEN
from gmud.sandbox.spinnaker.accounts import TOKEN as SPINNAKER_TOKEN
from releases.accounts.roles import Role
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.catalog.models import Binding
from releases.delivery import services as delivery
from releases.delivery.providers import target_of
from tests.factories.accounts import SETUP, a_person
from tests.factories.catalog import a_connection
from tests.factories.changes import a_house
from tests.factories.delivery import JOB, a_deployment, a_world
from tests.factories.spinnaker import JOB as PIPELINE
from tests.factories.spinnaker import PLACE
from tests.factories.spinnaker import a_world as a_spinnaker

pytestmark = pytest.mark.django_db
LOOK = "/settings/bindings/look"


@pytest.fixture(scope="module")
def world():
    with a_world() as found:
        yield found


@pytest.fixture
def house(db, now):
    return a_house(now, service="frontend")


@pytest.fixture
def fill(house, browse, now):
    """Return a function that asks for what is there with a form as it is filled in, and returns what is shown."""
    browser = browse(a_person("Olga Dias", Role.OWNER, now=now))
    place = {"service": str(house.service.pk), "environment": str(house.environment.pk), "purpose": "deploy"}

    def filled(connection, **said):
        answer = browser.post(LOOK, {**place, "connection": str(connection.pk), **said}, headers={"HX-Request": "true"})
        assert answer.status_code == 200
        return " ".join(answer.content.decode().split())

    return filled


@pytest.fixture
def jenkins(house, world, now):
    return a_connection("", ConnectionKind.JENKINS, origin=world.url, secret=str(JENKINS_TOKEN), now=now)


def test_jobs_are_offered_folder_by_folder(fill, jenkins):
    assert '<option value="ledger/">' in fill(jenkins)
    assert f'<option value="{JOB}">' in fill(jenkins, job="ledger/")
    assert "Jenkins has no folder nowhere" in fill(jenkins, job="nowhere/x")


def test_a_job_is_shown_with_what_it_takes_and_may_be_started(fill, jenkins):
    shown = fill(jenkins, job=JOB)

    assert "It can be started as it is filled in." in shown
    for name, gets in (("GMUD_CORRELATION", "the correlation key"), ("GMUD_PERMIT", "the permit, once")):
        assert f"<code>{name}</code>" in shown
        assert gets in shown


def test_what_is_missing_is_named_before_anything_is_saved(fill, jenkins):
    shown = fill(jenkins, job=JOB, parameters="REGION: br\nTAG: {{ item.verson }}")

    assert "does not declare the parameter REGION" in shown
    assert "TAG: nobody fills in {{ item.verson }}" in shown
    assert "does not declare the parameter OTHER" in fill(jenkins, job=JOB, back_parameters="OTHER: x")
    assert not Binding.objects.exists()


def test_a_task_that_goes_back_is_checked_for_its_options(fill, house, now):
    with a_spinnaker() as spinnaker:
        gate = a_connection(
            "gate", ConnectionKind.SPINNAKER, origin=spinnaker.url, account="", secret=SPINNAKER_TOKEN, now=now
        )
        lacking = fill(gate, job=PIPELINE, back_options="task: undoRolloutManifest")
        wrong = fill(gate, job=PIPELINE, back_options="task: undoEverything")

    assert "The task needs the option manifestName." in lacking
    assert "Spinnaker has no task undoEverything" in wrong
    assert sorted(PLACE) == ["account", "location", "manifestName"]


def test_a_connection_that_does_not_answer_says_so_in_the_form(fill, house, now):
    gone = a_connection("gone", ConnectionKind.JENKINS, origin="http://127.0.0.1:9", now=now)

    assert "✕" in fill(gone, job=JOB)


def test_a_binding_is_saved_forward_and_back_and_shown_again(house, browse, jenkins, now):
    browser = browse(a_person("Olga Dias", Role.OWNER, now=now))
    said = {
        "service": str(house.service.pk),
        "environment": str(house.environment.pk),
        "purpose": "deploy",
        "connection": str(jenkins.pk),
        "job": JOB,
        "parameters": "TAG: {{ item.version }}\nRUN_KEY: {{ operation.key }}",
        "back_job": "ledger/rollback",
        "back_options": "task: undoRolloutManifest",
    }
    wrong = browser.post("/settings/bindings/add", {**said, "back_parameters": "TAG: {{ nothing }}"})
    made = browser.post("/settings/bindings/add", said)

    assert (wrong.status_code, "back_parameters-error" in wrong.content.decode()) == (422, True)
    row = Binding.objects.get()
    assert row.settings == {
        "job": JOB,
        "parameters": {"TAG": "{{ item.version }}", "RUN_KEY": "{{ operation.key }}"},
        "back": {"job": "ledger/rollback", "options": {"task": "undoRolloutManifest"}},
    }
    assert "ledger/rollback" in browser.get(made["Location"]).content.decode()
    form = browser.get(f"/settings/bindings/{row.pk}/edit").content.decode()
    assert "task: undoRolloutManifest" in form
    assert 'list="jobs"' in form


def test_places_are_filled_in_when_a_deployment_is_asked_for_and_carriers_are_never_kept(world, house, jenkins, now):
    from tests.factories.catalog import a_service, an_environment

    service, environment = a_service("ledgerwriter"), an_environment()
    parameters = {"TAG": "{{ item.version }}", "RUN_KEY": "{{ operation.key }}", "PASS": "{{ permit }}"}
    catalog.bind(
        actor=SETUP,
        service_id=service.pk,
        environment_id=environment.pk,
        purpose=Purpose.DEPLOY,
        connection_id=jenkins.pk,
        settings={"job": JOB, "parameters": parameters, "back": {"job": "ledger/rollback"}},
        now=now,
    )
    row = a_deployment(world)

    target = target_of(row)

    assert (row.job, target.key_parameter, target.permit_parameter) == (JOB, "RUN_KEY", "PASS")
    assert target.parameters["TAG"] == "v0.6.11"
    assert {"RUN_KEY", "PASS"}.isdisjoint(target.parameters)
    assert "back" not in delivery.job_of(service.pk, environment.pk)

"""Deployments over REST: listed, read with what they ask, their log, and what may be asked of them."""

import pytest

from releases.accounts.rights import Right
from releases.core import clock
from releases.delivery import services
from releases.delivery.states import State
from tests.factories.changes import a_change, a_house
from tests.factories.delivery import a_world, fault, permit
from tests.factories.followed import Followed

pytestmark = pytest.mark.django_db
PLACE = "/api/v1/deployments"
JSON = "application/json"
LAST = "ffffffff-ffff-7fff-bfff-ffffffffffff"  # asked for after everything else


@pytest.fixture
def house(db):
    return a_house(clock.now(), service="frontend")


@pytest.fixture
def one(house):
    """Return a deployment whose run asks something."""
    with a_world() as world:
        change = a_change(house)
        yield Followed(world, now=clock.now(), change_id=change.pk, ask={"Deploy": {"message": "Go live?"}})


@pytest.fixture
def reader(machine):
    return machine(Right.CHANGE_READ)


def test_a_deployment_is_read_with_its_stages_its_questions_and_what_may_be_asked_of_it(one, reader):
    said = reader.get(f"{PLACE}/{one.row.pk}").json()

    assert (said["state"], said["service"], said["system"], said["change_request"]) == (
        "waiting_input",
        "ledgerwriter",
        "jenkins",
        "CHG-1001",
    )
    assert said["questions"] == [
        {"id": one.card.questions[0].id, "text": "Go live?", "may_answer": [], "takes": []},
    ]
    assert said["acts"] == ["kill", "stop", "terminate"]
    assert [stage["name"] for stage in said["stages"]] == [stage.name for stage in one.card.stages]
    assert (said["key"], said["run"], said["wishes"]) == (one.card.key, "1", [])
    assert said["page"].endswith(f"/deployments/{one.row.pk}")


LISTED = {
    "": 1,
    "?service=ledgerwriter&environment=production&system=jenkins&state=waiting_input&open=true": 1,
    "?service=frontend": 0,
    "?state=succeeded": 0,
    f"?before={LAST}": 1,
}
WRONG = ("state=nonsense", "system=kong", "before=7", "other=1")


def test_deployments_are_listed_by_what_is_asked_and_a_filter_that_is_none_is_named(one, reader):
    said = {asked: reader.get(f"{PLACE}{asked}").json() for asked in LISTED}
    wrong = {asked: reader.get(f"{PLACE}?{asked}") for asked in WRONG}

    assert {asked: len(one["deployments"]) for asked, one in said.items()} == LISTED
    assert {asked for asked, one in wrong.items() if one.status_code == 400 and asked[:5] in one.content.decode()} == {
        *WRONG
    }


def test_the_log_is_read_on_from_where_it_was_left_by_who_may_release_or_go_back(one, reader, machine):
    assert reader.get(f"{PLACE}/{one.row.pk}/log").status_code == 403
    reader, build = machine(Right.CHANGE_RELEASE), one.world.job.builds[1]
    build.lines.append(f"+ deploy {permit()}")

    first = reader.get(f"{PLACE}/{one.row.pk}/log").json()
    build.lines.append("the next line")
    then = reader.get(f"{PLACE}/{one.row.pk}/log?start={first['start']}").json()

    assert first["lines"][-1] == "+ deploy [token]"
    assert then["lines"][-1] == "the next line"
    assert (first["has_more"], reader.get(f"{PLACE}/{one.row.pk}/log?start=x").status_code) == (True, 400)


def test_a_log_that_cannot_be_read_is_a_failure_of_the_outside(one, machine):
    fault(one.world.url, "503", path="progressiveText", times=9)

    assert machine(Right.ROLLBACK_BEGIN).get(f"{PLACE}/{one.row.pk}/log").status_code == 502


def test_a_machine_stops_a_run_and_reads_what_came_of_it(one, machine, reader):
    asked = machine(Right.CHANGE_RELEASE).post(f"{PLACE}/{one.row.pk}/acts", {"act": "stop"}, JSON)
    assert (asked.status_code, [wish["passed_at"] for wish in asked.json()["wishes"]]) == (202, [None])

    one.look(200)

    said = reader.get(f"{PLACE}/{one.row.pk}").json()
    assert (said["state"], said["wishes"][0]["refusal"]) == (State.CANCELED, None)
    assert said["wishes"][0]["passed_at"] is not None


def test_what_the_system_cannot_do_and_what_is_none_is_refused(one, machine):
    bot = machine(Right.CHANGE_RELEASE)

    assert bot.post(f"{PLACE}/{one.row.pk}/acts", {"act": "pause"}, JSON).status_code == 409
    assert bot.post(f"{PLACE}/{one.row.pk}/acts", {"act": "jump"}, JSON).status_code == 400


def test_who_may_only_go_back_steers_no_release(one, machine):
    answer = machine(Right.ROLLBACK_BEGIN).post(f"{PLACE}/{one.row.pk}/acts", {"act": "stop"}, JSON)

    assert (answer.status_code, one.card.wishes) == (403, ())


def test_a_machine_answers_no_question(one, house):
    from releases.audit.actor import Actor, ActorKind
    from releases.core.errors import NotPermitted

    robot = Actor(ActorKind.MACHINE, "", "Robot")
    with pytest.raises(NotPermitted):
        services.answer(
            deployment_id=one.row.pk, question=one.card.questions[0].id, goes_on=True, actor=robot, now=clock.now()
        )
    assert one.card.wishes == ()

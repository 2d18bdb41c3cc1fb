"""What crosses the room's border: handles that survive being kept, and answers read for what they prove."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.core.errors import Rejected, Unreachable
from releases.core.http import Reply
from releases.delivery.jenkins.client import parameters_of, path_of, queue_number
from releases.delivery.jenkins.refusals import NOS, failure
from releases.delivery.ports import Handle, Order, Target
from releases.delivery.spinnaker.adapter import LOST
from releases.delivery.spinnaker.client import FAILURES
from releases.delivery.states import ENDS, State


@given(
    key=st.text(max_size=64),
    job=st.text(max_size=100),
    ticket=st.text(max_size=20),
    run=st.text(max_size=20),
    stopped=st.booleans(),
)
def test_a_handle_survives_being_kept(key, job, ticket, run, stopped):
    handle = Handle(key, job, ticket=ticket, run=run, stop_asked=stopped)

    assert Handle.from_json({**handle.as_json(), "of_a_later_version": 1}) == handle


@pytest.mark.parametrize("no", sorted({*NOS.values(), *FAILURES.values(), LOST}))
def test_a_clear_no_says_what_to_do_or_hands_on_what_was_said(no):
    assert "%(message)s" in no or len(no.rstrip(".").split(". ")) > 1


def test_an_order_never_shows_its_permit():
    assert "secret" not in repr(Order("key", Target("job"), "secret"))


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("team/app/deploy", "/job/team/job/app/job/deploy"),
        ("team/a b", "/job/team/job/a%20b"),
        ("mb/feature%2Fx", "/job/mb/job/feature%252Fx"),
        ("ção/x?y#z", "/job/%C3%A7%C3%A3o/job/x%3Fy%23z"),
    ],
)
def test_each_part_of_a_job_name_is_encoded_by_itself(name, path):
    assert path_of(name) == path


@pytest.mark.parametrize(
    ("location", "number"),
    [
        ("https://ci.example/queue/item/41/", "41"),
        ("http://internal:8080/ci/queue/item/7", "7"),
        ("https://ci.example/job/team/job/deploy/", ""),
        ("https://ci.example/queue/item/41/api/json", ""),
        ("", ""),
    ],
)
def test_only_a_number_at_the_end_of_a_location_counts(location, number):
    assert queue_number(Reply(201, {"location": location}, b"")) == number


def test_actions_may_be_empty_objects_and_parameters_without_value():
    page = {"actions": [{}, None, {"parameters": [{"name": "A", "value": "1"}, {"name": "SECRET"}]}, {"causes": []}]}

    assert parameters_of(page) == {"A": "1", "SECRET": ""}


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 422])
def test_a_clear_no_is_a_rejection(status):
    assert isinstance(failure(Reply(status, {}, b"")), Rejected)


@pytest.mark.parametrize("status", [200, 201, 204, 301, 302, 303, 408, 425, 429, 500, 502, 503, 504])
def test_everything_else_is_not_known(status):
    assert isinstance(failure(Reply(status, {}, b"")), Unreachable)


def test_what_jenkins_says_in_its_error_header_is_kept():
    assert failure(Reply(400, {"x-error": "already given"}, b"<html>")).body == "already given"


def test_a_state_is_an_end_or_not():
    assert set(State) - ENDS == {
        State.REQUESTED,
        State.QUEUED,
        State.RUNNING,
        State.WAITING_INPUT,
        State.PAUSED,
    }

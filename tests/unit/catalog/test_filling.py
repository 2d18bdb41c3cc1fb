"""Places in the parameters of a job: which there are, which stand alone, and what is filled in when."""

import pytest

from releases.catalog.filling import Carriers, backward, carriers, filled, forward, problem

ITEM = {"version": "v1.5.0", "digest": "sha256:ab", "service": "ledger", "environment": "production", "slot": "canary"}


def test_what_is_said_of_the_item_is_filled_in_and_key_and_permit_stay_places():
    given = {"TAG": "{{ item.version }}", "IMAGE": "ledger@{{item.digest}}", "KEY": "{{ operation.key }}", "R": "br"}

    assert filled(given, ITEM) == {
        "TAG": "v1.5.0",
        "IMAGE": "ledger@sha256:ab",
        "KEY": "{{ operation.key }}",
        "R": "br",
    }


def test_the_parameters_that_carry_key_and_permit_are_told_apart():
    given = {"ID": "{{ operation.key }}", "PASS": " {{permit}} ", "TAG": "v1"}

    assert carriers(given) == Carriers("ID", "PASS", {"TAG": "v1"})
    assert carriers({"TAG": "v1"}) == Carriers("", "", {"TAG": "v1"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"TAG": "{{ item.verson }}"}, "TAG: nobody fills in {{ item.verson }}"),
        ({"TAG": "{{ }}"}, "TAG: nobody fills in"),
        ({"TAG": "v{{ item.version"}, "TAG: a place opens with {{ and closes with }}"),
        ({"ARGS": "--permit={{ permit }}"}, "ARGS: {{ permit }} stands alone"),
        ({"A": "{{ permit }}", "B": "{{ permit }}"}, "B: {{ permit }} is in A already"),
    ],
)
def test_a_place_that_is_none_is_named_with_its_parameter(given, said):
    assert said in str(problem(given))


def test_every_place_that_is_there_may_be_used():
    assert problem({"A": "{{item.version}} {{ item.slot }}", "B": "{{ operation.key }}", "C": "{{ permit }}"}) is None


def test_going_back_is_as_going_forward_but_for_what_is_said_otherwise():
    said = {"job": "deploy", "parameters": {"R": "br"}, "options": {"via": "v2"}, "back": {"job": "rollback"}}

    assert forward(said) == {"job": "deploy", "parameters": {"R": "br"}, "options": {"via": "v2"}}
    assert backward(said) == {"job": "rollback", "parameters": {"R": "br"}, "options": {"via": "v2"}}

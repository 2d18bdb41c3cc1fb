"""Which version runs after going back, by what the CI system tells of its runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from releases.delivery.ports import Run
from releases.delivery.rules import SKEW, Wanted, misbrought, misfit, misreported, under_way
from releases.delivery.states import State

NOON = datetime(2026, 9, 15, 12, 0, tzinfo=UTC)
WANTED = Wanted(
    key="op:1",
    key_parameter="KEY",
    service="ledgerwriter",
    environment="production",
    version="v1",
    digest="sha256:1",
    slot="canary",
    live="stable",
)


def a_run(number, version, *, slot="canary", key="", state=State.SUCCEEDED, minute=0, **other):
    """Return a run that ended so many minutes past noon."""
    parameters = {
        "SERVICE": "ledgerwriter",
        "ENVIRONMENT": "production",
        "SLOT": slot,
        "VERSION": version,
        "DIGEST": f"sha256:{version[1:]}",
        "KEY": key,
        **other,
    }
    is_over = state is not State.RUNNING
    return Run(str(number), state, parameters, NOON + timedelta(minutes=minute) if is_over else None)


OURS = a_run(7, "v1", key="op:1", minute=10)


def test_our_run_that_succeeded_with_the_wanted_artifact_is_enough():
    assert misfit([OURS], WANTED) is None
    assert misfit([OURS, a_run(3, "v1", slot="stable"), a_run(6, "v2")], WANTED) is None


@pytest.mark.parametrize("twin", [State.FAILED, State.CANCELED, State.RUNNING])
def test_of_two_runs_with_our_key_the_one_that_the_gate_let_deploy_counts(twin):
    other = a_run(8, "v1", key="op:1", state=twin, minute=12)

    assert misfit([other, OURS], WANTED) is None
    assert misfit([OURS, other], WANTED) is None
    assert "no longer shows" in str(
        misfit(
            [a_run(9, "v1", key="op:1", state=State.RUNNING), a_run(8, "v1", key="op:1", state=State.FAILED)], WANTED
        )
    )


@pytest.mark.parametrize(
    ("run", "words"),
    [
        (replace(OURS, parameters={**OURS.parameters, "DIGEST": "sha256:9", "VERSION": "v9"}), "brought v9"),
        (replace(OURS, state=State.FAILED), "failed"),
        (replace(OURS, parameters={**OURS.parameters, "KEY": "op:2"}), "no longer shows"),
        (replace(OURS, ended_at=None), "no longer shows"),
    ],
)
def test_a_run_that_was_not_what_we_ordered_is_named(run, words):
    assert words in str(misfit([run], WANTED))


def test_what_somebody_brought_afterwards_to_the_same_side_is_named_by_its_run():
    later = a_run(8, "v3", minute=11)

    assert "Run 8 brought ledgerwriter v3 afterwards" in str(misfit([later, OURS], WANTED))


def test_of_two_runs_the_one_that_ended_last_counts_whatever_their_numbers():
    begun_before_ended_after = a_run(6, "v3", minute=12)

    assert "Run 6" in str(misfit([OURS, begun_before_ended_after], WANTED))


def test_another_version_on_the_side_customers_are_on_is_named():
    assert "run 4 brought ledgerwriter v2" in str(misfit([OURS, a_run(4, "v2", slot="stable")], WANTED))
    assert misfit([OURS, a_run(4, "v2", slot="stable"), a_run(5, "v1", slot="stable", minute=1)], WANTED) is None


@pytest.mark.parametrize(
    "other",
    [
        {"SERVICE": "frontend"},
        {"ENVIRONMENT": "staging"},
        {"SLOT": "green"},
        {"state": State.FAILED},
        {"version": "v1"},
    ],
)
def test_what_others_do_elsewhere_or_in_vain_changes_nothing(other):
    other = {"version": "v3", "minute": 20, **other}

    assert misfit([OURS, a_run(8, **other)], WANTED) is None


@pytest.mark.parametrize(("name", "found"), [("SLOT", "stable"), ("DIGEST", "sha256:2"), ("ENVIRONMENT", "test")])
def test_a_run_that_was_given_something_else_than_its_permit_is_for_is_named(name, found):
    wanted = {**OURS.parameters}

    told = misbrought(replace(OURS, parameters={**wanted, name: found}), wanted)
    assert (told.parts["name"], told.parts["found"], told.parts["wanted"]) == (name, found, wanted[name])
    for said in ({**wanted, name: ""}, {key: value for key, value in wanted.items() if key != name}, wanted):
        assert misbrought(replace(OURS, parameters=said), wanted) is None  # told by the gate, or not at all


@pytest.mark.parametrize(
    ("run", "since", "words"),
    [
        (OURS, OURS.ended_at + SKEW, ""),
        (replace(OURS, ended_at=None), OURS.ended_at, ""),
        (OURS, OURS.ended_at + SKEW + timedelta(seconds=1), "had ended before"),
        (None, OURS.ended_at, "no run of the job"),
        (replace(OURS, parameters={**OURS.parameters, "DIGEST": "sha256:2"}), OURS.ended_at, "as DIGEST"),
    ],
)
def test_a_run_is_the_one_that_was_reported_unless_its_system_tells_otherwise(run, since, words):
    told = misreported(run, "jenkins:deploy#7", OURS.parameters, since=since)

    assert words in str(told) if words else told is None


def test_a_run_that_is_still_under_way_on_either_side_is_waited_for():
    assert "Run 9" in str(under_way([a_run(9, "v2", state=State.RUNNING)], WANTED))
    assert under_way([a_run(9, "v2", slot="stable", state=State.RUNNING)], WANTED)
    assert under_way([a_run(9, "v2", slot="green", state=State.RUNNING), OURS], WANTED) is None


def test_where_there_is_one_side_only_the_other_is_not_asked_about():
    assert misfit([OURS, a_run(4, "v2", slot="")], replace(WANTED, live="")) is None
    assert under_way([a_run(9, "v2", SLOT="", state=State.RUNNING)], replace(WANTED, live="")) is None

"""One contract for every control plane, run against its sandbox over HTTP."""

import contextlib
import json
from functools import partial

import pytest

from gmud.sandbox.server import Fault
from releases.core import http
from releases.core.errors import Rejected, Unreachable
from releases.traffic.ports import (
    Conflict,
    NotApplied,
    NotEditable,
    Outcome,
    Split,
    System,
    Verification,
    outcome_of,
)
from tests.contract.traffic.stages import STAGES
from tests.contract.traffic.stages.stage import Stage

ALL = Split({"stable": 0, "canary": 100})


@pytest.fixture(params=sorted(STAGES), ids=str)
def stage(request):
    with STAGES[System(request.param)]() as found:
        yield found


def write(stage: Stage, split: Split = ALL):
    return stage.provider.write(stage.route, split, seen=stage.provider.read(stage.route).version)


@contextlib.contextmanager
def nothing_is_written(stage: Stage):
    """Check that the weights and everything else stay as they are, and that nothing was even tried."""
    before = (stage.raw(), stage.rest(), stage.writes())
    yield
    assert (stage.raw(), stage.rest(), stage.writes()) == before


def plant(stage: Stage, do: str, *, on: str = "writing", **more):
    stage.sandbox.faults.append(Fault(do, **(stage.writing if on == "writing" else stage.reading), **more))


def after_write(stage: Stage, act):
    """Have somebody act between our next write and our look at what came of it."""
    answer, write = stage.sandbox.answer, Fault("", **stage.writing)

    def answered(call):
        reply = answer(call)
        if write.hits(call):
            stage.sandbox.answer = answer
            act()
        return reply

    stage.sandbox.answer = answered


class TestReading:
    """What a look tells."""

    def test_a_route_is_read_with_its_weights_and_its_version(self, stage):
        reading = stage.provider.read(stage.route)
        assert reading.weights == {"stable": 90, "canary": 10}
        assert reading.version.weights == {"stable": 90, "canary": 10}
        assert [target.name for target in reading.targets] == ["stable", "canary"]
        assert len({target.key for target in reading.targets}) == 2
        assert reading.version.token
        assert reading.version.fingerprint
        assert reading.version.is_strict is stage.provider.capabilities().is_strict
        assert not reading.obstacles

    def test_a_full_key_names_a_target_as_well_as_its_short_name(self, stage):
        stable, canary = (target.key for target in stage.provider.read(stage.route).targets)
        by_key = type(stage.route)(**{**_parts(stage.route), "stable": stable, "canary": canary})
        assert stage.provider.read(by_key).weights == {"stable": 90, "canary": 10}

    def test_a_look_writes_nothing(self, stage):
        with nothing_is_written(stage):
            stage.provider.read(stage.route)
            stage.provider.preview(stage.route, ALL)

    def test_weights_alone_do_not_move_the_fingerprint_and_anything_else_of_the_route_does(self, stage):
        first = stage.provider.read(stage.route).version
        stage.stand(1, 2)
        second = stage.provider.read(stage.route).version
        stage.restructure()
        third = stage.provider.read(stage.route).version
        assert (second.uid, second.fingerprint) == (first.uid, first.fingerprint)
        assert second.token != first.token
        assert third.fingerprint != second.fingerprint

    def test_what_is_not_there_is_refused_and_never_made(self, stage):
        seen = stage.provider.read(stage.route).version
        stage.remove()
        for ask in (
            lambda: stage.provider.read(stage.route),
            lambda: stage.provider.preview(stage.route, ALL),
            lambda: stage.provider.write(stage.route, ALL, seen=seen),
        ):
            with pytest.raises(NotEditable) as raised:
                ask()
            assert outcome_of(raised.value) is Outcome.REFUSED
        assert stage.writes() == 0

    @pytest.mark.parametrize("name", ["stable", "canary"])
    def test_a_side_that_no_target_is_called_is_refused(self, stage, name):
        lost = type(stage.route)(**{**_parts(stage.route), name: "nobody"})
        with pytest.raises(NotEditable, match="0 destinations match nobody"):
            stage.provider.read(lost)

    @pytest.mark.parametrize("status", [401, 403])
    def test_a_refused_entrance_is_a_clear_no(self, stage, status):
        stage.deny(status)
        with pytest.raises(Rejected) as raised:
            stage.provider.read(stage.route)
        assert raised.value.http_status == status
        assert outcome_of(raised.value) is Outcome.REFUSED

    @pytest.mark.parametrize(
        ("do", "more"),
        [
            ("html", {}),
            ("status:200", {"body": '{"metadata": {"name"', "headers": {"Content-Type": "application/json"}}),
            ("status:302", {"headers": {"Location": "http://127.0.0.1:1/"}}),
            ("status:200", {"body": "[]", "headers": {"Content-Type": "application/json"}}),
            ("status:500", {}),
            ("close_before", {}),
        ],
        ids=["a proxy's page", "truncated", "redirect", "a list", "500", "hung up"],
    )
    def test_an_answer_that_is_none_is_not_believed(self, stage, do, more):
        plant(stage, do, on="reading", times=5, **more)
        with pytest.raises(Unreachable):
            stage.provider.read(stage.route)


class TestPreviewing:
    """What is shown before."""

    def test_the_steps_the_requests_and_the_reach_are_shown(self, stage):
        preview = stage.provider.preview(stage.route, ALL)
        assert preview.is_possible
        assert [(step.name, step.before, step.after) for step in preview.steps] == [
            ("stable", 90, 0),
            ("canary", 10, 100),
        ]
        assert preview.operations
        json.dumps([dict(one) for one in preview.operations])

    @pytest.mark.parametrize(
        "weights",
        [
            {"stable": 0, "canary": 0},
            {"stable": -1, "canary": 2},
            {"stable": True, "canary": 1},
            {"stable": 1.5, "canary": 1},
            {"blue": 100},
            {"canary": 100},
        ],
        ids=["all zero", "negative", "boolean", "fraction", "unknown", "left out"],
    )
    @pytest.mark.parametrize("literal", [False, True])
    def test_senseless_weights_never_leave_the_house(self, stage, weights, literal):
        with nothing_is_written(stage):
            with pytest.raises(NotEditable):
                write(stage, Split(weights, literal=literal))
            assert not stage.provider.preview(stage.route, Split(weights, literal=literal)).is_possible

    def test_a_weight_above_what_is_taken_there_never_leaves_the_house(self, stage):
        split = Split({"stable": 1, "canary": stage.provider.capabilities().largest + 1}, literal=True)
        with nothing_is_written(stage), pytest.raises(NotEditable):
            write(stage, split)

    def test_a_target_without_anybody_to_answer_gets_no_more_traffic_unless_somebody_says_why(self, stage):
        stage.kill("canary")
        preview = stage.provider.preview(stage.route, ALL)
        assert preview.doubts
        assert not preview.is_possible
        with nothing_is_written(stage), pytest.raises(NotEditable):
            write(stage)
        away = write(stage, Split({"stable": 95, "canary": 5}))
        assert away.reading.weights == {"stable": 95, "canary": 5}

        meant = Split(ALL.weights, reason="the pods start with the first request")
        preview = stage.provider.preview(stage.route, meant)
        assert preview.is_possible
        assert preview.warnings
        assert write(stage, meant).outcome is Outcome.APPLIED
        assert stage.raw() == {"stable": 0, "canary": 100}


class TestWriting:
    """What a write does, and leaves alone."""

    def test_both_weights_are_set_and_everything_else_stays(self, stage):
        rest = stage.rest()
        written = write(stage)
        assert (written.outcome, written.verification) == (Outcome.APPLIED, Verification.STORED)
        assert stage.raw() == {"stable": 0, "canary": 100}
        assert written.reading.weights == {"stable": 0, "canary": 100}
        assert stage.rest() == rest

    def test_what_already_stands_is_not_written_again(self, stage):
        with nothing_is_written(stage):
            written = write(stage, Split({"stable": 9, "canary": 1}))
        assert written.outcome is Outcome.ALREADY

    def test_literal_numbers_are_written_although_the_shares_stand(self, stage):
        assert write(stage, Split({"stable": 9, "canary": 1}, literal=True)).outcome is Outcome.APPLIED
        assert stage.raw() == {"stable": 9, "canary": 1}

    @pytest.mark.parametrize("shares", [(1, 1), (2, 1), (1, 999), (0, 1), (1, 0)])
    def test_shares_stand_as_asked_and_a_wish_is_never_rounded_to_none_or_all(self, stage, shares):
        asked = Split({"stable": shares[0], "canary": shares[1]})
        assert write(stage, asked).outcome is Outcome.APPLIED
        assert [bool(weight) for weight in stage.raw().values()] == [bool(share) for share in shares]
        assert write(stage, asked).outcome is Outcome.ALREADY

    @pytest.mark.parametrize("raw", [(90, 10), (100, 0), (0, 1), (7, 7), (None, 7), (7, None)])
    def test_a_restore_leaves_everything_as_it_was_to_the_number(self, stage, raw):
        if None in raw and not stage.can_be_absent:
            return
        stage.stand(*raw)
        before = (stage.raw(), stage.rest())
        old = stage.provider.read(stage.route).version
        write(stage, Split({"stable": 33, "canary": 67}))
        assert stage.raw() != before[0]
        assert write(stage, Split.back_to(old)).outcome is Outcome.APPLIED
        assert (stage.raw(), stage.rest()) == before
        assert write(stage, Split.back_to(old)).outcome is Outcome.ALREADY

    def test_a_restore_onto_another_route_with_the_same_targets_asks_why(self, stage):
        old = stage.provider.read(stage.route).version
        stage.stand(1, 99)
        stage.restructure()
        assert stage.provider.preview(stage.route, Split.back_to(old)).doubts
        with nothing_is_written(stage), pytest.raises(NotEditable):
            write(stage, Split.back_to(old))
        assert write(stage, Split.back_to(old, reason="the time-out is unrelated")).outcome is Outcome.APPLIED
        assert stage.raw() == {"stable": 90, "canary": 10}


class TestOthers:
    """What somebody else does meanwhile."""

    @pytest.mark.parametrize("when", ["before our look", "before our write"])
    def test_fifty_of_fifty_foreign_edits_are_noticed_and_left_alone(self, stage, when):
        for turn in range(50):
            theirs = {"stable": 20 + turn, "canary": 70}
            stage.stand(90, 10)
            seen = stage.provider.read(stage.route).version
            if when == "before our look":
                stage.stand(**theirs)
            else:
                stage.before_write(lambda theirs=theirs: stage.stand(**theirs))
            with pytest.raises(Conflict) as raised:
                stage.provider.write(stage.route, ALL, seen=seen)
            assert outcome_of(raised.value) is Outcome.CONFLICT
            assert raised.value.difference.expected == {"stable": 90, "canary": 10}
            assert raised.value.difference.found == theirs
            assert not raised.value.difference.restructured
            assert stage.raw() == theirs

    def test_a_foreign_edit_to_what_we_wanted_is_no_conflict(self, stage):
        seen = stage.provider.read(stage.route).version
        stage.before_write(lambda: stage.stand(0, 100))
        assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED

    def test_a_writer_that_touches_something_else_does_not_stop_us(self, stage):
        seen = stage.provider.read(stage.route).version
        stage.touch()
        stage.before_write(stage.touch)
        assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED
        assert stage.raw() == {"stable": 0, "canary": 100}

    @pytest.mark.parametrize("change", ["restructure", "renew"])
    @pytest.mark.parametrize("when", ["before our look", "before our write"])
    def test_another_route_or_another_object_is_left_alone(self, stage, change, when):
        seen = stage.provider.read(stage.route).version
        if when == "before our look":
            getattr(stage, change)()
        else:
            stage.before_write(getattr(stage, change))
        with pytest.raises(Conflict) as raised:
            stage.provider.write(stage.route, ALL, seen=seen)
        assert raised.value.difference.restructured
        assert stage.raw() == {"stable": 90, "canary": 10}

    @pytest.mark.parametrize(("change", "restructured"), [("restructure", True), ("stand", False)])
    def test_what_somebody_changes_right_after_our_write_is_told(self, stage, change, restructured):
        act = getattr(stage, change)
        after_write(stage, act if restructured else lambda: act(44, 55))
        with pytest.raises(Conflict) as raised:
            write(stage)
        assert raised.value.difference.restructured is restructured

    def test_one_weight_of_two_as_wanted_is_our_own_half_only_where_two_requests_are_needed(self, stage):
        seen = stage.provider.read(stage.route).version
        stage.stand(90, 100)
        if stage.provider.capabilities().is_atomic:
            with nothing_is_written(stage), pytest.raises(Conflict):
                stage.provider.write(stage.route, ALL, seen=seen)
        else:
            assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED
            assert stage.raw() == {"stable": 0, "canary": 100}

    def test_two_operators_on_one_route_do_not_overwrite_each_other(self, stage):
        first = second = stage.provider.read(stage.route).version
        assert stage.provider.write(stage.route, ALL, seen=first).outcome is Outcome.APPLIED
        with pytest.raises(Conflict):
            stage.provider.write(stage.route, Split({"stable": 50, "canary": 50}), seen=second)
        assert stage.raw() == {"stable": 0, "canary": 100}


class TestLostAnswers:
    """Silence is no failure."""

    def test_a_write_whose_answer_is_lost_is_looked_up_and_found(self, stage):
        seen = stage.provider.read(stage.route).version
        plant(stage, "close_after")
        if stage.provider.capabilities().is_atomic:
            assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED
        else:
            with pytest.raises(Unreachable) as raised:
                stage.provider.write(stage.route, ALL, seen=seen)
            assert outcome_of(raised.value) is Outcome.UNKNOWN
            assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED
        assert stage.raw() == {"stable": 0, "canary": 100}

    @pytest.mark.parametrize(
        ("do", "more"),
        [
            ("close_before", {}),
            ("html", {}),
            ("status:504", {"body": "{}", "headers": {"Content-Type": "application/json"}}),
            ("status:302", {"headers": {"Location": "http://127.0.0.1:1/"}}),
            ("status:200", {"body": '{"metadata": {"name"', "headers": {"Content-Type": "application/json"}}),
            ("silence", {"seconds": 1.0}),
        ],
        ids=["hung up", "a proxy's page", "504", "redirect", "truncated", "silence"],
    )
    def test_a_write_that_never_arrived_is_told_as_not_applied_and_may_be_repeated(self, stage, do, more, monkeypatch):
        seen = stage.provider.read(stage.route).version
        plant(stage, do, **more)
        with monkeypatch.context() as only:
            stage.provider.sleep = lambda _seconds: only.undo()
            hurry = partial(only.setattr, http, "READ_SECONDS", 0.3)
            with pytest.raises(NotApplied) as raised:
                stage.provider.write(stage.route, ALL, seen=seen, still=hurry)
        assert outcome_of(raised.value) is Outcome.NOT_APPLIED
        assert stage.raw() == {"stable": 90, "canary": 10}
        assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED

    def test_a_server_that_stays_away_leaves_it_unknown(self, stage):
        seen = stage.provider.read(stage.route).version

        def away():
            plant(stage, "close_before", on="reading", times=100)

        stage.before_write(away)
        plant(stage, "close_after")
        with pytest.raises(Unreachable) as raised:
            stage.provider.write(stage.route, ALL, seen=seen)
        assert outcome_of(raised.value) is Outcome.UNKNOWN

    def test_somebody_elses_weights_after_a_lost_answer_are_a_conflict(self, stage):
        seen = stage.provider.read(stage.route).version
        plant(stage, "close_before")
        stage.provider.sleep = lambda _seconds: stage.stand(44, 55)
        with pytest.raises(Conflict):
            stage.provider.write(stage.route, ALL, seen=seen)
        assert stage.raw() == {"stable": 44, "canary": 55}


def _parts(route):
    return {name: getattr(route, name) for name in type(route).__dataclass_fields__}

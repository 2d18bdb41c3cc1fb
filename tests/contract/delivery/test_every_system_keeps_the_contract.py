"""What delivery promises of every CI system, whichever it is: one class, run before each stand-in."""

import base64
from dataclasses import replace

import pytest

from releases.core import breaker
from releases.core.errors import External, Rejected, Unreachable
from releases.delivery.ports import Answer
from releases.delivery.states import ENDS, STOPS, Act, State
from tests.contract.delivery.benches import BENCHES

UNDER_WAY = {State.QUEUED, State.RUNNING}


@pytest.fixture(params=sorted(BENCHES))
def bench(request):
    with BENCHES[request.param]() as found:
        yield found


def too_late():
    raise Unreachable("Its time is over.")


class TestContract:
    def test_it_names_its_version_and_lists_the_job_with_its_parameters(self, bench):
        folder = bench.target.job.rsplit("/", 1)[0]
        declared = {one.name for one in bench.adapter.parameters(bench.target.job)}

        assert bench.adapter.version()
        assert folder in {one.name for one in bench.adapter.jobs() if one.is_folder}
        assert bench.target.job in {one.name for one in bench.adapter.jobs(folder) if not one.is_folder}
        assert {bench.target.key_parameter, bench.target.permit_parameter} <= declared
        with pytest.raises(Rejected):
            bench.adapter.parameters(bench.missing.job)

    def test_a_job_that_takes_our_orders_is_ready(self, bench):
        assert bench.adapter.preflight(bench.target).reasons == ()

    @pytest.mark.parametrize(
        ("change", "word"),
        [
            ({"parameters": {"NOBODY_DECLARED": "1"}}, "NOBODY_DECLARED"),
            ({"options": {"nobody_knows": True}}, "nobody_knows"),
            ({"permit_parameter": "NO_PERMIT"}, "NO_PERMIT"),
        ],
    )
    def test_what_the_job_does_not_take_is_named_and_nothing_is_sent(self, bench, change, word):
        target = replace(bench.target, **change)
        readiness = bench.adapter.preflight(target)
        with pytest.raises(Rejected):
            bench.adapter.start(replace(bench.order(), target=target))

        assert not readiness.is_ready
        assert word in " ".join(map(str, readiness.reasons))
        assert bench.orders() == []

    def test_a_job_that_is_missing_or_disabled_is_a_reason_and_nothing_is_sent(self, bench):
        bench.disable()
        for target in (bench.missing, bench.target):
            assert not bench.adapter.preflight(target).is_ready
            with pytest.raises(Rejected):
                bench.adapter.start(replace(bench.order(), target=target))

        assert bench.started() == 0

    def test_an_order_whose_time_is_over_after_the_looks_before_it_is_not_sent(self, bench):
        with pytest.raises(Unreachable, match="over"):
            bench.adapter.start(replace(bench.order(), in_time=too_late))

        assert (bench.orders(), bench.started()) == ([], 0)

    def test_what_was_ordered_before_is_found_however_late(self, bench):
        order = bench.order()
        begun = bench.adapter.start(order)

        assert bench.adapter.start(replace(order, in_time=too_late)).handle.key == begun.handle.key

    def test_an_order_runs_to_its_end_and_every_look_says_where_it_is(self, bench):
        begun = bench.adapter.start(bench.order())
        done = bench.ended(begun.handle)

        assert begun.state in UNDER_WAY
        assert done.state is State.SUCCEEDED
        assert [one.state for one in done.stages] == [State.SUCCEEDED] * len(done.stages) != []
        assert done.url.startswith(("http://", "https://"))
        assert done.handle.run
        assert done.acts == frozenset()

    def test_an_order_that_waits_runs_or_is_done_is_not_begun_again(self, bench):
        wanted = bench.order()
        bench.queue()
        waiting = bench.adapter.start(wanted)
        assert bench.adapter.start(wanted).state in UNDER_WAY
        bench.hold()
        bench.release()
        bench.ended(waiting.handle)

        again = bench.adapter.start(wanted)

        assert again.state is State.SUCCEEDED
        assert (bench.started(), len(bench.orders())) == (1, 1)

    def test_a_lost_answer_is_unknown_and_the_key_finds_what_was_begun(self, bench):
        wanted = bench.order()
        bench.lose_answer()
        with pytest.raises(Unreachable):
            bench.adapter.start(wanted)

        found = bench.adapter.find(wanted.target, wanted.key)
        done = bench.ended(bench.adapter.start(wanted).handle)

        assert found.state is not State.NOT_FOUND
        assert done.state is State.SUCCEEDED
        assert (bench.started(), len(bench.orders())) == (1, 1)

    @pytest.mark.parametrize("do", ["500", "html", "close_before", "status:429", "status:503", "status:502"])
    def test_an_answer_that_proves_nothing_is_unknown_and_looking_finds_nothing(self, bench, do):
        wanted = bench.order()
        bench.refuse(do)
        with pytest.raises(Unreachable):
            bench.adapter.start(wanted)

        assert bench.adapter.find(wanted.target, wanted.key).state is State.NOT_FOUND
        assert bench.started() == 0

    @pytest.mark.parametrize("do", ["500", "html", "close_before", "status:302", "status:429", "huge"])
    def test_a_read_that_fails_never_proves_an_absence(self, bench, do):
        handle = bench.ended(bench.adapter.start(bench.order()).handle).handle
        bench.break_reads(do)

        for ask in (
            lambda: bench.adapter.find(bench.target, "gmud-any"),
            lambda: bench.adapter.look(handle),
            lambda: bench.adapter.preflight(bench.target),
            lambda: bench.adapter.runs(bench.target),
            lambda: bench.adapter.start(bench.order()),
        ):
            breaker._breakers.clear()
            with pytest.raises(External):
                ask()
        breaker._breakers.clear()
        bench.mend()

        assert bench.adapter.look(handle).state is State.SUCCEEDED
        assert bench.started() == 1

    def test_a_failure_says_why_and_names_its_stage(self, bench):
        bench.fail()

        done = bench.ended(bench.adapter.start(bench.order()).handle)

        assert done.state is State.FAILED
        assert any(one.state is State.FAILED and one.name in str(done.why) for one in done.stages)

    def test_what_we_stop_is_canceled_and_what_others_end_is_not_ours(self, bench):
        bench.hold()
        ours = bench.until(bench.adapter.start(bench.order()).handle, lambda one: one.state is State.RUNNING)
        stopped = bench.adapter.act(ours.handle, Act.STOP)
        assert bench.ended(stopped.handle).state is State.CANCELED
        assert stopped.handle.stop_asked

        theirs = bench.until(bench.adapter.start(bench.order()).handle, lambda one: one.state is State.RUNNING)
        bench.stop_elsewhere(theirs.handle)

        assert bench.ended(theirs.handle).state is State.ABORTED_EXTERNALLY

    def test_what_waits_can_be_stopped_before_it_begins_and_stopping_what_ended_changes_nothing(self, bench):
        bench.queue()
        waiting = bench.adapter.start(bench.order())

        stopped = bench.ended(bench.adapter.act(waiting.handle, Act.STOP).handle)

        assert stopped.state is State.CANCELED
        assert bench.adapter.act(stopped.handle, Act.STOP).state is State.CANCELED

    def test_an_act_that_is_not_offered_is_refused_and_nothing_is_sent(self, bench):
        bench.hold()
        running = bench.until(bench.adapter.start(bench.order()).handle, lambda one: one.state is State.RUNNING)
        before = [one for one in bench.asked() if one["method"] != "GET"]
        assert running.acts & STOPS

        for act in set(Act) - running.acts - {Act.RESUME}:  # it runs already
            with pytest.raises(Rejected):
                bench.adapter.act(running.handle, act)

        assert [one for one in bench.asked() if one["method"] != "GET"] == before

    def test_a_question_is_shown_answered_once_and_gone(self, bench):
        bench.ask("May it go live?")
        begun = bench.adapter.start(bench.order())
        waiting = bench.until(begun.handle, lambda one: bool(one.questions))
        (asked,) = waiting.questions
        said = Answer(asked.id, goes_on=True, note="Ana Souza approved it")

        after = bench.adapter.answer(waiting.handle, said)
        sent = len([one for one in bench.asked() if one["method"] != "GET"])
        again = bench.adapter.answer(waiting.handle, said)

        assert (waiting.state, asked.text) == (State.WAITING_INPUT, "May it go live?")
        assert after.questions == again.questions == ()
        assert len([one for one in bench.asked() if one["method"] != "GET"]) == sent
        assert bench.ended(after.handle).state is State.SUCCEEDED

    def test_a_question_that_is_turned_down_ends_the_run_without_success(self, bench):
        bench.ask("May it go live?")
        waiting = bench.until(bench.adapter.start(bench.order()).handle, lambda one: bool(one.questions))

        after = bench.adapter.answer(waiting.handle, Answer(waiting.questions[0].id, goes_on=False))

        assert bench.ended(after.handle).state in {State.CANCELED, State.FAILED}

    def test_the_log_is_read_part_by_part_to_its_end(self, bench):
        handle = bench.ended(bench.adapter.start(bench.order()).handle).handle
        whole = bench.adapter.log(handle)

        nothing = bench.adapter.log(handle, whole.next)

        assert not whole.has_more
        assert (nothing.text, nothing.next, nothing.has_more) == ("", whole.next, False)

    def test_runs_and_versions_are_told_newest_first(self, bench):
        first = bench.order()
        older = replace(first, target=replace(first.target, parameters={**first.target.parameters, "VERSION": "v1"}))
        bench.ended(bench.adapter.start(older).handle)
        newer = bench.order()
        bench.ended(bench.adapter.start(newer).handle)

        keys = [one.parameters.get(bench.target.key_parameter) for one in bench.adapter.runs(bench.target)]
        versions = bench.adapter.versions(bench.target)

        assert keys[:2] == [newer.key, older.key]
        assert [one.name for one in versions][:2] == [newer.target.parameters["VERSION"], "v1"]
        assert all(one.ref for one in versions)

    def test_a_run_that_was_deleted_is_lost_not_absent(self, bench):
        done = bench.ended(bench.adapter.start(bench.order()).handle)
        bench.forget(done.handle)

        gone = bench.adapter.look(done.handle)

        assert gone.state is State.LOST
        assert gone.why

    def test_neither_secret_nor_permit_stands_in_an_address(self, bench):
        wanted = bench.order()
        bench.ended(bench.adapter.start(wanted).handle)

        addresses = " ".join(f"{one['path']}?{one['query']}" for one in bench.asked())

        for secret in (wanted.permit, bench.password, base64.b64encode(bench.password.encode()).decode()):
            assert secret not in addresses

    def test_no_cookie_is_sent_and_no_redirect_followed(self, bench):
        bench.ended(bench.adapter.start(bench.order()).handle)
        bench.break_reads("status:302")
        before = len(bench.asked())
        with pytest.raises(External):
            bench.adapter.preflight(bench.target)

        assert len(bench.asked()) == before + 1
        assert not [one for one in bench.asked() if "cookie" in one["headers"]]

    def test_a_state_that_is_no_end_can_still_be_looked_at_after_a_restart_of_ours(self, bench):
        bench.hold()
        running = bench.until(bench.adapter.start(bench.order()).handle, lambda one: one.state is State.RUNNING)
        kept = type(running.handle).from_json(running.handle.as_json())
        bench.release()

        assert running.state not in ENDS
        assert bench.ended(kept).state is State.SUCCEEDED

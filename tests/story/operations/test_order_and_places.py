"""Generated plans through the real journal: each step in its turn and place, and all of them end or are named."""

from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from releases.core.errors import Sentence
from releases.operations import failpoints, services
from releases.operations.models import Step
from releases.operations.ports import Done, Failed, NeedsHuman, Pending, StepPlan
from releases.rollout.rules import order
from tests.factories.operations import KIND, OPERATOR, Clock, Outside, a_plan, an_operation, work

pytestmark = pytest.mark.django_db
NAMES = "abcdefg"
PAIRS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=10)
ENOUGH = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Crash(BaseException):
    """The worker's process is gone."""


@dataclass
class Runs(Outside):
    """An outside where a run ends when it is looked at for the second time; it counts what is under way, and where."""

    fails: frozenset = frozenset()
    open: dict = field(default_factory=dict)
    over: set = field(default_factory=set)
    most: dict = field(default_factory=dict)
    early: list = field(default_factory=list)
    after: dict = field(default_factory=dict)

    def send(self, step):
        if step.op_key not in self.done:
            self.early += [(step.name, one) for one in self.after[step.name] if one not in self.over]
            self.open[step.name] = step.connection
            now = list(self.open.values()).count(step.connection)
            self.most[step.connection] = max(now, self.most.get(step.connection, 0))
        return super().send(step)

    def observe(self, step):
        if not step.data:
            return Pending(5, {"looked": 1})
        self.open.pop(step.name, None)
        if step.name in self.fails:
            return Failed(Sentence("It failed."), {"looked": 2})
        self.over.add(step.name)
        return Done({"looked": 2})


def plans(pairs, places, *, at_once, goes_on):
    found = order(NAMES, pairs)
    return found, [
        StepPlan(
            name,
            KIND,
            connection=places[at % len(places)],
            after=tuple(sorted(found.after[name])),
            at_once=at_once,
            goes_on=goes_on,
        )
        for at, name in enumerate(NAMES)
    ]


def played(operation, outside, clock):
    for _round in range(80):
        with suppress(Crash):
            work(operation, outside, clock)
        operation.refresh_from_db()
        if operation.ended_at:
            break
        clock.tick(31)
    return {step.name: step for step in operation.steps.all()}


@ENOUGH
@given(pairs=PAIRS, fails=st.sets(st.sampled_from(NAMES), max_size=2), at_once=st.integers(1, 3), back=st.booleans())
def test_each_comes_after_what_it_depends_on_within_its_places_and_all_end_or_are_named(pairs, fails, at_once, back):
    clock = Clock()
    found, steps = plans(pairs, ["one", "two"], at_once=at_once, goes_on=back)
    outside = Runs(fails=frozenset(fails), after=found.after)

    done = played(an_operation(now=clock(), steps=steps, urgent=back), outside, clock)

    assert outside.early == []
    assert max(outside.most.values()) <= at_once
    assert {step.place for step in done.values()} == {None}
    for name, step in done.items():
        blamed = sorted(one for one in found.after[name] if done[one].state == "failed")
        assert step.state in ({"failed"} if name in fails else {"confirmed"}) | {"skipped"}
        if step.state == "skipped":
            named = step.note["parts"]["names"].split(", ")  # of those that failed, who had by then
            failed = fails - skipped(done)
            assert named == sorted({*named} & (failed & before(name, found.after) if back else failed)) != []
            assert blamed or not back or any(done[one].state == "skipped" for one in found.after[name])
        elif back:
            assert not blamed


def before(name, after):
    """Return everything that a step comes after, however far before."""
    return {above for one in after[name] for above in {one} | before(one, after)}


def skipped(done):
    return {name for name, step in done.items() if step.state == "skipped"}


@pytest.mark.parametrize("point", range(1, 40, 4))
def test_a_worker_that_dies_on_the_way_keeps_order_and_places_and_does_nothing_twice(monkeypatch, point):
    passed = []

    def strike(name):
        passed.append(name)
        if len(passed) == point:
            raise Crash

    monkeypatch.setenv("GMUD_FAILPOINTS", "all")
    monkeypatch.setattr(failpoints, "strike", strike)
    clock = Clock()
    found, steps = plans([("a", "b"), ("b", "c"), ("d", "e")], ["one"], at_once=2, goes_on=False)
    outside = Runs(after=found.after)

    done = played(an_operation(now=clock(), steps=steps), outside, clock)

    assert {step.state for step in done.values()} == {"confirmed"}
    assert sorted(outside.done) == sorted(step.op_key for step in done.values())
    assert (outside.early, max(outside.most.values())) == ([], 2)


def many(clock, connection, number, **how):
    steps = [StepPlan(f"{connection} {one}", KIND, connection=connection, at_once=2, after=()) for one in range(number)]
    return an_operation(now=clock(), steps=steps, **how)


def under_way(operation):
    return operation.steps.filter(state__in=("sending", "applied", "unknown")).count()


def test_places_are_shared_by_all_operations_of_a_connection_and_those_that_go_back_have_their_own():
    clock, outside = Clock(), Runs(after={f"one {at}": () for at in range(3)})
    first, second, back = many(clock, "one", 3), many(clock, "one", 3), many(clock, "one", 3, urgent=True)

    for operation in (first, second, back):
        work(operation, outside, clock)

    assert [under_way(one) for one in (first, second, back)] == [2, 0, 2]
    clock.tick(6)
    assert work(first, outside, clock).state == "running"
    work(second, outside, clock)
    assert under_way(first) + under_way(second) == 2


def test_one_connection_that_does_not_answer_holds_up_nobody_elses():
    clock = Clock()
    dead, well = Outside(sends=["down"] * 50), Runs(after={"two 0": (), "two 1": ()})
    steps = [
        StepPlan("one 0", "dead", connection="one", at_once=1),
        *(StepPlan(f"two {at}", KIND, connection="two", at_once=1) for at in range(2)),
    ]
    operation = an_operation(now=clock(), steps=steps)

    for _round in range(4):
        services.run(operation_id=operation.pk, worker="w", handlers={KIND: well, "dead": dead}, now=clock)
        clock.tick(6)

    assert [one.state for one in operation.steps.all()][1:] == ["confirmed", "confirmed"]
    assert operation.steps.get(position=1).state == "unknown"


def test_a_step_that_asks_a_person_leaves_its_place_to_others_and_is_looked_at_without_one():
    clock, outside = Clock(), Outside(outcomes=[NeedsHuman(Sentence("Look there.")), Pending(1000)])
    operation = many(clock, "one", 2)
    Step.objects.filter(operation=operation).update(at_once=1)

    work(operation, outside, clock)
    assert [(one.state, one.place) for one in operation.steps.all()] == [("needs_human", None), ("applied", 1)]

    services.retry_step(step_id=operation.steps.get(position=1).pk, actor=OPERATOR, now=clock())
    work(operation, outside, clock)
    assert [(one.state, one.place) for one in operation.steps.all()] == [("confirmed", None), ("applied", 1)]


def test_the_database_itself_gives_no_place_twice():
    clock = Clock()
    operation = an_operation(now=clock(), steps=[a_plan("x"), a_plan("y")])
    Step.objects.filter(operation=operation).update(lane="deploy one", at_once=1)

    Step.objects.filter(operation=operation, position=1).update(place=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(operation=operation, position=2).update(place=1)
    with pytest.raises(IntegrityError), transaction.atomic():
        Step.objects.filter(operation=operation, position=2).update(place=2)

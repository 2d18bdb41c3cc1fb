"""Every crash point of the journal, alone and in pairs, with every way a send can go: nothing twice, nothing lost.

It runs in one process: a crash is an error that nobody catches, so whatever was not committed is gone, as it would be.
"""

from contextlib import suppress
from itertools import combinations, product

import pytest

from releases.operations import failpoints, rules
from releases.operations.models import OutboxMessage
from tests.factories.operations import Clock, Outside, a_pending, a_plan, an_operation, work
from tests.fault.operations.crashes import Crash, deaths

pytestmark = pytest.mark.django_db
POINTS = range(1, 26)
SENDS = list(product(("ok", "lost", "down"), repeat=3))


@pytest.fixture
def crash_at():
    """Crash at the n-th failpoints that are passed."""
    with deaths() as found:
        yield found.arm


def play(passed, sends, *, steps=1):
    """Work until the end, however often the worker dies, and tell what is wrong."""
    clock, outside = Clock(), Outside(sends=list(sends), outcomes=[a_pending(seconds=5)])
    operation = an_operation(now=clock(), steps=[a_plan(str(stage), stage=stage) for stage in range(1, steps + 1)])
    for _ in range(25):
        with suppress(Crash):
            work(operation, outside, clock)
        operation.refresh_from_db()
        if operation.state not in {"pending", "running"}:
            break
        clock.tick(31)
    keys = [step.op_key for step in operation.steps.all()]
    told = OutboxMessage.objects.filter(ref__in=[operation.pk, *operation.steps.values_list("pk", flat=True)]).count()
    if operation.state == "needs_human" and operation.steps.filter(sends=rules.SENDS).exists() and not outside.done:
        return []  # three sends that never arrived and two deaths before a send: that is five, a human is asked
    wrong = []
    if operation.state != "succeeded":
        wrong.append(f"lost: {operation.state}")
    if outside.done != keys:
        wrong.append(f"done {outside.done}, wanted {keys}")
    if told != len(keys) + 1:
        wrong.append(f"told {told} times")
    return [f"{sends} {passed}: {one}" for one in wrong]


@pytest.mark.parametrize("sends", SENDS, ids="-".join)
def test_a_worker_that_dies_once_anywhere_does_nothing_twice_and_loses_nothing(crash_at, sends):
    undisturbed = crash_at(set())
    wrong = play(undisturbed, sends)
    for point in range(1, len(undisturbed) + 1):
        wrong += play(crash_at({point}), sends)

    assert wrong == []


def test_a_worker_that_dies_anywhere_between_stages_loses_nothing(crash_at):
    wrong = [found for point in POINTS for found in play(crash_at({point}), ("ok", "lost"), steps=2)]

    assert wrong == []


def test_the_crashes_reach_every_place_of_the_journal(crash_at):
    reached = set()
    for sends in SENDS:
        passed = crash_at(set())
        play(passed, sends)
        reached.update(passed)
    passed = crash_at({6})  # dies between send and record, so that the next worker finds it
    play(passed, ("ok",))
    reached.update(passed)

    journal = {name for name in failpoints.names() if name.startswith(("after_", "before_confirm"))}
    assert journal <= reached


@pytest.mark.long
@pytest.mark.parametrize("sends", SENDS, ids="-".join)
def test_a_worker_that_dies_twice_anywhere_does_nothing_twice_and_loses_nothing(crash_at, sends):
    wrong = [found for pair in combinations(POINTS, 2) for found in play(crash_at(set(pair)), sends)]

    assert wrong == []

"""How Argo Rollouts and Flagger stand in a move of a release, from their own objects as recorded."""

import copy

import pytest

from releases.traffic.drivers import flagger, rollouts
from releases.traffic.drivers.ports import Move, Wish
from tests.factories.traffic import recording

PAUSE = {"reason": "CanaryPauseStep", "startTime": "2026-01-01T00:00:00Z"}
UNCLEAR = {"reason": "InconclusiveAnalysisRun", "startTime": "2026-01-01T00:00:00Z"}
DONE = {"currentPodHash": "7d9f", "stableRS": "7d9f", "phase": "Healthy", "pauseConditions": None}
STOPS = [{"setWeight": 0}, {"pause": {}}, {"setWeight": 10}, {"pause": {}}]
TO_TEN, TO_ALL = Move(0, 10, "5c4b"), Move(10, 100, "5c4b")


def rollout(status=None, *, steps=None, **spec):
    """Return the recorded Rollout, which waits at 10 % and here at 0 before, with parts of it replaced."""
    found = copy.deepcopy(recording("rollout-get-paused-200")["response"]["body"])
    found["spec"]["strategy"]["canary"]["steps"][:0] = [{"setWeight": 0}, {"pause": {}}]
    found["status"] |= {"currentStepIndex": 3, **(status or {})}
    found["spec"] |= spec
    if steps:
        found["spec"]["strategy"]["canary"]["steps"] = steps
    return found


def at(weight, **status):
    return {"canary": {"weights": {"canary": {"weight": weight}}}, **status}


def progress(found, move):
    return rollouts.BOOK.progress(found, move)


def test_a_rollout_that_waits_at_the_share_has_arrived_and_is_promoted_to_go_on():
    assert progress(rollout(), TO_TEN).has_arrived
    onward = progress(rollout(), TO_ALL)
    assert (onward.has_arrived, onward.wish, onward.obstacle, onward.following) == (False, Wish.PROMOTE, None, 100)
    assert onward.patience_seconds == 600 + 600  # to make progress, and its own pause of ten minutes at 50 %


@pytest.mark.parametrize(
    "found",
    [
        rollout(at(50, currentStepIndex=5)),  # a pause that ends by itself
        rollout({"pauseConditions": [UNCLEAR]}),
        rollout({"pauseConditions": [PAUSE, UNCLEAR]}),
        rollout({"pauseConditions": None}),  # taken a moment ago
        rollout(paused=True),
        rollout({"currentPodHash": "5c4b"}),  # nothing new is there yet
        rollout({"currentStepIndex": 6}),
    ],
)
def test_a_rollout_that_does_not_wait_for_somebody_is_asked_nothing(found):
    onward = progress(found, TO_ALL)
    assert (onward.wish, onward.obstacle, onward.has_arrived) == (None, None, False)


@pytest.mark.parametrize(
    ("status", "move", "arrived"),
    [
        (DONE, TO_ALL, True),
        (DONE, Move(10, 100, "7d9f"), False),  # it was there before: nothing was promoted
        (DONE, Move(10, 100, ""), False),
        ({**DONE, "phase": "Progressing"}, TO_ALL, False),
        ({**DONE, "observedGeneration": "0"}, TO_ALL, False),
        (at(100, phase="Progressing"), TO_ALL, False),
    ],
)
def test_a_rollout_has_arrived_at_all_once_another_version_is_the_stable_one(status, move, arrived):
    assert progress(rollout(status), move).has_arrived is arrived


@pytest.mark.parametrize(
    ("found", "move", "said"),
    [
        (rollout(), Move(0, 20), "does not wait at 20 % as this change wants it: the shares it waits at are 0 %, 10 %"),
        (rollout(), Move(0, 100), "the shares it waits at are 0 %, 10 %"),  # it would wait on the way
        (rollout(), Move(20, 100), "does not wait at 20 %"),
        (rollout(steps=[{"setWeight": 50}]), Move(0, 50), "the shares it waits at are –"),
        (rollout(steps=[{"setWeight": 10}, {"pause": {}}]), TO_TEN, "does not wait at 0 %"),
        (rollout(steps=[*STOPS, {"setWeight": 100}, {"pause": {}}]), TO_ALL, "0 %, 10 %, 100 %"),
        (rollout({"abort": True}), TO_ALL, "was aborted"),
    ],
)
def test_a_rollout_that_stops_elsewhere_or_was_aborted_says_so(found, move, said):
    assert said in str(progress(found, move).obstacle)


def test_a_rollout_whose_new_pods_died_is_not_promoted_past_the_pause_it_stands_at():
    onward = progress(rollout(at(0)), TO_TEN)
    assert (onward.wish, onward.has_arrived, onward.obstacle) == (None, False, None)
    assert progress(rollout(at(0, currentStepIndex=1)), TO_TEN).wish is Wish.PROMOTE


def test_a_promoted_rollout_that_is_not_healthy_yet_has_not_given_up():
    onward = progress(rollout({**DONE, "phase": "Progressing"}), TO_ALL)
    assert (onward.is_moving, onward.has_arrived) == (True, False)


def test_the_shares_of_a_rollout_are_of_its_own_whole():
    found = rollout(at(100), steps=[*STOPS[:2], {"setWeight": 100}, {"pause": {}}])
    found["spec"]["strategy"]["canary"]["trafficRouting"]["maxTrafficWeight"] = 1000
    assert progress(found, TO_TEN).obstacle is None
    assert progress(found, TO_TEN).has_arrived


HOOKS = [
    {"name": kind, "type": kind, "url": "https://gmud.example.com/api/v1/flagger/confirm"} for kind in flagger.CONFIRMED
]


def canary(*, status=None, spec=None, **analysis):
    """Return the recorded Canary, which is at 20 % and asks us before each step, with parts of it replaced."""
    found = copy.deepcopy(recording("flagger-get-200")["response"]["body"])
    found["spec"]["analysis"] |= {"webhooks": HOOKS, **analysis}
    found["spec"] |= spec or {}
    found["status"] |= {"lastPromotedSpec": "before", **(status or {})}
    return found


@pytest.mark.parametrize(
    ("analysis", "shares"),
    [
        ({"stepWeight": 10, "maxWeight": 50}, [10, 20, 30, 40, 50, 100]),
        ({"stepWeight": 20, "maxWeight": 50}, [20, 40, 60, 100]),
        ({"stepWeight": 30, "maxWeight": 0}, [30, 60, 90, 100]),
        ({"stepWeight": 0, "stepWeights": [1, 5, 60]}, [1, 5, 60, 100]),
        ({"stepWeight": 60, "maxWeight": 100}, [60, 100]),
    ],
)
def test_the_steps_of_a_canary_are_those_of_flagger(analysis, shares):
    found, walked = canary(**analysis), [0]
    while walked[-1] < 100:
        walked.append(flagger.following(found, walked[-1]))
    assert walked[1:] == shares


def test_a_canary_arrives_by_itself_and_is_never_asked_from_here():
    for move, arrived in ((Move(0, 20), True), (Move(20, 30), False), (Move(20, 100, "before"), False)):
        onward = flagger.BOOK.progress(canary(), move)
        assert (onward.has_arrived, onward.wish, onward.obstacle) == (arrived, None, None)
    waiting = canary(status={"phase": "WaitingPromotion", "canaryWeight": 0})
    assert flagger.BOOK.progress(waiting, Move(20, 50)).has_arrived
    done = canary(status={"phase": "Succeeded", "lastPromotedSpec": "5978589476"})
    assert flagger.BOOK.progress(done, Move(50, 100, "before")).has_arrived
    assert not flagger.BOOK.progress(done, Move(50, 100, "5978589476")).has_arrived
    assert not flagger.BOOK.progress(done, Move(20, 50)).has_arrived


def test_the_next_step_of_a_canary_counts_from_where_its_route_stands():
    for share, following in ((0, 10), (15, 25), (50, 100), (60, 100)):
        assert flagger.BOOK.progress(canary(), Move(share, 100)).following == following


@pytest.mark.parametrize(
    ("found", "move", "said"),
    [
        (canary(webhooks=[]), Move(0, 20), "confirm-promotion, confirm-traffic-increase"),
        (canary(webhooks=HOOKS[:1]), Move(0, 20), "goes on without asking GMUD"),
        (canary(), Move(0, 15), "the shares it waits at are 10 %, 20 %, 30 %, 40 %, 50 %."),
        (canary(spec={"suspend": True}), Move(0, 20), "is suspended"),
        (canary(spec={"skipAnalysis": True}), Move(0, 20), "skips its analysis"),
        (canary(stepWeight=0), Move(0, 20), "no steps of weights"),
        (canary(iterations=10), Move(0, 20), "no steps of weights"),
    ],
)
def test_a_canary_that_would_not_stop_there_says_so(found, move, said):
    assert said in str(flagger.BOOK.progress(found, move).obstacle)


def test_an_analysis_is_asked_for_again_only_where_it_is_skipped_and_nothing_moves():
    verb = flagger.BOOK.verbs[Wish.ANALYSE]
    resting = canary(spec={"skipAnalysis": True}, status={"phase": "Succeeded"})
    assert verb.may(resting)
    assert not verb.stands(resting, resting)
    assert not verb.may(canary(spec={"skipAnalysis": True}))
    assert verb.stands(canary(), canary())

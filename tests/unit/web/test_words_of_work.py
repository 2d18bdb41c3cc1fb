"""Whatever is registered to be done has a word for people."""

from releases.delivery.services import CALL_OFF
from releases.health.steps import KINDS
from releases.operations.states import StepState
from releases.web.pages import measured, phases, seen
from releases.worker.handlers import HANDLERS
from releases.worker.reactions import FOLLOWERS


def test_every_kind_of_step_has_a_word_and_says_more_than_its_word():
    assert set(phases.STEPS) == set(phases.DETAILS) == set(HANDLERS) >= set(KINDS.values())
    assert set(phases.STEPS_BACK) <= set(phases.STEPS)


def test_every_kind_of_operation_has_a_beginning():
    assert set(measured.BEGUN) == {*FOLLOWERS, CALL_OFF}


def test_every_state_of_a_step_has_a_look_and_a_place_in_its_phase():
    assert set(seen.STEP_LOOKS) == set(phases.TELLING_FIRST) == set(StepState)

"""Every kind of event is told in a sentence of its own; none is left to its code."""

import pytest

from releases.audit.kinds import Kind
from releases.operations.states import StepState
from releases.web.telling import ENDINGS, PARTS, TOLD, tell


@pytest.mark.parametrize("kind", Kind, ids=str)
def test_every_kind_of_event_has_its_sentence(kind):
    assert kind in TOLD or kind in ENDINGS


def test_no_sentence_speaks_of_a_kind_that_nobody_records():
    assert {*TOLD, *ENDINGS} <= {kind.value for kind in Kind}


def test_what_an_old_event_does_not_carry_shows_as_a_dash():
    told = tell(kind="freeze.set", who="Marta", data={})

    assert str(told) == "Marta set the freeze —."
    assert PARTS.findall(told.text) == ["who", "title"]


def test_a_step_of_the_work_is_told_by_its_name_and_by_what_became_of_it():
    work = {"step": "deploy frontend", "step_from": "todo"}
    told = {str(tell(kind="step.moved", who="Worker", data={**work, "step_state": one.value})) for one in StepState}

    assert len(told) == len(StepState)
    assert all("“deploy frontend”" in one for one in told)

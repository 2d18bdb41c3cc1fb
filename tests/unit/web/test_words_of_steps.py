"""The pages know every kind of step that a worker does: one without words would break the page of its release."""

from releases.web.pages.phases import DETAILS, STEPS
from releases.worker.handlers import HANDLERS


def test_every_kind_of_step_has_words_and_a_detail():
    assert HANDLERS.keys() <= STEPS.keys() & DETAILS.keys()

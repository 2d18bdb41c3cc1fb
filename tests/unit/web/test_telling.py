"""Every kind of event is told in a sentence of its own; none is left to its code."""

import pytest

from releases.audit.kinds import Kind
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

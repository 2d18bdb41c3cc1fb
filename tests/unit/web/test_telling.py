"""How events of the record read as sentences."""

import pytest
from django.utils import translation

from releases.core.errors import Sentence
from releases.health.states import Health
from releases.traffic.states import ShiftState
from releases.web import telling
from releases.web.tags import say

BEFORE, ASKED = {"stable": 100, "canary": 0}, {"canary": 10, "stable": 90}
SHIFT = {"service": "cart", "before": BEFORE, "asked": ASKED, "observed": {"stable": 9, "canary": 1}}
WHY = {"text": "Requests took %(value)s ms.", "parts": {"value": 0.5}}


def told(kind, **data):
    return say(telling.tell(kind=kind, who="Ana", data=data))


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (
            "confirmed",
            "Traffic of cart went from stable 100 %, canary 0 % to stable 90 %, canary 10 %; "
            "seen: stable 90 %, canary 10 %.",
        ),
        (
            "failed",
            "Traffic of cart did not go from stable 100 %, canary 0 % to stable 90 %, canary 10 %; "
            "seen: stable 90 %, canary 10 %. Requests took 0.5 ms.",
        ),
        ("superseded", "Something newer took the place of the shift of cart to stable 90 %, canary 10 %."),
    ],
)
def test_a_shift_says_from_where_to_where_and_what_was_seen(state, said):
    assert told("shift.ended", **SHIFT, shift_state=state, why=WHY) == said


def test_what_was_never_seen_is_called_not_known():
    assert told("shift.ended", **{**SHIFT, "before": {}}, shift_state="confirmed").startswith(
        "Traffic of cart went from not known to "
    )


def test_a_verdict_says_of_what_and_why_in_the_readers_language():
    data = {"service": "cart", "version": "v2", "health": "unhealthy", "sentence": WHY}

    assert told("verdict.given", **data) == "cart v2 is not healthy. Requests took 0.5 ms."
    with translation.override("pt-br"):
        assert told("verdict.given", **data) == "cart v2 não está saudável. Requests took 0,5 ms."


def test_an_event_that_tells_only_its_end_still_has_a_sentence():
    assert told("shift.ended") == "A shift of traffic ended."
    assert told("verdict.given") == "Health was judged."
    assert told("change.settled") == "The time of the watch is over."


def test_every_end_has_a_sentence():
    assert set(telling.SHIFTS) == set(ShiftState) - {ShiftState.ASKED}
    assert set(telling.JUDGED) == set(Health)
    assert isinstance(telling.tell(kind="change.voted", who="Ana", data={"decision": "approve"}), Sentence)

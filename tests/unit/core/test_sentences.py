"""A sentence is kept as JSON and read again, with the sentences inside it."""

import json

import pytest

from releases.core.errors import Sentence

INNER = Sentence("%(who)s stopped the line: %(why)s", {"who": "Olga", "why": "100 %% of it %(fails)s"})


def test_a_sentence_within_a_sentence_is_read_as_it_was_kept():
    whole = Sentence("It waits (%(count)s): %(why)s", {"count": 2, "why": INNER})

    assert Sentence.from_json(json.loads(json.dumps(whole.as_json()))) == whole


def test_what_is_no_sentence_and_no_number_is_kept_as_text():
    assert Sentence("%(a)s", {"a": ("x", "y")}).as_json() == {"text": "%(a)s", "parts": {"a": "('x', 'y')"}}


@pytest.mark.parametrize("many", [1, 2, 3])
def test_several_sentences_are_said_one_after_the_other(many):
    said = [Sentence("Number %(n)s.", {"n": n}) for n in range(many)]

    assert str(Sentence.of_all(said)) == " ".join(str(one) for one in said)
    assert Sentence.from_json(Sentence.of_all(said).as_json()) == Sentence.of_all(said)

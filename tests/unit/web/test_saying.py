"""How sentences read: one of something and many, and numbers as the reader writes them."""

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import translation

from releases.core.errors import Sentence
from releases.core.words import plural
from releases.impact import rules
from releases.web.tags import say

TESTS = "%(passed)s test passed."


@pytest.mark.parametrize(
    ("language", "passed", "said"),
    [
        ("en", 0, "0 tests passed."),
        ("en", 1, "1 test passed."),
        ("en", 2, "2 tests passed."),
        ("pt-br", 1, "1 teste passou."),
        ("pt-br", 2, "2 testes passaram."),
    ],
)
def test_a_number_chooses_the_words(language, passed, said):
    assert rules  # whose words these are
    with translation.override(language):
        assert say(Sentence(TESTS, {"passed": passed, "failed": 0})) == said


def test_a_number_that_was_kept_as_text_chooses_as_well():
    assert say(Sentence(TESTS, {"passed": "1"})) == "1 test passed."
    assert str(Sentence(TESTS, {"passed": "2"})) == "2 tests passed."


def test_a_sentence_says_the_same_to_people_and_to_machines_in_english():
    text = plural("%(n)s customer waits", "%(n)s customers wait", by="n")

    assert [str(Sentence(text, {"n": n})) for n in (0, 1, 2)] == [
        "0 customers wait",
        "1 customer waits",
        "2 customers wait",
    ]


@pytest.mark.parametrize(("language", "said"), [("en", "0.4 and 1002"), ("pt-br", "0,4 and 1002")])
def test_a_fraction_has_the_comma_of_the_reader_and_a_name_stays_a_name(language, said):
    with translation.override(language):
        assert say(Sentence("%(share)s and %(number)s", {"share": 0.4, "number": 1002})) == said


@pytest.mark.parametrize(
    ("part", "key", "english", "portuguese"),
    [
        ("state", "rolling_back", "rolling back", "em rollback"),
        ("state", "rolling back", "rolling back", "em rollback"),
        ("kinds", "card, money", "card data and money", "dados de cartão e dinheiro"),
        ("right", "people.edit", "edit people", "editar pessoas"),
        ("level", "very high", "very high", "muito alto"),
        ("purpose", "deploy", "deploy", "implantação"),
        ("who", ["release_manager", "owner"], "release manager or owner", "gerente de mudanças ou dono"),
        ("who", "setup", "Installation", "Instalação"),
        ("who", "Ana Reis", "Ana Reis", "Ana Reis"),
        ("count", 412000, "412,000", "412.000"),
        ("segments", "retail 412000, sme 12", "retail 412,000, sme 12", "retail 412.000, sme 12"),
        ("digest", "sha256:" + "ab" * 32, "sha256:ababab…babab", "sha256:ababab…babab"),
        ("title", "closed", "closed", "closed"),
    ],
)
def test_a_key_that_a_sentence_carries_is_said_in_words(part, key, english, portuguese):
    sentence = Sentence(f"%({part})s", {part: key})

    with translation.override("en"):
        assert say(sentence) == english
    with translation.override("pt-br"):
        assert say(sentence) == portuguese


def test_one_of_several_reads_in_english_where_nobody_translates():
    assert str(Sentence("%(who)s can help.", {"who": ["Ana", "Bruno", "Lia"]})) == "Ana, Bruno or Lia can help."
    assert str(Sentence("%(who)s can help.", {"who": ["Ana"]})) == "Ana can help."


def test_two_moments_that_read_alike_are_told_apart_by_their_seconds():
    before = datetime(2026, 9, 15, 13, 30, 5, tzinfo=UTC)
    after = before + timedelta(seconds=40)

    said = say(Sentence("%(before)s, %(after)s", {"before": before, "after": after}))
    apart = say(Sentence("%(before)s, %(after)s", {"before": before, "after": after + timedelta(hours=1)}))

    assert "10:30:05" in said
    assert "10:30:45" in said
    assert ":05" not in apart

"""A file is read strictly, and of everything its line is known."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from releases.core import redaction
from releases.setup.document import LARGEST, Unfit, holds_secret, is_secret_name, read
from releases.setup.queries import _Dumper


def refusal(text):
    with pytest.raises(Unfit) as caught:
        read(text)
    first = caught.value.problems[0]
    return first.path, first.line, str(first.sentence)


def test_words_mean_what_they_say():
    said = read("a: no\nb: true\nc: 7\nd: 0.05\ne: '7'\nf: ~\ng: 2026-01-01\nh: 1:30\ni: 012\nj: 1.0e-07\n").said

    assert said == {
        "a": "no",
        "b": True,
        "c": 7,
        "d": 0.05,
        "e": "7",
        "f": None,
        "g": "2026-01-01",
        "h": "1:30",
        "i": "012",
        "j": 1e-07,
    }


def test_every_part_has_its_line():
    found = read("gmud: 1\nteams:\n- name: one\n  members:\n  - ana\n  - bea\n")

    assert found.line("teams[0].members[1]") == 6
    assert found.line("teams[0].colour.shade") == 3
    assert found.line("nowhere") == 1


@pytest.mark.parametrize(
    ("text", "path", "line", "part"),
    [
        ("a: 1\na: 2", "a", 2, "twice"),
        ("a: &x 1\nb: *x", "a", 1, "Anchors"),
        ("a: !!python/object:os.system x", "a", 1, "Tags"),
        ("a: 1\n---\nb: 2", "file", 2, "second document"),
        ("a: 1\nb: [1, 2", "file", 2, "not YAML"),
        ("a: 1\nb:\n  {c: d}: 1", "b", 3, "plain text"),
        ('a: "\\0"', "a", 1, "nobody can see"),
        ("x:\n- password: hidden", "x[0].password", 2, "secret"),
        (b"a: ok\nb: \xe7\xe3o", "file", 2, "UTF-8"),
        ("[" * 100_000, None, 1, "deeper"),
        ("a: " + "x" * LARGEST, "file", 1, "1 MiB"),
    ],
)
def test_what_two_readers_could_read_differently_is_refused_where_it_stands(text, path, line, part):
    found = refusal(text)

    assert path in {None, found[0]}
    assert found[1] == line
    assert part in found[2]


def test_the_laughs_of_a_billion_end_at_the_first_anchor():
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]

    assert refusal("\n".join(lines))[:2] == ("a0", 1)


def test_a_secret_this_house_knows_is_refused_wherever_it_stands():
    redaction.remember("canary-of-the-file-0123")

    assert refusal("a: 1\nb: [x, canary-of-the-file-0123]")[:2] == ("b[1]", 2)
    assert holds_secret({"settings": ["canary-of-the-file-0123"]})


@pytest.mark.parametrize(
    "name", ["token", "Password", "client_secret", "apiToken", "API_KEY", "x-access-key", "tokens"]
)
def test_names_that_promise_a_secret(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["name", "TOKEN_URL", "secret_name", "stable", "monkey", "tokenizer", "seats"])
def test_names_that_do_not(name):
    assert not is_secret_name(name)


PLAIN = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=30)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(PLAIN.map(lambda one: f"k{one}"), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(VALUES.filter(lambda one: not holds_secret({"a": one})))
def test_what_is_written_is_read_again_as_it_was(value):
    text = yaml.dump({"a": value}, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)

    assert read(text).said == {"a": value}

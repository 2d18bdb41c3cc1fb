"""What an event's text carries, and what it refuses to carry."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.audit.actor import Actor, ActorKind, system
from releases.audit.envelope import Content, Head, commitment, compose, leaf_hash, parse
from releases.audit.kinds import Kind
from releases.core.errors import Invalid

ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
READABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
EXACT = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15, allow_nan=False)
ANYTHING = st.recursive(
    st.none() | st.booleans() | EXACT | READABLE,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(READABLE, inner, max_size=4),
    max_leaves=12,
)


def content(**changes) -> Content:
    given = {"stream": "change:1", "kind": Kind.CHANGE_DRAFTED, "actor": system("worker"), "data": {}}
    return Content(event_id=ID, **{**given, **changes})


@given(st.dictionaries(READABLE, ANYTHING, max_size=5))
def test_whatever_json_can_say_is_written_once_and_read_back_the_same(data):
    body = compose(content(data=data), head=Head(), occurred_us=1)

    assert parse(body)["data"] == data


@given(ANYTHING, st.text(max_size=5), st.sampled_from(["\0", "\ud800", "\udfff"]), st.text(max_size=5))
def test_a_character_that_cannot_be_kept_is_found_wherever_it_is(around, before, bad, after):
    with pytest.raises(Invalid):
        compose(content(data={"a": [around, {"b": before + bad + after}]}), head=Head(), occurred_us=1)


def test_an_event_follows_the_head_and_its_time_never_runs_backwards():
    body = parse(compose(content(), head=Head(version=4, leaf_hash="ab" * 32, occurred_us=900), occurred_us=500))

    assert (body["stream_version"], body["prev"], body["occurred_us"]) == (5, "ab" * 32, 900)


@pytest.mark.parametrize(
    "body", ["", "[]", "{", '{"b":1,"a":2}', '{"a": 1}', '{"a":1,"a":1}', '{"a":1.0}', '"x"', "[" * 9999]
)
def test_a_text_that_is_not_canonical_is_not_what_was_written(body):
    with pytest.raises(ValueError):  # noqa: PT011 any reason
        parse(body)


def test_the_hash_has_the_leafs_prefix():
    assert leaf_hash("") == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_a_commitment_depends_on_salt_and_text():
    assert len({commitment("aa", "x"), commitment("ab", "x"), commitment("aa", "y")}) == 3


def test_only_a_person_has_a_persons_id():
    person = Actor(kind=ActorKind.PERSON, id=str(ID), name="Ana")

    assert (person.person_id, system("worker").person_id) == (ID, None)


def test_kinds_are_subject_dot_action_in_alphabetical_order():
    names = [kind.name for kind in Kind]

    assert names == sorted(names)
    assert all(kind.name == kind.value.upper().replace(".", "_") for kind in Kind)

"""The order of services: one after the other where they depend, side by side where they do not."""

from hypothesis import given
from hypothesis import strategies as st

from releases.rollout.rules import order

NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)
PAIRS = st.lists(st.tuples(st.sampled_from("abcdefghxyz"), st.sampled_from("abcdefghxyz")), max_size=30)


def reachable(services, pairs):
    """Return every pair of which the first leads to the second among the services."""
    found = {(a, b) for a, b in pairs if a in services and b in services and a != b}
    while more := {(a, d) for a, b in found for c, d in found if b == c} - found:
        found |= more
    return found


def test_a_chain_goes_one_after_the_other():
    found = order(["ledger", "web", "balance"], [("balance", "ledger"), ("ledger", "web")])

    assert found.after == {"balance": set(), "ledger": {"balance"}, "web": {"balance", "ledger"}}
    assert found.circles == []


def test_those_who_do_not_depend_on_each_other_wait_for_nobody():
    assert order(["a", "b"], []).after == {"a": set(), "b": set()}


def test_a_circle_goes_side_by_side_after_whom_it_needs_and_before_who_needs_it_and_is_named():
    found = order(["end", "a", "b", "web"], [("end", "b"), ("a", "b"), ("b", "a"), ("a", "web")])

    assert found.after == {"end": set(), "a": {"end"}, "b": {"end"}, "web": {"end", "a", "b"}}
    assert (found.beside["a"], found.circles) == ({"b"}, [("a", "b")])


def test_pairs_of_others_do_not_matter():
    assert order(["a"], [("x", "a"), ("a", "y"), ("a", "a")]).after == {"a": set()}


@given(NAMES, PAIRS)
def test_each_comes_after_all_it_depends_on_unless_they_depend_on_it_in_turn(services, pairs):
    found, reach = order(services, pairs), reachable(services, pairs)

    assert found.after.keys() == found.beside.keys() == set(services)
    for name in services:
        needed = {first for first, then in reach if then == name and first != name}
        assert found.beside[name] == {first for first in needed if (name, first) in reach}
        assert found.after[name] == needed - found.beside[name]


@given(NAMES, PAIRS)
def test_nobody_waits_for_ever(services, pairs):
    found, gone = order(services, pairs), set()

    while ready := {name for name in services if name not in gone and found.after[name] <= gone}:
        gone |= ready

    assert gone == set(services)

"""Which edges close a circle: the same as asking for each of them whether there is a way back."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from releases.catalog.imports.circles import MOST, ways_round

NODES = st.sampled_from("abcdefg")
EDGES = st.lists(st.tuples(NODES, NODES).filter(lambda pair: pair[0] != pair[1]), max_size=14, unique=True)


def reaches(start: str, goal: str, edges: list[tuple[str, str]]) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        node = ahead.pop()
        following = {callee for caller, callee in edges if caller == node} - seen
        seen |= following
        ahead += following
    return goal in seen


@given(EDGES)
def test_exactly_the_edges_with_a_way_back_are_named_with_that_way(edges):
    found = dict(ways_round(edges, edges))
    assert set(found) == {(caller, callee) for caller, callee in edges if reaches(callee, caller, edges)}
    for (caller, callee), way in found.items():
        assert way[:2] == [caller, callee]
        assert way[-1] == caller
        assert set(pairwise(way)) <= set(edges)


def test_a_chain_deeper_than_the_stack_has_no_circle_and_a_ring_names_the_first():
    chain = [(str(n), str(n + 1)) for n in range(10_000)]
    assert not list(ways_round(chain, chain))
    assert len(list(ways_round([*chain, ("10000", "0")], chain))) == MOST

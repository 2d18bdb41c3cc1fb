"""The order of going back: whoever calls is redeployed before whom it calls."""

from hypothesis import given
from hypothesis import strategies as st

from releases.rollback.rules import ranks

NAMES = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)
CALLS = st.lists(st.tuples(st.sampled_from("abcdefghxyz"), st.sampled_from("abcdefghxyz")), max_size=30)


def reachable(services, calls):
    """Return every pair of which the first reaches the second over calls among the services."""
    pairs = {(a, b) for a, b in calls if a in services and b in services and a != b}
    while more := {(a, d) for a, b in pairs for c, d in pairs if b == c} - pairs:
        pairs |= more
    return pairs


def test_a_chain_goes_back_from_the_caller_down():
    assert ranks(["ledger", "web", "balance"], [("web", "ledger"), ("ledger", "balance")]) == {
        "web": 0,
        "ledger": 1,
        "balance": 2,
    }


def test_those_who_do_not_call_each_other_go_back_side_by_side():
    assert ranks(["a", "b"], []) == {"a": 0, "b": 0}


def test_a_circle_shares_a_rank_after_whoever_calls_into_it_and_before_whom_it_calls():
    calls = [("web", "a"), ("a", "b"), ("b", "a"), ("b", "end")]
    assert ranks(["end", "a", "b", "web"], calls) == {"web": 0, "a": 1, "b": 1, "end": 2}


def test_calls_of_others_do_not_matter():
    assert ranks(["a"], [("x", "a"), ("a", "y"), ("a", "a")]) == {"a": 0}


@given(NAMES, CALLS)
def test_every_service_has_a_rank_and_ranks_have_no_gaps(services, calls):
    found = ranks(services, calls)

    assert found.keys() == set(services)
    assert sorted(set(found.values())) == list(range(max(found.values()) + 1))


@given(NAMES, CALLS)
def test_a_caller_goes_before_whom_it_calls_unless_they_call_each_other_round_and_round(services, calls):
    found, reach = ranks(services, calls), reachable(services, calls)

    for caller, callee in reach:
        if (callee, caller) in reach:
            assert found[caller] == found[callee]
        else:
            assert found[caller] < found[callee]

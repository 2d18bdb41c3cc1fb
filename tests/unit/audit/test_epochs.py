"""Which lines of the witness count follows from the restores that lead to the present epoch."""

from hypothesis import given
from hypothesis import strategies as st

from releases.audit.epochs import NOTHING, Beginning, Lineage, Sealed, read


def sealed(epoch: int, size: int) -> Sealed:
    return Sealed(epoch, size, f"{epoch:02}{size:062}")


def began(epoch: int, restored: Sealed, witnessed: Sealed) -> Beginning:
    return Beginning(epoch, restored, witnessed)


def test_without_a_restore_everything_counts():
    line = Lineage()

    assert (line.current, line.counts(sealed(1, 10**9))) == (1, True)


def test_of_the_epoch_before_only_what_was_restored_counts():
    line = Lineage([began(2, sealed(1, 100), sealed(1, 120))])

    assert [line.counts(sealed(*one)) for one in ((1, 100), (1, 101), (2, 101), (3, 1))] == [True, False, True, False]


def test_a_copy_older_than_the_last_restore_leaves_a_whole_epoch():
    line = Lineage([began(3, sealed(1, 90), sealed(2, 150))])

    assert (line.current, line.is_ancestor(2), line.is_ancestor(1)) == (3, False, True)
    assert [line.counts(sealed(*one)) for one in ((1, 90), (1, 91), (2, 1), (3, 91))] == [True, False, False, True]


def test_restores_one_after_another_each_keep_their_part():
    line = Lineage([began(2, sealed(1, 100), sealed(1, 120)), began(3, sealed(2, 150), sealed(2, 160))])

    assert [line.bound(epoch) for epoch in (1, 2)] == [100, 150]


def test_a_copy_from_before_the_first_seal_keeps_nothing():
    line = Lineage([began(2, NOTHING, sealed(1, 7))])

    assert not line.counts(sealed(1, 1))


@given(st.integers(2, 99), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_beginning_comes_back_as_it_went(epoch, restored, witnessed):
    one = began(epoch, sealed(1, restored), sealed(1, witnessed))

    assert read(one.as_json()) == one


def test_a_beginning_that_leads_to_itself_ends_nowhere_else():
    assert Lineage([began(2, sealed(2, 5), sealed(1, 9))]).current == 2

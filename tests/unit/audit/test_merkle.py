"""The tree of RFC 6962: known roots, and proofs that hold exactly when they should."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.audit.merkle import EMPTY, Frontier, consistency, includes, inclusion, is_consistent, node, root

# The eight inputs that certificate-transparency implementations share as a test vector, and the roots of their trees.
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


def leaves(count: int) -> list[bytes]:
    return [leaf(str(number).encode()) for number in range(count)]


def by_definition(of: list[bytes]) -> bytes:
    """The root as section 2.1 writes it down, split at the largest power of two."""
    if len(of) <= 1:
        return of[0] if of else EMPTY
    split = max(power for power in (2**n for n in range(len(of))) if power < len(of))
    return node(by_definition(of[:split]), by_definition(of[split:]))


@pytest.mark.parametrize("size", range(1, 9))
def test_the_root_is_the_known_one(size):
    assert root([leaf(bytes.fromhex(one)) for one in INPUTS[:size]]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize("size", range(70))
def test_the_frontiers_root_is_the_defined_one(size):
    assert Frontier(leaves(size)).root() == by_definition(leaves(size))


def test_a_copy_of_a_frontier_grows_on_its_own():
    one = Frontier(leaves(5))
    two = one.copy()
    two.append(leaf(b"5"))

    assert (one.root(), two.root()) == (root(leaves(5)), root(leaves(6)))


@given(st.integers(1, 140), st.data())
def test_every_leaf_is_proved_to_be_where_it_is_and_nowhere_else(size, data):
    index = data.draw(st.integers(0, size - 1))
    tree, proof = leaves(size), inclusion(leaves(size), index)

    assert includes(tree[index], index, size, proof, root(tree))
    elsewhere = data.draw(st.integers(-1, size + 1))
    if elsewhere != index:
        assert not includes(tree[index], elsewhere, size, proof, root(tree))
    assert not includes(leaf(b"another"), index, size, proof, root(tree))


@given(st.integers(2, 140), st.data())
def test_a_changed_inclusion_proof_is_refused(size, data):
    index = data.draw(st.integers(0, size - 1))
    tree, proof = leaves(size), inclusion(leaves(size), index)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof[:place], leaf(proof[place]), *proof[place + 1 :]]

    assert not includes(tree[index], index, size, flipped, root(tree))
    assert not includes(tree[index], index, size, proof[:-1], root(tree))
    assert not includes(tree[index], index, size, [*proof, EMPTY], root(tree))


@given(st.integers(1, 140), st.data())
def test_a_tree_that_only_grew_is_proved_to_have_only_grown(size, data):
    old = data.draw(st.integers(1, size))
    tree = leaves(size)

    assert is_consistent(old, root(tree[:old]), size, root(tree), consistency(tree, old))


@given(st.integers(2, 140), st.data())
def test_a_tree_that_was_rewritten_is_refused(size, data):
    old = data.draw(st.integers(1, size - 1))
    place = data.draw(st.integers(0, old - 1))
    tree = leaves(size)
    other = [*tree[:place], leaf(b"another"), *tree[place + 1 :]]

    assert not is_consistent(old, root(tree[:old]), size, root(other), consistency(other, old))
    assert not is_consistent(old, root(tree[:old]), size, root(other), consistency(tree, old))


@given(st.integers(2, 140), st.data())
def test_a_changed_consistency_proof_is_refused(size, data):
    old = data.draw(st.integers(1, size - 1))
    tree = leaves(size)
    proof = consistency(tree, old)
    place = data.draw(st.integers(0, len(proof) - 1))
    flipped = [*proof[:place], leaf(proof[place]), *proof[place + 1 :]]
    roots = (old, root(tree[:old]), size, root(tree))

    assert not is_consistent(*roots, flipped)
    assert not is_consistent(*roots, proof[:-1])
    assert not is_consistent(*roots, [*proof, EMPTY])


@given(st.integers(1, 60), st.integers(1, 60), st.data())
def test_a_proof_for_a_tree_of_another_size_is_refused(size, more, data):
    index = data.draw(st.integers(0, size - 1))
    small, large = leaves(size), leaves(size + more)
    proof, grown = inclusion(small, index), consistency(small, index + 1)

    if len(inclusion(large, index)) != len(proof):
        assert not includes(small[index], index, size + more, proof, root(small))
    if grown and len(consistency(large, index + 1)) != len(grown):
        assert not is_consistent(index + 1, root(small[: index + 1]), size + more, root(small), grown)


def test_a_tree_is_consistent_with_itself_only_with_the_same_root_and_nothing_to_prove():
    same = root(leaves(3))

    assert is_consistent(3, same, 3, same, [])
    assert not is_consistent(3, same, 3, EMPTY, [])
    assert not is_consistent(3, same, 3, same, [EMPTY])
    assert not is_consistent(4, same, 3, same, [])
    assert not is_consistent(0, EMPTY, 3, same, [])


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index):
    with pytest.raises(IndexError):
        inclusion(leaves(3), index)


@pytest.mark.parametrize("old", [0, 4])
def test_there_is_no_proof_for_a_tree_that_was_never_there(old):
    with pytest.raises(IndexError):
        consistency(leaves(3), old)

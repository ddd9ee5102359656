"""The tree of RFC 6962: known roots, and proofs that hold exactly when they should."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.record.merkle import EMPTY, Tree, consistent, included, leaf_hash, node_hash

LEAVES = [
    bytes.fromhex(one)
    for one in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (  # the roots that every implementation of Certificate Transparency is tested with
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
SIZES = st.integers(1, 70)


def plain_root(leaves):
    """The definition of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return node_hash(plain_root(leaves[:split]), plain_root(leaves[split:]))


def tree_of(size):
    return Tree(bytes([n]) for n in range(size))


def test_the_roots_are_those_of_every_other_implementation():
    tree = Tree(LEAVES)

    assert tuple(tree.root(size).hex() for size in range(1, 9)) == ROOTS
    assert tree.root(0) == EMPTY


@given(size=SIZES, data=st.data())
def test_a_tree_answers_for_every_size_it_ever_had(size, data):
    tree, earlier = tree_of(size), data.draw(st.integers(0, size))

    assert tree.root(earlier) == plain_root([bytes([n]) for n in range(earlier)])


@given(size=SIZES, data=st.data())
def test_a_leaf_is_included_at_its_own_place_and_nowhere_else(size, data):
    tree, index = tree_of(size), data.draw(st.integers(0, size - 1))
    other = data.draw(st.integers(0, size - 1))
    proof = tree.inclusion(index)

    assert included(bytes([index]), index, size, proof, tree.root())
    assert included(bytes([index]), other, size, proof, tree.root()) is (other == index)
    assert included(b"another", index, size, proof, tree.root()) is False


@given(size=SIZES, data=st.data())
def test_a_tree_that_only_grew_is_consistent(size, data):
    tree, earlier = tree_of(size), data.draw(st.integers(0, size))

    assert consistent(earlier, size, tree.consistency(earlier), tree.root(earlier), tree.root())


@given(size=st.integers(2, 70), data=st.data())
def test_a_tree_whose_past_was_rewritten_is_not_consistent(size, data):
    tree, earlier = tree_of(size), data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, earlier - 1))
    rewritten = Tree(b"edited" if n == changed else bytes([n]) for n in range(size))

    for proof in (tree.consistency(earlier), rewritten.consistency(earlier)):
        assert not consistent(earlier, size, proof, tree.root(earlier), rewritten.root())


@given(size=st.integers(2, 70), data=st.data())
def test_a_proof_with_a_step_changed_added_or_left_out_does_not_hold(size, data):
    tree, index = tree_of(size), data.draw(st.integers(0, size - 1))
    earlier = data.draw(st.integers(1, size - 1))
    for proof, holds in (
        (tree.inclusion(index), lambda p: included(bytes([index]), index, size, p, tree.root())),
        (tree.consistency(earlier), lambda p: consistent(earlier, size, p, tree.root(earlier), tree.root())),
    ):
        at = data.draw(st.integers(0, len(proof) - 1))
        wrong = [[*proof[:at], EMPTY, *proof[at + 1 :]], [*proof, EMPTY], proof[:at] + proof[at + 1 :]]

        assert holds(proof)
        assert [holds(one) for one in wrong] == [False] * 3


def test_a_size_that_never_was_is_refused():
    tree = tree_of(3)

    with pytest.raises(IndexError, match="tree of 4 leaves was asked for; this one has 3"):
        tree.root(4)
    with pytest.raises(IndexError, match="leaf 3 of a tree of 3"):
        tree.inclusion(3)
    with pytest.raises(IndexError, match="an earlier tree of 4"):
        tree.consistency(4)

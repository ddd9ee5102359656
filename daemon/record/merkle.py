"""One hash for a whole record, and short proofs about it.

The tree of RFC 6962, section 2.1: leaves and inner nodes are hashed under different first bytes, and a tree of any size
has one root.  An inclusion proof shows that a leaf is under a root, a consistency proof that a later root only added
leaves.  Nothing here knows what a leaf says.
"""

import hashlib
from collections.abc import Iterable, Sequence

EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(content: bytes) -> bytes:
    """Return the hash of one leaf."""
    return hashlib.sha256(b"\x00" + content).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees beside each other."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A growing tree that answers for every size it ever had.

    Whole subtrees are kept, so a root or a proof costs the square of the tree's height, not its size.
    """

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.add(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def add(self, content: bytes) -> None:
        """Add one leaf at the end."""
        self._levels[0].append(leaf_hash(content))
        height = 0
        while len(self._levels[height]) % 2 == 0:
            if height + 1 == len(self._levels):
                self._levels.append([])
            self._levels[height + 1].append(node_hash(*self._levels[height][-2:]))
            height += 1

    def root(self, size: int | None = None) -> bytes:
        """Return the root over the first `size` leaves, over all when left out.

        Raises:
            IndexError: There were never so many.
        """
        return self._span(0, self._held(size))

    def inclusion(self, index: int, size: int | None = None) -> list[bytes]:
        """Return the proof that leaf `index` (from 0) is under the root over the first `size` leaves.

        Raises:
            IndexError: There is no such leaf, or there were never so many.
        """
        end = self._held(size)
        if not 0 <= index < end:
            raise IndexError(f"leaf {index} of a tree of {end} leaves; they count from 0")
        return self._path(index, 0, end)

    def consistency(self, earlier: int, size: int | None = None) -> list[bytes]:
        """Return the proof that the tree of `size` leaves begins with the tree of `earlier` leaves.

        Raises:
            IndexError: There were never so many leaves, or `earlier` is beyond `size`.
        """
        end = self._held(size)
        if not 0 <= earlier <= end:
            raise IndexError(f"an earlier tree of {earlier} leaves within one of {end}")
        return [] if earlier in {0, end} else self._subproof(earlier, 0, end, whole=True)

    def _held(self, size: int | None) -> int:
        held = len(self)
        if size is not None and not 0 <= size <= held:
            raise IndexError(f"a tree of {size} leaves was asked for; this one has {held}")
        return held if size is None else size

    def _span(self, first: int, end: int) -> bytes:
        count = end - first
        if count == 0:
            return EMPTY
        if count & (count - 1) == 0 and first % count == 0:
            return self._levels[count.bit_length() - 1][first // count]
        middle = first + _split(count)
        return node_hash(self._span(first, middle), self._span(middle, end))

    def _path(self, index: int, first: int, end: int) -> list[bytes]:
        if end - first == 1:
            return []
        middle = first + _split(end - first)
        if index < middle:
            return [*self._path(index, first, middle), self._span(middle, end)]
        return [*self._path(index, middle, end), self._span(first, middle)]

    def _subproof(self, earlier: int, first: int, end: int, *, whole: bool) -> list[bytes]:
        if earlier == end - first:
            return [] if whole else [self._span(first, end)]
        split = _split(end - first)
        middle = first + split
        if earlier <= split:
            return [*self._subproof(earlier, first, middle, whole=whole), self._span(middle, end)]
        return [*self._subproof(earlier - split, middle, end, whole=False), self._span(first, middle)]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def included(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Return whether a leaf's content stands at `index` (from 0) under the root of a tree of `size` leaves.

    References:
        RFC 9162, section 2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf_hash(leaf)
    for step in proof:
        if last == 0:
            return False
        if at % 2 or at == last:
            found = node_hash(step, found)
            while at and at % 2 == 0:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, step)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistent(earlier: int, size: int, proof: Sequence[bytes], earlier_root: bytes, root: bytes) -> bool:
    """Return whether the tree of `size` leaves with `root` begins with the tree of `earlier` leaves.

    References:
        RFC 9162, section 2.1.4.2.
    """
    if earlier in {0, size}:
        return not proof and (earlier_root == (EMPTY if earlier == 0 else root))
    if not 0 < earlier < size or not proof:
        return False
    steps = list(proof) if earlier & (earlier - 1) else [earlier_root, *proof]
    at, last = earlier - 1, size - 1
    while at % 2:
        at, last = at >> 1, last >> 1
    before = after = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if at % 2 or at == last:
            before, after = node_hash(step, before), node_hash(step, after)
            while at and at % 2 == 0:
                at, last = at >> 1, last >> 1
        else:
            after = node_hash(after, step)
        at, last = at >> 1, last >> 1
    return last == 0 and before == earlier_root and after == root

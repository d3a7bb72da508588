"""The Merkle tree of RFC 9162 (section 2.1; the same as RFC 6962), over any number of leaves. Pure.

    leaf(d) = SHA-256(0x00 ‖ d)      node(l, r) = SHA-256(0x01 ‖ l ‖ r)      root of nothing = SHA-256("")

A tree of n leaves is split at the largest power of two below n. Its frontier, the roots of the perfect trees that n is
made of (one for each bit of n, at most 64), is all that is needed to append and to tell the root.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
_sha256 = hashlib.sha256
# Roots of so many leaves are kept, so that proofs read little.
TILE_LEAVES = 256
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""Root of the leaves from the first, up to but without the second, both counted from 0."""


class InvalidProof(ValueError):
    """A proof does not lead to the root."""


def leaf_hash(data: bytes) -> bytes:
    """Hash of a leaf."""
    return hashlib.sha256(b"\0" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of two subtrees."""
    return hashlib.sha256(b"\1" + left + right).digest()


@dataclass(slots=True)
class Frontier:
    """A tree that leaves are appended to; holds one hash for each bit of its size, the largest subtree first."""

    size: int = 0
    hashes: list[bytes] = field(default_factory=list)

    def append(self, leaf: bytes) -> None:
        """Appends the hash of a leaf."""
        size = self.size
        while size & 1:
            leaf = _sha256(b"\1" + self.hashes.pop() + leaf).digest()
            size >>= 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Root of the tree."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def copy(self) -> Frontier:
        """An independent copy."""
        return Frontier(self.size, list(self.hashes))

    @property
    def sound(self) -> bool:
        """True when there is one hash for each bit of the size."""
        return len(self.hashes) == self.size.bit_count() and all(len(one) == HASH_BYTES for one in self.hashes)


def root_of(leaves: Iterable[bytes]) -> bytes:
    """Root over hashes of leaves."""
    tree = Frontier()
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def split(size: int) -> int:
    """The largest power of two below a size of at least 2."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """PATH(index, D[size]) of section 2.1.3.1, with the index counted from 0."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a tree of {size}")
    path: list[bytes] = []
    first, last = 0, size
    while last - first > 1:
        middle = first + split(last - first)
        if index < middle:
            path.append(subtree(middle, last))
            last = middle
        else:
            path.append(subtree(first, middle))
            first = middle
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Section 2.1.3.2; raises `InvalidProof`."""
    if not 0 <= index < size:
        raise InvalidProof(f"leaf {index} is not in a tree of {size}")
    node, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise InvalidProof("the proof is too long")
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or found != root:
        raise InvalidProof("the proof does not lead to the root of the tree")


def consistency_proof(old: int, size: int, subtree: Subtree) -> list[bytes]:
    """PROOF(old, D[size]) of section 2.1.4.1; empty when the sizes are the same, or the old tree is empty."""
    if not 0 <= old <= size:
        raise ValueError(f"a tree of {old} is not the beginning of one of {size}")
    path: list[bytes] = []
    first, last, whole = 0, size, True
    while 0 < old - first < last - first:
        middle = first + split(last - first)
        if old <= middle:
            path.append(subtree(middle, last))
            last = middle
        else:
            path.append(subtree(first, middle))
            first, whole = middle, False
    if old and not whole:
        path.append(subtree(first, last))
    return path[::-1]


def check_consistency(old: int, old_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> None:
    """Section 2.1.4.2: the tree of `old` leaves is the beginning of that of `size`; raises `InvalidProof`."""
    if old > size:
        raise InvalidProof(f"a tree of {old} is not the beginning of one of {size}")
    if old == size or old == 0:
        if proof or (old == size and old_root != root) or (old == 0 and old_root != EMPTY_ROOT):
            raise InvalidProof("the two trees are not the same")
        return
    path = list(proof)
    # A power of two is a subtree of the new tree by itself.
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        raise InvalidProof("the proof is too short")
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    found_old = found = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise InvalidProof("the proof is too long")
        if node & 1 or node == last:
            found_old, found = node_hash(sibling, found_old), node_hash(sibling, found)
            while node and not node & 1:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    if last != 0 or found_old != old_root or found != root:
        raise InvalidProof("one tree is not the beginning of the other")

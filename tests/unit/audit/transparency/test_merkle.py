"""The tree against the vectors of RFC 6962's authors, and its proofs against the definition."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.audit.transparency.merkle import (
    Frontier,
    InvalidProof,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    split,
)

LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def leaves(count: int) -> list[bytes]:
    return [leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


def root(hashes: list[bytes]) -> bytes:
    """MTH of section 2.1.1, word by word."""
    if len(hashes) == 1:
        return hashes[0]
    middle = split(len(hashes))
    return node_hash(root(hashes[:middle]), root(hashes[middle:]))


def test_the_published_vectors() -> None:
    hashes = [leaf_hash(bytes.fromhex(data)) for data in LEAVES]
    assert [root_of(hashes[:size]).hex() for size in range(9)] == ROOTS


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 130), st.data())
def test_every_proof_leads_to_the_root_and_no_other_one_does(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    tree = Frontier()
    for leaf in hashes:
        tree.append(leaf)
    assert tree.sound and tree.root() == root(hashes)

    def subtree(first: int, last: int) -> bytes:
        return root(hashes[first:last])

    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, subtree)
    check_inclusion(hashes[index], index, size, proof, tree.root())
    other = data.draw(st.integers(0, size - 1))
    if other != index:
        with pytest.raises(InvalidProof):
            check_inclusion(hashes[index], other, size, proof, tree.root())
    with pytest.raises(InvalidProof):
        check_inclusion(leaf_hash(b"forged"), index, size, proof, tree.root())
    with pytest.raises(InvalidProof):
        check_inclusion(hashes[index], index, size, [*proof, bytes(32)], tree.root())

    old = data.draw(st.integers(0, size))
    consistent = consistency_proof(old, size, subtree)
    old_root = root_of(hashes[:old])
    check_consistency(old, old_root, size, tree.root(), consistent)
    if 0 < old < size:
        forked = root_of([*hashes[: old - 1], leaf_hash(b"forged")])
        with pytest.raises(InvalidProof):
            check_consistency(old, forked, size, tree.root(), consistent)
        with pytest.raises(InvalidProof):
            check_consistency(old, old_root, size, tree.root(), consistent[:-1])

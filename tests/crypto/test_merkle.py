"""Merkle trees, against the published tree of eight leaves and a plain model."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.crypto import merkle
from grievance.errors import CryptoError, ShapeError

# The leaves and roots that implementations of RFC 6962 have shared since Certificate Transparency.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
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


def model_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, as it is written down."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    left, right = model_root(leaves[:k]), model_root(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


def model_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 6962, 2.1.1."""
    if len(leaves) <= 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*model_path(m, leaves[:k]), model_root(leaves[k:])]
    return [*model_path(m - k, leaves[k:]), model_root(leaves[:k])]


def many(size: int) -> list[bytes]:
    return [f"leaf {at}".encode() for at in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_known_roots(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]
    assert merkle.root(iter(LEAVES[:size])).hex() == ROOTS[size]


@pytest.mark.parametrize("size", range(1, 20))
def test_inclusion_of_every_leaf(size: int) -> None:
    leaves = many(size)
    root = merkle.root(leaves)
    assert root == model_root(leaves)
    for index in range(size):
        proof = merkle.inclusion_proof(leaves, index)
        assert proof == model_path(index, leaves)
        merkle.check_inclusion(leaves[index], index, size, proof, root)
        for wrong in {index - 1, index + 1, index ^ 1} - {index}:
            with pytest.raises(CryptoError):
                merkle.check_inclusion(leaves[index], wrong, size, proof, root)


@settings(max_examples=100)
@given(st.integers(2, 40), st.data())
def test_a_changed_proof_is_refused(size: int, data: st.DataObject) -> None:
    leaves = many(size)
    root = merkle.root(leaves)
    index = data.draw(st.integers(0, size - 1))
    proof = merkle.inclusion_proof(leaves, index)
    merkle.check_inclusion(leaves[index], index, size, proof, root)
    at = data.draw(st.integers(0, len(proof) - 1))
    flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
    for changed in (
        [*proof[:at], flipped, *proof[at + 1 :]],
        [*proof[:at], *proof[at + 1 :]],
        [*proof, bytes(32)],
        [*proof[:at], proof[at][:-1], *proof[at + 1 :]],
    ):
        with pytest.raises(CryptoError) as caught:
            merkle.check_inclusion(leaves[index], index, size, changed, root)
        assert caught.value.code == "merkle"


@pytest.mark.parametrize("size", range(2, 20))
def test_a_much_larger_tree_cannot_be_claimed(size: int) -> None:
    leaves = many(size)
    root = merkle.root(leaves)
    for at in range(size):
        proof = merkle.inclusion_proof(leaves, at)
        with pytest.raises(CryptoError):
            merkle.check_inclusion(leaves[at], at, 4 * size, proof, root)


def test_a_node_does_not_pass_for_a_leaf() -> None:
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    with pytest.raises(CryptoError):
        merkle.check_inclusion(left + right, 0, 1, [], merkle.root([b"a", b"b"]))


def test_what_is_no_position_is_refused() -> None:
    leaves = many(3)
    root = merkle.root(leaves)
    for index in (-1, 3):
        with pytest.raises(ShapeError):
            merkle.inclusion_proof(leaves, index)
        with pytest.raises(CryptoError):
            merkle.check_inclusion(b"", index, 3, [], root)

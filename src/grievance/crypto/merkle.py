"""Merkle trees: one hash for a list, short proofs about it.

Used for the accepted set of a round and for the ledgers. Leaves are byte strings; a leaf
and an inner node are hashed with different first bytes, so neither passes for the other.
Proofs are lists of 32-byte hashes, lowest first. Checks raise CryptoError (code "merkle").
Source: RFC 6962, 2.1 (the tree), 2.1.1 (inclusion), 2.1.2 (consistency); the checks
follow RFC 9162, 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from grievance.errors import CryptoError, ShapeError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one leaf."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees together."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaves: Iterable[bytes]) -> bytes:
    """Compute the root, level by level: a node without a sibling moves up as it is."""
    sha256 = hashlib.sha256
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if not level:
        return EMPTY_ROOT
    while len(level) > 1:
        alone = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + alone
    return level[0]


def inclusion_proof(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from leaf `index` to the root. Raises ShapeError."""
    if not 0 <= index < len(leaves):
        raise ShapeError(f"there is no leaf {index} among {len(leaves)}")
    proof: list[bytes] = []
    lo, hi = 0, len(leaves)
    while hi - lo > 1:
        middle = lo + _split(hi - lo)
        if index < middle:
            proof.append(root(leaves[middle:hi]))
            hi = middle
        else:
            proof.append(root(leaves[lo:middle]))
            lo = middle
    return proof[::-1]


def check_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], expected_root: bytes
) -> None:
    """Check that `leaf` is number `index` of the `size` leaves under a root. Raises CryptoError."""
    _check_hashes(proof)
    if not 0 <= index < size:
        raise _refuse("the index is outside the tree")
    at, last, value = index, size - 1, leaf_hash(leaf)
    for sibling in proof:
        if last == 0:
            raise _refuse("the proof is too long")
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise _refuse("the proof is too short")
    _compare(value, expected_root, "the leaf is not under this root")


def consistency_proof(leaves: Sequence[bytes], old_size: int) -> list[bytes]:
    """Return what shows that the first `old_size` leaves are the old tree. Raises ShapeError."""
    if not 0 < old_size <= len(leaves):
        raise ShapeError(f"no tree of {old_size} leaves came before this one of {len(leaves)}")
    proof: list[bytes] = []
    lo, hi, whole = 0, len(leaves), True  # whole: the old root itself is still to be met
    while old_size < hi:
        middle = lo + _split(hi - lo)
        if old_size <= middle:
            proof.append(root(leaves[middle:hi]))
            hi = middle
        else:
            proof.append(root(leaves[lo:middle]))
            lo, whole = middle, False
    if not whole:
        proof.append(root(leaves[lo:hi]))
    return proof[::-1]


def check_consistency(
    old_size: int, old_root: bytes, size: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the tree of `size` leaves extends the one of `old_size`. Raises CryptoError.

    An empty old tree is extended by every tree, with an empty proof.
    """
    _check_hashes(proof)
    if not 0 <= old_size <= size:
        raise _refuse("the new tree is smaller than the old one")
    if old_size in (0, size):
        if proof:
            raise _refuse("the proof is too long")
        known = EMPTY_ROOT if old_size == 0 else new_root
        _compare(old_root, known, "two trees of one size have different roots")
        return
    path = list(proof)
    if old_size & (old_size - 1) == 0:  # a full old tree is itself the first node
        path.insert(0, old_root)
    if not path:
        raise _refuse("the proof is too short")
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old_value = new_value = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise _refuse("the proof is too long")
        if at & 1 or at == last:
            old_value = node_hash(sibling, old_value)
            new_value = node_hash(sibling, new_value)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        at, last = at >> 1, last >> 1
    if last:
        raise _refuse("the proof is too short")
    _compare(old_value, old_root, "the new tree does not extend the old one")
    _compare(new_value, new_root, "the proof does not lead to the new root")


def _split(size: int) -> int:
    """Return the largest power of two below `size`: how many leaves the left subtree has."""
    return 1 << (size - 1).bit_length() - 1


def _check_hashes(proof: Sequence[bytes]) -> None:
    if any(len(value) != HASH_SIZE for value in proof):
        raise _refuse("a hash in the proof has the wrong length")


def _compare(value: bytes, expected: bytes, why: str) -> None:
    if not hmac.compare_digest(value, expected):
        raise _refuse(why)


def _refuse(why: str) -> CryptoError:
    return CryptoError(why, code="merkle")

"""Merkle trees: one hash for a list, short proofs about it.

Used for the accepted set of a round and for the ledgers. Leaves are byte strings; a leaf
and an inner node are hashed with different first bytes, so neither passes for the other.
Proofs are lists of 32-byte hashes, lowest first. Checks raise CryptoError (code "merkle").
That one tree extends another nobody needs a proof of: whoever witnesses a ledger has all its
entries. Source: RFC 6962, 2.1 (the tree), 2.1.1 (inclusion); the check follows RFC 9162, 2.1.3.2.
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

"""A backup key in pieces: any `threshold` of them give it back, fewer say nothing about it.

Shamir's scheme over GF(2^128) hides 16 bytes, so the 32-byte key is split in two halves, each
with a polynomial of its own. That is sound: the polynomials are drawn independently, so fewer
than `threshold` pieces are uniform bytes whatever both halves are, just as for one half; and a
piece is the value of both polynomials at the same place, so whoever holds enough pieces holds
enough of both. The scheme does not notice a wrong piece; the digests in the set do.
Source: Shamir, "How to share a secret", 1979; the arithmetic is pycryptodome's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from grievance.crypto.hpke import DEFAULT_KEM, HpkePrivateKey
from grievance.errors import ShapeError
from grievance.secret import Secret
from grievance.task.backup import MAX_TRUSTEES, MIN_THRESHOLD

if TYPE_CHECKING:
    from collections.abc import Mapping

_HALF_SIZE = 16
_PRIVATE_KEY_SIZE = 96


class BackupKey(Secret):
    """The 32 bytes that the trustees hold in pieces and nobody holds whole."""

    SIZE = 2 * _HALF_SIZE
    __slots__ = ()


class Piece(Secret):
    """One trustee's piece of a backup key."""

    SIZE = 2 * _HALF_SIZE
    __slots__ = ()


def split(key: BackupKey, threshold: int, number: int) -> list[Piece]:
    """Split a key into `number` pieces; the first has index 1.

    Raises ShapeError unless 2 <= threshold <= number <= 16.
    """
    from Crypto.Protocol.SecretSharing import Shamir

    if not MIN_THRESHOLD <= threshold <= number <= MAX_TRUSTEES:
        raise ShapeError(f"{threshold} of {number} pieces is no way to split a key")
    secret = key.reveal()
    first = Shamir.split(threshold, number, secret[:_HALF_SIZE])
    second = Shamir.split(threshold, number, secret[_HALF_SIZE:])
    return [Piece(a + b) for (_, a), (_, b) in zip(first, second, strict=True)]


def combine(pieces: Mapping[int, Piece]) -> BackupKey:
    """Put a key together from exactly `threshold` pieces by index.

    Fewer pieces, or a wrong one, give another key: the caller compares what follows from it.
    Raises ShapeError for indices that no piece has.
    """
    from Crypto.Protocol.SecretSharing import Shamir

    if not all(1 <= index <= MAX_TRUSTEES for index in pieces):
        raise ShapeError(f"pieces are counted from 1 to {MAX_TRUSTEES}")
    halves = [
        Shamir.combine([(index, piece.reveal()[half]) for index, piece in pieces.items()])
        for half in (slice(_HALF_SIZE), slice(_HALF_SIZE, None))
    ]
    return BackupKey(b"".join(halves))


def archive_key(key: BackupKey) -> HpkePrivateKey:
    """The private key that opens the archives. It follows from the backup key alone.

    So archives are sealed with a public key, and the backup key is forgotten as soon as it is
    split: a seized machine opens no archive, old or new.
    """
    kdf = HKDF(SHA256(), _PRIVATE_KEY_SIZE, salt=None, info=b"grievance/2 backup key")
    return HpkePrivateKey.from_export(DEFAULT_KEM, Secret(kdf.derive(key.reveal())))

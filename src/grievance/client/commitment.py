"""The commitment of a report: what names it everywhere, and what only its maker can open.

The maker draws one salt for each aggregator, independent of each other:

    H_i        = SHA-256("grievance/2 salt" || salt_i)
    T          = SHA-256(token part), or 32 zero bytes where there is none
    commitment = SHA-256("grievance/2 commitment" || task digest || H_0 || ... || H_{n-1} || T)

Aggregator i gets an *opening*, sealed with its input share: salt_i, then H_j of all others in
order, then the token part. It computes the commitment from that, so it knows that the report is
the one the maker made. Nobody else has salt_i, all other aggregators together included: a
report that they make does not open anybody's commitment but their own.

The first 16 bytes are the VDAF nonce. Two reports of one nonce and two commitments, which cost
their maker 2^64 hashes, are left to the burn rule. Source: docs/decisions/salts.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SALT_SIZE = 32
COMMITMENT_SIZE = 32
NONCE_SIZE = 16
_HASH_SIZE = 32
_SALT_LABEL = b"grievance/2 salt"
_NO_TOKEN_DIGEST = bytes(_HASH_SIZE)

NO_TOKEN = b""
"""The token part of a report in a round without tokens. There are no others yet."""


def salt_hash(salt: bytes) -> bytes:
    """H (32 bytes) of an aggregator's salt (32 bytes): what the other aggregators get of it."""
    return hashlib.sha256(_SALT_LABEL + salt).digest()


def commitment_of(
    task_digest: bytes, salt_hashes: Sequence[bytes], token: bytes = NO_TOKEN
) -> bytes:
    """Commitment (32 bytes) to one salt hash for each aggregator, in order, and a token part."""
    head = _head(task_digest)
    return hashlib.sha256(head + b"".join(salt_hashes) + _token_digest(token)).digest()


def nonce_of(commitment: bytes) -> bytes:
    """The VDAF nonce (16 bytes) of the report with this commitment."""
    return commitment[:NONCE_SIZE]


def openings(salts: Sequence[bytes], token: bytes = NO_TOKEN) -> tuple[list[bytes], list[bytes]]:
    """Openings, one for each aggregator in order, and the salt hashes. Run by the maker."""
    hashes = [salt_hash(salt) for salt in salts]
    parts = [
        b"".join((salt, *hashes[:index], *hashes[index + 1 :], token))
        for index, salt in enumerate(salts)
    ]
    return parts, hashes


def opening_size(num_aggregators: int) -> int:
    """Bytes that stand before the input share in every ciphertext."""
    return SALT_SIZE + (num_aggregators - 1) * _HASH_SIZE + len(NO_TOKEN)


class OpeningReader:
    """Computes commitments from what aggregator `index` of `num_aggregators` opened.

    What all reports of the task have alike is made once. `size`: bytes of an opening.
    """

    def __init__(self, task_digest: bytes, index: int, num_aggregators: int) -> None:
        self.size = opening_size(num_aggregators)
        self._head = _head(task_digest)
        self._own_at = SALT_SIZE + index * _HASH_SIZE
        self._token_at = SALT_SIZE + (num_aggregators - 1) * _HASH_SIZE

    def commitment(self, plaintext: bytes) -> bytes:
        """The one commitment that the opening before an input share opens. Run per report."""
        own, token = self._own_at, self._token_at
        parts = (
            self._head,
            plaintext[SALT_SIZE:own],
            hashlib.sha256(_SALT_LABEL + plaintext[:SALT_SIZE]).digest(),
            plaintext[own:token],
            _token_digest(plaintext[token : self.size]),
        )
        return hashlib.sha256(b"".join(parts)).digest()


def _head(task_digest: bytes) -> bytes:
    return b"grievance/2 commitment" + task_digest


def _token_digest(token: bytes) -> bytes:
    return _NO_TOKEN_DIGEST if token == NO_TOKEN else hashlib.sha256(token).digest()

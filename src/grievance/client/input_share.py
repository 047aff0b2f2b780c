"""One input share, sealed to one aggregator: opening of the commitment || encoded input share.

Each ciphertext is HPKE with task, aggregator, commitment and public share bound in through
HPKE's `info`, and inside stands what opens the commitment (`client.commitment`): a part of one
report cannot be moved into another, and a commitment seen in the pool is of use to nobody.
Source: DAP draft-17, "Upload Message"; docs/decisions/salts.md.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from grievance.client.commitment import COMMITMENT_SIZE, OpeningReader, opening_size
from grievance.errors import OpenError, ReportError
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.task import RoundTerms, Task

_COMMITMENT_LENGTH = COMMITMENT_SIZE.to_bytes(4, "big")
_DIGEST_LENGTH = hashlib.sha256().digest_size.to_bytes(4, "big")


def ciphertext_size(task: RoundTerms, index: int) -> int:
    """Bytes of aggregator `index`'s ciphertext, the same in every report of the task."""
    plaintext = opening_size(len(task.aggregators)) + task.vdaf.input_share_size(index)
    return task.aggregators[index].hpke.ciphertext_size(plaintext)


def input_share_info(
    task_digest: bytes, index: int, commitment: bytes, public_share: bytes
) -> bytes:
    """HPKE `info` (32 bytes) of the input share for aggregator `index`, 0 to 254.

    Binds task, aggregator, commitment and public share, so that no part of a report can be
    moved into another. `cryptography` has no `aad`, so `info` carries all of it.
    """
    public_digest = hashlib.sha256(public_share).digest()
    return _info(_info_head(task_digest, index), commitment, public_digest)


def open_input_share(
    key: HpkePrivateKey,
    task: Task,
    index: int,
    commitment: bytes,
    public_share: bytes,
    ciphertext: bytes,
) -> bytes:
    """Open one ciphertext: `InputShareOpener.open` for a single report."""
    public_digest = hashlib.sha256(public_share).digest()
    return InputShareOpener(key, task, index).open(commitment, public_digest, ciphertext)


class InputShareOpener:
    """Opens the input shares of aggregator `index`. What all reports have alike is made once."""

    def __init__(self, key: HpkePrivateKey, task: Task, index: int) -> None:
        self._key, self._size = key, ciphertext_size(task, index)
        self._info_head = _info_head(task.digest, index)
        self._reader = OpeningReader(task.digest, index, len(task.aggregators))

    def open(self, commitment: bytes, public_digest: bytes, ciphertext: bytes) -> bytes:
        """Open one ciphertext and return the encoded input share, without the opening.

        Run once per report; decoding is the VDAF's part. `public_digest`: SHA-256 of the public
        share. Raises OpenError `report.open` for everything that does not open (wrong key, task,
        aggregator, commitment or public share, altered, wrong length), and ReportError
        `report.commitment` when it opens, but what is inside has another commitment.
        """
        if len(ciphertext) != self._size:
            raise OpenError("the input share does not open")
        plaintext = self._key.open(ciphertext, _info(self._info_head, commitment, public_digest))
        if self._reader.commitment(plaintext) != commitment:
            raise ReportError(
                "what is sealed in this report belongs to another commitment",
                code="report.commitment",
            )
        return plaintext[self._reader.size :]


def _info_head(task_digest: bytes, index: int) -> bytes:
    return length_prefixed(b"grievance/2 input share", task_digest, index.to_bytes(1, "big"))


def _info(head: bytes, commitment: bytes, public_digest: bytes) -> bytes:
    # As `length_prefixed` writes it: both lengths are the same in every report.
    return hashlib.sha256(
        b"".join((head, _COMMITMENT_LENGTH, commitment, _DIGEST_LENGTH, public_digest))
    ).digest()

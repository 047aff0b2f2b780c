"""Open, verify, decide and sum the rows of one record batch, on the reference path.

Every function is pure: the same rows, keys and findings give the same bytes, today, after
a crash, or on another machine. Source: docs/design.md, section 8; VDAF draft-20, section 7.2.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.client.commitment import nonce_of
from grievance.client.input_share import InputShareOpener
from grievance.client.report import report_digest
from grievance.errors import OpenError, ProofError, ReportError, TestPointError, WireError
from grievance.pool.decisions import Status, VerifierShares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.pool.store import View
    from grievance.secret import VerifyKey
    from grievance.task import Task


@dataclass(frozen=True, repr=False)
class Seat:
    """One aggregator's place in a round: the task, its index, and the two keys it works with."""

    task: Task
    index: int
    hpke: HpkePrivateKey
    verify_key: VerifyKey


@dataclass(repr=False)
class Opened:
    """Rows after decryption. `shares[row]` is the encoded input share where the status is OK.

    `inputs[row]` is SHA-256(public share) || SHA-256(own ciphertext), what the burn rule
    remembers beside the commitment; `digests[row]` is the report's digest. Commitments and
    public shares are copies, and the digests are of the very bytes that were opened: what is
    verified later is what was burnt, even if the file has changed since.
    """

    commitments: list[bytes]
    publics: list[bytes]
    statuses: bytearray
    inputs: list[bytes]
    digests: list[bytes]
    shares: list[bytes | None]


@dataclass(frozen=True, repr=False)
class Verified:
    """Findings about rows, and the sum of the output shares of all rows that are OK."""

    found: VerifierShares
    total: list[int]


def _cells(batch: pa.RecordBatch, index: int) -> Sequence[View]:
    """The cells of a fixed-width column, where they are."""
    column = batch.column(index)
    width = column.type.byte_width
    begin, buffer = column.offset * width, memoryview(column.buffers()[1])
    places = range(begin, begin + batch.num_rows * width, width)
    return [buffer[at : at + width] for at in places]


def open_rows(seat: Seat, batch: pa.RecordBatch) -> Opened:
    """Decrypt our share of every row and check its commitment. Verifies nothing yet."""
    sha256, digest, own = hashlib.sha256, seat.task.digest, 1 + seat.index
    cells, *parts = (_cells(batch, i) for i in range(batch.num_columns))
    # Copied before they are digested: what is opened is what was digested.
    copied = ([bytes(cell) for cell in column] for column in (cells, parts[0], parts[own]))
    commitments, publics, sealed = copied
    parts[0], parts[own] = publics, sealed
    hashes = [[sha256(cell).digest() for cell in column] for column in parts]
    opener = InputShareOpener(seat.hpke, seat.task, seat.index)
    statuses, shares = bytearray(batch.num_rows), list[bytes | None]()
    for row, of in enumerate(zip(commitments, hashes[0], sealed, strict=True)):
        share: bytes | None = None
        try:
            share = opener.open(*of)
        except OpenError:
            statuses[row] = Status.OPEN
        except ReportError:
            statuses[row] = Status.COMMITMENT
        shares.append(share)
    inputs = [a + b for a, b in zip(hashes[0], hashes[own], strict=True)]
    rows = zip(commitments, *hashes, strict=True)
    digests = [report_digest(digest, commitment, of) for commitment, *of in rows]
    return Opened(commitments, publics, statuses, inputs, digests, shares)


def verify_rows(seat: Seat, opened: Opened) -> Verified:
    """Compute our verifier share of every row that is still OK.

    The caller has recorded the nonces durably and marked the burnt ones: from the moment
    this result leaves the machine, no other bytes may be verified under these nonces.
    """
    prio3 = seat.task.vdaf
    empty = bytes(prio3.VERIFIER_SHARE_SIZE)
    statuses = bytearray(opened.statuses)
    pieces: list[bytes] = []
    total = prio3.agg_init()
    for row, share in enumerate(opened.shares):
        piece = empty
        if statuses[row] == Status.OK and share is not None:
            try:
                state, verifier = prio3.verify_init(
                    seat.verify_key,
                    seat.task.ctx,
                    seat.index,
                    nonce_of(opened.commitments[row]),
                    prio3.decode_public_share(opened.publics[row]),
                    prio3.decode_input_share(seat.index, share),
                )
                piece = prio3.encode_verifier_share(verifier)
                total = prio3.agg_update(total, state.out_share)
            except WireError:
                statuses[row] = Status.DECODE
            except TestPointError:
                statuses[row] = Status.TEST_POINT
        pieces.append(piece)
    return Verified(VerifierShares(bytes(statuses), b"".join(pieces)), total)


def decide_rows(
    task: Task, publics: Sequence[bytes], found: Sequence[VerifierShares], start: int
) -> list[tuple[Status, int]]:
    """Decide rows with these public shares from what all aggregators found.

    `start` is the batch's row that the first of them is. Returns (Status.OK, -1) or the reason
    and the index of the aggregator that gave it (-1 where all see it together). Depends on
    public bytes and the findings alone, so every aggregator comes to the same decision. That
    a public share equals the joint randomness parts all aggregators computed is the same as
    `verify_next` succeeding at each of them.
    """
    prio3 = task.vdaf
    width = prio3.VERIFIER_SHARE_SIZE
    verdicts = []
    for row, public in enumerate(publics):
        local = [(Status(f.statuses[start + row]), i) for i, f in enumerate(found)]
        refusals = [(status, index) for status, index in local if status != Status.OK]
        shares = [f.share(start + row, width) for f in found]
        verdicts.append(refusals[0] if refusals else _check_proof(task, public, shares))
    return verdicts


def _check_proof(task: Task, public_share: bytes, encoded: Sequence[bytes]) -> tuple[Status, int]:
    prio3 = task.vdaf
    shares = []
    for index, data in enumerate(encoded):
        try:
            shares.append(prio3.decode_verifier_share(data))
        except WireError:
            return Status.DECODE, index
    if prio3.decode_public_share(public_share) != [s.joint_rand_part for s in shares]:
        return Status.JOINT_RANDOMNESS, -1
    try:
        prio3.verifier_shares_to_message(task.ctx, shares)
    except ProofError:
        return Status.PROOF, -1
    return Status.OK, -1


def sum_opened(seat: Seat, opened: Opened) -> list[int]:
    """Add up our output shares of opened rows: what a refusal takes back."""
    prio3 = seat.task.vdaf
    total = prio3.agg_init()
    for share in opened.shares:
        if share is not None:
            decoded = prio3.decode_input_share(seat.index, share)
            meas_share, _, _ = prio3.expand_input_share(seat.task.ctx, seat.index, decoded)
            total = prio3.agg_update(total, prio3.circuit.truncate(meas_share))
    return total

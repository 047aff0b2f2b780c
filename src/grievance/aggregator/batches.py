"""Verify batches, in the order of the chain. Run by each aggregator.

Everything a step leaves behind (burnt nonces, sealed sums, the outgoing file) is stored in
one transaction, so a crash anywhere means the step is done or was never begun, and what is
published afterwards is the stored bytes. Source: docs/design.md, section 8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.client.commitment import COMMITMENT_SIZE
from grievance.client.report import DIGEST_SIZE
from grievance.crypto.boxes import seal_at_rest
from grievance.errors import BatchError
from grievance.failpoints import failpoint
from grievance.pipelines import open_rows
from grievance.pipelines.rows import Verified
from grievance.pool.decisions import Status, VerifierShares, write_verify_file

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.aggregator.bench import BatchView, Bench
    from grievance.pipelines import Crew, Examined
    from grievance.pool.batch import Span
    from grievance.pool.order import OrderedBatch


@dataclass(frozen=True, repr=False)
class Rows:
    """What deciding needs of the rows we verified: commitment (32), public share, digest (32).

    Kept sealed beside the batch's sum, so that deciding reads no batch again.
    """

    commitments: Sequence[bytes]
    publics: Sequence[bytes]
    digests: Sequence[bytes]

    def to_bytes(self) -> bytes:
        """One column after the other."""
        return b"".join([*self.commitments, *self.publics, *self.digests])

    @classmethod
    def from_bytes(cls, data: bytes, rows: int, public_size: int) -> Rows:
        """Read what `to_bytes` wrote."""
        columns, at = [], 0
        for width in (COMMITMENT_SIZE, public_size, DIGEST_SIZE):
            end = at + rows * width
            columns.append([data[i : i + width] for i in range(at, end, width)])
            at = end
        return cls(*columns)


@dataclass(frozen=True, repr=False)
class Findings:
    """What verifying a batch gave: statuses and verifier shares, our sum, the rows themselves."""

    found: VerifierShares
    total: list[int]
    rows: Rows


def verify_batch(
    bench: Bench,
    batch: OrderedBatch,
    view: BatchView,
    crew: Crew,
    progress: Callable[[int, int], None],
) -> None:
    """Open and verify every row, burn the nonces, spool the verifier shares.

    Inside the caller's transaction. Raises BatchError `batch.digest` when the file does not
    hold what its relay signed: the transaction must then fail, for the file does not exist.
    """
    seat = bench.seat
    findings = examine(bench, batch, view, crew, progress)
    failpoint("verify.burnt")
    bench.state.spool(
        bench.paths.verify(batch.seq, bench.name),
        write_verify_file(seat.task, batch, seat.index, findings.found, bench.key),
    )
    failpoint("verify.spooled")
    keep_findings(bench, batch, findings)


def examine(
    bench: Bench,
    batch: OrderedBatch,
    view: BatchView,
    crew: Crew,
    progress: Callable[[int, int], None],
) -> Findings:
    """Open, burn and verify, inside the caller's transaction.

    Raises BatchError `batch.digest` as `verify_batch` does; the transaction must then fail.
    """
    seat = bench.seat
    total = seat.task.vdaf.agg_init()
    if view.refused:
        return Findings(_refuse_all(bench, batch), total, Rows([], [], []))
    statuses, pieces = bytearray(), []
    rows = Rows(commitments := [], publics := [], digests := [])
    try:
        for span, chunk in crew.examine(view.file, view.location):
            verified = _burn(bench, crew, view, span, chunk)
            statuses += verified.found.statuses
            pieces.append(verified.found.shares)
            total = seat.task.vdaf.agg_update(total, verified.total)
            commitments += chunk.commitments
            publics += chunk.publics
            digests += chunk.digests
            progress(len(digests), batch.rows)
        view.file.check_content(digests)
    except BaseException:
        bench.burns.forget()
        raise
    bench.burns.store_burns(batch.seq)
    return Findings(VerifierShares(bytes(statuses), b"".join(pieces)), total, rows)


def keep_findings(bench: Bench, batch: OrderedBatch, findings: Findings) -> None:
    """Store the sum and the rows, sealed, until the batch is decided.

    Our verifier shares are in the file we spooled, sealed to us as to all others.
    """
    context = bench.context("rows", batch.seq)
    bench.state.add_batch(
        bench.seat.task.digest,
        batch.seq,
        batch.digest,
        bench.seal_sum(batch.seq, findings.total),
        seal_at_rest(bench.state_key, findings.rows.to_bytes(), context),
    )


def _refuse_all(bench: Bench, batch: OrderedBatch) -> VerifierShares:
    width = bench.seat.task.vdaf.VERIFIER_SHARE_SIZE
    return VerifierShares(bytes([Status.BATCH]) * batch.rows, bytes(batch.rows * width))


def _burn(bench: Bench, crew: Crew, view: BatchView, span: Span, chunk: Examined) -> Verified:
    """The burn rule: record what was verified, take back what was under a burnt nonce.

    Rows that do not open, or not their commitment, burn nothing: else anybody who saw one in the
    pool, an aggregator included, could spoil it. Everything returned is still on this machine.
    """
    found, total = chunk.verified.found, chunk.verified.total
    claimed = [
        row
        for row, status in enumerate(found.statuses)
        if status not in (Status.OPEN, Status.COMMITMENT)
    ]
    allowed = bench.burns.burn(
        [chunk.commitments[row] for row in claimed], [chunk.inputs[row] for row in claimed]
    )
    burnt = [row for row, may in zip(claimed, allowed, strict=True) if not may]
    if not burnt:
        return chunk.verified
    task, width = bench.seat.task, bench.seat.task.vdaf.VERIFIER_SHARE_SIZE
    counted = [row for row in burnt if found.statuses[row] == Status.OK]
    statuses, shares = bytearray(found.statuses), bytearray(found.shares)
    for row in burnt:
        statuses[row] = Status.BURNT
        shares[row * width : (row + 1) * width] = bytes(width)
    taken_back = sum_rows(bench, crew, view, span, counted, chunk.digests)
    total = task.vdaf.field.sub(total, taken_back)
    return Verified(VerifierShares(bytes(statuses), bytes(shares)), total)


def sum_rows(
    bench: Bench,
    crew: Crew,
    view: BatchView,
    span: Span,
    chosen: Sequence[int],
    digests: Sequence[bytes],
) -> list[int]:
    """Open some rows of a span again and add up our output shares of them.

    `digests` of all rows of the span: what is opened must be what was verified.
    """
    if not chosen:
        return bench.seat.task.vdaf.agg_init()
    opened = open_rows(bench.seat, view.file.rows(span).take(list(chosen)))
    if opened.digests != [digests[row] for row in chosen]:
        raise BatchError("the batch has changed since it was verified", code="batch.digest")
    return crew.total(opened)

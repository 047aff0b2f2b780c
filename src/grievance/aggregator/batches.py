"""Verify and decide batches, in the order of the chain. Run by each aggregator.

Everything a step leaves behind (burnt nonces, sealed sums, the outgoing file) is stored in
one transaction, so a crash anywhere means the step is done or was never begun, and what is
published afterwards is the stored bytes. Source: design.md, section 8.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.aggregator.burns import BurnIndex
from grievance.crypto.boxes import open_at_rest, seal_at_rest
from grievance.crypto.merkle import root
from grievance.errors import (
    BatchError,
    GrievanceError,
    OpenError,
    PoolError,
    SignatureError,
    StateError,
    WireError,
)
from grievance.pipelines import examine_all, open_rows, path_for, report_leaves
from grievance.pipelines.rows import Verified
from grievance.pool.batch import max_batch_size, parse_header, read_header, read_rows
from grievance.pool.layout import RoundPaths
from grievance.pool.store import find
from grievance.pool.verdicts import (
    Decision,
    Status,
    VerifierShares,
    decision_limit,
    max_verify_size,
    open_verify_file,
    parse_decision,
    write_verify_file,
)
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pyarrow as pa

    from grievance.aggregator.state import State
    from grievance.crypto.signing import SigningKey
    from grievance.pipelines import Examined, Seat
    from grievance.pool.batch import BatchHeader
    from grievance.pool.order import OrderedBatch
    from grievance.pool.store import Store, View
    from grievance.secret import StateKey


@dataclass(frozen=True, repr=False)
class Bench:
    """Where one aggregator works on one round: its seat, keys, memory and the pool."""

    seat: Seat
    key: SigningKey
    state_key: StateKey
    state: State
    store: Store
    workers: int = 1
    checked: dict[bytes, View] = field(default_factory=dict)
    """Batches whose bytes were held against digest and signature since we sat down."""

    @cached_property
    def burns(self) -> BurnIndex:
        """The burn table of this round. A step that failed must not go on with it."""
        return BurnIndex(self.state, self.seat.task.digest, self.state_key)

    @property
    def paths(self) -> RoundPaths:
        """The round's paths in the pool."""
        return RoundPaths(self.seat.task.round_id)

    @property
    def name(self) -> str:
        """Our name."""
        return self.seat.task.aggregators[self.seat.index].name

    def context(self, what: str, number: int) -> bytes:
        """What a sealed number at rest is bound to."""
        task = self.seat.task.digest
        return length_prefixed(
            b"grievance/1 at rest", what.encode(), task, number.to_bytes(4, "big")
        )

    def seal_sum(self, seq: int, total: list[int]) -> bytes:
        """Seal an un-noised sum for our own later use."""
        data = self.seat.task.vdaf.encode_agg_share(total)
        return seal_at_rest(self.state_key, data, self.context("sum", seq))

    def open_sum(self, seq: int, box: bytes) -> list[int]:
        """Open what `seal_sum` sealed."""
        data = open_at_rest(self.state_key, box, self.context("sum", seq))
        return self.seat.task.vdaf.decode_agg_share(data)


def find_batch(bench: Bench, batch: OrderedBatch) -> View | None:
    """The bytes of an ordered batch; None until they have arrived whole."""
    return find_bytes(bench, batch.partner, batch.digest)


def find_bytes(bench: Bench, partner: str, digest: bytes) -> View | None:
    """The bytes of a batch file; None until they are those its name says."""
    if digest in bench.checked:
        return bench.checked[digest]
    limit = max_batch_size(bench.seat.task)
    data = find(bench.store, bench.paths.batch(partner, digest), limit)
    if data is None or hashlib.sha256(data).digest() != digest:
        return None
    return data


def check_bytes(bench: Bench, digest: bytes, data: View) -> BatchHeader:
    """Hold a batch file against its relay's signature, once. Raises BatchError."""
    if digest in bench.checked:
        return parse_header(data, bench.seat.task)
    header = read_header(data, bench.seat.task)
    bench.checked[digest] = data
    return header


def _rows(bench: Bench, batch: OrderedBatch, data: View) -> Iterator[pa.RecordBatch]:
    """The rows of a batch whose bytes `find_batch` and `_reads` have checked."""
    task = bench.seat.task
    header = parse_header(data, task)
    if header.relay != batch.relay or header.rows != batch.rows:
        raise BatchError("the batch is not the one that was ordered", code="batch.malformed")
    yield from read_rows(data, header, task)


def _reads(bench: Bench, batch: OrderedBatch, data: View) -> bool:
    """Whether the whole batch reads; the verdict depends on its bytes alone."""
    try:
        check_bytes(bench, batch.digest, data)
        for _ in _rows(bench, batch, data):
            pass
    except BatchError:
        return False
    return True


def verify_batch(
    bench: Bench, batch: OrderedBatch, data: View, progress: Callable[[int, int], None]
) -> None:
    """Open and verify every row, burn the nonces, spool the verifier shares: one transaction."""
    seat, state = bench.seat, bench.state
    with state.transaction():
        found, total = examine(bench, batch, data, progress)
        state.spool(
            bench.paths.verify(batch.seq, bench.name),
            write_verify_file(seat.task, batch, seat.index, found, bench.key),
        )
        keep_findings(bench, batch, found, total)


def examine(
    bench: Bench, batch: OrderedBatch, data: View, progress: Callable[[int, int], None]
) -> tuple[VerifierShares, list[int]]:
    """Open, burn and verify, inside the caller's transaction. Returns findings and their sum."""
    seat = bench.seat
    total = seat.task.vdaf.agg_init()
    if not _reads(bench, batch, data):
        return _refuse_all(bench, batch), total
    statuses, pieces, done = bytearray(), [], 0
    examined = examine_all(seat, _rows(bench, batch, data), batch.rows, bench.workers)
    for chunk, rows in zip(examined, _rows(bench, batch, data), strict=True):
        verified = _burn(bench, batch, rows, chunk)
        statuses += verified.found.statuses
        pieces.append(verified.found.shares)
        total = seat.task.vdaf.agg_update(total, verified.total)
        done += rows.num_rows
        progress(done, batch.rows)
    bench.burns.store_burns(batch.seq)
    return VerifierShares(bytes(statuses), b"".join(pieces)), total


def keep_findings(
    bench: Bench, batch: OrderedBatch, found: VerifierShares, total: list[int]
) -> None:
    """Store findings and their sum, sealed, until the batch is decided."""
    findings = seal_at_rest(
        bench.state_key, found.plaintext(), bench.context("findings", batch.seq)
    )
    bench.state.add_batch(
        bench.seat.task.digest, batch.seq, batch.digest, bench.seal_sum(batch.seq, total), findings
    )


def _refuse_all(bench: Bench, batch: OrderedBatch) -> VerifierShares:
    width = bench.seat.task.vdaf.VERIFIER_SHARE_SIZE
    return VerifierShares(bytes([Status.BATCH]) * batch.rows, bytes(batch.rows * width))


def _burn(bench: Bench, batch: OrderedBatch, rows: pa.RecordBatch, chunk: Examined) -> Verified:
    """The burn rule: record what was verified, take back what was under a burnt nonce.

    Rows that do not open, or whose nonce is not theirs, burn nothing: else anybody who saw a
    nonce in the pool could spoil it. Everything returned is still on this machine.
    """
    found, total = chunk.verified.found, chunk.verified.total
    claimed = [
        row
        for row, status in enumerate(found.statuses)
        if status not in (Status.OPEN, Status.NONCE)
    ]
    allowed = bench.burns.burn(
        [chunk.nonces[row] for row in claimed], [chunk.digests[row] for row in claimed]
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
    total = task.vdaf.field.sub(total, _sum(bench, batch, rows, counted))
    return Verified(VerifierShares(bytes(statuses), bytes(shares)), total)


def _sum(
    bench: Bench, batch: OrderedBatch, rows: pa.RecordBatch, chosen: Sequence[int]
) -> list[int]:
    """Open some rows again and add up our output shares of them."""
    if not chosen:
        return bench.seat.task.vdaf.agg_init()
    opened = open_rows(bench.seat, rows.take(list(chosen)))
    return path_for(bench.seat.task, batch.rows).total(bench.seat, opened)


def read_findings(bench: Bench, batch: OrderedBatch, sender: int) -> VerifierShares | None:
    """What a peer found about a batch; None until a file it signed has arrived.

    Raises PoolError naming the peer when it signed something that cannot be.
    """
    seat = bench.seat
    name = seat.task.aggregators[sender].name
    path = bench.paths.verify(batch.seq, name)
    data = find(bench.store, path, max_verify_size(seat.task, batch.rows))
    if data is None:
        return None
    try:
        return open_verify_file(data, seat.task, batch, sender, seat.index, seat.hpke)
    except SignatureError:
        return None
    except (PoolError, OpenError) as error:
        raise PoolError(
            f"{path}: {name} signed a file that does not hold: {error}",
            code="verify.fault",
            hint=f"keep the file as evidence and ask {name} which version they run",
        ) from None


def decide_batch(
    bench: Bench, batch: OrderedBatch, data: View, found: Sequence[VerifierShares | None]
) -> None:
    """Decide every row and keep the sum over the accepted ones: one transaction.

    `found` has every aggregator's findings by index; ours is taken from our own state.
    """
    seat, state = bench.seat, bench.state
    task = seat.task
    stored = state.batches(task.digest)[batch.seq]
    ours = _own_findings(bench, batch, stored.findings)
    everyone = [ours if index == seat.index else item for index, item in enumerate(found)]
    complete = [item for item in everyone if item is not None]
    if len(complete) != len(task.aggregators):
        raise StateError("a decision needs the findings of every aggregator")
    with state.transaction():
        refused: dict[int, tuple[Status, int]] = {}
        leaves: list[bytes] = []
        taken_back = task.vdaf.agg_init()
        if any(Status.BATCH in item.statuses for item in complete):
            finder = next(i for i, f in enumerate(complete) if Status.BATCH in f.statuses)
            refused = dict.fromkeys(range(batch.rows), (Status.BATCH, finder))
            taken_back = bench.open_sum(batch.seq, stored.sum)
        else:
            start, path = 0, path_for(task, batch.rows)
            for rows in _rows(bench, batch, data):
                verdicts = path.decide(task, rows, complete, start)
                kept = _keep_new(bench, rows, verdicts)
                leaves += report_leaves(task, rows, kept)
                dropped = [row for row in range(rows.num_rows) if verdicts[row][0] != Status.OK]
                refused |= {start + row: verdicts[row] for row in dropped}
                counted = [r for r in dropped if ours.statuses[start + r] == Status.OK]
                taken_back = task.vdaf.agg_update(taken_back, _sum(bench, batch, rows, counted))
                start += rows.num_rows
        decision = Decision(batch.seq, batch.digest, batch.rows, refused, root(sorted(leaves)))
        total = task.vdaf.field.sub(bench.open_sum(batch.seq, stored.sum), taken_back)
        state.spool(bench.paths.decide(batch.seq, bench.name), decision.sign(task, bench.key))
        bench.burns.store_accepted(batch.seq)
        state.decide_batch(
            task.digest,
            batch.seq,
            bench.seal_sum(batch.seq, total),
            decision.accepted,
            decision.root,
        )


def _keep_new(bench: Bench, rows: pa.RecordBatch, verdicts: list[tuple[Status, int]]) -> list[int]:
    """Accept a nonce once: later rows with it become replays. Returns the rows that count."""
    fine = [row for row, (status, _) in enumerate(verdicts) if status == Status.OK]
    nonces = rows.column(0)
    fresh = bench.burns.accept([nonces[row].as_py() for row in fine])
    for row, new in zip(fine, fresh, strict=True):
        if not new:
            verdicts[row] = (Status.REPLAY, -1)
    return [row for row, new in zip(fine, fresh, strict=True) if new]


def _own_findings(bench: Bench, batch: OrderedBatch, box: bytes | None) -> VerifierShares:
    if box is None:
        raise StateError(f"batch {batch.seq} is decided already")
    data = open_at_rest(bench.state_key, box, bench.context("findings", batch.seq))
    return VerifierShares(data[: batch.rows], data[batch.rows :])


def read_decision(bench: Bench, batch: OrderedBatch, aggregator: int) -> Decision | None:
    """A peer's decision about a batch; None until one it signed has arrived."""
    name = bench.seat.task.aggregators[aggregator].name
    data = find(bench.store, bench.paths.decide(batch.seq, name), decision_limit(batch.rows))
    if data is None:
        return None
    try:
        return parse_decision(bytes(data), bench.seat.task, batch, aggregator)
    except (SignatureError, WireError):
        return None
    except GrievanceError as error:
        raise PoolError(
            f"{bench.paths.decide(batch.seq, name)}: {error}", code="decide.fault"
        ) from None

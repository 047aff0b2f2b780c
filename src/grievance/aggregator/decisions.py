"""Decide batches whose findings are all here, in the order of the chain. Run by each aggregator.

Deterministic: every aggregator comes to the same decision, refuses the same rows for the
same reasons and signs the same root. Source: docs/design.md, section 8.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.aggregator.batches import Rows, sum_rows
from grievance.crypto.boxes import open_at_rest
from grievance.crypto.merkle import root
from grievance.errors import (
    OpenError,
    PoolError,
    SignatureError,
    StateError,
)
from grievance.failpoints import failpoint
from grievance.pool.decisions import (
    Decision,
    Status,
    VerifierShares,
    find_decision,
    open_verify_file,
    verify_size,
)
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.aggregator.bench import BatchView, Bench
    from grievance.pipelines import Crew
    from grievance.pool.order import OrderedBatch


def read_findings(bench: Bench, batch: OrderedBatch, sender: int) -> VerifierShares | None:
    """What a peer found about a batch; None until a file it signed has arrived.

    Raises PoolError naming the peer when it signed something that cannot be.
    """
    seat = bench.seat
    name = seat.task.aggregators[sender].name
    path = bench.paths.verify(batch.seq, name)
    data = find(bench.store, path, verify_size(seat.task, batch.rows))
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
    bench: Bench,
    batch: OrderedBatch,
    view: BatchView,
    crew: Crew,
    found: Sequence[VerifierShares | None],
) -> int:
    """Decide every row and keep the sum over the accepted ones: one transaction.

    Returns how many reports count.

    `found` has every aggregator's findings by index; ours is taken from our own state.
    Only refused rows that we had counted are read from the batch again. Raises BatchError
    `batch.digest` when they are not what we verified any more; nothing was done then.
    """
    seat, state = bench.seat, bench.state
    task = seat.task
    stored = state.batch(task.digest, batch.seq)
    if stored is None:
        raise StateError(f"batch {batch.seq} is not verified yet")
    ours = _own_findings(bench, batch)
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
            rows = _own_rows(bench, batch, state.findings(task.digest, batch.seq))
            verdicts = crew.decide(rows.publics, complete)
            try:
                kept = _keep_new(bench, rows, verdicts)
                leaves = [rows.commitments[row] + rows.digests[row] for row in kept]
                refused = {
                    row: verdict for row, verdict in enumerate(verdicts) if verdict[0] != Status.OK
                }
                again = [row for row in refused if ours.statuses[row] == Status.OK]
                taken_back = _sum_again(bench, crew, view, again, rows.digests)
            except BaseException:
                bench.burns.forget()
                raise
        decision = Decision(batch.seq, batch.digest, batch.rows, refused, root(sorted(leaves)))
        total = task.vdaf.field.sub(bench.open_sum(batch.seq, stored.sum), taken_back)
        state.spool(bench.paths.decide(batch.seq, bench.name), decision.sign(task, bench.key))
        failpoint("decide.spooled")
        bench.burns.store_accepted(batch.seq)
        state.decide_batch(
            task.digest,
            batch.seq,
            bench.seal_sum(batch.seq, total),
            decision.accepted,
            decision.root,
        )
        failpoint("decide.stored")
    return decision.accepted


def _sum_again(
    bench: Bench, crew: Crew, view: BatchView, again: Sequence[int], digests: Sequence[bytes]
) -> list[int]:
    """Add up our output shares of some rows of the whole batch, in ascending order."""
    total, chosen = bench.seat.task.vdaf.agg_init(), set(again)
    for span in view.file.spans() if chosen else ():
        within = [
            row - span.start for row in range(span.start, span.start + span.count) if row in chosen
        ]
        own = digests[span.start : span.start + span.count]
        part = sum_rows(bench, crew, view, span, within, own)
        total = bench.seat.task.vdaf.agg_update(total, part)
    return total


def _keep_new(bench: Bench, rows: Rows, verdicts: list[tuple[Status, int]]) -> list[int]:
    """Accept a report once: later copies become replays. Returns the rows that count."""
    fine = [row for row, (status, _) in enumerate(verdicts) if status == Status.OK]
    fresh = bench.burns.accept([rows.commitments[row] for row in fine])
    for row, new in zip(fine, fresh, strict=True):
        if not new:
            verdicts[row] = (Status.REPLAY, -1)
    return [row for row, new in zip(fine, fresh, strict=True) if new]


def _own_rows(bench: Bench, batch: OrderedBatch, box: bytes | None) -> Rows:
    if box is None:
        raise StateError(f"batch {batch.seq} is decided already")
    data = open_at_rest(bench.state_key, box, bench.context("rows", batch.seq))
    return Rows.from_bytes(data, batch.rows, bench.seat.task.vdaf.PUBLIC_SHARE_SIZE)


def _own_findings(bench: Bench, batch: OrderedBatch) -> VerifierShares:
    """What we found, from the file we spooled."""
    seat, path = bench.seat, bench.paths.verify(batch.seq, bench.name)
    data = bench.state.outgoing(path)
    if data is None:
        raise StateError(f"{path}: the outgoing bytes are gone")
    return open_verify_file(data, seat.task, batch, seat.index, seat.index, seat.hpke)


def read_decision(bench: Bench, batch: OrderedBatch, aggregator: int) -> Decision | None:
    """A decision about a batch; None until one the aggregator signed has arrived."""
    return find_decision(bench.store, bench.seat.task, batch, aggregator)

"""Where our own batches stand in a round: counted, waiting, given up, or too late."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.pool.layout import RoundPaths
from grievance.relay.memory import is_decided, own_batches

if TYPE_CHECKING:
    from grievance.aggregator import Office
    from grievance.pool.order import OrderChain


@dataclass(frozen=True)
class Standing:
    """Our batches, and the reports in those that have a place; blank ones included everywhere.

    `decided` by every aggregator; `late` came after the close, `waiting` may still get a place,
    `given_up` are the places of those the leader voided.
    """

    batches: int
    rows: int
    decided: int
    waiting: int
    late: int
    late_rows: int
    given_up: tuple[int, ...]


def standing(office: Office, chain: OrderChain) -> Standing:
    """Read it from our memory, the pool and the order of events."""
    task, paths = chain.task, RoundPaths(chain.task.round_id)
    rows = own_batches(office.home, task)
    for path, digests in office.state.relayed(task.digest).items():
        rows.setdefault(path, len(digests) // 32)
    ours = [batch for batch in chain.batches if batch.relay == office.home.key.public]
    placed = [batch for batch in ours if batch.seq not in chain.voided]
    again = {batch.digest for batch in placed}
    ordered = {paths.batch(batch.partner, batch.digest) for batch in ours}
    without = [path for path in rows if path not in ordered]
    late = without if chain.closed else []
    return Standing(
        len(placed),
        sum(batch.rows for batch in placed),
        sum(is_decided(office.home, task, batch.seq) for batch in placed),
        len(without) - len(late),
        len(late),
        sum(rows[path] for path in late),
        tuple(b.seq for b in ours if b.seq in chain.voided and b.digest not in again),
    )

"""Where one aggregator works on one round: its seat, keys, memory, and the batches in the pool."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.aggregator.burns import BurnIndex
from grievance.crypto.boxes import open_at_rest, seal_at_rest
from grievance.pipelines import Crew
from grievance.pool.batch import find_batch_file
from grievance.pool.layout import RoundPaths
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from grievance.aggregator.state import State
    from grievance.crypto.signing import SigningKey
    from grievance.pipelines import Seat
    from grievance.pool.batch import BatchFile
    from grievance.pool.order import OrderedBatch
    from grievance.pool.store import Store
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
    reference: bool = False

    @cached_property
    def burns(self) -> BurnIndex:
        """The burn table of this round. A step that failed must not go on with it."""
        return BurnIndex(self.state, self.seat.task.digest, self.state_key)

    def crew(self, num_rows: int) -> Crew:
        """Return whoever opens and verifies so many rows, of all batches that wait."""
        return Crew(self.seat, num_rows, self.workers, reference=self.reference)

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
            b"grievance/2 at rest", what.encode(), task, number.to_bytes(4, "big")
        )

    def seal_sum(self, seq: int, total: list[int]) -> bytes:
        """Seal an un-noised sum for our own later use."""
        data = self.seat.task.vdaf.encode_agg_share(total)
        return seal_at_rest(self.state_key, data, self.context("sum", seq))

    def open_sum(self, seq: int, box: bytes) -> list[int]:
        """Open what `seal_sum` sealed."""
        data = open_at_rest(self.state_key, box, self.context("sum", seq))
        return self.seat.task.vdaf.decode_agg_share(data)


@dataclass(frozen=True, repr=False)
class BatchView:
    """An ordered batch as it lies in the pool; `refused` when the order says something else.

    `location` is where another process of this machine finds the file.
    """

    file: BatchFile
    location: str | None
    refused: bool


def find_batch(bench: Bench, batch: OrderedBatch) -> BatchView | None:
    """An ordered batch; None until a file of its name has arrived."""
    file = find_file(bench, batch.partner, batch.digest)
    if file is None:
        return None
    header = file.header
    refused = header.relay != batch.relay or header.rows != batch.rows
    location = bench.store.local_path(bench.paths.batch(batch.partner, batch.digest))
    return BatchView(file, location, refused)


def find_file(bench: Bench, partner: str, digest: bytes) -> BatchFile | None:
    """A batch file by its name, as `find_batch_file` reads it."""
    return find_batch_file(bench.store, bench.seat.task, partner, digest)

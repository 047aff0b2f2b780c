"""What dishonest relays and clients do to a `Federation`, and how to look behind it."""

from __future__ import annotations

import io
import secrets
import shutil
from typing import TYPE_CHECKING

from federation import drawn_from, encode
from grievance.aggregator import Office
from grievance.aggregator.bench import Bench
from grievance.aggregator.decisions import read_decision
from grievance.client.commitment import nonce_of
from grievance.client.flat_parquet import locate
from grievance.client.report import Report
from grievance.client.seal import seal_shares
from grievance.errors import WireError
from grievance.pool.batch import (
    batch_digest,
    content_digest,
    row_digests,
    write_batch,
)
from grievance.pool.relay import publish_batch
from grievance.vdaf.circuits import encode_range_checked_int
from plan_head import plan_head

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from federation import Federation
    from grievance.pool.decisions import Decision
    from grievance.pool.order import OrderedBatch
    from grievance.task import Task

    T = TypeVar("T")

TINY_PLAN = (
    plan_head("Two questions", "tiny", mechanism="gaussian")
    + """
[fields.problems]
question = "What is a problem?"
choices = ["overtime", "targets"]
pick = 2
required = true

[statistics.problems_by_region]
count = ["region", "problems"]
"""
).encode()
TINY_ANSWERS: dict[str, object] = {"region": "London", "problems": ["targets"]}


def flip(data: bytes, at: int, bit: int = 0) -> bytes:
    """`data` with one bit of the byte at `at` turned over."""
    at %= len(data)
    return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]


def publish(federation: Federation, relay: str, reports: Sequence[Report]) -> str:
    """Publish a batch with exactly these rows in this order, repetitions included."""
    home, task = federation.homes[relay], federation.task
    data = write_batch(task, reports, home.key)
    return publish_batch(home.store, task, relay, data)


def publish_raw(federation: Federation, relay: str, data: bytes) -> str:
    """Publish any bytes under the name a batch of this relay would have."""
    path = federation.paths.batch(relay, batch_digest(data))
    federation.homes[relay].store.put(path, data)
    return path


def content_of(task: Task, payload: bytes) -> bytes:
    """What an honest relay would commit to; zeros where the payload does not read."""
    file = io.BytesIO(payload)
    try:
        flat = locate(file, len(payload))
    except WireError:
        return bytes(32)
    return content_digest(flat.frame(file, len(payload)), row_digests(task, flat.rows(file)))


def weigh(task: Task, bits: Sequence[int]) -> list[int]:
    """Encode any bits with weights as honest as they can be: each block's sum, or the nearest."""
    circuit = task.vdaf.circuit
    meas, at = list(bits), 0
    for block in circuit.blocks:
        if block.max_weight is not None:
            ones = sum(bits[at : at + block.length])
            weight = min(max(ones, 0), block.max_weight)
            meas += encode_range_checked_int(weight, block.max_weight)
        at += block.length
    return meas


def seal_plaintexts(
    task: Task, seed: bytes, public: bytes, shares: Sequence[bytes], commitment: bytes | None = None
) -> Report:
    """Seal encoded input shares, whatever they hold, under the commitment of this seed's salts."""
    return seal_shares(task, drawn_from(task, seed, commitment), public, shares)


def shares_of(
    task: Task, meas: Sequence[int], seed: bytes, ctx: bytes | None = None
) -> tuple[bytes, list[bytes]]:
    """Public share and input shares of any measurement, encoded, before sealing."""
    vdaf = task.vdaf
    nonce = nonce_of(drawn_from(task, seed).commitment)
    rand = secrets.token_bytes(vdaf.RAND_SIZE)
    public, shares = vdaf._shard_encoded(ctx or task.ctx, meas, nonce, rand)
    return vdaf.encode_public_share(public), [vdaf.encode_input_share(s) for s in shares]


def at_bench(federation: Federation, name: str, look: Callable[[Bench], T]) -> T:
    """What `look` sees at one aggregator's bench."""
    with Office.open(federation.homes[name]) as office:
        bench, _ = office.open_bench(federation.round_id)
        return look(bench)


def decisions(federation: Federation, batch: OrderedBatch) -> list[Decision]:
    """Every aggregator's signed decision about a batch, as the leader reads them."""

    def read(bench: Bench) -> list[Decision]:
        found = [read_decision(bench, batch, i) for i in range(len(federation.aggregators))]
        return [decision for decision in found if decision is not None]

    return at_bench(federation, federation.aggregators[0], read)


def own_total(bench: Bench) -> list[int]:
    """One aggregator's un-noised sum over all its batches: what must never leave it."""
    task = bench.seat.task
    total = task.vdaf.agg_init()
    for row in bench.state.batches(task.digest).values():
        total = task.vdaf.agg_update(total, bench.open_sum(row.seq, row.sum))
    return total


class Snapshot:
    """A federation's whole folder, to go back to: cheaper than opening a round again."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        name = f"{federation.folder.name}-{secrets.token_hex(4)}"
        self.copy = federation.folder.with_name(name)
        shutil.copytree(federation.folder, self.copy)

    def restore(self) -> Federation:
        """Put every file back as it was."""
        shutil.rmtree(self.federation.folder)
        shutil.copytree(self.copy, self.federation.folder)
        return self.federation


def exact_totals(federation: Federation) -> list[int]:
    """What all aggregators together hold, un-noised: one count per bit of the layout."""
    vdaf = federation.task.vdaf
    return vdaf.merge([at_bench(federation, name, own_total) for name in federation.aggregators])


def new_seed() -> bytes:
    """32 random bytes, which the salts of a report follow from."""
    return secrets.token_bytes(32)


def with_parts(
    report: Report,
    *,
    commitment: bytes | None = None,
    public: bytes | None = None,
    first: bytes | None = None,
    second: bytes | None = None,
) -> Report:
    """`report` with some of its parts exchanged; between two aggregators."""
    return Report(
        report.task_digest,
        commitment or report.commitment,
        public or report.public_share,
        (first or report.ciphertexts[0], second or report.ciphertexts[1]),
    )


def bad_measurements(task: Task) -> dict[str, list[int]]:
    """Encoded measurements that break one rule each, by what is wrong. For `federation.PLAN`."""
    layout, p = task.layout, task.vdaf.field.MODULUS
    ticks, mean = layout.statistics["problems_by_region"], layout.statistics["hours_mean"]
    spread = layout.statistics["hours_spread"]
    cells = ticks.start + 6  # after answered: three regions, each answered or not
    values = mean.start + 3  # after answered: three regions
    weights = layout.num_bits  # of answered (1 digit), cells (2), mean answered (1), spread (1)
    base = encode(task)
    blank = [0] * layout.num_bits

    def bits(*ones: int) -> list[int]:
        found = list(blank)
        for one in ones:
            found[one] = 1
        return found

    def changed(meas: list[int], changes: dict[int, int]) -> list[int]:
        found = list(meas)
        for place, value in changes.items():
            found[place] = value % p
        return found

    in_london = bits(ticks.start, mean.start, spread.start)
    found = {
        "a two in a cell": changed(base, {spread.start + 1: 2}),
        "a two whose weight agrees": changed(weigh(task, in_london), {ticks.start: 2, weights: 2}),
        "minus one in a cell": changed(base, {spread.start + 2: -1}),
        "two errors that cancel": changed(
            weigh(task, blank), {spread.start: 1, spread.start + 1: -1}
        ),
        "two errors that cancel in a pick": changed(
            weigh(task, in_london), {cells: 1, cells + 3: -1}
        ),
        "two ones in a table": weigh(task, bits(spread.start, spread.start + 3)),
        "two ones, the weight a two": changed(
            weigh(task, bits(spread.start, spread.start + 3)), {weights + 4: 2}
        ),
        "two groups at once": weigh(task, bits(ticks.start, ticks.start + 2)),
        "three ticks where two are allowed": weigh(
            task, bits(ticks.start, cells, cells + 3, cells + 6)
        ),
        "three ticks, a weight digit of two": changed(
            weigh(task, bits(ticks.start, cells, cells + 3, cells + 6)), {weights + 1: 2}
        ),
        "a weight too low": changed(base, {weights: 0}),
        "a weight too high": changed(weigh(task, blank), {weights + 4: 1}),
        "weight digits that are no bits": changed(base, {weights + 1: 2, weights + 2: -1}),
        "value bits without an answer": weigh(task, bits(values, values + 3)),
        "value bits in another group": weigh(task, bits(mean.start, values + 1, values + 4)),
        "ticks in a group not answered": weigh(task, bits(ticks.start, cells + 1)),
        "ticks of somebody who did not answer": weigh(task, bits(ticks.start + 1, cells)),
        "a large value": changed(base, {spread.start: 10**6}),
        "a large negative value": changed(base, {values: -(10**6)}),
    }
    valid = encode(task)
    assert all(meas != valid and len(meas) == len(valid) for meas in found.values())
    return found

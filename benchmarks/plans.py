"""The circuits that are measured, with reports for them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.secret import VerifyKey
from grievance.vdaf import (
    Block,
    Prio3BlockCountVec,
    Prio3Histogram,
    Prio3MultihotCountVec,
    Prio3SumVec,
    best_chunk_length,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels import BatchPrio3

CTX = b"grievance/2" + bytes(range(32))  # as long as a task's


def survey(num_groups: int, num_choices: int, num_bands: int) -> list[Block]:
    """The blocks of a plan: three tables, two counts of up to three ticks by group, one mean.

    Nine blocks: cross-tabs of the groups with bands, twice and with half of them; and for
    every statistic that has one its denominator, whose bits are the parents of the rest.
    """
    blocks = [Block(num_groups * n, 1) for n in (num_bands, num_bands, max(1, num_bands // 2))]
    start = sum(block.length for block in blocks)
    for per_group, max_weight in ((num_choices, 3), (num_choices // 2, 3), (num_choices, None)):
        blocks.append(Block(num_groups, 1))
        parents = tuple(start + i % num_groups for i in range(per_group * num_groups))
        blocks.append(Block(len(parents), max_weight, parents))
        start += num_groups + len(parents)
    return blocks


@dataclass(frozen=True)
class Case:
    """One circuit; `kind` and its numbers are what the libprio-rs program is called with."""

    name: str
    prio3: Any
    measurement: Any
    kind: str | None = None
    numbers: tuple[int, ...] = ()


def cases(sizes: tuple[int, ...]) -> list[Case]:
    """BlockCountVec plans of about so many bits, then the standard's circuits of that length."""
    shapes = {100: (4, 6, 3), 500: (12, 9, 7), 2000: (25, 16, 14)}
    found = []
    for size in sizes:
        blocks = survey(*shapes[size])
        bits = [0] * sum(block.length for block in blocks)
        bits[1] = bits[blocks[0].length] = 1
        chunk = best_chunk_length(blocks)
        prio3: Any = Prio3BlockCountVec(2, blocks, chunk)
        found.append(Case(f"BlockCountVec {len(bits)}", prio3, bits))
    for size in sizes:
        chunk = best_chunk_length([Block(size - 1, 1)])
        prio3 = Prio3Histogram(2, size, chunk)
        found.append(Case(f"Histogram {size}", prio3, 1, "histogram", (size, 0, chunk)))
        length = size // 8
        chunk = best_chunk_length([Block(8 * length - 1, 1)])
        prio3 = Prio3SumVec(2, length, 255, chunk)
        case = Case(f"SumVec {length} x 8", prio3, [7] * length, "sumvec", (length, 255, chunk))
        found.append(case)
        chunk = best_chunk_length([Block(size, 3)])
        prio3 = Prio3MultihotCountVec(2, size, 3, chunk)
        hot = [1, 1, 1] + [0] * (size - 3)
        found.append(Case(f"MultihotCountVec {size}", prio3, hot, "multihot", (size, 3, chunk)))
    return found


@dataclass(frozen=True)
class Reports:
    """Encoded reports of a case, one row each."""

    key: VerifyKey
    nonces: NDArray[np.uint8]
    public: NDArray[np.uint8]
    inputs: list[NDArray[np.uint8]]


def reports(case: Case, batch: BatchPrio3, num_rows: int) -> Reports:
    """Shard the same measurement again and again."""

    def drawn(width: int) -> NDArray[np.uint8]:
        data = os.urandom(num_rows * width)
        return np.frombuffer(data, np.uint8).reshape(num_rows, width)

    nonces, rand = drawn(16), drawn(case.prio3.RAND_SIZE)
    measurements = np.array([case.measurement] * num_rows)
    public, inputs = batch.shard(CTX, measurements, nonces, rand)
    return Reports(VerifyKey.generate(), nonces, public, inputs)

"""Releases by the real way out: aggregate shares in, noisy shares out, added up in the field.

Nothing is replaced here: `add_noise` of the aggregators projects, draws and adds, `combine` of
the release decodes. What an aggregator that cheats sees is the release less its own noise,
which it knows.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import numpy as np

from grievance.aggregator.noise import add_noise
from grievance.release.combine import combine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.sampler.noise import Integers
    from grievance.task import Task


def split_totals(task: Task, bits: Sequence[int]) -> list[list[int]]:
    """Split block-bit totals into one uniform share per aggregator, as they would hold them."""
    modulus = task.vdaf.field.MODULUS
    drawn = [[secrets.randbelow(modulus) for _ in bits] for _ in task.aggregators[1:]]
    last = [(bit - sum(column)) % modulus for bit, *column in zip(bits, *drawn, strict=True)]
    return [last, *drawn]


def release_once(
    task: Task, shares: Sequence[Sequence[int]], statistics: Sequence[str], cheat: int | None
) -> list[int]:
    """Release `statistics` from aggregate shares; return the totals that the reader sees.

    `shares` has one aggregate share, `layout.num_bits` field elements, per aggregator. The
    aggregator `cheat` subtracts the noise that it added itself; with None the public reads.
    """
    field, layout = task.vdaf.field, task.layout
    noisy: list[list[int]] = []
    for index, share in enumerate(shares):
        values = add_noise(task, share, statistics)
        vector = [value for name in statistics for value in values[name]]
        if index == cheat:
            # Its own noise subtracted again is its share without noise.
            vector = [
                value for name in statistics for value in layout.project(name, share, field.MODULUS)
            ]
        noisy.append(vector)
    return combine(noisy, field.MODULUS)


def release_many(
    task: Task,
    bits: Sequence[int],
    statistics: Sequence[str],
    releases: int,
    *,
    cheat: int | None = None,
) -> Integers:
    """Release the same input many times: (releases, coordinates) of signed integers."""
    rows = [
        release_once(task, split_totals(task, bits), statistics, cheat) for _ in range(releases)
    ]
    return np.array(rows, dtype=np.int64)

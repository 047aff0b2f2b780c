"""`seal_many` against bare hybrid HPKE sealing of the same bytes, in turns, on one core."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benchmarks.world import open_world
from grievance.client.commitment import opening_size
from grievance.client.input_share import input_share_info
from grievance.tables import seal_many

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.world import World
    from grievance.client.report import Report

TURNS, ROWS = 5, 4_000


def sealing(*, quick: bool = False) -> dict[str, Any]:
    """Measure plans of about 100, 500 and 2,000 bits. Times are of this process alone."""
    sizes, turns, rows = ((100,), 1, 2_100) if quick else ((100, 500, 2000), TURNS, ROWS)
    return {"results": [_measure(size, turns, rows) for size in sizes], "rows": rows}


def _measure(size: int, turns: int, num_rows: int) -> dict[str, Any]:
    with open_world(size) as world:
        people = (list(world.people) * (num_rows // len(world.people) + 1))[:num_rows]
        _seal_many(world, people[:2_100])  # kernels are compiled and loaded once
        figures = []
        for _ in range(turns):
            began = time.process_time()
            sealed = _seal_many(world, people)
            between = time.process_time()
            _seal_bare(world, sealed)
            after = time.process_time()
            figures.append(((between - began) / num_rows, (after - between) / num_rows))
        ratios = [ours / bare for ours, bare in figures]
        return {
            "bits": world.task.layout.num_bits,
            "seal_many_us": round(statistics.median(ours for ours, _ in figures) * 1e6, 1),
            "bare_us": round(statistics.median(bare for _, bare in figures) * 1e6, 1),
            "ratio": {
                "median": round(statistics.median(ratios), 3),
                "least": round(min(ratios), 3),
            },
        }


def _seal_many(world: World, people: Sequence[dict[str, object]]) -> list[Report]:
    return list(seal_many(world.task, pa.Table.from_pylist(list(people))).reports())


def _seal_bare(world: World, sealed: Sequence[Report]) -> None:
    """Seal as many bytes to each aggregator, bound to the same info, and do nothing else."""
    task = world.task
    plain = [
        bytes(opening_size(len(task.aggregators)) + task.vdaf.input_share_size(i))
        for i in range(len(task.aggregators))
    ]
    for report in sealed:
        for index, party in enumerate(task.aggregators):
            info = input_share_info(task.digest, index, report.commitment, report.public_share)
            party.hpke.seal(plain[index], info)


def table(found: dict[str, Any]) -> list[str]:
    """Lay the figures out."""
    lines = [f"{'bits':>6} {'seal_many':>12} {'bare HPKE':>12} {'ratio':>8} {'least':>8}"]
    lines += [
        f"{r['bits']:>6} {r['seal_many_us']:>9.1f} us {r['bare_us']:>9.1f} us "
        f"{r['ratio']['median']:>8.2f} {r['ratio']['least']:>8.2f}"
        for r in found["results"]
    ]
    return [*lines, f"{found['rows']} rows a turn, both aggregators, processor time, one core"]

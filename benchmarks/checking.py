"""An aggregator's whole work on a report against bare hybrid HPKE opening, in turns, on one core.

The whole work: find the batch, check its signature, open every row, verify it, burn its
nonce, seal and publish the verifier shares, read the other's, decide, sum, and publish the
decision. Times are of this process alone, so that neighbours on the machine matter less.
"""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from benchmarks.world import AGGREGATORS, open_world

if TYPE_CHECKING:
    from benchmarks.world import World

TURNS, ROWS = 5, 10_000


def checking(*, quick: bool = False) -> dict[str, Any]:
    """Measure plans of about 100, 500 and 2,000 bits, both aggregators."""
    if quick:
        return {"results": _measure(100, 1, 5_000), "rows": 5_000}
    found = []
    for size, rows in ((100, ROWS), (500, ROWS), (2000, ROWS // 2)):
        found += _measure(size, TURNS, rows)
    return {"results": found, "rows": ROWS}


def _measure(size: int, turns: int, num_rows: int) -> list[dict[str, Any]]:
    with open_world(size) as world:
        _turn(world, 5_000)  # kernels are compiled and loaded once
        figures = [_turn(world, num_rows) for _ in range(turns)]
        bits = world.task.layout.num_bits
    found = []
    for number, name in enumerate(AGGREGATORS):
        ratios = [turn[name] / turn[f"bare {name}"] for turn in figures]
        found.append(
            {
                "bits": bits,
                "role": "helper" if number else "leader",
                "whole_us": round(statistics.median(turn[name] for turn in figures), 1),
                "bare_us": round(statistics.median(turn[f"bare {name}"] for turn in figures), 1),
                "ratio": {
                    "median": round(statistics.median(ratios), 3),
                    "least": round(min(ratios), 3),
                },
            }
        )
    return found


def _turn(world: World, num_rows: int) -> dict[str, float]:
    """One batch from seal to decision. Microseconds a report, bare and whole, by name."""
    reports = world.seal(num_rows)
    world.relay(reports)
    times: dict[str, float] = {}

    def timed(what: str, began: float) -> None:
        spent = (time.process_time() - began) * 1e6 / len(reports)
        times[what] = times.get(what, 0.0) + spent

    for name in AGGREGATORS:
        # The leader orders and checks, the helper checks and decides, the leader decides.
        began = time.process_time()
        world.open_bare(name, reports)
        timed(f"bare {name}", began)
        began = time.process_time()
        world.sync(name)
        timed(name, began)
    began = time.process_time()
    world.sync(AGGREGATORS[0])
    timed(AGGREGATORS[0], began)
    return times


def table(found: dict[str, Any]) -> list[str]:
    """Lay the figures out."""
    lines = [
        f"{'bits':>6} {'role':>7} {'whole work':>13} {'bare opening':>13} {'ratio':>7} {'least':>7}"
    ]
    return lines + [
        f"{r['bits']:>6} {r['role']:>7} {r['whole_us']:>10.1f} us {r['bare_us']:>10.1f} us "
        f"{r['ratio']['median']:>7.2f} {r['ratio']['least']:>7.2f}"
        for r in found["results"]
    ]

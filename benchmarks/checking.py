"""An aggregator's whole work on a report against bare hybrid HPKE opening, in turns, on one core.

The whole work: find the batch, check its signature, open every row, verify it, burn its
nonce, seal and publish the verifier shares, read the other's, decide, sum, and publish the
decision. Times are of this process alone, so that neighbours on the machine matter less.

`spot` is what rows cost that are done again by the reference: the share of the whole work's time
that goes into them, and beside it how many times as long turns with them take as turns without,
which alternate. The first is of one run and so the better one where others use the machine.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from functools import partial
from typing import TYPE_CHECKING, Any
from unittest import mock

from benchmarks.world import AGGREGATORS, open_world
from grievance.pipelines import spot, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from benchmarks.world import World

TURNS, ROWS = 5, 10_000


def checking(*, quick: bool = False) -> dict[str, Any]:
    """Measure plans of about 100, 500 and 2,000 bits, both aggregators."""
    if quick:
        return {"results": _measure(100, 1, 5_000), "rows": 5_000}
    found: list[dict[str, Any]] = []
    for size, rows in ((100, ROWS), (500, ROWS), (2000, ROWS // 2)):
        found += _measure(size, TURNS, rows)
    return {"results": found, "rows": ROWS}


def _measure(size: int, turns: int, num_rows: int) -> list[dict[str, Any]]:
    with open_world(size) as world:
        _turn(world, 5_000)  # kernels are compiled and loaded once
        figures, without = [], []
        for number in range(turns):
            # In turns, and each first in half of them: what grows with the pool falls on both.
            for spared in (False, True) if number % 2 else (True, False):
                (without if spared else figures).append(_turn(world, num_rows, spared=spared))
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
                "spot": {
                    "share": round(
                        statistics.median(turn[f"spot {name}"] / turn[name] for turn in figures), 4
                    ),
                    "times": _times(figures, without, name, statistics.median),
                },
            }
        )
    return found


def _times(
    figures: list[dict[str, float]],
    without: list[dict[str, float]],
    name: str,
    of: Callable[[Iterable[float]], float],
) -> float:
    """How many times as long the whole work takes with rows done again."""
    return round(of(turn[name] for turn in figures) / of(turn[name] for turn in without), 4)


def _turn(world: World, num_rows: int, *, spared: bool = False) -> dict[str, float]:
    """One batch from seal to decision. Microseconds a report, bare and whole, by name.

    `spared`: no row is done again.
    """
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
        _sync(world, name, times, spared=spared)
        timed(name, began)
    began = time.process_time()
    _sync(world, AGGREGATORS[0], times, spared=spared)
    timed(AGGREGATORS[0], began)
    for name in () if spared else AGGREGATORS:
        times[f"spot {name}"] *= 1e6 / len(reports)
    return times


@contextlib.contextmanager
def _clocked() -> Iterator[list[float]]:
    """Add up the seconds of this process that rows done again take."""
    spent = [0.0]

    def clocked(work: Callable[..., object], *arguments: object) -> object:
        began = time.process_time()
        try:
            return work(*arguments)
        finally:
            spent[0] += time.process_time() - began

    with contextlib.ExitStack() as stack:
        for module, name in (
            (workers, "examine_again"),
            (spot, "compare"),
            (spot, "check_decisions"),
            (spot, "check_total"),
        ):
            work = partial(clocked, getattr(module, name))
            stack.enter_context(mock.patch.object(module, name, work))
        yield spent


def _sync(world: World, name: str, times: dict[str, float], *, spared: bool) -> None:
    if not spared:
        with _clocked() as spent:
            world.sync(name)
        times[f"spot {name}"] = times.get(f"spot {name}", 0.0) + spent[0]
        return
    with mock.patch.object(spot, "draw", return_value=[]):
        world.sync(name)


def table(found: dict[str, Any]) -> list[str]:
    """Lay the figures out."""
    head = ("whole work", "bare opening", "ratio", "least", "spot", "times")
    lines = [("{:>6} {:>7} {:>13} {:>13}" + " {:>7}" * 4).format("bits", "role", *head)]
    return lines + [
        f"{r['bits']:>6} {r['role']:>7} {r['whole_us']:>10.1f} us {r['bare_us']:>10.1f} us "
        f"{r['ratio']['median']:>7.2f} {r['ratio']['least']:>7.2f} "
        f"{r['spot']['share']:>7.1%} {r['spot']['times']:>7.3f}"
        for r in found["results"]
    ]

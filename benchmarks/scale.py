"""Time and peak memory of both aggregators, for growing numbers of reports, on one and two cores.

    python -m benchmarks scale                  10,000 and 100,000 reports
    python -m benchmarks scale --million        also 1,000,000, on two cores: 12 GB of pool

The commands are the ones that people type, each a process of its own whose memory the
system counts. The rows are those of a census where `shared/data` lies beside the project,
drawn again and again with a seed, else made up. In the end the round is closed and
released, and the release is held against an exact count.
"""

from __future__ import annotations

import csv
import hashlib
import itertools
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.world import AGGREGATORS, census_plan, make_world
from grievance.aggregator import Office
from grievance.aggregator.releases import answer, propose
from grievance.client.input_share import input_share_info
from grievance.crypto.hpke import HpkePrivateKey
from grievance.demo import generate
from grievance.pool.events import Close
from grievance.pool.order import read_chain
from grievance.pool.proposals import Approval
from grievance.release import collect
from grievance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from benchmarks.world import World
    from grievance.client.report import Report

CENSUS = Path(__file__).resolve().parent.parent.parent / "shared/data/census_ew_2011_workers.csv"
BATCH_ROWS = 20_000
LARGEST = 1_000_000
PROGRAM = str(Path(sys.executable).with_name("grievance"))
Row = dict[str, object]


def scale(*, quick: bool = False, million: bool = False) -> dict[str, Any]:
    """Measure; `million` adds the largest number."""
    sizes = [5_200] if quick else [10_000, 100_000, *([LARGEST] if million else [])]
    return {
        "rows_from": CENSUS.name if CENSUS.exists() else "made-up people",
        "results": [result for number in sizes for result in _measure(number)],
    }


def _measure(number: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="grievance-scale-") as place:
        world = make_world(Path(place), census_plan())
        began = time.perf_counter()
        counted, sample = _fill(world, number)
        sealing = time.perf_counter() - began
        before = Path(place) / "before"
        _copy_all_but_batches(Path(place), before)
        found = []
        # The largest number only on both cores: one more hour shows nothing new.
        for workers in (1, 2) if number < LARGEST else (2,):
            if found:
                _restore(Path(place), before)
            found.append(_check(world, workers, sample, number))
        found[-1] |= {"sealing_s": round(sealing, 1)} | _released(world, counted)
    return found


# The reports.


def _rows(world: World, number: int) -> Iterator[Row]:
    """So many rows, the same ones for the same number on every machine."""
    plan = world.task.plan
    if CENSUS.exists():
        with CENSUS.open(encoding="utf-8", newline="") as file:
            source: list[Row] = [{f: row[f] for f in plan.fields} for row in csv.DictReader(file)]
    else:
        source = generate(plan, 5_000, 1)
    for block in itertools.count():
        drawn = hashlib.shake_128(f"rows {block}".encode()).digest(4 * BATCH_ROWS)
        for at in range(BATCH_ROWS):
            if block * BATCH_ROWS + at == number:
                return
            yield source[int.from_bytes(drawn[4 * at : 4 * at + 4], "big") % len(source)]


def _fill(world: World, number: int) -> tuple[Counter[tuple[object, ...]], list[Report]]:
    """Seal and relay, a batch at a time. Returns exact counts, and some reports."""
    counts: Counter[tuple[object, ...]] = Counter()
    sample: list[Report] = []
    rows = _rows(world, number)
    while chunk := list(itertools.islice(rows, BATCH_ROWS)):
        reports = world.seal(len(chunk), chunk)
        sample = sample or reports[:4_000]
        world.relay(reports)
        for name, statistic in world.task.plan.statistics.items():
            counts.update((name, *(row[field] for field in statistic.count)) for row in chunk)
        del reports
    return counts, sample


# The work.


def _check(world: World, workers: int, sample: Sequence[Report], number: int) -> dict[str, Any]:
    """Let both aggregators check and decide everything with so many processes."""
    leader, helper = AGGREGATORS
    seconds = dict.fromkeys(AGGREGATORS, 0.0)
    memory = dict.fromkeys(AGGREGATORS, 0)
    for name in (leader, helper, leader):
        spent, peak = _run(world, name, workers)
        seconds[name] += spent
        memory[name] = max(memory[name], peak)
    rows = sum(batch.rows for batch in read_chain(world.homes[leader].store, world.task).counted)
    if rows < number:
        raise RuntimeError("not every report was ordered")
    found: dict[str, Any] = {"reports": rows, "cores": workers, "bits": world.task.layout.num_bits}
    for name, role in zip(AGGREGATORS, ("leader", "helper"), strict=True):
        bare = _bare(world, name, sample, workers)
        each = seconds[name] / rows
        found[role] = {
            "seconds": round(seconds[name], 1),
            "us_a_report": round(each * 1e6, 1),
            "bare_us_a_report": round(bare * 1e6, 1),
            "ratio": round(each / bare, 2),
            "peak_mib": round(memory[name] / 1024),
        }
    return found


def _run(world: World, name: str, workers: int) -> tuple[float, int]:
    """`grievance sync`: wall seconds, and KiB of its largest process."""
    home = world.homes[name].root
    command = [PROGRAM, "sync", "--home", str(home), "--workers", str(workers)]
    cores = set(sorted(os.sched_getaffinity(0))[:workers])
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509
    )
    said = process.stderr.read() if process.stderr else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(said.decode(errors="replace"))
    return time.perf_counter() - began, usage.ru_maxrss


def _bare(world: World, name: str, sample: Sequence[Report], workers: int) -> float:
    """Wall seconds a report of opening alone, on as many cores at once."""
    index, key = world.task.index_of(name), world.keys[name]
    digest = world.task.digest
    pairs = [
        (r.ciphertexts[index], input_share_info(digest, index, r.commitment, r.public_share))
        for r in sample
    ]
    with ProcessPoolExecutor(workers) as pool:
        jobs = [
            pool.submit(_open_all, key.kem, key.export().reveal(), pairs) for _ in range(workers)
        ]
        return max(job.result() for job in jobs) / len(pairs) / workers


def _open_all(kem: str, secret: bytes, pairs: Sequence[tuple[bytes, bytes]]) -> float:
    key = HpkePrivateKey.from_export(kem, Secret(secret))
    began = time.perf_counter()
    for ciphertext, info in pairs:
        key.open(ciphertext, info)
    return time.perf_counter() - began


def _copy_all_but_batches(place: Path, to: Path) -> None:
    def ignore(folder: str, names: list[str]) -> list[str]:
        batches = [n for n in names if n == "batches" and "rounds" in Path(folder).parts]
        return [*batches, *(["before"] if Path(folder) == place else [])]

    shutil.copytree(place, to, ignore=ignore)


def _restore(place: Path, before: Path) -> None:
    """Put everything back as it was before anybody checked; the batches stay where they are."""
    for path in sorted(place.rglob("*"), reverse=True):
        inside = path.relative_to(place)
        if inside.parts[0] == "before" or "batches" in inside.parts or path.is_dir():
            continue
        if not (before / inside).exists():
            path.unlink()
    shutil.copytree(before, place, dirs_exist_ok=True)


# The release.


def _released(world: World, counted: Counter[tuple[object, ...]]) -> dict[str, Any]:
    """Close, release, and hold every cell against the exact count."""
    leader, helper = (world.homes[name] for name in AGGREGATORS)
    with Office.open(leader) as office:
        _, chain = office.open_bench(world.task.round_id)
        office.order(chain, Close())
        office.publish()
    for _ in range(2):
        for name in AGGREGATORS:
            world.sync(name)
    with Office.open(leader) as office:
        bench, chain = office.open_bench(world.task.round_id)
        release_id = propose(bench, chain, None).release_id
        office.publish()
    with Office.open(helper) as office:
        bench, chain = office.open_bench(world.task.round_id)
        answer(bench, chain, release_id, Approval(AGGREGATORS[1], "approve", ""))
        office.publish()
    for _ in range(4):
        for name in AGGREGATORS:
            world.sync(name)
    release = collect(leader.store, world.task, release_id)
    inside = cells = 0
    for name, statistic in world.task.plan.statistics.items():
        for row in release[name].to_arrow().to_pylist():
            truth = counted[(name, *(row[field] for field in statistic.count))]
            cells += 1
            inside += row["low_95"] <= truth <= row["high_95"]
    tail = sum(math.comb(cells, k) * 0.95**k * 0.05 ** (cells - k) for k in range(inside + 1))
    return {"cells": cells, "cells_inside": inside, "tail": round(tail, 3)}


def table(found: dict[str, Any]) -> list[str]:
    """Lay the figures out."""
    heads = f"{'reports':>9} {'cores':>5} {'role':>7} {'seconds':>8} {'a report':>9} "
    lines = [heads + f"{'bare':>9} {'ratio':>6} {'peak':>9}"]
    for result in found["results"]:
        for role in ("leader", "helper"):
            r = result[role]
            lines.append(
                f"{result['reports']:>9,} {result['cores']:>5} {role:>7} {r['seconds']:>8.1f} "
                f"{r['us_a_report']:>6.1f} us {r['bare_us_a_report']:>6.1f} us {r['ratio']:>6.2f} "
                f"{r['peak_mib']:>5} MiB"
            )
        if "cells" in result:
            lines.append(
                f"          {result['cells_inside']} of {result['cells']} released cells inside "
                f"their 95% margins (so few or fewer: {result['tail']:.3f}); sealed in "
                f"{result['sealing_s']} s by one process"
            )
    return lines

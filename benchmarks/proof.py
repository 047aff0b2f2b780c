"""The proof check alone, on one core: kernels, the reference, and libprio-rs.

For one report and two aggregators: the leader's and the helper's verifier share, from encoded
input shares to encoded verifier shares (expansion, joint randomness, query), and the decision.
All three are given the same reports, and their verifier shares are compared byte for byte.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import libprio
from benchmarks.plans import CTX, Case, Reports, cases, reports
from benchmarks.timing import Times, joined, measure
from grievance.kernels import BatchPrio3

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SIZES = (100, 500, 2000)
TURNS = 3


def proof(*, quick: bool = False) -> dict[str, Any]:
    """Measure all cases; return lines for the table and figures for the JSON."""
    num_rows, repeats = (64, 2) if quick else (512, 4)
    with tempfile.TemporaryDirectory() as folder:
        try:
            program, missing = libprio.build(Path(folder)), ""
        except libprio.NotBuiltError as reason:
            program, missing = None, str(reason)
        results = [_case(case, program, num_rows, repeats) for case in cases(SIZES)]
    return {"skipped": {"libprio": missing} if missing else {}, "results": results}


def _case(case: Case, program: Path | None, num_rows: int, repeats: int) -> dict[str, Any]:
    batch = BatchPrio3(case.prio3)
    given = reports(case, batch, num_rows)
    encoded = [_verify(batch, given, agg_id) for agg_id in range(2)]
    verdicts, _ = batch.decide(given.public, encoded)
    if verdicts.any():
        raise RuntimeError("a report was refused")
    few = max(4, num_rows // 32)
    slow, fast, other = [], [], []
    for _ in range(TURNS):
        slow.append(measure(lambda: _reference(case, given, few, encoded), few, 1))
        fast.append(measure(lambda: _kernels(batch, given), num_rows, repeats))
        if program is not None and case.kind is not None:
            *phases, theirs = libprio.run(program, case, given, repeats)
            if any((a != b).any() for a, b in zip(encoded, theirs, strict=True)):
                raise RuntimeError("libprio-rs computes other verifier shares")
            other.append(phases[0] + phases[1] + phases[2])
    phases = {}
    for i, name in enumerate(("leader", "helper")):
        phases[name] = measure(partial(_verify, batch, given, i), num_rows, repeats)
    phases["decide"] = measure(lambda: batch.decide(given.public, encoded), num_rows, repeats)
    one = measure(lambda: _kernels(batch, _first(given)), 1, 10)
    result = {
        "case": case.name,
        "kernels": joined(fast).as_json(),
        "reference": joined(slow).as_json(),
        "times_reference": _ratio(slow, fast),
        "batch_of_one_us": round(one.least, 1),
        "phases": {name: times.as_json() for name, times in phases.items()},
    }
    if other:
        result["libprio"] = joined(other).as_json()
        result["times_libprio"] = _ratio(other, fast)
    return result


def _ratio(slower: list[Times], faster: list[Times]) -> dict[str, float]:
    """How many times as fast: of the least figures, and of the medians."""
    a, b = joined(slower), joined(faster)
    return {"least": round(a.least / b.least, 2), "median": round(a.median / b.median, 2)}


def _first(given: Reports) -> Reports:
    inputs = [share[:1] for share in given.inputs]
    return Reports(given.key, given.nonces[:1], given.public[:1], inputs)


def _verify(batch: BatchPrio3, given: Reports, agg_id: int) -> NDArray[np.uint8]:
    inputs = given.inputs[agg_id]
    return batch.verify(given.key, CTX, agg_id, given.nonces, given.public, inputs).verifier_shares


def _kernels(batch: BatchPrio3, given: Reports) -> None:
    batch.decide(given.public, [_verify(batch, given, agg_id) for agg_id in range(2)])


def _reference(case: Case, given: Reports, num_rows: int, encoded: list[Any]) -> None:
    prio3 = case.prio3
    for row in range(num_rows):
        public = prio3.decode_public_share(given.public[row].tobytes())
        begun = []
        for i in range(2):
            share = prio3.decode_input_share(i, given.inputs[i][row].tobytes())
            nonce = given.nonces[row].tobytes()
            begun.append(prio3.verify_init(given.key, CTX, i, nonce, public, share))
            if prio3.encode_verifier_share(begun[i][1]) != encoded[i][row].tobytes():
                raise RuntimeError("the reference computes other verifier shares")
        message = prio3.verifier_shares_to_message(CTX, [share for _, share in begun])
        for state, _ in begun:
            prio3.verify_next(CTX, state, message)


def table(found: dict[str, Any]) -> list[str]:
    """Lines for people."""
    head = ("microseconds a report", "kernels", "median", "reference", "times", "libprio", "times")
    lines = [("{:24}" + "{:>11}" * 6).format(*head)]
    for result in found["results"]:
        cells = [
            f"{result['kernels']['least_us']:.1f}",
            f"{result['kernels']['median_us']:.1f}",
            f"{result['reference']['least_us']:.0f}",
            f"{result['times_reference']['least']:.0f}",
        ]
        if "libprio" in result:
            cells.append(f"{result['libprio']['least_us']:.1f}")
            cells.append(f"{result['times_libprio']['least']:.2f}")
        else:
            cells += ["-", "-"]
        lines.append(f"{result['case']:24}" + "".join(f"{cell:>11}" for cell in cells))
    for name, reason in found["skipped"].items():
        lines.append(f"SKIPPED {name}: {reason}")
    return lines

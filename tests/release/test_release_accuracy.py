"""How little noise is left in a table, and that the tables say how much it is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks import accuracy
from benchmarks.margins import margins

ROOT = Path(__file__).resolve().parents[2]


def test_reconciled_tables_reach_what_the_design_promises() -> None:
    columns = accuracy._people()
    ours = accuracy._Ours(columns)
    equal = (len(accuracy.TABLES) / accuracy.RHO) ** 0.5
    tables = ours.tables(ours.draw(1, 1), 1)
    stated = accuracy._stated(tables) / equal
    assert accuracy.optimum() == pytest.approx(0.738, abs=0.0005)
    assert accuracy.optimum() < stated < accuracy.TARGET
    assert stated == pytest.approx(accuracy.REACHABLE, abs=0.001)
    # What the tables state is what they have: 1,225 cells of one release.
    exact = [accuracy._count(columns, names) for names in accuracy.TABLES]
    measured = accuracy._rmse(accuracy._estimates(tables), exact) / equal
    assert measured == pytest.approx(stated, rel=0.1)
    raw = accuracy._rmse(accuracy._estimates(tables, raw=True), exact) / equal
    assert raw > 1.1 * measured
    two = accuracy._stated(ours.tables(ours.draw(1, 2), 2)) / equal
    assert two == pytest.approx(2**0.5 * stated, rel=1e-6)


@pytest.mark.slow
def test_the_benchmark_runs_and_says_what_it_skipped(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "accuracy", "--quick", "--json", str(figures)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(figures.read_bytes())["accuracy"]
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["this library"]["ratio"] < 0.8
    for name, reason in found["skipped"].items():
        assert f"SKIPPED {name}: {reason}" in done.stdout
    assert len(found["skipped"]) + sum("OpenDP" in n or "PGM" in n for n in rows) >= 2


def test_margins_are_no_larger_than_they_were() -> None:
    rows = {row["table"]: row for row in margins()["rows"]}
    for row in rows.values():
        assert row["gaussian"]["ratio"] <= 1.001 and row["laplace"]["ratio"] <= 1.001, row
    assert rows["tick 3 of 5, 3 groups"]["gaussian"]["ratio"] < 0.79
    assert rows["tick all of 5"]["gaussian"]["ratio"] < 0.84
    assert rows["one of 5"]["auto"] == "laplace"

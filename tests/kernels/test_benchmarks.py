"""The benchmarks run, and what they compare is equal byte for byte."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent.parent


@pytest.mark.slow
def test_all_of_the_proof_benchmark_runs(tmp_path):
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-m", "benchmarks", "proof", "--quick", "--json", str(figures)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found = json.loads(figures.read_bytes())["proof"]
    assert len(found["results"]) == 12
    for result in found["results"]:
        assert result["times_reference"]["least"] > 5
        if not found["skipped"] and "BlockCountVec" not in result["case"]:
            assert result["times_libprio"]["least"] > 1
    if found["skipped"]:
        assert "SKIPPED libprio" in done.stdout


@pytest.mark.slow
def test_the_whole_work_is_measured_beside_its_floor(tmp_path):
    """All of it runs, and what is measured is the whole work: not far below its floor, at least.

    One turn on a busy machine is a rough measure, and rows open faster by thousands than bare.
    """
    figures = tmp_path / "figures.json"
    names = ("sealing", "checking", "start")
    command = [sys.executable, "-m", "benchmarks", *names, "--quick", "--json", str(figures)]
    subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    found = json.loads(figures.read_bytes())
    for name in ("sealing", "checking"):
        for result in found[name]["results"]:
            assert result["ratio"]["least"] > 0.5
    assert {result["role"] for result in found["checking"]["results"]} == {"leader", "helper"}
    assert found["start"]["results"][0]["times_empty"] == 1

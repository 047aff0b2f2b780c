"""Our own audit finds in every conformance case what it must, and nothing else."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from grievance.audit import RULES, audit_pool
from grievance.pool.store import open_store

FOLDER = Path(__file__).parents[2] / "conformance"
EXIT = {"pass": 0, "fail": 1, "untrusted": 1, "incomplete": 3}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"conformance_{name}", FOLDER / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


RUN = load("run")
CASES = list(RUN.cases())


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_our_audit_agrees(case: Any, tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    case.write(pool)
    report = audit_pool(pool, trust=case.trust)
    said = RUN.differences(
        case.expected,
        EXIT[report.verdict],
        report.to_json(),
        strict=True,
    )
    assert not said


def test_the_cases_cover_the_rules() -> None:
    told = {case.recipe["rule"] for case in CASES if "rule" in case.recipe}
    # What no folder of files can show: unreadable disks, mistakes of ours, bundles.
    assert set(RULES) - told == {"file.read", "audit.error", "bundle.digest", "bundle.left-out"}
    assert len(CASES) >= 40 and len({case.name for case in CASES}) == len(CASES)
    assert {case.expected["verdict"] for case in CASES} == set(EXIT)


def test_every_case_says_what_must_be_found() -> None:
    for case in CASES:
        assert case.expected["exit"] == EXIT[case.expected["verdict"]]
        faults = {f["rule"] for f in case.expected["findings"] if f["severity"] == "fault"}
        if case.recipe.get("severity") == "fault":
            assert faults == {case.recipe["rule"]}, case.name
        elif "rule" not in case.recipe:
            assert not faults, case.name


@pytest.mark.parametrize("path", sorted((FOLDER / "pools").glob("*.zip")), ids=lambda p: p.stem)
def test_the_pools_are_bundles_that_pass(path: Path) -> None:
    golden = next(case for case in CASES if case.recipe["base"] == path.stem)
    report = audit_pool(open_store(path), trust=golden.trust)
    assert report.verdict == "pass" and report.bundle


def test_any_difference_is_told() -> None:
    expected: dict[str, Any] = {
        "verdict": "fail",
        "exit": 1,
        "findings": [
            {"severity": "fault", "rule": "a.b", "file": "x"},
            {"severity": "note", "rule": "c.d", "file": "y"},
        ],
    }
    fault, note = expected["findings"]
    same = {"verdict": "fail", "findings": [fault, note]}
    assert RUN.differences(expected, 1, same, strict=True) == []
    assert RUN.differences(expected, 0, same)
    assert RUN.differences(expected, 1, {**same, "verdict": "pass"})
    assert RUN.differences(expected, 1, {**same, "findings": [note]})
    assert RUN.differences(expected, 1, {**same, "findings": [fault, {**fault, "file": "z"}]})
    assert RUN.differences(expected, 1, {**same, "findings": [fault]}) == []
    assert RUN.differences(expected, 1, {**same, "findings": [fault]}, strict=True)


@pytest.mark.parametrize(
    ("program", "code"),
    [("from grievance.cli import main; main()", 0), ("print('{}')", 1)],
    ids=["ours", "one that says nothing"],
)
def test_any_command_can_be_tested(program: str, code: int) -> None:
    command = [sys.executable, str(FOLDER / "run.py"), "--only", "task.plan"]
    if code == 0:
        command += ["--", sys.executable, "-c", program, "audit"]
    else:
        command += ["--", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert f"{1 - code} of 1 cases agree" in done.stdout


@pytest.mark.slow
def test_the_generator_makes_the_same_bytes() -> None:
    done = subprocess.run(
        [sys.executable, str(FOLDER / "make.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]

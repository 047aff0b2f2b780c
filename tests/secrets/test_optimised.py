"""`python -O` leaves asserts out: all guards still hold, and the tests can still fail.

Pytest turns the asserts of test modules into `if`, so they are carried out under `-O` as well;
those of the modules beside them are, because `tests/conftest.py` asks for it. What proves the
guards is a round in a process of its own, in which every check raises by itself; and that it
would fail is shown by taking its guards away one by one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent.parent
SCRIPT = Path(__file__).with_name("optimised_round.py")
QUICK = ("signature",)
GUARDS = {
    "proof": "reasons for the first batch",
    "commitment": "reasons for the first batch",
    "burn": "reasons for the second batch",
    "replay": "reasons for the second batch",
    "mode": "a key file that others can read: not refused",
    "signature": "an audit ",  # of what is sound, or of what was tampered with
    "budget": "too much of a budget: not refused",
    "destroy": "destruction of an open round: not refused",
    "twice": "a second release",
    "trust": "a task nobody vouched for: not refused",
    "pickle": "a pickled secret: not refused",
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, "-O", *words],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep), "PYTHONDONTWRITEBYTECODE": "1"},
        timeout=3600,
        check=False,
    )


def test_a_round_without_asserts_refuses_what_it_must(tmp_path: Path) -> None:
    ran = run(str(SCRIPT), str(tmp_path / "round"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "all was refused that must be\n"


@pytest.mark.parametrize(
    "guard", [g if g in QUICK else pytest.param(g, marks=pytest.mark.slow) for g in GUARDS]
)
def test_without_a_guard_it_fails(tmp_path: Path, guard: str) -> None:
    ran = run(str(SCRIPT), str(tmp_path / "round"), "--without", guard)
    assert ran.returncode != 0
    assert f"GuardGoneError: {GUARDS[guard]}" in ran.stderr


@pytest.mark.slow
def test_tests_can_fail_without_asserts(tmp_path: Path) -> None:
    """A false assert in a test, and one in a module beside it, both fail under `-O`."""
    shutil.copy(TESTS / "conftest.py", tmp_path / "conftest.py")
    (tmp_path / "helping.py").write_text("def check(value):\n    assert value == 2\n")
    (tmp_path / "test_probe.py").write_text(
        "from helping import check\n\n"
        "def test_true():\n    assert 1 == 1\n    check(2)\n\n"
        "def test_false():\n    assert 1 == 2\n\n"
        "def test_false_beside():\n    check(1)\n"
    )
    words = ("-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    ran = run(*words, str(tmp_path))
    assert "1 passed" in ran.stdout and "2 failed" in ran.stdout, ran.stdout


@pytest.mark.slow
def test_the_tests_of_guards_pass_without_asserts() -> None:
    """The modules that guard, run by pytest itself under `-O`."""
    parts = (
        "crypto",
        "task",
        "aggregator/test_burns.py",
        "aggregator/test_refusals.py",
        "aggregator/test_destroy.py",
        "pool/test_pool_batch.py",
        "pool/test_pool_order.py",
        "privacy/test_privacy_filter.py",
        "secrets/test_secret_types.py",
    )
    words = ("-m", "pytest", "-q", "-x", "-n0", "-p", "no:cacheprovider")
    ran = run(*words, *(str(TESTS / part) for part in parts))
    assert ran.returncode == 0, ran.stdout[-3000:]
    assert "passed" in ran.stdout

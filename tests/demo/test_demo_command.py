"""`grievance demo` as its user runs it: tables, a refusal, nothing left behind."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from grievance.cli import main; main()", "demo"]


def run(folder: Path, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run it with a home and a place for temporary files that tests can look into."""
    for name in ("home", "tmp", "here"):
        (folder / name).mkdir(exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GRIEVANCE_")}
    environment |= {"HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp")}
    ran = subprocess.run(
        [*COMMAND, *words],
        env=environment,
        cwd=folder / "here",
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert ran.returncode == code, ran.stderr
    assert "Traceback" not in ran.stderr
    return ran


def test_the_demo(tmp_path: Path) -> None:
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = run(tmp_path)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    # A minute of computing at most, however many share the machine.
    assert ended.ru_utime + ended.ru_stime - began.ru_utime - began.ru_stime < 60
    # Padding is seen: 580 workers do not fill hundreds.
    assert "580 workers seal" in ran.stdout
    assert "Relayed 290 reports, with 10 blank ones to make it 300" in ran.stdout
    verdict = re.search(r"(\d+) of (\d+) cells lie inside their stated 95% margin", ran.stdout)
    assert verdict
    inside, total = map(int, verdict.groups())
    # A mean of few people may be lost in the noise, and is then not among them.
    assert 31 <= total <= 35
    # 30 of the 35 have noise of their own, 5 repeat it. 12 or more of 30 outside have a chance
    # below 1e-8 if every margin covers 95 %, and then at most 5 more are.
    assert inside >= total - 11 - 5
    *_, error, hint = ran.stdout.strip().splitlines()
    assert "grievance: error: each statistic is released once per round" in error
    assert "grievance: hint: " in hint
    for name in ("home", "tmp", "here"):
        assert not list((tmp_path / name).iterdir()), name
    # Cover is nobody: 600 is said of sealed reports, and people are a range.
    assert re.search(
        r"Between \d+ and (5\d\d|600) people answered\. In truth 580 did\.", ran.stdout
    )
    assert ran.stdout.count("600 sealed reports") >= 3
    assert not re.search(r"(?<!and )600 (people|workers|reports|accepted)", ran.stdout)
    assert re.search(r"After this, \d+ more rounds like this one fit into the campaign", ran.stdout)


@pytest.mark.slow
def test_the_demo_can_be_kept(tmp_path: Path) -> None:
    ran = run(tmp_path, "--workers", "120", "--seed", "7", "--keep", "kept")
    kept = tmp_path / "here" / "kept"
    assert (kept / "pool" / "partners" / "law-centre.json").exists()
    for name in ("health-union", "law-centre"):
        assert (kept / name / "state.sqlite").exists()
        assert list((kept / name / "rounds").rglob("hpke.key"))
    assert (kept / "results" / "release.json").exists()
    assert "ls -R kept/pool" in ran.stderr
    # What it shows does not depend on where it was run.
    assert str(tmp_path) not in ran.stdout
    again = run(tmp_path, "--keep", "kept", code=2)
    assert "is not empty" in again.stderr


@pytest.mark.parametrize("words", [("--workers", "5"), ("--workers", "x"), ("--bogus",)])
def test_the_demo_typed_wrongly(tmp_path: Path, words: tuple[str, ...]) -> None:
    assert "Usage: grievance demo" in run(tmp_path, *words, code=2).stderr


def test_hash_seeds_do_not_change_people(tmp_path: Path) -> None:
    code = (
        "from grievance.demo import generate; from grievance.testing import example_plan; "
        "print(generate(example_plan(), 20))"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1

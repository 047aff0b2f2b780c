"""Sealing: light to import, hedged against a broken generator, silent."""

from __future__ import annotations

import itertools
import logging
import subprocess
import sys
import textwrap

import pytest

from grievance.client import seal, seal_blank
from grievance.errors import AnswerError

MODULE = sys.modules["grievance.client.seal"]
HEAVY = ("numba", "pyarrow", "opendp", "numpy", "pandas", "polars", "fsspec", "rich", "typer")


def run(code):
    """Run Python code in a fresh interpreter and return what it prints."""
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout, result.stderr


def test_sealing_loads_nothing_heavy(full, tmp_path):
    path = tmp_path / "task.json"
    path.write_bytes(full.task.data)
    out, times = run(
        f"""
        import sys, time
        begin = time.perf_counter()
        from pathlib import Path
        from grievance.client import seal, seal_blank, questions
        from grievance.task import parse_task
        imported = time.perf_counter()
        task = parse_task(Path({str(path)!r}).read_bytes())
        parsed = time.perf_counter()
        seal(task, {{"region": "North", "hours": 3, "problems": ["targets"]}})
        seal_blank(task)
        questions(task.plan)
        heavy = [name for name in {HEAVY!r} if name in sys.modules]
        print(",".join(heavy))
        print(f"import {{imported - begin:.2f}} s, task {{parsed - imported:.2f}} s, "
              f"two reports {{time.perf_counter() - parsed:.3f}} s", file=sys.stderr)
        """
    )
    assert out.strip() == ""
    print(times)


@pytest.fixture
def frozen(monkeypatch):
    """A device on which everything that should change stands still."""
    monkeypatch.setattr(MODULE.os, "urandom", bytes)
    monkeypatch.setattr(MODULE.time, "time_ns", lambda: 0)
    monkeypatch.setattr(MODULE, "_calls", itertools.repeat(0))


def test_a_repeating_generator_does_not_betray_differences(full, frozen):
    answers = [
        {"region": "North"},
        {"region": "Wales"},
        {"region": "North", "hours": 1},
        {"region": "North", "problems": []},
        {},
    ]
    reports = [seal(full.task, one) for one in answers]
    # Equal salts would show in the nonces, equal helper seeds in the second input share.
    assert len({report.commitment for report in reports}) == len(answers)
    assert len({full.open(report, 1) for report in reports}) == len(answers)
    assert len({full.open(report, 1)[:32] for report in reports}) == len(answers)
    for one, report in zip(answers, reports, strict=True):
        assert full.measure(report) == full.bits(one)


def test_clock_and_counter_keep_equal_answers_apart(full, monkeypatch):
    monkeypatch.setattr(MODULE.os, "urandom", bytes)
    one, two = (seal(full.task, {"region": "North"}) for _ in range(2))
    assert one.commitment != two.commitment
    assert full.open(one, 1) != full.open(two, 1)


def test_randomness_of_salt_and_shares_is_separate(small, frozen):
    bits = small.bits({"region": "North"})
    hedged = MODULE._hedged
    one = hedged(b"one", small.task.digest, bits, 32)
    assert one != hedged(b"two", small.task.digest, bits, 32)
    assert one != hedged(b"one", bytes(32), bits, 32)
    assert one == hedged(b"one", small.task.digest, bits, 64)[:32]
    assert len(set(_blocks(hedged(b"one", small.task.digest, bits, 20_000)))) == 625


def _blocks(data):
    return [data[at : at + 32] for at in range(0, len(data), 32)]


def test_nothing_is_logged_or_printed(full, caplog, capsys):
    with caplog.at_level(logging.DEBUG):
        seal(full.task, {"region": "North", "hours": 3})
        with pytest.raises(AnswerError):
            seal(full.task, {"region": "nowhere"})
    assert not caplog.records
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("answers", ["", [], 0, "North"])
def test_answers_are_a_mapping(small, answers):
    with pytest.raises(AnswerError):
        seal(small.task, answers)


def test_required_questions_are_required_unless_all_is_blank(full):
    with pytest.raises(AnswerError) as caught:
        seal(full.task, {"hours": 3})
    assert caught.value.field == "region"
    assert full.measure(seal(full.task, {"hours": None})) == full.measure(seal_blank(full.task))

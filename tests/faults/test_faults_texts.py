"""Faults E4, E5, E10, E11 and E15: labels, tables and pages, and where they are read.

Every test here is short; tests/release, tests/plan and tests/secrets drive the same faults in all
their forms. Source: docs/faults.md.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cli_shell import type_words
from release_stage import codes_in, flat

import grievance
from grievance.errors import GrievanceError
from grievance.release import Release, to_csv
from grievance.testing import make_coalition

if TYPE_CHECKING:
    from collections.abc import Callable

    from release_stage import Stage

SOURCE = Path(grievance.__file__).parent
LABELS = ("=HYPERLINK(1)", "+1", "-1", "@sum", 'a,"b"', "\U0001f4a3", "<script>x</script>", "שלום")
PLAN = """
title = "<script>alert(1)</script> & co"
campaign = "faults"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 2.0
delta = 1e-6
lifetime_epsilon = 4.0
minimum_reports = 10
hide_below = 0

[fields.answer]
question = "Which?"
choices = {choices}
required = true

[statistics.answers]
count = ["answer"]
"""


def plan_with(*labels: str) -> str:
    return PLAN.format(choices=json.dumps(labels, ensure_ascii=False))


def release_of(number: int) -> Release:
    """A release with labels that spreadsheets and browsers would run."""
    task = make_coalition(plan_with(*LABELS)).task
    return Release.build(
        task,
        {"answers": [number] * len(LABELS)},
        release_id="0" * 16,
        accepted=10,
        accepted_root=bytes(32),
        noisy_shares={entry.name: "00" * 32 for entry in task.aggregators},
    )


def test_e4_labels_that_a_spreadsheet_would_run() -> None:
    for table in (made := release_of(-3)["answers"], made.raw):
        data = to_csv(table)
        assert data.count(b"\r\n") == len(LABELS) + 1
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline=""), strict=True))
        for row, label in zip(rows, LABELS, strict=True):
            assert row["answer"] == (f"'{label}" if label[0] in "=+-@" else label)
            # A number stays one: negative noise is no text, and gets no quote.
            assert float(row["estimate"]) == -3
        assert b"'-3" not in data
    for start in "\t\r\0":
        with pytest.raises(GrievanceError) as error:
            make_coalition(PLAN.format(choices=json.dumps([f"{start}x", "y"])))
        assert error.value.code in ("plan.label", "plan.syntax")


class Tags(HTMLParser):
    """The elements and the texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_e5_texts_of_strangers_in_a_page(at: Callable[[str], Stage], tmp_path: Path) -> None:
    """A pool may hold files of any name; in the page about it they are text and nothing else."""
    stage = at("released")
    names = [*LABELS[4:6], "<script>alert(1)<", '"><img src=x onerror=alert(1)>', "\u202egnp.exe"]
    for name in [*names, "two\nlines"]:
        (stage.pool / name).write_bytes(b"")
    stage.told_by_audit("--html", str(tmp_path / "hostile.html"))
    page = (tmp_path / "hostile.html").read_text(encoding="utf-8")
    found = Tags(page)
    assert not {"script", "img", "iframe", "a", "x", "form"} & found.found
    assert "<script>alert(1)<" in found.words
    assert "\u202e" not in page
    # A release's own page: title and labels of its plan.
    told = Tags(release_of(20).to_html())
    assert not {"script", "img", "iframe"} & told.found
    assert "<script>x</script>" in told.words
    assert "<script>alert(1)</script> & co" in told.words


def in_another(*words: str, python: tuple[str, ...] = (), **environment: str) -> tuple[int, bytes]:
    """A command in a process of its own; its exit code, and every byte it wrote."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LC_", "LANG", "PYTHON"))}
    kept = {k: v for k, v in kept.items() if not k.startswith("GRIEVANCE_")}
    ran = subprocess.run(
        [sys.executable, *python, "-c", "from grievance.cli import main; main()", *words],
        env={**kept, "PYTHONPATH": str(SOURCE.parent), **environment},
        capture_output=True,
        check=False,
        timeout=600,
    )
    assert b"Traceback" not in ran.stderr, ran.stderr
    return ran.returncode, ran.stdout + b"== words\n" + ran.stderr


def test_e10_the_same_bytes_in_another_locale(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(plan_with("Łódź", "Île"), encoding="utf-8")
    words = ("plan", "check", str(plan), "--reports", "1500")
    usual = in_another(*words, LC_ALL="C.UTF-8", PYTHONUTF8="1")
    assert usual[0] == 0
    assert re.search(rb"\d\.\d", usual[1])
    assert usual == in_another(
        *words,
        LC_ALL="C",
        PYTHONUTF8="0",
        PYTHONCOERCECLOCALE="0",
        PYTHONIOENCODING="ascii",
        LC_NUMERIC="de_DE.UTF-8",
    )


def test_e11_without_asserts(tmp_path: Path) -> None:
    """No check is an `assert`, so `python -O` leaves nothing out; a refusal there is a refusal."""
    stated = re.compile(r"^\s*assert\b", re.M)
    assert stated.search("    assert x")
    for path in SOURCE.rglob("*.py"):
        assert not stated.search(path.read_text(encoding="utf-8")), path
    plan = tmp_path / "plan.toml"
    plan.write_text(plan_with("x", "X"), encoding="utf-8")
    code, said = in_another("plan", "check", str(plan), "--json", python=("-O",))
    assert code == 2
    assert b'"error": "plan.label"' in said
    assert b"take one out or rename it" in said


def test_e15_more_categories_than_anybody_can_read(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    for number, code, says in (
        (201, "plan.label", "must be 2 to 200 choices, not 201; add what is missing, or put rare"),
        (10**5, "plan.syntax", "no plan needs as much"),
    ):
        plan.write_text(plan_with(*(f"c{i}" for i in range(number))), encoding="utf-8")
        ran = type_words("plan", "check", str(plan))
        assert ran.code == 2
        assert says in flat(ran.err)
        assert len(ran.err) < 2000
        assert codes_in(type_words("plan", "check", str(plan), "--json")) == {code}

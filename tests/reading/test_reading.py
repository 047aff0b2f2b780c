"""READING.md names all that runs for each promise, and no figure in it grows unseen."""

from __future__ import annotations

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from held import HOW, PROJECT, Trace, complaints, read_page, run_trace
from trace_round import load_example

SOURCE = PROJECT / "src" / "grievance"


@pytest.fixture(scope="module")
def trace() -> Trace:
    return run_trace()


@pytest.fixture(scope="module")
def page() -> str:
    return (PROJECT / "READING.md").read_text(encoding="utf-8")


@pytest.mark.lint
def test_the_page_says_what_runs(page: str, trace: Trace) -> None:
    assert set(read_page(page)) == set(trace) == {"A", "B", "C"}
    wrong = complaints(page, trace, SOURCE)
    assert not wrong, "\n".join([*wrong, HOW])


@pytest.mark.lint
@pytest.mark.slow
def test_a_function_that_moved_to_an_unlisted_file_is_noticed(page: str, tmp_path: Path) -> None:
    """The control: the same copy, with one function of a listed file moved out of it."""
    for part in ("src", "examples/round", "tests/reading"):
        shutil.copytree(
            PROJECT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    rows = tmp_path / "src/grievance/pipelines/rows.py"
    text = rows.read_text(encoding="utf-8")
    (node,) = [n for n in ast.parse(text).body if getattr(n, "name", "") == "_check_proof"]
    lines = text.splitlines(keepends=True)
    moved = "".join(lines[node.lineno - 1 : node.end_lineno])
    del lines[node.lineno - 1 : node.end_lineno]
    elsewhere = "from __future__ import annotations\n"
    elsewhere += "from grievance.errors import ProofError, WireError\n"
    elsewhere += "from grievance.pool.decisions import Status\n\n" + moved
    rows.with_name("elsewhere.py").write_text(elsewhere, encoding="utf-8")
    changed = "".join(lines).replace(
        "\nfrom grievance.pool.decisions",
        "\nfrom grievance.pipelines.elsewhere import _check_proof\nfrom grievance.pool.decisions",
        1,
    )
    rows.write_text(changed, encoding="utf-8")
    wrong = complaints(page, run_trace(tmp_path), tmp_path / "src" / "grievance")
    assert any("_check_proof of pipelines/elsewhere.py" in line for line in wrong), wrong


@pytest.mark.lint
@pytest.mark.slow
def test_a_figure_that_is_too_small_is_noticed(page: str, trace: Trace) -> None:
    reading = read_page(page)["A"]
    name, figure = next(iter(reading.listed.items()))
    row = f"](src/grievance/{name}) | %d |"
    smaller = page.replace(row % figure, row % (figure - 1))
    assert smaller != page
    assert complaints(smaller, trace, SOURCE)
    without = json.loads(json.dumps(trace))
    del without["A"][name]
    assert f"A: nothing of {name} runs on the path" in complaints(page, without, SOURCE)


@pytest.mark.lint
@pytest.mark.slow
def test_an_import_that_is_not_said_is_noticed(page: str, trace: Trace) -> None:
    shorter = re.sub(r"^Imported by .*$", "", page, flags=re.MULTILINE)
    assert shorter != page
    assert any("is imported" in line for line in complaints(shorter, trace, SOURCE))


def test_the_whole_round_is_an_example(tmp_path: Path) -> None:
    """Plan to audit; and what it publishes is what the aggregators' noise was added to."""
    example: Any = load_example()
    release, audited = example.run_round(tmp_path / "round")
    assert audited.verdict == "pass"
    assert release.accepted == 100  # 12 workers and blank cover
    assert audited.counts.releases == 1
    lines = Path(example.__file__).read_text(encoding="utf-8").splitlines()
    (story,) = [
        n for n in ast.parse("\n".join(lines)).body if getattr(n, "name", "") == "run_round"
    ]
    assert (story.end_lineno or 0) - story.lineno < 70


@pytest.mark.lint
def test_every_file_has_a_sentence_and_a_section(page: str) -> None:
    rows = [line for line in page.splitlines() if line.startswith("| [")]
    assert len(rows) > 50
    for row in rows:
        _, figure, section, words = (cell.strip() for cell in row.strip("|").split(" | "))
        assert figure.replace(",", "").isdigit(), row
        assert section, row
        assert words.removesuffix("|").strip().endswith("."), row

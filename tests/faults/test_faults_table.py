"""docs/faults.md is true: every fault has its line, every line its test, every test its line."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.lint

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
PAGE = PROJECT / "docs" / "faults.md"
SIZES = {"A": 23, "B": 17, "C": 18, "D": 28, "E": 27}
EVERY = [f"{letter}{number}" for letter, size in SIZES.items() for number in range(1, size + 1)]
NUMBERED = re.compile(r"test_([a-e][1-9][0-9]*)_")
NO_CODE = "-"


@dataclass(frozen=True)
class Line:
    """One fault: its tests, or why it does not apply."""

    fault: str
    section: str
    words: str
    tests: tuple[str, ...]
    reason: str
    code: str


def read_page(text: str) -> list[Line]:
    """Read the tables of a page. Raises ValueError for a line that is neither kind."""
    found, section = [], ""
    for row in text.splitlines():
        if row.startswith("## "):
            section = row.removeprefix("## ")[0]
        if not row.startswith("| ") or row.startswith("| Fault |"):
            continue
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        fault, words, third, *rest = (cell.strip("| ") for cell in cells)
        if third.startswith("does not apply: ") and rest in ([], [NO_CODE]):
            reason = third.removeprefix("does not apply: ")
            found.append(Line(fault, section, words, (), reason, NO_CODE))
        elif len(rest) == 1:
            found.append(Line(fault, section, words, tuple(third.split(", ")), "", rest[0]))
        else:
            raise ValueError(f"{fault}: neither a test and a code nor a reason")
    return found


def numbered_tests() -> dict[str, str]:
    """Every numbered test of this folder, by its id, and its source."""
    found = {}
    for path in sorted(HERE.glob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef) and NUMBERED.match(node.name):
                name = f"{path.relative_to(PROJECT).as_posix()}::{node.name}"
                assert name not in found, f"{name} is there twice: the second hides the first"
                found[name] = source
    return found


LINES = read_page(PAGE.read_text(encoding="utf-8"))
TESTS = numbered_tests()


def test_every_fault_has_one_line_in_its_section_and_in_order() -> None:
    assert len(EVERY) == 113
    assert [line.fault for line in LINES] == EVERY
    assert all(line.fault[0] == line.section for line in LINES)
    assert all(line.words for line in LINES)


def test_every_line_names_tests_that_exist_and_bear_its_number() -> None:
    for line in LINES:
        assert bool(line.tests) != bool(line.reason), line.fault
        for test in line.tests:
            assert test in TESTS, f"{line.fault}: there is no {test}"
            number = NUMBERED.match(test.split("::")[1])
            assert number is not None and number[1].upper() == line.fault, (line.fault, test)


def test_every_numbered_test_stands_in_a_line() -> None:
    named = [test for line in LINES for test in line.tests]
    assert len(named) == len(set(named))
    assert set(TESTS) == set(named)


def test_the_counts_at_the_head_are_those_of_the_lines() -> None:
    (said,) = re.findall(r"^Counts: .*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    tested = sum(bool(line.tests) for line in LINES)
    assert said == (
        f"Counts: {len(LINES)} faults; tested: {tested}; do not apply: {len(LINES) - tested}."
    )


@pytest.mark.parametrize("line", [line for line in LINES if line.tests], ids=lambda x: x.fault)
def test_the_code_of_a_line_is_one_its_tests_know(line: Line) -> None:
    """The code of a line is spoken of in the file of its tests, all but `-`."""
    assert line.code == NO_CODE or re.fullmatch(r"[a-z]+(\.[a-z-]+)?", line.code), line.code
    assert line.code == NO_CODE or any(line.code in TESTS[test] for test in line.tests)


def test_lines_that_are_neither_are_noticed() -> None:
    good = "## A. x\n| A1 | words | tests/x.py::test_a1_x | plan.x |"
    assert read_page(good)[0].tests == ("tests/x.py::test_a1_x",)
    assert read_page("## A. x\n| A1 | words | does not apply: no |")[0].reason == "no"
    with pytest.raises(ValueError, match="A1"):
        read_page("## A. x\n| A1 | words | tests/x.py::test_a1_x |")

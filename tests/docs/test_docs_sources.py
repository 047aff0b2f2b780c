"""What comments name as their source is there: sections of the design, of the threats, faults."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.lint

ROOT = Path(__file__).parents[2]
PLACES = ("src", "tests", "benchmarks", "conformance", "examples", "fuzz")
NAMED = re.compile(
    r"(?P<page>design|threats|faults)\.md,(?:\s|#)+(?P<what>(?:sections?|faults?|attacks?)\s[^.;:()]*)"
)


def sources() -> list[tuple[str, str, str]]:
    found = []
    for path in (p for place in PLACES for p in sorted((ROOT / place).rglob("*.py"))):
        if path == Path(__file__):
            continue
        text = path.read_text(encoding="utf-8")
        found += [
            (str(path.relative_to(ROOT)), match["page"], " ".join(match["what"].split()))
            for match in NAMED.finditer(text)
        ]
    return found


def headings(page: str) -> set[str]:
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    return set(re.findall(r"^## (\d+)\. ", text, re.MULTILINE))


def missing(page: str, what: str) -> set[str]:
    """Sections or faults that are named and not there."""
    if page == "faults":
        text = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
        rows = set(re.findall(r"^\| ([A-E]\d+) \|", text, re.MULTILINE))
        return set(re.findall(r"\b[A-E]\d+\b", what)) - rows
    return set(re.findall(r"\b\d+\b", what)) - headings(page)


def test_comments_name_sections_that_exist() -> None:
    named = sources()
    assert len(named) > 50
    assert [entry for entry in named if missing(*entry[1:])] == []


@pytest.mark.parametrize(
    ("page", "what", "gone"),
    [
        ("design", "sections 8 and 10", set()),
        ("design", "section 99", {"99"}),
        ("faults", "faults B1 to B11", set()),
        ("faults", "fault B99", {"B99"}),
    ],
)
def test_a_section_that_is_not_there_is_seen(page: str, what: str, gone: set[str]) -> None:
    assert missing(page, what) == gone


def test_no_comment_names_a_page_that_is_not_in_the_project() -> None:
    pages = {path.name for path in ROOT.rglob("*.md") if ".venv" not in path.parts}
    for path in (p for place in PLACES for p in sorted((ROOT / place).rglob("*.py"))):
        text = path.read_text(encoding="utf-8")
        for line in re.findall(r"Sources?: (.*(?:\n\s+\S.*)?)", text):
            for name in re.findall(r"([a-z.-]+\.md)\b", line):
                assert name in pages, f"{path.relative_to(ROOT)} names {name}"

"""The steward's page of coalition sizes says what the planner says."""

from __future__ import annotations

import re

import pytest
from how_many import PAGE, SIZES, marks, section, written

NUMBER = re.compile(r"\d+(?:\.\d+)?")
AGAIN = "run: python tests/docs/how_many.py"


def on_page(size: int) -> str:
    begin, end = marks(size)
    return PAGE.read_text(encoding="utf-8").split(begin)[1].split(end)[0]


@pytest.mark.parametrize("size", SIZES)
def test_the_page_says_what_the_planner_says(size: int) -> None:
    """The same tables in the same words; figures to a tenth, so a better formula may come first."""
    page, planner = on_page(size), section(size)
    assert NUMBER.sub("#", page) == NUMBER.sub("#", planner), AGAIN
    for shown, true in zip(NUMBER.findall(page), NUMBER.findall(planner), strict=True):
        assert float(shown) == pytest.approx(float(true), rel=0.1, abs=1), (page, planner, AGAIN)


def test_other_figures_are_noticed() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert written(text).count("| table |") == len(SIZES)
    first = on_page(SIZES[0])
    wrong = NUMBER.sub(lambda found: str(2 * float(found[0]) + 5), first)
    assert any(
        float(a) != pytest.approx(float(b), rel=0.1, abs=1)
        for a, b in zip(NUMBER.findall(wrong), NUMBER.findall(section(SIZES[0])), strict=True)
    )

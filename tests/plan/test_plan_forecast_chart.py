"""The forecast as a picture: well-formed, with words for who cannot see it."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from strategies import EXAMPLE

from grievance.plan import Plan
from grievance.planner import forecast, to_svg

PLAN = Plan.from_toml(EXAMPLE)
SVG = "{http://www.w3.org/2000/svg}"


def drawn(found: object, title: str = "") -> ET.Element:
    return ET.fromstring(to_svg(found, title))  # type: ignore[arg-type]


def test_a_row_for_each_statistic_with_its_words() -> None:
    found = forecast(PLAN, 5000)
    svg = drawn(found, 'Hours & "pay" <now>')
    assert svg.get("role") == "img"
    assert set((svg.get("aria-labelledby") or "").split()) == {"title", "desc"}
    assert svg.findtext(f"{SVG}title") == 'Margins of the noise, 95%: Hours & "pay" <now>'
    said = svg.findtext(f"{SVG}desc") or ""
    rows = svg.findall(f"{SVG}g")
    assert len(rows) == len(found.statistics)
    for row, statistic in zip(rows, found.statistics, strict=True):
        assert (row.findtext(f"{SVG}title") or "").startswith(f"{statistic.name}: ± ")
        assert f"{statistic.name}: ± " in said
        assert row.findall(f"{SVG}circle")
        assert not row.findall(f"{SVG}path")
    assert f"± {found['unpaid_hours'].margin_units:.3g} hours" in said


def test_hopeless_cells_are_crosses_and_words() -> None:
    groups = {"region": {"London": 3000, "North": 1990, "Wales": 10}}
    found = forecast(PLAN, 5000, by_group=groups)
    row = drawn(found).findall(f"{SVG}g")[0]
    assert row.findall(f"{SVG}path")
    assert f"{found['problems_by_region'].hopeless} of 30 drown" in (
        row.findtext(f"{SVG}title") or ""
    )


@pytest.mark.parametrize("reports", [None, 1, 10**9])
def test_marks_lie_within_the_picture(reports: int | None) -> None:
    svg = drawn(forecast(PLAN, reports))
    width, height = float(svg.get("width") or 0), float(svg.get("height") or 0)
    assert svg.get("viewBox") == f"0 0 {width:g} {height:g}"
    for mark in svg.iter(f"{SVG}circle"):
        assert 250 <= float(mark.get("cx") or 0) <= 710.1
        assert 0 <= float(mark.get("cy") or 0) <= height
    ticks = [t for t in svg.findall(f"{SVG}text") if t.get("text-anchor") == "middle"]
    assert 2 <= len(ticks) <= 8


def test_nothing_is_loaded_from_elsewhere() -> None:
    text = to_svg(forecast(PLAN, 500), "T")
    assert "href" not in text
    assert "<script" not in text
    assert text.count("http") == 1  # the namespace

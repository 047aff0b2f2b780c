"""A forecast as a picture: one row for each statistic, one mark for each cell's margin.

Plain SVG, so that it can be printed, put on a page and read aloud: it has a title and a
description, every row has its own, and cells that would drown are crosses as well as red.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from grievance.planner.model import CellForecast, Forecast, StatisticForecast

WIDTH, LEFT, RIGHT, TOP, ROW = 860, 250, 150, 76, 40
_BELOW = 62
_FONT = "font-family: system-ui, 'DejaVu Sans', sans-serif"
_INK, _QUIET, _GRID, _GOOD, _BAD = "#1a1a1a", "#555555", "#d9d9d9", "#1f5f8b", "#b3261e"
_LONGEST = 30


@dataclass(frozen=True)
class _Row:
    """One statistic as drawn: distinct margins with whether they drown, and words beside."""

    statistic: StatisticForecast
    marks: tuple[tuple[float, bool], ...]
    value: str
    note: str


def to_svg(found: Forecast, plan_title: str = "") -> str:
    """Draw a forecast's margins as SVG.

    In percentage points of the group where a number of reports is expected, and of the range of
    the number for a mean; else in people.
    """
    in_points = found.reports is not None
    rows = [_row(statistic, in_points=in_points) for statistic in found.statistics]
    most = max((mark for row in rows for mark, _ in row.marks), default=1.0) or 1.0
    top, step = _scale(most)
    height = TOP + ROW * len(rows) + _BELOW
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {WIDTH} {height}",
            "width": str(WIDTH),
            "height": str(height),
            "role": "img",
            "aria-labelledby": "title desc",
        },
    )
    unit = "percentage points" if in_points else "people"
    title = "Margins of the noise, 95%" + (f": {plan_title}" if plan_title else "")
    ET.SubElement(svg, "title", {"id": "title"}).text = title
    ET.SubElement(svg, "desc", {"id": "desc"}).text = _describe(rows, unit)
    ET.SubElement(svg, "rect", {"width": "100%", "height": "100%", "fill": "#ffffff"})
    _text(svg, 16, 28, title, size=17, weight="600")
    expected = f"{found.reports:,} people expected to report; " if found.reports is not None else ""
    _text(svg, 16, 50, f"{expected}± in {unit}; each mark is a cell", size=13, fill=_QUIET)
    bottom = TOP + ROW * len(rows)
    at = 0.0
    while at <= top * (1 + 1e-9):
        x = _x(at, top)
        _line(svg, x, TOP - 6, x, bottom, _GRID)
        _text(svg, x, bottom + 18, f"{at:g}", size=12, fill=_QUIET, anchor="middle")
        at += step
    for place, row in enumerate(rows):
        _draw(svg, row, TOP + ROW * place + ROW / 2, top)
    _legend(svg, bottom + 44)
    ET.indent(svg)
    return ET.tostring(svg, encoding="unicode") + "\n"


def _row(statistic: StatisticForecast, *, in_points: bool) -> _Row:
    cells = [figure for figure in statistic.figures if not figure.blank] or statistic.figures
    marks = {
        (round(margin, 3), cell.hopeless)
        for cell in cells
        if (margin := _value(statistic, cell, in_points=in_points)) is not None
    }
    values = sorted(margin for margin, _ in marks)
    if not values:
        value = ""
    elif statistic.kind == "mean" and in_points:
        value = f"± {statistic.margin_units_most or 0:.3g} {statistic.unit}".rstrip()
    elif f"{values[0]:.1f}" == f"{values[-1]:.1f}":
        value = f"± {values[0]:.1f}"
    else:
        value = f"± {values[0]:.1f} to {values[-1]:.1f}"
    many = len(cells)
    note = f"{statistic.hopeless} of {many} drown" if statistic.hopeless else ""
    return _Row(statistic, tuple(sorted(marks)), value, note)


def _value(statistic: StatisticForecast, cell: CellForecast, *, in_points: bool) -> float | None:
    if not in_points:
        return cell.margin
    if statistic.kind != "mean":
        return cell.points
    return None if cell.units is None else 100 * cell.units / statistic.span


def _scale(most: float) -> tuple[float, float]:
    """Return the end of the axis and the distance of its lines: 1, 2 or 5 times a power of 10."""
    step = 1e-6
    for factor in _endless():
        if most / factor <= 6:
            step = factor
            break
    return step * -(-most // step), step


def _endless() -> list[float]:
    return [digit * 10.0**power for power in range(-6, 12) for digit in (1, 2, 5)]


def _x(value: float, top: float) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * value / top


def _draw(svg: ET.Element, row: _Row, y: float, top: float) -> None:
    group = ET.SubElement(svg, "g")
    name = row.statistic.name
    words = ", ".join(word for word in (row.value, row.note) if word)
    ET.SubElement(group, "title").text = f"{name}: {words}"
    shown = name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"
    _text(group, LEFT - 12, y + 5, shown, size=14, anchor="end")
    if row.marks:
        low, high = row.marks[0][0], row.marks[-1][0]
        bar = {"x": f"{LEFT}", "y": f"{y - 7:g}", "width": f"{_x(high, top) - LEFT:.1f}"}
        ET.SubElement(group, "rect", {**bar, "height": "14", "fill": "#dbe8f1"})
        _line(group, _x(low, top), y, _x(high, top), y, _GOOD)
    drawn: set[tuple[int, bool]] = set()
    for value, hopeless in row.marks:
        x = _x(value, top)
        if (round(x), hopeless) in drawn:
            continue
        drawn.add((round(x), hopeless))
        if hopeless:
            _cross(group, x, y + 8)  # below a dot at the same place
        else:
            at = {"cx": f"{x:.1f}", "cy": f"{y:g}", "r": "4"}
            ET.SubElement(group, "circle", {**at, "fill": _GOOD})
    _text(group, WIDTH - RIGHT + 16, y + (0 if row.note else 5), row.value, size=13)
    if row.note:
        _text(group, WIDTH - RIGHT + 16, y + 15, row.note, size=12, fill=_BAD)


def _legend(svg: ET.Element, y: float) -> None:
    dot = {"cx": f"{LEFT + 4}", "cy": f"{y - 4:g}", "r": "4", "fill": _GOOD}
    ET.SubElement(svg, "circle", dot)
    _text(svg, LEFT + 14, y, "a cell that shows", size=12, fill=_QUIET)
    _cross(svg, LEFT + 150, y - 4)
    _text(svg, LEFT + 160, y, "one that drowns: fewer people than the margin", size=12, fill=_QUIET)


def _describe(rows: list[_Row], unit: str) -> str:
    said = [f"95 per cent margins in {unit}, by statistic."]
    for row in rows:
        words = ", ".join(word for word in (row.value, row.note) if word)
        said.append(f"{row.statistic.name}: {words or 'unknown'}.")
    return " ".join(said)


def _text(
    parent: ET.Element,
    x: float,
    y: float,
    words: str,
    *,
    size: int,
    fill: str = _INK,
    anchor: str = "start",
    weight: str = "400",
) -> None:
    ET.SubElement(
        parent,
        "text",
        {
            "x": f"{x:.1f}",
            "y": f"{y:.1f}",
            "fill": fill,
            "text-anchor": anchor,
            "style": f"{_FONT}; font-size: {size}px; font-weight: {weight}",
        },
    ).text = words


def _line(parent: ET.Element, x1: float, y1: float, x2: float, y2: float, stroke: str) -> None:
    ends = {"x1": f"{x1:.1f}", "y1": f"{y1:.1f}", "x2": f"{x2:.1f}", "y2": f"{y2:.1f}"}
    ET.SubElement(parent, "line", {**ends, "stroke": stroke, "stroke-width": "1.5"})


def _cross(parent: ET.Element, x: float, y: float) -> None:
    path = f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
    ET.SubElement(parent, "path", {"d": path, "stroke": _BAD, "stroke-width": "2.2"})

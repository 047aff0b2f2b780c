"""Charts of figures with error bars, as SVG that is text: readable, small, and described.

A chart is one point and one line for every figure, under its label. Widths are per cent of the
page's, so a telephone and a sheet of paper show letters of the same size; colours come from the
page's style sheet, so light, dark and print need no second chart. It is built by the same
builder as the page, and so is escaped as the page is.
"""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN
from typing import TYPE_CHECKING

from grievance.markup import Html, tag
from grievance.release.display import width
from grievance.release.page.rounding import write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.markup import Part

COLUMNS = 40.0
"""How wide a label may be before it is broken, in small letters on a telephone's screen."""

MOST_ROWS = 60
_LINE, _BAR, _GAP, _AXIS = 18, 16, 10, 24
_SHARES = ((5, 1), (10, 2), (20, 5), (25, 5), (40, 10), (50, 10), (60, 20), (80, 20), (100, 25))


@dataclass(frozen=True)
class Row:
    """A line of a chart: a label and its figure, or why there is none; or a heading.

    `said` is what is written beside the label; `low`, `estimate` and `high` are drawn, in the
    unit of the axis. Without an estimate the line is grey.
    """

    label: str
    said: str = ""
    low: float | None = None
    estimate: float | None = None
    high: float | None = None
    heading: bool = False


def draw(key: str, title: str, rows: Sequence[Row], axis: Axis, *, unit: str = "") -> Html:
    """Draw a chart. `key` makes the ids of its title and description, and is ours."""
    low, high, step, percent = axis.low, axis.high, axis.step, axis.percent
    parts: list[Part] = []
    top = 4.0
    marks: list[Part] = []
    for row in rows:
        top += _GAP if row.heading and marks else 0
        lines = _wrap(row)
        for at, line in enumerate(lines):
            marks.append(_text(line, row, top + _LINE * (at + 1) - 5))
        top += _LINE * len(lines)
        if row.low is not None and row.high is not None:
            marks += _whisker(row, low, high, top + _BAR / 2 - 2)
            top += _BAR
        top += 4
    for tick in _ticks(low, high, step):
        x = _per_cent(tick, low, high)
        parts.append(tag("line", x1=x, x2=x, y1="0", y2=f"{top:g}", class_="grid"))
        name = write(tick, min(0, math.floor(math.log10(step))), ROUND_HALF_EVEN)
        label = f"{name}%" if percent else name
        anchor = "start" if tick == low else "end" if math.isclose(tick, high) else "middle"
        parts.append(tag("text", label, x=x, y=f"{top + 16:g}", text_anchor=anchor, class_="tick"))
    parts += marks
    height = top + _AXIS
    if unit and not percent:
        height += 14
        parts.append(
            tag("text", unit, x="100%", y=f"{height - 4:g}", text_anchor="end", class_="tick")
        )
    return tag(
        "svg",
        tag("title", title, id=f"{key}-title"),
        tag("desc", _describe(rows), id=f"{key}-desc"),
        *parts,
        width="100%",
        height=f"{height:g}",
        role="img",
        aria_labelledby=f"{key}-title",
        aria_describedby=f"{key}-desc",
    )


def _describe(rows: Sequence[Row]) -> str:
    said = [f"{row.label}:" if row.heading else f"{row.label}: {row.said}." for row in rows]
    return (
        "A point for each best number, a line for the range it may lie in, grey without a point. "
        f"{' '.join(said)} The same numbers are in the table that follows."
    )


def _whisker(row: Row, low: float, high: float, y: float) -> Iterator[Html]:
    ends = [_per_cent(value, low, high) for value in (row.low or 0.0, row.high or 0.0)]
    bar = "bar" if row.estimate is not None else "bar grey"
    yield tag("line", x1=ends[0], x2=ends[1], y1=f"{y:g}", y2=f"{y:g}", class_=bar)
    for end in ends:
        yield tag("line", x1=end, x2=end, y1=f"{y - 5:g}", y2=f"{y + 5:g}", class_=bar)
    if row.estimate is not None:
        middle = _per_cent(row.estimate, low, high)
        yield tag("circle", cx=middle, cy=f"{y:g}", r="4.5", class_="dot")


def _text(line: tuple[str, str], row: Row, y: float) -> Html:
    label, said = line
    parts: list[Part] = [tag("tspan", label, class_="head" if row.heading else "label")]
    if said:
        parts.append(tag("tspan", said, class_="said", **({"dx": "8"} if label else {})))
    return tag("text", *parts, x="0", y=f"{y:g}")


def _wrap(row: Row) -> list[tuple[str, str]]:
    """Break a label into lines; what is said about it goes behind the last, if it fits there."""
    lines = broken(row.label)
    leftwards = any(unicodedata.bidirectional(char) in ("R", "AL") for char in row.label)
    if not row.said:
        return [(line, "") for line in lines]
    # Numbers behind letters that run from right to left would change places with them.
    if leftwards or room(lines[-1]) + 2 + room(row.said) > COLUMNS:
        return [(line, "") for line in lines] + [("", line) for line in broken(row.said)]
    return [*((line, "") for line in lines[:-1]), (lines[-1], row.said)]


def room(text: str) -> float:
    """Return about how much room a text takes, in small letters."""
    letters = sum(0.7 * (char in "MWmw@%") + 0.3 * char.isupper() for char in text)
    return width(text) + letters


def broken(text: str) -> list[str]:
    """Break text into lines of at most COLUMNS, between words where that can be."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and room(lines[-1]) + 1 + room(word) <= COLUMNS:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for char in word:
            if room(lines[-1] + char) > COLUMNS:
                lines.append("")
            lines[-1] += char
    return lines


def _per_cent(value: float, low: float, high: float) -> str:
    part = min(max((value - low) / (high - low), 0.0), 1.0)
    return f"{100 * part:.2f}%"


@dataclass(frozen=True)
class Axis:
    """An axis of a chart: its ends, the step of its ticks, whether it is in per cent."""

    low: float
    high: float
    step: float
    percent: bool


def axis_for(rows: Sequence[Row], *, percent: bool) -> Axis:
    """Return an axis that holds all figures; charts that belong together share one."""
    lows = [row.low for row in rows if row.low is not None]
    highs = [row.high for row in rows if row.high is not None]
    if percent:
        most = max(highs, default=100.0)
        end, step = next((one for one in _SHARES if one[0] >= most), _SHARES[-1])
        return Axis(0.0, float(end), float(step), percent=True)
    least, most = min(lows, default=0.0), max(highs, default=1.0)
    if 0 <= least < most / 2:
        least = 0.0
    span = most - least or 1.0
    size = 10.0 ** math.floor(math.log10(span / 3))
    wide = next(size * times for times in (1, 2, 5, 10) if span / (size * times) <= 4)
    return Axis(math.floor(least / wide) * wide, math.ceil(most / wide) * wide, wide, percent)


def _ticks(low: float, high: float, step: float) -> Iterator[float]:
    for at in range(round((high - low) / step) + 1):
        yield low + at * step

"""What every section is built from: charts with their tables, folded tables, lists of sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.markup import join, table, tag
from grievance.release.counts import CountTable
from grievance.release.page.charts import Row, axis_for, draw
from grievance.release.page.words import TOO_NOISY, ranged

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grievance.markup import Html, Part
    from grievance.release.figures import Figure
    from grievance.release.page.reading import Reading

BEST = "The best single number, and in brackets the range it may lie in"
MOST_LINES = 12
"""Sentences of one kind in one section; the others are in its tables."""


def chart_row(reading: Reading, label: str, figure: Figure) -> Row:
    """A figure as a line of a chart; a grey one has no point, one that is not known words only."""
    if figure.best is None:
        return Row(label, TOO_NOISY)
    factor = 100 if figure.percent else 1
    middle = None if figure.grey else figure.best * factor
    said = ranged(reading, figure)
    return Row(label, said, figure.low * factor, middle, figure.high * factor)


def chart_figure(
    key: str,
    title: str,
    charts: Mapping[str, Sequence[Row]],
    reading: Reading,
    head: Sequence[str],
    cells: Iterable[Iterable[Part]],
) -> Html:
    """Charts on one axis with their caption, and the table of their numbers behind them.

    `charts`: heading of each to its rows; one alone has the heading "". Each is an image of its
    own, so that a page of paper ends between two and not within one.
    """
    percent = isinstance(reading.table, CountTable)
    axis = axis_for([row for rows in charts.values() for row in rows], percent=percent)
    unit = "" if percent else reading.unit
    drawn: list[Part] = []
    for at, (heading, rows) in enumerate(charts.items()):
        named = f"{title}: {heading}" if heading else title
        every = [Row(heading, heading=True), *rows] if heading else rows
        drawn.append(draw(f"c-{key}-{at}", named, every, axis, unit=unit))
    what = "Share of those who answered" if percent else "Mean"
    return tag(
        "figure",
        tag("figcaption", f"{what}: the best single number, and the range it may lie in"),
        tag("div", *drawn, class_="plot"),
        folded("The numbers as a table", table(BEST, head, cells)),
    )


def folded(summary: str, inside: Html) -> Html:
    """What is there for whoever opens it, and on paper."""
    return tag("details", tag("summary", summary), inside)


def sentences(lines: Iterable[Sequence[Part]]) -> Html:
    """A list of sentences, cut after MOST_LINES with a word about the rest."""
    every = list(lines)
    items: list[Part] = [tag("li", *line) for line in every[:MOST_LINES]]
    if len(every) > MOST_LINES:
        rest = len(every) - MOST_LINES
        items.append(tag("li", f"And {rest:,} more, which are in the tables below."))
    return tag("ul", join(items))

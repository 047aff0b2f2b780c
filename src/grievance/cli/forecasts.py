"""A forecast on the screen: tables that fit 80 columns, then sentences."""

from __future__ import annotations

import math
import sys
import textwrap
from typing import TYPE_CHECKING

from grievance.cli.output import emit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.plan import Plan
    from grievance.planner import Answer, Forecast, StatisticForecast


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Write a table to stdout: words to the left, numbers to the right, long names broken."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
    for place, header in enumerate(headers):
        left = place == 0 or header in ("kind", "")
        shown.add_column(
            header, justify="left" if left else "right", overflow="fold", no_wrap=not left
        )
    for row in rows:
        shown.add_row(*(Text(cell) for cell in row))
    # Labels are text and never markup; a file gets neither colours nor more than 80 columns.
    # In a notebook Rich would draw it there, and not where output goes.
    console = Console(file=sys.stdout, markup=False, highlight=False, force_jupyter=False)
    console.print(shown)


def show_forecast(found: Forecast) -> None:
    """Write a forecast to stdout."""
    _table(
        ["statistic", "cells", "people", "± people", "± share", "differ", "drown"],
        [_shows(item) for item in found.statistics],
    )
    emit("")
    _say(
        "People: expected in a cell. ± are 95% margins of the noise alone: how far a number may "
        "be off to protect people. ± share: in percentage points of the group, or the unit of a "
        "mean; from the cell in the middle to the worst. Differ: the smallest difference of two "
        "groups that release.html calls larger than noise in half of all rounds, corrected for "
        f"the number of comparisons; at most {_surely(found)} times as much shows in 95% of "
        "them. Drown: cells with fewer people than their margin."
    )
    emit("")
    from grievance.privacy import noise_of

    unit = noise_of(found.mechanism).unit
    _table(
        ["statistic", "kind", "bits", "noise sd", "± raw", unit, ""],
        [_costs(item) for item in found.statistics],
    )
    emit("")
    free = [f"{s.name} off {s.implied_by}" for s in found.statistics if s.implied_by]
    if free:
        _say(f"Free tables are read off larger ones over the same people: {'; '.join(free)}.")
    if any(item.reconciled_with for item in found.statistics):
        _say(
            "± raw is from a table's own numbers; overlapping tables are reconciled when they "
            "are released, which gives the ± above."
        )
    _say(
        f"A sealed report has {found.report_bytes:,} bytes, {found.num_bits} bits"
        + (f"; the folder grows to {_size(found.folder_bytes)}" if found.folder_bytes else "")
        + f". {_times(found)}"
    )
    _say(found.noise)
    _say(f"The round costs {found.round_cost}; the campaign can pay for {found.rounds} of them.")
    emit("")
    for line in found.promise:
        _say(line)
    for item in found.statistics:
        _show_merging(item)


def _surely(found: Forecast) -> str:
    most = max(item.difference_surely for item in found.statistics)
    return f"{math.ceil(100 * most) / 100:.2f}"


def _say(text: str) -> None:
    """Write a sentence to stdout, broken at 80 columns."""
    indent = " " * (len(text) - len(text.lstrip(" ")))
    emit(textwrap.fill(text, 80, subsequent_indent=indent, break_on_hyphens=False))


def _size(num_bytes: int) -> str:
    return f"{num_bytes:,} bytes" if num_bytes < 10**6 else f"{num_bytes / 10**6:,.1f} MB"


def _times(found: Forecast) -> str:
    line = (
        f"Sealing takes about {found.seal_ms:.0f} ms, checking about {found.verify_ms:.1f} ms "
        "a report and core"
    )
    if found.reports is None:
        return line + "."
    seconds = found.reports * found.verify_ms / 1000
    whole = f"{max(1, seconds):.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} minutes"
    return f"{line}: {whole} for all of them."


def _shows(item: StatisticForecast) -> list[str]:
    if item.kind == "mean":
        share = _span(item.margin_units, item.margin_units_most, item.unit, digits=2)
        differ = _span(item.difference_units, item.difference_units_most, item.unit, digits=2)
    else:
        share = _span(item.margin_points, item.margin_points_most)
        differ = _span(item.difference_points, item.difference_points_most)
        if not differ and item.people is not None and len(item.figures) > 1:
            differ = "none"
        elif item.people is None and item.difference is not None:
            differ = f"{item.difference:,.0f} people"
    return [
        item.name,
        f"{item.cells:,}",
        "" if item.people is None else f"{item.people:,.0f}",
        f"{item.margin:,.0f}",
        share,
        differ,
        "" if item.people is None else f"{item.hopeless:,}" if item.hopeless else "-",
    ]


def _span(middle: float | None, most: float | None, unit: str = "", digits: int = 1) -> str:
    if middle is None:
        return ""
    first = _number(middle, digits)
    last = "none" if most is None else _number(most, digits)
    return f"{first if first == last else f'{first}-{last}'} {unit}".rstrip()


def _number(value: float, digits: int) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.{digits}f}"


def _costs(item: StatisticForecast) -> list[str]:
    how = "free" if item.implied_by is not None else ""
    if not how and item.reconciled_with:
        how = "reconciled"
    return [
        item.name,
        item.kind,
        str(item.bits),
        f"{item.released_sd:.1f}",
        f"{item.margin_raw:,.0f}",
        f"{float(item.cost.amount):.4f}",
        how,
    ]


def _show_merging(item: StatisticForecast) -> None:
    merging = item.merging
    if merging is None:
        return
    what = "groups" if item.kind == "mean" else "cells"
    emit("")
    _say(f"{item.name}: {item.hopeless} of {item.cells} {what} would drown.")
    if merging.toml:
        left = f"; {merging.hopeless} of them still drown" if merging.hopeless else ""
        _say(
            f"  Merged like this there are {merging.cells}, each ± {merging.margin:,.0f} people"
            f"{left}. These are neighbours in the plan; choose others if they belong together:"
        )
        emit("\n".join(f"    {line}" for line in merging.toml.split("\n")))
    else:
        _say("  No merging of labels helps: cross fewer fields, or leave it out.")
    if merging.reports is not None:
        _say(f"  Or hear from about {merging.reports:,} people, spread alike.")


def show_answer(answer: Answer, plan: Plan, reports: int | None) -> None:
    """Write to stdout what wanted accuracies would take."""
    from grievance.planner.words import answer_in_words

    emit("")
    for line in answer_in_words(answer, plan, reports):
        _say(line)

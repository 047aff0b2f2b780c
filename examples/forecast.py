"""The planner's forecast beside what a real release then gave.

    python examples/forecast.py osmi [--sample N] [--data PATH] [--keep DIR]
    python examples/forecast.py census --sample 4000

The forecast is made first, from the plan and the numbers of people under each answer, as a
coalition that knows its members could give them. Then the round is held, and every released
figure is laid beside its forecast and beside the exact answer.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import math
import statistics
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from common import Example, _folder  # noqa: E402
from exact import read_rows  # noqa: E402

from grievance.cli.output import errors_to_words, table  # noqa: E402
from grievance.plan import NOT_ANSWERED, NumberField, load_plan  # noqa: E402
from grievance.planner import forecast  # noqa: E402
from grievance.planner.expected import reach  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from exact import Check, Row

    from grievance.plan import Plan
    from grievance.planner import Forecast, StatisticForecast
    from grievance.release import Release

HEADERS = ["statistic", "cells", "± people", "released", "± share", "released", "inside", "rms/sd"]


def numbers_by_group(plan: Plan, rows: Sequence[Row]) -> dict[str, dict[str, float]]:
    """Return how many rows give each answer, by field."""
    found: dict[str, dict[str, float]] = {}
    for name, field in plan.fields.items():
        if isinstance(field, NumberField) and not field.bands:
            continue
        counts: Counter[str] = Counter()
        for row in rows:
            counts.update(_answers(field, row[name]))
        known = field.band_labels if isinstance(field, NumberField) else field.choices
        blank = () if field.required else (NOT_ANSWERED,)
        found[name] = {label: counts[label] for label in (*known, *blank)}
    return found


def _answers(field: Any, cell: str) -> list[str]:
    if not cell:
        return [NOT_ANSWERED]
    if isinstance(field, NumberField):
        bands = [at for at, edge in enumerate(field.bands[:-1]) if float(cell) >= edge]
        return [field.band_labels[bands[-1]]]
    return [label for label in cell.split(";") if label in field.choices]


def lines(found: Forecast, release: Release, checks: Iterable[Check]) -> list[list[str]]:
    """Return a line for each statistic: forecast margins, released margins, errors."""
    errors: dict[str, list[Check]] = {}
    for check in checks:
        if check.own_noise:
            errors.setdefault(check.statistic, []).append(check)
    return [_line(item, release, errors.get(item.name, [])) for item in found.statistics]


def _line(item: StatisticForecast, release: Release, checks: Sequence[Check]) -> list[str]:
    figures = release[item.name].cells()
    if item.kind == "mean":
        pairs = [
            (cell.units, reach(figure, item.span))
            for cell, figure in zip(item.figures, figures, strict=True)
            if cell.units is not None and not cell.hopeless
        ]
        people = ["", ""]
    else:
        shares = release[item.name].shares()
        pairs = [
            (cell.points, 100 * reach(share, 1.0))
            for cell, share in zip(item.figures, shares, strict=True)
            if cell.points is not None and share is not None and not cell.hopeless
        ]
        people = [f"{item.margin:.1f}", f"{figures[0].margin:.1f}"]
    middle = [f"{statistics.median(side):.2f}" for side in zip(*pairs, strict=True)]
    inside = sum(check.inside for check in checks)
    rms = math.sqrt(
        statistics.fmean(
            [((c.low + c.high) / 2 - c.exact) ** 2 / ((c.high - c.low) / 3.92) ** 2 for c in checks]
        )
        if checks
        else 0.0
    )
    judged = [f"{inside}/{len(checks)}", f"{rms:.2f}"] if checks else ["", ""]
    return [item.name, f"{item.cells}", *people, *(middle or ["", ""]), *judged]


def load(name: str) -> Example:
    """Return the example of that name."""
    path = HERE / name / "run.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise SystemExit(f"there is no example {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Example = module.EXAMPLE
    return found


def main(words: Sequence[str]) -> int:
    """Forecast, hold the round, compare. Returns the exit code."""
    if not words or words[0].startswith("-"):
        raise SystemExit("name an example: osmi or census")
    example = load(words[0])
    typed = example._parser().parse_args(words[1:])
    with errors_to_words(), _folder(typed.keep) as folder:
        source, answers = example._find(typed, folder)
        plan, rows = load_plan(example.coalition.plan), read_rows(source)
        aggregators = len(example.coalition.aggregators)
        groups = numbers_by_group(plan, rows)
        found = forecast(plan, len(rows), aggregators, by_group=groups)
        with contextlib.redirect_stdout(io.StringIO()):
            checks, outcome = example.run(source, answers, folder / "round", typed.workers)
    print(f"\n{len(rows):,} people: the forecast beside the release, margins of 95 %\n")
    right = tuple(range(1, len(HEADERS)))
    print(table(HEADERS, lines(found, outcome.release, checks), right=right))
    print(
        "\nMargins are of the cell in the middle; shares in percentage points, means in their unit,"
        "\nof cells that were not forecast to drown."
        "\nInside: exact answers in the released interval, of figures with noise of their own."
        "\nrms/sd: the errors of those beside the noise they were said to have; about 1."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

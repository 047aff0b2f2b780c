"""The tables of docs/steward/how-many.md: what the planner says of coalitions of several sizes.

`python tests/docs/how_many.py` writes them into the page; a test holds them near the planner.
"""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

from grievance.plan import Plan, new_plan
from grievance.planner import fit, forecast
from grievance.planner.model import StatisticForecast

PAGE = Path(__file__).parents[2] / "docs" / "steward" / "how-many.md"
SIZES = (60, 200, 600, 2000)
HEAD = (
    "| table | cells | people in each | ± people | ± share or mean | differ | drown if uneven |\n"
    "|---|---|---|---|---|---|---|"
)
_DAYS = {"opens": date(2026, 10, 1), "closes": date(2026, 12, 20)}


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "none shows"
    return f"{value:.1f} {unit}"


def _row(item: StatisticForecast) -> str:
    mean = item.kind == "mean"
    share = item.margin_units_most if mean else item.margin_points_most
    differ = item.difference_units if mean else item.difference_points
    unit = item.unit if mean else "points"
    return (
        f"| `{item.name}` | {item.cells} | {item.people:.0f} | {math.ceil(item.margin)} "
        f"| {_figure(share, unit)} | {_figure(differ, unit)} | {item.hopeless_uneven} |"
    )


def section(size: int) -> str:
    """What the page says of so many people, between its marks."""
    plan = Plan.from_toml(new_plan("A plan", "a-plan", **_DAYS, shape=fit(size).shape))
    found = forecast(plan, size)
    noise = {"gaussian": "Gaussian", "laplace": "Laplace"}[found.mechanism]
    rows = "\n".join(_row(item) for item in found.statistics)
    return (
        f"{noise} noise; the campaign's lifetime pays for {found.rounds} such rounds.\n\n"
        f"{HEAD}\n{rows}"
    )


def marks(size: int) -> tuple[str, str]:
    """The lines of the page between which `section` stands."""
    return f"<!-- planner: {size} -->\n", f"\n<!-- end: {size} -->"


def written(text: str) -> str:
    """The page with what the planner says now."""
    for size in SIZES:
        begin, end = marks(size)
        before, rest = text.split(begin)
        text = before + begin + section(size) + end + rest.split(end, 1)[1]
    return text


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

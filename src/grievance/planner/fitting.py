"""A plan to start from that shows something with so many reports.

Shapes are tried from the richest to the plainest, and the first is taken in which nothing drowns
even where every answer is given by half as many people as an even spread says; where there is
none such, the first in which nothing drowns in an even spread. Whatever is written was forecast.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Final

from grievance.errors import UsageError
from grievance.plan import Plan, limits, new_plan
from grievance.plan.template import MAX_GROUPS, Shape
from grievance.planner.forecast import forecast

if TYPE_CHECKING:
    from collections.abc import Iterator

USUAL: Final = 300
"""So many reports are expected where nobody says how many."""

_ALL: Final = ("problems", "unpaid_hours", "unpaid_hours_spread")
_TABLES: Final = (_ALL, ("problems", "unpaid_hours"), ("problems",))
_ALONE: Final = (_ALL, ("problems", "unpaid_hours_spread"), ("problems",), ("worse",))
_GROUPS: Final = (6, 4, 3, 2)
_DAYS: Final = {"opens": date(2026, 1, 1), "closes": date(2026, 2, 1)}


@dataclass(frozen=True)
class Fitted:
    """A shape for so many reports.

    Attributes:
        shape: It.
        green: Whether no cell drowns in an even spread.
        steady: Whether none does with half as many people either.
    """

    shape: Shape
    green: bool
    steady: bool


def fit(reports: int = USUAL, groups: int | None = None, aggregators: int = 2) -> Fitted:
    """Return the richest shape for so many reports; with `groups` one by so many, if any does.

    Raises UsageError for counts that cannot be.
    """
    if groups is not None and not 2 <= groups <= MAX_GROUPS:
        raise UsageError(f"a plan to start from has 2 to {MAX_GROUPS} groups")
    least = min(50, max(limits.MIN_REPORTS, reports // 2))
    by_group = list(_by_group(least, (groups,) if groups else _GROUPS))
    alone = [Shape(0, tables, least) for tables in _ALONE]
    # Who asks for groups rather has them on an even spread than not at all.
    tries = (
        [(by_group, True), (by_group, False), (alone, True), (alone, False)]
        if groups
        else [([*by_group, *alone], True), ([*by_group, *alone], False)]
    )
    for shapes, steady in tries:
        for shape in shapes:
            if _green(shape, reports // 2 if steady else reports, aggregators):
                return Fitted(shape, green=True, steady=steady)
    return Fitted(alone[-1], green=False, steady=False)


def _by_group(least: int, groups: tuple[int, ...]) -> Iterator[Shape]:
    for tables in _TABLES:
        for number in groups:
            yield Shape(number, tables, least)


def _green(shape: Shape, reports: int, aggregators: int) -> bool:
    if reports < 1:
        return False
    plan = Plan.from_toml(new_plan("A plan", "a-plan", **_DAYS, shape=shape))
    found = forecast(plan, reports, aggregators)
    return not any(statistic.hopeless for statistic in found.statistics)

"""The planner: what a plan would show and cost, and what a wanted accuracy would take.

Nothing here touches answers or noise: forecasts are made from a plan and from guesses about who
will report.
"""

from __future__ import annotations

from grievance.planner.chart import to_svg
from grievance.planner.fitting import Fitted, fit
from grievance.planner.forecast import forecast
from grievance.planner.groups import read_groups
from grievance.planner.last import groups_of, people_of
from grievance.planner.model import CellForecast, Forecast, Merging, StatisticForecast
from grievance.planner.wants import Answer, Want, Wanted, read_want, solve

__all__ = [
    "Answer",
    "CellForecast",
    "Fitted",
    "Forecast",
    "Merging",
    "StatisticForecast",
    "Want",
    "Wanted",
    "fit",
    "forecast",
    "groups_of",
    "people_of",
    "read_groups",
    "read_want",
    "solve",
    "to_svg",
]

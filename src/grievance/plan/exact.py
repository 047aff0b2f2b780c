"""How exact a plan's numbers will be, and of how few people they say nothing, in words.

It follows from the plan alone, so that everybody who consents, and every worker, reads it. The
figures are of a table's own numbers: overlapping tables are reconciled, which is never worse.
`grievance.planner` forecasts the same, and more, for an expected number of people.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grievance.plan.labels import NOT_ANSWERED
from grievance.plan.ticks import UNITS

if TYPE_CHECKING:
    from grievance.plan.budget import RoundBudget
    from grievance.plan.parts import StatisticLayout

_IN_19_OF_20 = 1.96  # standard deviations; of a sum of two Laplace draws a little less


def noise_factor(statistic: StatisticLayout) -> float:
    """How many times the noise of one coordinate a published count has, before sums.

    Of ticks a count is (T + a * answered) / 64, and T has t times the noise.
    """
    return math.hypot(*statistic.centre) / UNITS if statistic.multi is not None else 1.0


def about_margin(statistic: StatisticLayout, found: RoundBudget, aggregators: int) -> int:
    """About how many people a published count may be off by, in 19 of 20 cases."""
    given = found.allocations[statistic.implied_by or statistic.name]
    variance = float(given.variance) * aggregators * statistic.parts[-1].terms
    return math.ceil(_IN_19_OF_20 * math.sqrt(variance) * noise_factor(statistic))


def people_needed(statistic: StatisticLayout, margin: int) -> int:
    """From how many people on, spread evenly, every cell is more than noise."""
    sizes = [len([x for x in axis.labels if x != NOT_ANSWERED]) for axis in statistic.axes]
    return margin * math.prod(sizes)


def exactness(statistic: StatisticLayout, found: RoundBudget, aggregators: int) -> str:
    """Say how exact a statistic will be, and from how many people on it says something."""
    margin = about_margin(statistic, found, aggregators)
    if statistic.kind == "mean":
        line = (
            f"Noise may move the number of people behind each mean by about {margin:,}: of fewer "
            "it says nothing."
        )
    else:
        line = f"Noise may move each number by about {margin:,}: smaller ones say nothing."
    needed = people_needed(statistic, margin)
    if needed == margin:
        return line
    return (
        f"{line} Spread evenly, it takes about {needed:,} people before every one says something."
    )


def silence(layouts: list[StatisticLayout], found: RoundBudget, aggregators: int) -> int:
    """Below about how many people nothing of a plan says something, spread evenly."""
    return min(people_needed(s, about_margin(s, found, aggregators)) for s in layouts)

"""What a round may cost, what it does cost, and which mechanism its noise follows.

Everything here is computed from the plan alone, exactly and alike on every machine, because
every party computes it again.

A plan's `mechanism` is "gaussian", "laplace" or "auto". "auto" stands for the one with less
expected squared error for this plan, weighted by importance (`privacy.weighted_error`); ties go
to the Gaussian. Only a campaign's first plan may say it: what it was resolved to is in the task,
and holds for all rounds that follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING, Final

from grievance.cost import Cost
from grievance.errors import PrivacyError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.plan.layout import Layout
    from grievance.plan.model import Plan
    from grievance.plan.parts import StatisticLayout
    from grievance.privacy import Allocation, Mechanism

AUTO: Final = "auto"


@dataclass(frozen=True)
class RoundBudget:
    """Budget, noise and cost of one round of a plan with one mechanism.

    Attributes:
        mechanism: "gaussian" or "laplace"; never "auto".
        layout: The plan's, for that mechanism.
        budget: What the round's epsilon (and delta) allow.
        lifetime: What the campaign's allow.
        allocations: Noise and cost of every charged statistic, in the plan's order.
        cost: The sum of their costs; at most `budget`.
        blanked: What the round costs when reports are only ever blanked, a weaker promise.
        error: Expected squared error, weighted by importance; compares the mechanisms.
    """

    mechanism: Mechanism
    layout: Layout = field(compare=False)
    budget: Cost
    lifetime: Cost
    allocations: Mapping[str, Allocation]
    cost: Cost
    blanked: Cost
    error: Fraction

    @property
    def rounds(self) -> int:
        """How many such rounds the campaign can pay for."""
        return int(self.lifetime.amount / self.cost.amount)


def budget_with(plan: Plan, layout: Layout, mechanism: Mechanism) -> RoundBudget:
    """Return what a plan's round costs with one mechanism, whatever the plan says.

    Raises PrivacyError when none of its noise keeps the budget.
    """
    from grievance.privacy import budget_for, split, weighted_error

    layout = layout.under(mechanism)
    terms, shapes = plan.privacy, layout.shapes()
    budget = budget_for(mechanism, terms.epsilon, terms.delta)
    allocations = split(shapes, budget, terms.reports_per_worker)
    costs = [given.cost for given in allocations.values()]
    weaker = [blanked_cost(layout.statistics[name], given) for name, given in allocations.items()]
    return RoundBudget(
        mechanism=mechanism,
        layout=layout,
        budget=budget,
        lifetime=budget_for(mechanism, terms.lifetime_epsilon, terms.delta),
        allocations=allocations,
        cost=sum(costs, Cost.zero(budget.kind)),
        blanked=sum(weaker, Cost.zero(budget.kind)),
        error=weighted_error(shapes, allocations),
    )


def round_budget(plan: Plan, layout: Layout) -> RoundBudget:
    """Return what follows from a plan about budget and noise. `layout` is the plan's.

    Raises PrivacyError when no noise keeps the budget.
    """
    if plan.privacy.mechanism != AUTO:
        return budget_with(plan, layout, plan.privacy.mechanism)
    gaussian = budget_with(plan, layout, "gaussian")
    laplace = budget_with(plan, layout, "laplace")
    return laplace if laplace.error < gaussian.error else gaussian


def blanked_cost(statistic: StatisticLayout, given: Allocation) -> Cost:
    """Return what a charged statistic costs when a report is only ever exchanged for a blank one.

    The cost is proportional to the squared L2 or to the L1 sensitivity, which is all that the
    weaker relation changes.
    """
    from grievance.privacy import COUNT_BLANKED, MEAN_BLANKED, noise_of

    noise = noise_of(given.mechanism)
    if statistic.tick_table is not None:
        weaker = statistic.tick_table.blanked(*statistic.centre, noise.norm)
    else:
        weaker = Fraction(MEAN_BLANKED if statistic.kind == "mean" else COUNT_BLANKED)
    part = weaker / noise.sensitivity(statistic)
    return Cost(given.cost.kind, given.cost.amount * part)


def noise_in_words(plan: Plan, layout: Layout, found: RoundBudget) -> str:
    """Say which noise a plan gets, and how the other mechanism compares."""
    from grievance.privacy import GAUSSIAN, LAPLACE, noise_of

    noise = noise_of(found.mechanism)
    other = LAPLACE if noise is GAUSSIAN else GAUSSIAN
    auto = ', taken by mechanism = "auto"' if plan.privacy.mechanism == AUTO else ""
    line = f"The noise is {noise.in_words}{auto}."
    try:
        instead = budget_with(plan, layout, other.name)
    except PrivacyError:
        return f"{line} No {other.in_words} noise could keep this budget."
    ratio = sqrt(instead.error / found.error)
    compared = f"{abs(1 - ratio):.0%} {'less' if ratio < 1 else 'more'}"
    return (
        f"{line} With {other.in_words} it would be {compared}, and the campaign could pay for "
        f"{instead.rounds} such rounds instead of {found.rounds}."
    )

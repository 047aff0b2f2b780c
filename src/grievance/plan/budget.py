"""What a round may cost, what it does cost, and which mechanism its noise follows.

Everything here is computed from the plan alone, exactly and alike on every machine, because
every party computes it again.

A plan's `mechanism` is "gaussian", "laplace" or, as it is left out, "auto". "auto" stands for
Laplace if that is clearly less noise for this plan (`LAPLACE_FROM`) and the campaign's lifetime
pays for the plan's `rounds` with it; for the Gaussian otherwise. It is resolved from a campaign's
first plan alone: what came of it is in the task, and holds for all rounds that follow. So
`grievance round new` writes it into the plan it publishes (`write_mechanism`): consent is to
what stands there, and a later plan has its campaign's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING, Final

from grievance.cost import Cost
from grievance.errors import PlanError, PrivacyError
from grievance.plan.model import Plan

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.plan.layout import Layout
    from grievance.plan.parts import StatisticLayout
    from grievance.privacy import Allocation, Mechanism

AUTO: Final = "auto"
LAPLACE_FROM: Final = Fraction(3, 2)
"""So many times its squared error, weighted by importance, Laplace noise has to stay below the
Gaussian's to be taken: its tails are heavier. At the level of 15 comparisons that compares half
widths, which are what people read."""

_HEADER = re.compile(r"^[ \t]*\[[ \t]*privacy[ \t]*\][ \t]*(?:#.*)?\r?$", re.MULTILINE)


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

    A mechanism that is left open is resolved as that of a campaign's first plan. Raises
    PrivacyError when no noise keeps the budget.
    """
    if plan.privacy.mechanism != AUTO:
        return budget_with(plan, layout, plan.privacy.mechanism)
    gaussian = budget_with(plan, layout, "gaussian")
    laplace = _if_any(plan, layout, "laplace")
    return gaussian if laplace is None or _why_not(plan, laplace, gaussian) else laplace


def _if_any(plan: Plan, layout: Layout, mechanism: Mechanism) -> RoundBudget | None:
    """Return `budget_with`; None where none of its noise keeps the budget."""
    try:
        return budget_with(plan, layout, mechanism)
    except PrivacyError:
        return None


def _why_not(plan: Plan, laplace: RoundBudget, gaussian: RoundBudget) -> str:
    """Say why "auto" does not take Laplace noise; empty where it does."""
    if LAPLACE_FROM * laplace.error >= gaussian.error:
        return "discrete Laplace would not be clearly less"
    if laplace.rounds < plan.privacy.rounds:
        return (
            f"with discrete Laplace the campaign could pay for {laplace.rounds} of the "
            f"{plan.privacy.rounds} rounds it is meant to have"
        )
    return ""


def write_mechanism(text: str, mechanism: Mechanism) -> str:
    """Return a plan file with the mechanism that it leaves out, where it has a `[privacy]` header.

    A text of a plan never goes over several lines, so a line that is such a header is one.
    """
    plan = Plan.from_toml(text)
    if plan.privacy.mechanism != AUTO:
        return text
    line = f'mechanism = "{mechanism}"  # written by `grievance round new`: one for all rounds'
    written = _HEADER.sub(lambda found: f"{found[0]}\n{line}", text, count=1)
    try:
        named = Plan.from_toml(written).privacy.mechanism
    except PlanError:  # it says "auto" itself: two such lines are none
        return text
    return written if named == mechanism else text


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
    """Say which noise a plan gets, how the other mechanism compares, and why it was not taken."""
    from grievance.privacy import GAUSSIAN, LAPLACE, noise_of

    noise = noise_of(found.mechanism)
    other = LAPLACE if noise is GAUSSIAN else GAUSSIAN
    line = f"The noise is {noise.in_words}."
    instead = _if_any(plan, layout, other.name)
    if instead is None:
        return f"{line} No {other.in_words} noise could keep this budget."
    ratio = sqrt(instead.error / found.error)
    compared = f"{abs(1 - ratio):.0%} {'less' if ratio < 1 else 'more'}"
    line += (
        f" With {other.in_words} it would be {compared}, and the campaign could pay for "
        f"{instead.rounds} such rounds instead of {found.rounds}."
    )
    if plan.privacy.mechanism != AUTO:
        return line
    why = "it is clearly less and the lifetime pays for the rounds"
    if noise is GAUSSIAN:
        why = _why_not(plan, instead, found)
    return (
        f"{line} The plan leaves the choice open; this is taken because {why}. A campaign has "
        "one kind of noise: a later plan gets that of the first."
    )

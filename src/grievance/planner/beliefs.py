"""What a round, and a whole campaign, may do to somebody's belief about one worker.

The numbers are those of `grievance.privacy.explain`: exact from a pure epsilon, and from a zCDP
cost with the chance that the odds move further.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.plan.decimals import decimal_text
from grievance.plan.fields import MultiField, NumberField
from grievance.privacy.explain import is_useful

if TYPE_CHECKING:
    from decimal import Decimal
    from fractions import Fraction

    from grievance.cost import Cost
    from grievance.plan import Plan
    from grievance.plan.budget import RoundBudget


@dataclass(frozen=True)
class Belief:
    """What a cost may do to a belief of 50 per cent.

    Attributes:
        epsilon: What the odds may change by is e^epsilon.
        delta: The delta it goes with; None where the promise is pure.
        cost: The cost it follows from.
        at_most: What 50 per cent may become: a probability, rounded up to 4 places.
        exception: The chance that it may become more, by bad luck of the noise; 0 if pure.
    """

    epsilon: Fraction
    delta: Fraction | None
    cost: Cost
    at_most: Decimal
    exception: Decimal

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings."""
        return {
            "epsilon": decimal_text(self.epsilon),
            "delta": None if self.delta is None else decimal_text(self.delta),
            "cost": self.cost.to_json(),
            "before": "0.5",
            "at_most": f"{self.at_most:f}",
            "exception": f"{self.exception:f}",
        }


def believe(plan: Plan, found: RoundBudget) -> dict[str, Belief]:
    """Return the beliefs after "round" and after "lifetime"."""
    from grievance.privacy import posterior_bound, surprise_bound

    terms = plan.privacy
    beliefs = {}
    for name, epsilon, cost in (
        ("round", terms.epsilon, found.cost),
        ("lifetime", terms.lifetime_epsilon, found.lifetime),
    ):
        pure = cost.kind == "pure"
        beliefs[name] = Belief(
            epsilon=epsilon,
            delta=None if pure else terms.delta,
            cost=cost,
            at_most=posterior_bound(epsilon),
            exception=surprise_bound(cost.amount * 0 if pure else cost.amount, epsilon),
        )
    return beliefs


def beliefs_in_words(plan: Plan, beliefs: dict[str, Belief]) -> tuple[str, ...]:
    """Say it to a worker, with an answer of this plan as the example."""
    once, always = beliefs["round"], beliefs["lifetime"]
    said = (
        f"Someone who thought it 50% likely that {_example(plan)} can move to at most "
        f"{_percent(once.at_most)} by what this round publishes, even if they know everybody "
        f"else's answers; by all rounds of the campaign together, to at most "
        f"{_percent(always.at_most)}."
    )
    lines = [said]
    if once.exception and is_useful(once.exception) and is_useful(always.exception):
        lines.append(
            f"By bad luck of the noise it can be more: with a chance of at most "
            f"{_odds(once.exception)} for the first limit and {_odds(always.exception)} for the "
            "second, for any one worker."
        )
    elif once.exception:
        # An epsilon that is small beside delta: 0.01 and 1e-3 give a chance of one half.
        first, second = (
            f"with a chance of at most {_odds(one.exception)}"
            if is_useful(one.exception)
            else "with a chance on which this epsilon and delta put no useful limit"
            for one in (once, always)
        )
        lines.append(
            f"By bad luck of the noise it can be more than the first limit {first}, and more than "
            f"the second {second}, for any one worker."
        )
    return tuple(lines)


def _example(plan: Plan) -> str:
    choices = [field for field in plan.fields.values() if not isinstance(field, NumberField)]
    several = [field for field in choices if isinstance(field, MultiField)]
    if not choices:
        return "you gave a certain number"
    field = (several or choices)[0]
    return f'you answered "{field.choices[0]}" to "{field.question}"'


def _percent(probability: Decimal) -> str:
    return f"{(probability * 100).normalize():f}%"


def _odds(chance: Decimal) -> str:
    one_in = int(1 / chance)
    return f"1 in {one_in:,}" if one_in < 10**12 else "1 in a million million"

"""The privacy statement of a release, computed and worded a second time.

A release.json tells people what it means for them, in a few sentences with numbers in them. The
sentences are a part of the format, and `grievance.privacy.explain` writes them; here they are
written again, with numbers that come from `grievance.audit.accounting` and from one formula
each, so that words that promise more than the noise keeps are seen.

Odds between two sets of answers change by a factor of at most e^epsilon. For a cost of zCDP that
has exceptions, of a chance of at most exp(-(epsilon - rho)^2 / (4 rho)). Source of the second:
Bun and Steinke 2016 (arXiv 1605.02065), the argument for Proposition 1.3.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from grievance.audit import accounting

if TYPE_CHECKING:
    from grievance.cost import Cost

_EXACT: Final = Context(prec=60)
_EPSILON_UNITS: Final = 10**9
_LARGEST_EPSILON: Final = 10**6
_ONE_IN_TEN: Final = Decimal("0.1")
_TOO_LONG: Final = 10**12
_BLANK: Final = "That a report was a real one and not a blank one is hidden"


def statement(epsilon: Fraction, delta: Fraction, cost: Cost, blanked: Cost) -> list[str]:
    """Return the lines of `privacy.statement` for a round of this cost.

    `blanked` is what it costs when reports are only ever blanked.
    """
    with localcontext(_EXACT):
        highest = _belief(epsilon, Fraction(1, 2))
        least = _percent(1 - highest)
        lines = [
            "What is published is nearly as likely whatever one worker answered, or left blank.",
            "Take someone who knows the answers of everybody else, and thinks it 50% likely that",
            "a worker gave a certain answer.",
            f"Afterwards they are between {least} and {_percent(highest)} sure of it.",
        ]
        for percent in (1, 10, 90):
            most = _percent(_belief(epsilon, Fraction(percent, 100)))
            lines.append(f"  From {percent}% they can go up to {most} at most.")
        lines += (_with_exceptions if cost.kind == "zcdp" else _without_exceptions)(
            epsilon, delta, cost.amount, blanked.amount
        )
    lines.append(
        "It holds for all reports that the plan allows one worker in this round together, and "
        "against everyone except all aggregators in league."
    )
    return lines


def _with_exceptions(
    epsilon: Fraction, delta: Fraction, rho: Fraction, blanked: Fraction
) -> list[str]:
    numbers = (
        f"In numbers: epsilon {_rounded_up(epsilon)} and delta {_rounded_up(delta)}, by a zCDP "
        f"cost of rho {_rounded_up(rho)}; the noise is discrete Gaussian."
    )
    if blanked >= rho:
        return [_exceptions(rho, epsilon), numbers, f"{_BLANK} equally well."]
    weaker = _rounded_up(least_epsilon(blanked, delta))
    better = f"{_BLANK} better: epsilon {weaker} at the same delta, rho {_rounded_up(blanked)}."
    return [_exceptions(rho, epsilon), numbers, better]


def _without_exceptions(
    epsilon: Fraction, _delta: Fraction, spent: Fraction, blanked: Fraction
) -> list[str]:
    factor = _upwards(4).plus(_decimal(epsilon).exp())
    numbers = (
        f"In numbers: epsilon {_rounded_up(epsilon)}, of which {_rounded_up(spent)} is used; the "
        "noise is discrete Laplace. The odds between any two sets of answers change by a factor "
        f"of at most e^epsilon, {factor:f}. There is no delta: the plan's is not used."
    )
    better = f"better: epsilon {_rounded_up(blanked)}" if blanked < spent else "equally well"
    return ["This holds without exception.", numbers, f"{_BLANK} {better}."]


def _exceptions(rho: Fraction, epsilon: Fraction) -> str:
    """How often the limit does not hold: the chance rounded up, and then 1 in so many down."""
    chance = Decimal(1)
    if epsilon > rho:
        chance = _upwards(3).plus((-_decimal((epsilon - rho) ** 2 / (4 * rho))).exp())
    if chance >= _ONE_IN_TEN:
        return "For this epsilon and delta no useful limit can be put on the exceptions."
    one_in = Context(prec=2, rounding=ROUND_FLOOR).divide(Decimal(1), chance)
    often = f"{int(one_in):,}" if one_in < _TOO_LONG else f"{one_in:.1E}"
    return (
        f"By bad luck of the noise it can be more, with a chance of at most 1 in {often} "
        "for any one worker."
    )


def least_epsilon(rho: Fraction, delta: Fraction) -> Fraction:
    """Return the least multiple of 10^-9 that a cost of `rho` is proved to keep with `delta`.

    It is at least one: no plan can promise so little that a round of it would keep 0.
    """
    low, high = 0, _LARGEST_EPSILON * _EPSILON_UNITS
    while high - low > 1:
        middle = (low + high) // 2
        if accounting.keeps(rho, Fraction(middle, _EPSILON_UNITS), delta):
            high = middle
        else:
            low = middle
    return Fraction(high, _EPSILON_UNITS)


def _belief(epsilon: Fraction, before: Fraction) -> Decimal:
    """The most that a belief can become, rounded up to 4 places."""
    odds = _decimal(before / (1 - before)) * _decimal(epsilon).exp()
    return (odds / (1 + odds)).quantize(Decimal("0.0001"), rounding=ROUND_CEILING)


def _percent(belief: Decimal) -> str:
    return f"{(100 * belief).normalize():f}%"


def _rounded_up(value: Fraction) -> str:
    """Four digits for people, never too few."""
    return f"{_upwards(4).plus(_decimal(value)).normalize():f}"


def _upwards(digits: int) -> Context:
    return Context(prec=digits, rounding=ROUND_CEILING)


def _decimal(value: Fraction) -> Decimal:
    return _EXACT.divide(Decimal(value.numerator), Decimal(value.denominator))

"""The privacy promise in words and numbers, for the people it is made to. Plain text only.

*Belief.* Whoever knows everything but one worker's answers can move the odds between any two
sets of answers of that worker by a factor of at most e^epsilon. With discrete Laplace noise,
whose cost is a pure epsilon, that is the whole promise, and it has no exceptions.

*Surprise.* With discrete Gaussian noise, whose cost is a rho of zCDP, it holds except with a
small chance. That chance is not delta: delta is an average in which a loss slightly above
epsilon counts little. The chance that the odds move towards the truth by more than e^epsilon is
at most exp(-(epsilon - rho)^2 / (4 rho)), the larger number, and it is the one that is printed.

*Outsiders.* Every aggregator adds the whole noise, and the promise counts that of one alone: the
others may know theirs. For somebody who knows nobody's noise all of it counts. A sum of n discrete
Gaussians is one of n times the variance but for errors that cannot be seen from a sigma of 2 on
(Kairouz, Liu, Steinke 2021, arXiv 2102.06387, Theorem 1), so the cost is rho / n. The sum of
Laplace draws has no smaller epsilon than one.

Source of the second: Bun and Steinke 2016 (arXiv 1605.02065), the argument for Proposition
1.3: Markov's inequality applied to the moments that zCDP bounds. Of the first: the definition
of pure differential privacy, by Bayes' rule.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Final

from grievance.errors import PrivacyError
from grievance.privacy.zcdp import delta_for, epsilon_for

if TYPE_CHECKING:
    from grievance.cost import Cost

_PRIORS: Final = (Fraction(1, 100), Fraction(1, 10), Fraction(9, 10))
_HIGH: Final = Decimal("0.1")
_ASTRONOMIC: Final = 10**12
_SUMS_FROM: Final = 2
_TOOK_PART: Final = "That a report was a real one and not a blank one is hidden"
# Contexts of our own, so that the caller's cannot change a word.
_PLAIN: Final = Context(prec=40, rounding=ROUND_HALF_EVEN)
_FOUR_UP: Final = Context(prec=4, rounding=ROUND_CEILING)
_THREE_UP: Final = Context(prec=3, rounding=ROUND_CEILING)
_TWO_DOWN: Final = Context(prec=2, rounding=ROUND_FLOOR)
_PLACES: Final = Decimal("0.0001")


def _decimal(value: Fraction) -> Decimal:
    return _PLAIN.divide(Decimal(value.numerator), Decimal(value.denominator))


def posterior_bound(epsilon: Fraction, prior: Fraction | float = 0.5) -> Decimal:
    """Return the most that a belief of `prior` can become: a probability, rounded up to 4 places.

    The odds prior / (1 - prior) grow by at most e^epsilon. The other way, a belief can fall to
    no less than 1 - posterior_bound(epsilon, 1 - prior). Raises PrivacyError unless
    epsilon >= 0 and 0 <= prior <= 1.
    """
    if not 0 <= prior <= 1 or epsilon < 0:
        raise PrivacyError("a belief is from 0 to 1, epsilon from 0", code="privacy.range")
    belief = Fraction(prior)
    with localcontext(_PLAIN):
        against = _decimal(1 - belief) * (-_decimal(epsilon)).exp()
        believed = _decimal(belief)
        bound = believed / (believed + against) if believed else Decimal(0)
        return bound.quantize(_PLACES, rounding=ROUND_CEILING)


def odds_bound(epsilon: Fraction) -> Decimal:
    """Return e^epsilon, rounded up to 4 digits. Raises PrivacyError for a negative epsilon."""
    if epsilon < 0:
        raise PrivacyError("epsilon is not negative", code="privacy.range")
    return _FOUR_UP.plus(_PLAIN.next_plus(_PLAIN.exp(_decimal(epsilon))))


def surprise_bound(rho: Fraction, epsilon: Fraction) -> Decimal:
    """Return the chance, rounded up to 3 digits, of odds moving to the truth by over e^epsilon.

    It is exp(-(epsilon - rho)^2 / (4 rho)) for epsilon > rho, and 1 otherwise. Raises
    PrivacyError unless rho >= 0 and epsilon >= 0.
    """
    if rho < 0 or epsilon < 0:
        raise PrivacyError("rho and epsilon are not negative", code="privacy.range")
    if rho == 0:
        return Decimal(0)
    if epsilon <= rho:
        return Decimal(1)
    exponent = _decimal((epsilon - rho) ** 2 / (4 * rho))
    return _THREE_UP.plus(_PLAIN.next_plus(_PLAIN.exp(_PLAIN.minus(exponent))))


def _percent(probability: Decimal) -> str:
    return f"{_PLAIN.normalize(_PLAIN.multiply(probability, Decimal(100))):f}%"


def _exactly(value: Fraction) -> str:
    """Write a number of the plan, which is a decimal."""
    return f"{_PLAIN.normalize(_decimal(value)):f}"


def _number(value: Fraction) -> str:
    """Write a cost so that people can read it: 4 digits, rounded up."""
    return f"{_FOUR_UP.normalize(_decimal(value)):f}"


def is_useful(probability: Decimal) -> bool:
    """Whether a bound on the chance of exceptions says anything worth knowing."""
    return probability < _HIGH


def _one_in(probability: Decimal) -> str:
    one_in = _TWO_DOWN.divide(Decimal(1), probability)
    return f"1 in {int(one_in):,}" if one_in < _ASTRONOMIC else f"1 in {one_in:.1E}"


def _chance(probability: Decimal) -> str:
    if probability == 0:
        return "This holds without exception."
    if not is_useful(probability):
        return "For this epsilon and delta no useful limit can be put on the exceptions."
    return (
        f"By bad luck of the noise it can be more, with a chance of at most {_one_in(probability)} "
        "for any one worker."
    )


def campaign_promise(epsilon: Fraction, delta: Fraction, lifetime: Cost) -> str:
    """Say what all rounds of a campaign together may reveal, exceptions included: one sentence.

    `lifetime` is the cost that the campaign's epsilon and delta allow; a pure one has no delta
    and no exceptions.
    """
    head = (
        "All rounds of the campaign together reveal at most epsilon "
        f"{_exactly(epsilon)} about one worker"
    )
    chance = Decimal(0) if lifetime.kind == "pure" else surprise_bound(lifetime.amount, epsilon)
    if chance == 0:
        return f"{head}."
    head += f" at delta {_exactly(delta)}; by bad luck of the noise more, "
    if not is_useful(chance):
        return f"{head}and for this epsilon and delta no useful limit can be put on that chance."
    return f"{head}with a chance of at most {_one_in(chance)}."


def outsiders_promise(
    epsilon: Fraction, delta: Fraction, cost: Cost, *, aggregators: int, scale: Fraction
) -> str:
    """Say what the noise of all aggregators together keeps, for who is none of them.

    `cost` is that of the round, `scale` the least sigma in it. Empty where there is nothing to
    say: for Laplace noise, for less noise than the sum's law is known for, for one aggregator.
    """
    if cost.kind != "zcdp" or scale < _SUMS_FROM or aggregators < 2:
        return ""
    kept = Fraction(epsilon_for(cost.amount / aggregators, delta))
    return (
        f"For everybody who is no aggregator the noise of all {aggregators} aggregators counts, "
        f"not that of one alone: epsilon {_number(kept)} at the same delta, where "
        f"{_number(epsilon)} is promised. That holds if all of them drew their noise as promised, "
        "and if no state or key of any of them leaks before it is destroyed. Nobody can check that."
    )


def _kept(epsilon: Fraction, delta: Fraction, cost: Cost) -> bool:
    if cost.kind == "pure":
        return cost.amount <= epsilon
    return Fraction(delta_for(cost.amount, epsilon)) <= delta


def _gaussian_lines(
    epsilon: Fraction, delta: Fraction, rho: Fraction, blanked: Fraction | None
) -> list[str]:
    numbers = (
        f"In numbers: epsilon {_number(epsilon)} and delta {_number(delta)}, by a zCDP cost of "
        f"rho {_number(rho)}; the noise is discrete Gaussian."
    )
    lines = [_chance(surprise_bound(rho, epsilon)), numbers]
    if blanked is not None and blanked < rho:
        weaker = Fraction(epsilon_for(blanked, delta))
        lines.append(
            f"{_TOOK_PART} better: epsilon {_number(weaker)} at the same delta, "
            f"rho {_number(blanked)}."
        )
    elif blanked is not None:
        lines.append(f"{_TOOK_PART} equally well.")
    return lines


def _laplace_lines(epsilon: Fraction, spent: Fraction, blanked: Fraction | None) -> list[str]:
    numbers = (
        f"In numbers: epsilon {_number(epsilon)}, of which {_number(spent)} is used; the noise is "
        "discrete Laplace. The odds between any two sets of answers change by a factor of at most "
        f"e^epsilon, {odds_bound(epsilon):f}. There is no delta: the plan's is not used."
    )
    lines = [_chance(Decimal(0)), numbers]
    if blanked is not None and blanked < spent:
        lines.append(f"{_TOOK_PART} better: epsilon {_number(blanked)}.")
    elif blanked is not None:
        lines.append(f"{_TOOK_PART} equally well.")
    return lines


def promise(epsilon: Fraction, delta: Fraction, cost: Cost, *, blanked: Cost | None = None) -> str:
    """Say in plain words what a round of at most `cost` means for one worker.

    The promise is (epsilon, delta) for a cost of zCDP, and epsilon alone for a pure one.
    `blanked` is the cost of the weaker relation, blanking instead of replacing, if it is to be
    printed beside. Several lines of text, the same on every machine. Raises PrivacyError if
    `cost` does not keep the promise, so that none is printed that is not kept.
    """
    if not _kept(epsilon, delta, cost):
        raise PrivacyError("this cost does not keep this promise", code="privacy.promise")
    half = posterior_bound(epsilon)
    least, most = _percent(_PLAIN.subtract(Decimal(1), half)), _percent(half)
    lines = [
        "What is published is nearly as likely whatever one worker answered, or left blank.",
        "Take someone who knows the answers of everybody else, and thinks it 50% likely that",
        "a worker gave a certain answer.",
        f"Afterwards they are between {least} and {most} sure of it.",
    ]
    for prior in _PRIORS:
        before, after = _decimal(prior), posterior_bound(epsilon, prior)
        lines.append(f"  From {_percent(before)} they can go up to {_percent(after)} at most.")
    weaker = None if blanked is None else blanked.amount
    if cost.kind == "zcdp":
        lines += _gaussian_lines(epsilon, delta, cost.amount, weaker)
    else:
        lines += _laplace_lines(epsilon, cost.amount, weaker)
    lines.append(
        "It holds for all reports that the plan allows one worker in this round together, and "
        "against everyone except all aggregators in league."
    )
    return "\n".join(lines)

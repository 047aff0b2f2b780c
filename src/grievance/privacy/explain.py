"""The privacy promise in words and numbers, for the people it is made to. Plain text only.

Two statements are made, and both follow from zCDP.

- *Belief.* Whoever knows everything but one worker's answers can move the odds between any
  two sets of answers of that worker by a factor of at most e^epsilon ...
- *Surprise.* ... except with a small chance. That chance is not delta: delta is an average
  in which a loss slightly above epsilon counts little. The chance that the odds move towards
  the truth by more than e^epsilon is at most exp(-(epsilon - rho)^2 / (4 rho)), the larger
  number, and it is the one that is printed.

Source of the second: Bun and Steinke 2016 (arXiv 1605.02065), the argument for Proposition
1.3: Markov's inequality applied to the moments that zCDP bounds.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, localcontext
from fractions import Fraction
from typing import Final

from grievance.errors import PrivacyError
from grievance.privacy.zcdp import delta_for, epsilon_for

_PRIORS: Final = (Fraction(1, 100), Fraction(1, 10), Fraction(9, 10))
_HIGH: Final = Decimal("0.1")
_ASTRONOMIC: Final = 10**12
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


def _number(value: Fraction) -> str:
    """Write a cost so that people can read it: 4 digits, rounded up."""
    return f"{_FOUR_UP.normalize(_decimal(value)):f}"


def _chance(probability: Decimal) -> str:
    if probability == 0:
        return "This holds without exception."
    if probability >= _HIGH:
        return "For so large a budget no useful limit can be put on the exceptions."
    one_in = _TWO_DOWN.divide(Decimal(1), probability)
    often = f"{int(one_in):,}" if one_in < _ASTRONOMIC else f"{one_in:.1E}"
    return (
        f"By bad luck of the noise it can be more, with a chance of at most 1 in {often} "
        "for any one worker."
    )


def promise(
    epsilon: Fraction, delta: Fraction, rho: Fraction, *, blanked_rho: Fraction | None = None
) -> str:
    """Say in plain words what (epsilon, delta), kept by a cost of `rho`, means for one worker.

    `blanked_rho` is the cost of the weaker relation, blanking instead of replacing, if it is
    to be printed beside. Several lines of text, the same on every machine. Raises PrivacyError
    if `rho` does not keep (epsilon, delta), so that no promise is printed that is not kept.
    """
    if Fraction(delta_for(rho, epsilon)) > delta:
        raise PrivacyError("this rho does not keep this epsilon and delta", code="privacy.promise")
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
    lines.append(_chance(surprise_bound(rho, epsilon)))
    lines.append(
        f"In numbers: epsilon {_number(epsilon)} and delta {_number(delta)}, by a zCDP cost of "
        f"rho {_number(rho)}."
    )
    if blanked_rho is not None:
        weaker = Fraction(epsilon_for(blanked_rho, delta))
        lines.append(
            "That a report was a real one and not a blank one is hidden better: epsilon "
            f"{_number(weaker)} at the same delta, rho {_number(blanked_rho)}."
        )
    lines.append(
        "It holds for all reports that the plan allows one worker in this round together, and "
        "against everyone except all aggregators in league."
    )
    return "\n".join(lines)

"""From rho, in which costs add up, to (epsilon, delta), which people can read, and back.

Rho is a cost of zCDP, and moreover one of Gaussian noise. So there are two conversions, and a
promise is kept if either proves it: that of `grievance.privacy.mills`, which is exact for
Gaussian noise but says nothing for an epsilon beyond its limits, and the one for every mechanism
of zCDP. This is the second:

    delta = inf over alpha > 1 of
            exp((alpha - 1)(alpha * rho - epsilon)) / (alpha - 1) * (1 - 1/alpha)^alpha

Every alpha gives a valid bound. So the search for the best one may be approximate, and only
the evaluation at the alpha found has to be right. The search runs in 30 digits; the
evaluation in 60, every step rounded towards the larger delta. `decimal` rounds ln and exp
correctly, so all results are the same on every machine, as they must be: each party
recomputes the noise of a task from the plan.

With x = alpha - 1 the logarithm of the bound is

    L(x) = x ((1 + x) rho - epsilon) + x ln x - (1 + x) ln(1 + x),

convex in x, linear in rho and in epsilon. `rho_for` and `epsilon_for` therefore solve
L = ln(delta) for the unknown at the current x, move x to the minimum of L there, and repeat:
Newton's method on the lower envelope, which converges from one side.

Source: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy"
(arXiv 2004.00010), Proposition 12 and Corollary 13.
"""

from __future__ import annotations

from decimal import (
    ROUND_CEILING,
    ROUND_FLOOR,
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from grievance.errors import PrivacyError
from grievance.privacy import mills

if TYPE_CHECKING:
    from collections.abc import Callable

RHO_UNITS: Final = 10**9
"""`rho_for` answers in whole multiples of 1/RHO_UNITS."""

MAX_EPSILON: Final = 10**6
MAX_RHO: Final = 10**6
MIN_DELTA: Final = Fraction(1, 10**300)
MAX_DELTA: Final = Fraction(1, 2)


def _context(digits: int, rounding: str) -> Context:
    return Context(
        prec=digits,
        rounding=rounding,
        Emin=-999_999,
        Emax=999_999,
        capitals=1,
        clamp=0,
        flags=[],
        traps=[InvalidOperation, DivisionByZero, Overflow],
    )


_SEARCH: Final = _context(30, ROUND_HALF_EVEN)
_UP: Final = _context(60, ROUND_CEILING)
_DOWN: Final = _context(60, ROUND_FLOOR)
_ORDER: Final = _context(16, ROUND_HALF_EVEN)
_ANSWER: Final = _context(20, ROUND_CEILING)

_ONE: Final = Decimal(1)
_STEP_ENOUGH: Final = Decimal("1e-18")
_GAIN_ENOUGH: Final = Decimal("1e-24")
# Bounds on x = alpha - 1. With at most 16 digits between them, 1 + x is exact in 60.
_MIN_ORDER: Final = Decimal("1e-12")
_MAX_ORDER: Final = Decimal("1e20")
_MAX_STEPS: Final = 200
_EPSILON_STEP: Final = Decimal("1e-9")


def _exact(value: Fraction, what: str, low: int | Fraction, high: int | Fraction) -> Fraction:
    if isinstance(value, bool) or not isinstance(value, int | Fraction):
        raise PrivacyError(f"{what} must be an exact fraction", code="privacy.exact")
    if not low <= value <= high:
        raise PrivacyError(f"{what} is out of range", code="privacy.range")
    return Fraction(value)


def _decimal(value: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(value.numerator), Decimal(value.denominator))


def _slope(rho: Decimal, epsilon: Decimal, x: Decimal) -> Decimal:
    """Return the derivative of L at x, in the search context."""
    return (2 * x + 1) * rho - epsilon - (1 + 1 / x).ln()


def _best_order(rho: Decimal, epsilon: Decimal) -> Decimal:
    """Return about the x = alpha - 1 > 0 that minimises L. Runs in the search context.

    The slope rises with x and is concave, so Newton's method, started where the slope is not
    positive, climbs to the root without passing it.
    """
    x = max((epsilon - rho) / (2 * rho), _ONE)  # to the left of the root, if above 1
    while _slope(rho, epsilon, x) > 0:
        x /= 2
        if x < _MIN_ORDER:
            return _MIN_ORDER
    for _ in range(_MAX_STEPS):
        step = -_slope(rho, epsilon, x) / (2 * rho + 1 / (x * (1 + x)))
        x += step
        if abs(step) <= x * _STEP_ENOUGH or x > _MAX_ORDER:
            break
    return _ORDER.plus(min(max(x, _MIN_ORDER), _MAX_ORDER))


def _log_gain(x: Decimal) -> Decimal:
    """Return (1 + x) ln(1 + x) - x ln x, in the search context."""
    return (1 + x) * (1 + x).ln() - x * x.ln()


def _delta_bound(rho: Fraction, epsilon: Fraction, x: Decimal) -> Decimal:
    """Return an upper bound of the right-hand side at alpha = 1 + x, at most 1.

    `ln` and `exp` are rounded to nearest whatever the context says, so the neighbouring
    number on the safe side is taken.
    """
    alpha = _UP.add(x, _ONE)  # exact: see _MIN_ORDER
    exponent = _UP.subtract(_UP.multiply(alpha, _decimal(rho, _UP)), _decimal(epsilon, _DOWN))
    exponent = _UP.multiply(x, exponent)
    exponent = _UP.add(exponent, _UP.multiply(x, _UP.next_plus(_UP.ln(x))))
    exponent = _UP.subtract(exponent, _DOWN.multiply(alpha, _DOWN.next_minus(_DOWN.ln(alpha))))
    if exponent >= 0:
        return _ONE
    return min(_ONE, _ANSWER.plus(_UP.next_plus(_UP.exp(exponent))))


@lru_cache(maxsize=1024, typed=True)
def delta_for(rho: Fraction, epsilon: Fraction) -> Decimal:
    """Return a delta with which a cost of rho keeps (epsilon, delta), rounded up to 20 digits.

    The smaller of what the two conversions prove. Exact fractions in, 0 <= rho <= MAX_RHO and
    0 <= epsilon <= MAX_EPSILON; PrivacyError else.
    """
    by_zcdp = zcdp_delta(rho, epsilon)
    return min(by_zcdp, _ANSWER.plus(mills.delta_of(rho, epsilon))) if rho else by_zcdp


@lru_cache(maxsize=1024, typed=True)
def zcdp_delta(rho: Fraction, epsilon: Fraction) -> Decimal:
    """Return the delta with which rho-zCDP gives (epsilon, delta), rounded up to 20 digits.

    As `delta_for`, but for every mechanism. The result is never below the infimum, and above it
    by less than one part in 10^18.
    """
    rho = _exact(rho, "rho", 0, MAX_RHO)
    epsilon = _exact(epsilon, "epsilon", 0, MAX_EPSILON)
    if rho == 0:
        return Decimal(0)
    with localcontext(_SEARCH):
        x = _best_order(_decimal(rho, _SEARCH), _decimal(epsilon, _SEARCH))
    return _delta_bound(rho, epsilon, x)


def _keeps(
    rho: Fraction, epsilon: Fraction, delta: Fraction, found: Callable[..., Decimal] = zcdp_delta
) -> bool:
    # 60 digits of delta, cut off, decide as delta itself would: the other side has 20.
    return found(rho, epsilon) <= _decimal(delta, _DOWN)


def _last(first: int, kept: Callable[[int], bool], beyond: int) -> int:
    """Return the last whole number from `first`, by `beyond` at most, up to which all are kept."""
    low, high = first, beyond
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if kept(middle) else (low, middle - 1)
    return low


def _settle(guess: int, kept: Callable[[int], bool], *, towards_kept: int) -> int:
    """Return the last n >= 0 that is kept, going from `guess` by single steps.

    The guess is off by one at most. A plan comes from outside, so the number of steps is
    limited all the same: nothing in it may make a reader loop.
    """
    units = guess
    for _ in range(_MAX_STEPS):
        if not kept(units):
            units += towards_kept
        elif units >= towards_kept and kept(units - towards_kept):
            units -= towards_kept
        else:
            return units
    raise PrivacyError("no exact conversion was found", code="privacy.range")


@lru_cache(maxsize=256, typed=True)
def rho_for(epsilon: Fraction, delta: Fraction) -> Fraction:
    """Return the largest multiple of 1e-9 whose `delta_for` at `epsilon` is at most `delta`.

    Exact fractions in, 0 < epsilon <= MAX_EPSILON and MIN_DELTA <= delta <= MAX_DELTA; PrivacyError
    else, and when even 1e-9 would be too much.
    """
    epsilon = _exact(epsilon, "epsilon", 0, MAX_EPSILON)
    delta = _exact(delta, "delta", MIN_DELTA, MAX_DELTA)
    if epsilon == 0:
        raise PrivacyError("an epsilon of 0 leaves nothing to publish", code="privacy.range")
    with localcontext(_SEARCH):
        target, log_delta = _decimal(epsilon, _SEARCH), _decimal(delta, _SEARCH).ln()
        x, rho = -2 * log_delta / target, Decimal(0)  # there the solution is above 0
        for _ in range(_MAX_STEPS):
            better = (log_delta + target * x + _log_gain(x)) / (x * (1 + x))
            if better <= rho * (1 + _GAIN_ENOUGH):
                break
            rho = better
            x = _best_order(rho, target)
        guess = min(int(rho * RHO_UNITS), MAX_RHO * RHO_UNITS)

    def kept(units: int) -> bool:
        return units <= MAX_RHO * RHO_UNITS and _keeps(Fraction(units, RHO_UNITS), epsilon, delta)

    units = _settle(guess, kept, towards_kept=-1)

    def kept_exactly(units: int) -> bool:
        return _keeps(Fraction(units, RHO_UNITS), epsilon, delta, mills.delta_of)

    most = min(2 * units + RHO_UNITS // 1000, MAX_RHO * RHO_UNITS)
    units = _last(units, kept_exactly, most)
    if units == 0:
        raise PrivacyError(
            "epsilon and delta leave no budget at all", code="privacy.range", hint="raise epsilon"
        )
    return Fraction(units, RHO_UNITS)


@lru_cache(maxsize=256, typed=True)
def epsilon_for(rho: Fraction, delta: Fraction) -> Decimal:
    """Return the least multiple of 1e-9 at which `delta_for` of `rho` is at most `delta`.

    For people: costs are never computed from it. Exact fractions in, 0 <= rho <= MAX_RHO and
    MIN_DELTA <= delta <= MAX_DELTA; PrivacyError else, and for a result beyond MAX_EPSILON.
    """
    rho = _exact(rho, "rho", 0, MAX_RHO)
    delta = _exact(delta, "delta", MIN_DELTA, MAX_DELTA)
    if rho == 0:
        return Decimal(0)
    with localcontext(_SEARCH):
        cost, log_delta = _decimal(rho, _SEARCH), _decimal(delta, _SEARCH).ln()
        x, epsilon = (-log_delta / cost).sqrt(), Decimal(MAX_EPSILON * 10)
        for _ in range(_MAX_STEPS):
            better = (1 + x) * cost - (log_delta + _log_gain(x)) / x
            if better >= epsilon - abs(epsilon) * _GAIN_ENOUGH:
                break
            epsilon = better
            x = _best_order(cost, epsilon)
        guess = max(int(epsilon / _EPSILON_STEP), 0)

    def kept(units: int) -> bool:
        return _keeps(rho, units * Fraction(_EPSILON_STEP), delta)

    units = _settle(guess, kept, towards_kept=1)

    def kept_exactly(fewer: int) -> bool:
        return _keeps(rho, (units - fewer) * Fraction(_EPSILON_STEP), delta, mills.delta_of)

    return _SEARCH.multiply(Decimal(units - _last(0, kept_exactly, units)), _EPSILON_STEP)

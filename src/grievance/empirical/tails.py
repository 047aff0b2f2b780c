"""Tails of the chi-square law.

Plain floats, no dependency. The continued fractions are evaluated by Lentz's method to about
13 digits, which is far finer than anything that is decided here.

Source: Abramowitz and Stegun 6.5.29, 6.5.31.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_TINY = 1e-300
_ENOUGH = 1e-14
_STEPS = 20_000
_HALVINGS = 60


def continued_fraction(first: float, terms: Callable[[int], tuple[float, float]]) -> float:
    """Evaluate first + a1/(b1 + a2/(b2 + ...)), `terms(i)` = (a_i, b_i)."""
    value = first or _TINY
    c, d = value, 0.0
    for step in range(1, _STEPS):
        a, b = terms(step)
        d = b + a * d or _TINY
        c = b + a / c or _TINY
        d = 1 / d
        value *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return value


def bracket(reaches: Callable[[float], bool]) -> tuple[float, float]:
    """Bracket the point of [0, 1] from which on the increasing `reaches` is true."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return low, high


def chi_square_tail(value: float, freedom: float) -> float:
    """Return P[chi-square with `freedom` degrees of freedom > value]."""
    if value <= 0:
        return 1.0
    a, x = freedom / 2, value / 2
    front = a * math.log(x) - x - math.lgamma(a)
    if x < a + 1:
        term = total = 1 / a
        for step in range(1, _STEPS):
            term *= x / (a + step)
            total += term
            if term < total * _ENOUGH:
                break
        return max(0.0, 1 - math.exp(front) * total)
    fraction = continued_fraction(x + 1 - a, lambda i: (-i * (i - a), x + 2 * i + 1 - a))
    return math.exp(front) / fraction


def chi_square_below(value: float, freedom: float) -> float:
    """Return P[chi-square with `freedom` degrees of freedom <= value], small values included."""
    if value <= 0:
        return 0.0
    a, x = freedom / 2, value / 2
    if x >= a + 1:
        return 1 - chi_square_tail(value, freedom)
    front = a * math.log(x) - x - math.lgamma(a)
    term = total = 1 / a
    for step in range(1, _STEPS):
        term *= x / (a + step)
        total += term
        if term < total * _ENOUGH:
            break
    return math.exp(front) * total


def chi_square_quantile(chance: float, freedom: float) -> float:
    """Return the value that chi-square stays below with probability `chance`."""
    top = freedom + 20 * math.sqrt(2 * freedom) + 200
    return top * bracket(lambda x: chi_square_below(x * top, freedom) >= chance)[0]

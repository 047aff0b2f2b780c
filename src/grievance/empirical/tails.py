"""Tails of the binomial, chi-square and Kolmogorov laws, and exact intervals for a proportion.

Plain floats, no dependency. The continued fractions are evaluated by Lentz's method to about
13 digits, which is far finer than anything that is decided here.

Sources: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
of the binomial", Biometrika 26 (1934); Abramowitz and Stegun 6.5.29, 6.5.31, 26.5.8; Kolmogorov
1933 for the limit law of the largest deviation.
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


def _lentz(first: float, terms: Callable[[int], tuple[float, float]]) -> float:
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


def beta_cdf(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function I_x(a, b), a and b positive."""
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_cdf(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x)
    front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) - math.log(a)

    def terms(step: int) -> tuple[float, float]:
        half, odd = divmod(step, 2)
        if odd:
            up = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            up = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        return up, 1.0

    return min(1.0, math.exp(front) / _lentz(1.0, terms))


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """Return P[Binomial(trials, chance) >= hits]."""
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    return beta_cdf(hits, trials - hits + 1, chance)


def _solve(reaches: Callable[[float], bool]) -> tuple[float, float]:
    """Bracket the point of [0, 1] from which on the increasing `reaches` is true."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return low, high


def at_least(hits: int, trials: int, alpha: float) -> float:
    """Return a lower bound on the chance of an event seen `hits` times in `trials`.

    It exceeds the true chance with probability at most `alpha`. Source: Clopper and Pearson.
    """
    if hits == 0:
        return 0.0
    return _solve(lambda chance: binomial_tail(hits, trials, chance) >= alpha)[0]


def at_most(hits: int, trials: int, alpha: float) -> float:
    """Return an upper bound on the chance of an event, wrong with probability at most `alpha`."""
    return 1 - at_least(trials - hits, trials, alpha)


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
    fraction = _lentz(x + 1 - a, lambda i: (-i * (i - a), x + 2 * i + 1 - a))
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
    return top * _solve(lambda x: chi_square_below(x * top, freedom) >= chance)[0]


def kolmogorov_tail(distance: float, trials: int) -> float:
    """Return about P[largest deviation of the empirical from the true distribution > distance].

    The limit law, with Stephens's correction for the sample size. For a discrete law the true
    probability is smaller, so a test that uses this rejects too seldom, never too often.
    """
    root = math.sqrt(trials)
    scaled = (root + 0.12 + 0.11 / root) * distance
    if scaled < 0.2:
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101))
    return min(1.0, max(0.0, 2 * math.fsum(terms)))

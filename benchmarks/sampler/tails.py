"""Tails of the binomial and Kolmogorov laws, and exact intervals for a proportion.

Sources: Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case
of the binomial", Biometrika 26 (1934); Abramowitz and Stegun 26.5.8; Kolmogorov 1933 for the
limit law of the largest deviation.
"""

from __future__ import annotations

import math

from grievance.empirical.tails import bracket, continued_fraction


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

    return min(1.0, math.exp(front) / continued_fraction(1.0, terms))


def binomial_tail(hits: int, trials: int, chance: float) -> float:
    """Return P[Binomial(trials, chance) >= hits]."""
    if hits <= 0:
        return 1.0
    if hits > trials:
        return 0.0
    return beta_cdf(hits, trials - hits + 1, chance)


def at_least(hits: int, trials: int, alpha: float) -> float:
    """Return a lower bound on the chance of an event seen `hits` times in `trials`.

    It exceeds the true chance with probability at most `alpha`. Source: Clopper and Pearson.
    """
    if hits == 0:
        return 0.0
    return bracket(lambda chance: binomial_tail(hits, trials, chance) >= alpha)[0]


def at_most(hits: int, trials: int, alpha: float) -> float:
    """Return an upper bound on the chance of an event, wrong with probability at most `alpha`."""
    return 1 - at_least(trials - hits, trials, alpha)


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

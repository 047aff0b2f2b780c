"""Intervals for what was published: 95 %, two-sided, about the NOISE only.

Every interval of this package answers one question: where may the exact figure of the people
who reported lie, given that aggregators added noise of known size? Who did not report, and how
they would have answered, is another matter (sampling error) and is not in these intervals.

A count or sum of counts as it was released carries whole noise: the half width is the smallest
whole number that has 95 % of it, exactly. A figure reconciled from several tables carries a
weighted sum of draws, whose law is computed too; for Gaussian noise of more than a few units
it is normal. Shares and means are ratios of two noisy figures: Fieller's method, whose coverage
does not depend on the denominator being large, because it tests X - t Y, whose law is known
whatever the ratio t is. Laplace noise has heavier tails than a normal law, and how much heavier
depends on t: the normal quantile is corrected by the excess kurtosis of X - t Y (Cornish and
Fisher). Where the noise hides the denominator it says so and gives the whole range.
Differences of two ratios: the limits of both are combined by the method of variance estimates
recovery (MOVER), with their correlation.

Sources: Fieller, "Some problems in interval estimation", JRSS B 16 (1954); Cornish and Fisher,
"Moments and cumulants in the specification of distributions" (1937); Zou and Donner,
"Construction of confidence limits about effect measures", Stat. Med. 27 (2008), eq. 1, and Zou,
"Toward using confidence intervals to compare correlations" (2007), eq. 7, for correlated ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.privacy.laws import NoiseLaw, combined_margin

if TYPE_CHECKING:
    from collections.abc import Sequence

LEVEL = 0.95
Z = 1.959963984540054  # the 0.975 quantile of the standard normal distribution
_EXACT_BELOW = 8.0  # below this sd, that noise comes in whole numbers matters
_KURTOSIS = (Z**3 - 3 * Z) / 24  # how far one unit of excess kurtosis moves that quantile
_ROUNDS = 4  # of finding the quantile that belongs to a limit


@dataclass(frozen=True)
class Interval:
    """An interval of a ratio. `known` is false when the noise hides the denominator.

    `low` and `high` lie in the range the ratio can have. `raw_estimate`, `raw_low`, `raw_high`
    are the limits before they were cut to that range; differences are built on them.
    """

    estimate: float | None
    low: float
    high: float
    known: bool
    raw_estimate: float
    raw_low: float
    raw_high: float

    @property
    def margin(self) -> float:
        """Return half the width of the interval, which need not be symmetric."""
        return (self.high - self.low) / 2

    def scaled(self, factor: float, offset: float) -> Interval:
        """Return the interval of `factor` * ratio + `offset`, `factor` positive."""
        return Interval(
            estimate=None if self.estimate is None else factor * self.estimate + offset,
            low=factor * self.low + offset,
            high=factor * self.high + offset,
            known=self.known,
            raw_estimate=factor * self.raw_estimate + offset,
            raw_low=factor * self.raw_low + offset,
            raw_high=factor * self.raw_high + offset,
        )


def half_width(parts: Sequence[tuple[NoiseLaw, int, float]]) -> float:
    """Return the least h with P(|noise| <= h) >= 95 %.

    `parts` of the noise: (law, how many independent draws from it, factor).

    An int where the noise is whole. Gaussian noise that is not whole, and has an sd of 8 or
    more, is taken for normal: it is, to 10 digits and more.
    """
    laws = [
        (NoiseLaw(law.mechanism, law.scale, law.draws * count), factor)
        for law, count, factor in parts
    ]
    if not laws:
        return 0
    if len({(law.mechanism, law.scale) for law, _ in laws}) == 1 and all(
        abs(factor) == 1 for _, factor in laws
    ):
        (law, _) = laws[0]
        draws = sum(one.draws for one, _ in laws)
        return NoiseLaw(law.mechanism, law.scale, draws).margin(LEVEL)
    variance = math.fsum(law.variance * factor * factor for law, factor in laws)
    if variance >= _EXACT_BELOW**2 and all(law.mechanism == "gaussian" for law, _ in laws):
        return Z * math.sqrt(variance)
    return combined_margin(laws, LEVEL)


@dataclass(frozen=True)
class PairNoise:
    """The joint noise of a ratio's numerator X and denominator Y.

    `fourth`: cumulants (4, 0), (3, 1), ... (0, 4); zeros for normal noise.
    """

    var_x: float
    var_y: float
    cov: float = 0.0
    fourth: tuple[float, ...] = (0.0,) * 5

    @property
    def widened(self) -> PairNoise:
        """The noise a ratio's limits are computed with.

        Noise is whole numbers. Where its sd is small, the normal quantile can miss up to half
        a unit of it, which costs a ratio three per cent of coverage, so that half is added.
        """
        sd = math.sqrt(self.var_x)
        if not 0 < sd < _EXACT_BELOW:
            return self
        factor = (1 + 0.5 / (Z * sd)) ** 2
        fourth = tuple(one * factor * factor for one in self.fourth)
        return PairNoise(self.var_x * factor, self.var_y * factor, self.cov * factor, fourth)

    def variance(self, t: float) -> float:
        """Return the variance of X - t Y."""
        return self.var_x - 2 * t * self.cov + t * t * self.var_y

    def quantile(self, t: float) -> float:
        """Return which multiple of its sd has 95 % of the noise in X - t Y; t may be inf."""
        if not any(self.fourth):
            return Z
        if math.isinf(t):
            return Z + _KURTOSIS * self.fourth[4] / self.var_y**2
        a, b, c, d, e = self.fourth
        fourth = a - 4 * t * b + 6 * t**2 * c - 4 * t**3 * d + t**4 * e
        variance = self.variance(t)
        return Z + _KURTOSIS * max(0.0, fourth) / variance**2 if variance > 0 else Z


def ratio(x: float, y: float, noise: PairNoise, *, low: float = 0.0, high: float = 1.0) -> Interval:
    """Return Fieller's interval for the ratio of two exact figures, given noisy `x` and `y`.

    `low` and `high` bound what the ratio can be (y >= 0 and low * y <= x <= high * y for every
    possible data). Values outside are cut away. When noise alone has pushed the noisy pair out
    of what is possible, plain Fieller limits shrink to almost nothing at the edge; the interval
    is then widened by that of the nearest possible pair, so it never claims more than the noise
    allows. Unbounded, or a denominator that is not positive: the whole range, `known` false.
    """
    noise = noise.widened
    nearest = _nearest_possible(x, y, noise, low, high)
    sets = [_fieller(px, py, noise) for px, py in {(x, y), nearest}]
    if y <= 0 or any(found is None for found in sets):
        estimate = min(max(x / y, low), high) if y > 0 else None
        return Interval(estimate, low, high, False, (low + high) / 2, low, high)
    limits = [found for found in sets if found is not None]
    raw_low, raw_high = min(lo for lo, _ in limits), max(hi for _, hi in limits)
    value = x / y
    return Interval(
        estimate=min(max(value, low), high),
        low=min(max(raw_low, low), high),
        high=min(max(raw_high, low), high),
        known=True,
        raw_estimate=value,
        raw_low=raw_low,
        raw_high=raw_high,
    )


def _fieller(x: float, y: float, noise: PairNoise) -> tuple[float, float] | None:
    """Solve (x - t y)^2 <= (z sd(X - t Y))^2 for t; None when unbounded.

    z belongs to t, so each limit is found again with the z of the limit found before.
    """
    limit = noise.quantile(math.inf)
    if y <= 0 or y * y <= limit * limit * noise.var_y:
        return None
    found = []
    for side in (0, 1):
        t = x / y
        for _ in range(_ROUNDS if any(noise.fourth) else 1):
            roots = _roots(x, y, noise, noise.quantile(t) ** 2)
            if roots is None:
                return None
            t = roots[side]
        found.append(t)
    return found[0], found[1]


def _roots(x: float, y: float, noise: PairNoise, square: float) -> tuple[float, float] | None:
    a = y * y - square * noise.var_y
    if a <= 0:
        return None
    b = x * y - square * noise.cov
    c = x * x - square * noise.var_x
    # t = x / y always satisfies the inequality, so only rounding can make this negative.
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a


def _nearest_possible(
    x: float, y: float, noise: PairNoise, low: float, high: float
) -> tuple[float, float]:
    """Return the most likely pair with y >= 0 and low * y <= x <= high * y (itself if inside)."""
    if low * y <= x <= high * y and y >= 0:
        return x, y
    var_x, var_y, cov = noise.var_x, noise.var_y, noise.cov
    det = var_x * var_y - cov * cov
    if det <= 0:
        return x, y
    # Least squares on each edge of the cone, in the metric of the noise; the nearer one wins.
    best, shortest = (0.0, 0.0), math.inf
    for edge in (low, high):
        wx = (var_y * edge - cov) / det
        wy = (var_x - cov * edge) / det
        along = max(0.0, (wx * x + wy * y) / (wx * edge + wy))
        dx, dy = x - along * edge, y - along
        distance = (var_y * dx * dx - 2 * cov * dx * dy + var_x * dy * dy) / det
        if distance < shortest:
            best, shortest = (along * edge, along), distance
    return best


def difference(
    first: Interval, second: Interval, *, span: float, correlation: float = 0.0
) -> Interval:
    """Return the interval of `first` - `second`, two ratios whose noise has this correlation.

    `span` is the width of the range of either ratio, so the difference lies in [-span, span].
    If either ratio is not known, neither is the difference.
    """
    estimate: float | None = None
    if first.estimate is not None and second.estimate is not None:
        estimate = first.estimate - second.estimate
    if not (first.known and second.known):
        return Interval(estimate, -span, span, False, 0.0, -span, span)
    middle = first.raw_estimate - second.raw_estimate
    low = middle - _joined(
        first.raw_estimate - first.raw_low, second.raw_high - second.raw_estimate, correlation
    )
    high = middle + _joined(
        first.raw_high - first.raw_estimate, second.raw_estimate - second.raw_low, correlation
    )
    # The cut estimates may differ by less than the raw ones; the interval keeps both.
    if estimate is not None:
        low, high = min(low, estimate), max(high, estimate)
    return Interval(estimate, max(low, -span), min(high, span), True, middle, low, high)


def _joined(first: float, second: float, correlation: float) -> float:
    return math.sqrt(max(0.0, first * first + second * second - 2 * correlation * first * second))


def correlated(cov: float, first: float, second: float) -> float:
    """Return the correlation that belongs to a covariance and two variances."""
    if first <= 0 or second <= 0:
        return 0.0
    return min(1.0, max(-1.0, cov / math.sqrt(first * second)))

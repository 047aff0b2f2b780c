"""Intervals for what was published: 95 %, two-sided, about the NOISE only.

Every interval of this package answers one question: where may the exact figure of the people
who reported lie, given that aggregators added noise of known size? Who did not report, and how
they would have answered, is another matter (sampling error) and is not in these intervals.

Counts and sums of counts carry a sum of discrete Gaussians: the half width is a whole number,
exact for small noise. Shares and means are ratios of two noisy figures: Fieller's method, whose
coverage does not depend on the denominator being large, because it tests X - ratio * Y, which
is Gaussian whatever the ratio. Where the noise hides the denominator it says so and gives the
whole range. Differences of two ratios: the limits of both are combined by the method of
variance estimates recovery (MOVER).

Sources: Fieller, "Some problems in interval estimation", JRSS B 16 (1954); Zou and Donner,
"Construction of confidence limits about effect measures", Stat. Med. 27 (2008), eq. 1;
CKS20 (arXiv 2004.00010), Definition 1 for the discrete Gaussian.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

LEVEL = 0.95
Z = 1.959963984540054  # the 0.975 quantile of the standard normal distribution
_EXACT_BELOW = 8.0  # below this sd, that noise comes in whole numbers matters


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


def noise_sd(sigma: Fraction, draws: int) -> float:
    """Return the sd of a sum of `draws` discrete Gaussians of scale `sigma` (at most that)."""
    return float(sigma) * math.sqrt(draws)


def ratio_variance(sigma: Fraction, draws: int, factor: int = 1) -> float:
    """Return the variance a ratio's interval uses for a sum of draws at `factor` * `sigma`.

    Noise is whole numbers. Where its sd is small, the normal quantile can miss up to half a
    unit of it, which costs a ratio three per cent of coverage, so that half is added.
    """
    sd = factor * noise_sd(sigma, draws)
    if 0 < sd < _EXACT_BELOW:
        sd += 0.5 / Z
    return sd * sd


@lru_cache(maxsize=1024)
def half_width(sigma: Fraction, draws: int) -> int:
    """Return the least whole h with P(|noise| <= h) >= 95 %, noise a sum of `draws` draws.

    `sigma` is the scale of one draw, in the unit of the figure. For large noise the sum is
    normal but for rounding, so the half of a unit that rounding adds is taken off first.
    """
    if draws == 0:
        return 0
    sd = noise_sd(sigma, draws)
    if sd >= _EXACT_BELOW:
        return math.ceil(Z * sd - 0.5)
    pmf = _sum_pmf(float(sigma), draws)
    middle = len(pmf) // 2
    inside, half = pmf[middle], 0
    while inside < LEVEL:
        half += 1
        inside += pmf[middle + half] + pmf[middle - half]
    return half


def _sum_pmf(sigma: float, draws: int) -> list[float]:
    """Return the pmf of a sum of discrete Gaussians, symmetric about the middle entry."""
    reach = math.ceil(10 * sigma) + 1
    weights = [math.exp(-(k * k) / (2 * sigma * sigma)) for k in range(-reach, reach + 1)]
    one = [w / sum(weights) for w in weights]
    total = [1.0]
    for _ in range(draws):
        longer = [0.0] * (len(total) + len(one) - 1)
        for i, left in enumerate(total):
            for j, right in enumerate(one):
                longer[i + j] += left * right
        keep = max(reach, math.ceil(10 * sigma * math.sqrt(draws)) + 1)
        middle = len(longer) // 2
        total = longer[max(0, middle - keep) : middle + keep + 1]
    return total


def ratio(
    x: float,
    y: float,
    *,
    var_x: float,
    var_y: float,
    cov: float = 0.0,
    low: float = 0.0,
    high: float = 1.0,
) -> Interval:
    """Return Fieller's interval for the ratio of two exact figures, given noisy `x` and `y`.

    `low` and `high` bound what the ratio can be (y >= 0 and low * y <= x <= high * y for every
    possible data). Values outside are cut away. When noise alone has pushed the noisy pair out
    of what is possible, plain Fieller limits shrink to almost nothing at the edge; the interval
    is then widened by that of the nearest possible pair, so it never claims more than the noise
    allows. Unbounded, or a denominator that is not positive: the whole range, `known` false.
    """
    nearest = _nearest_possible(x, y, var_x, var_y, cov, low, high)
    sets = [_fieller(px, py, var_x, var_y, cov) for px, py in {(x, y), nearest}]
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


def _fieller(
    x: float, y: float, var_x: float, var_y: float, cov: float
) -> tuple[float, float] | None:
    """Solve (x - t y)^2 <= Z^2 (var_x - 2 t cov + t^2 var_y) for t; None when unbounded."""
    square = Z * Z
    a = y * y - square * var_y
    b = x * y - square * cov
    c = x * x - square * var_x
    if a <= 0 or y <= 0:
        return None
    # t = x / y always satisfies the inequality, so only rounding can make this negative.
    root = math.sqrt(max(0.0, b * b - a * c))
    return (b - root) / a, (b + root) / a


def _nearest_possible(
    x: float, y: float, var_x: float, var_y: float, cov: float, low: float, high: float
) -> tuple[float, float]:
    """Return the most likely pair with y >= 0 and low * y <= x <= high * y (itself if inside)."""
    if low * y <= x <= high * y and y >= 0:
        return x, y
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


def difference(first: Interval, second: Interval, *, span: float) -> Interval:
    """Return the interval of `first` - `second`, two ratios with independent noise.

    `span` is the width of the range of either ratio, so the difference lies in [-span, span].
    If either ratio is not known, neither is the difference.
    """
    estimate: float | None = None
    if first.estimate is not None and second.estimate is not None:
        estimate = first.estimate - second.estimate
    if not (first.known and second.known):
        return Interval(estimate, -span, span, False, 0.0, -span, span)
    middle = first.raw_estimate - second.raw_estimate
    low = middle - math.hypot(
        first.raw_estimate - first.raw_low, second.raw_high - second.raw_estimate
    )
    high = middle + math.hypot(
        first.raw_high - first.raw_estimate, second.raw_estimate - second.raw_low
    )
    # The cut estimates may differ by less than the raw ones; the interval keeps both.
    if estimate is not None:
        low, high = min(low, estimate), max(high, estimate)
    return Interval(estimate, max(low, -span), min(high, span), True, middle, low, high)

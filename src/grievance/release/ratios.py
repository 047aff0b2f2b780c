"""Ratios of two noisy totals, and differences of such ratios: shares and means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.release.cube import covariance_of, pair_noise
from grievance.release.intervals import correlated, difference, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from grievance.release.cube import Total
    from grievance.release.intervals import Interval, PairNoise


@dataclass(frozen=True, eq=False)
class Ratio:
    """`start` + `step` * `top` / `bottom`.

    `top` / `bottom` lies in [`low`, `high`] whatever the exact figures are, and `step` is positive.
    """

    top: Total
    bottom: Total
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0
    start: float = 0.0

    @cached_property
    def noise(self) -> PairNoise:
        """The joint noise of the two totals."""
        return pair_noise(self.top, self.bottom)

    @property
    def interval(self) -> Interval:
        """The figure with its interval."""
        return self.at(self.noise)

    def at(self, noise: PairNoise) -> Interval:
        """Return the interval that it has if its totals have this noise."""
        return self._plain(noise).scaled(self.step, self.start)

    def minus(
        self, other: Ratio, widened: Callable[[PairNoise], PairNoise] = lambda n: n
    ) -> Interval:
        """Return the interval of this figure less another of the same range.

        The two share noise if their tables were reconciled, or are of one table's cells. To
        first order a ratio moves with the noise of top - ratio * bottom, so the correlation of
        those two is the one that counts. `widened` gives the noise for another level than 95 %.
        """
        one, two = (ratio._plain(widened(ratio.noise)) for ratio in (self, other))
        correlation = 0.0
        if one.known and two.known:
            s, t = one.raw_estimate, two.raw_estimate
            covariance = (
                covariance_of(self.top, other.top)
                - s * covariance_of(self.bottom, other.top)
                - t * covariance_of(self.top, other.bottom)
                + s * t * covariance_of(self.bottom, other.bottom)
            )
            variances = self.noise.variance(s), other.noise.variance(t)
            correlation = correlated(covariance, *variances)
        apart = difference(one, two, span=self.high - self.low, correlation=correlation)
        return apart.scaled(self.step, 0.0)

    def _plain(self, noise: PairNoise) -> Interval:
        return ratio(self.top.value, self.bottom.value, noise, low=self.low, high=self.high)

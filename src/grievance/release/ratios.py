"""Ratios of two noisy totals, and differences of such ratios: shares and means."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.release.cube import covariance_of, pair_noise
from grievance.release.intervals import correlated, difference, ratio

if TYPE_CHECKING:
    from grievance.release.cube import Total
    from grievance.release.intervals import Interval, PairNoise


@dataclass(frozen=True, eq=False)
class Ratio:
    """`top` / `bottom`, which lies in [low, high] whatever the exact figures are."""

    top: Total
    bottom: Total
    low: float = 0.0
    high: float = 1.0

    @cached_property
    def noise(self) -> PairNoise:
        """The joint noise of the two."""
        return pair_noise(self.top, self.bottom)

    @cached_property
    def interval(self) -> Interval:
        """The ratio with its interval."""
        return ratio(self.top.value, self.bottom.value, self.noise, low=self.low, high=self.high)

    def minus(self, other: Ratio) -> Interval:
        """Return the interval of this ratio less another of the same range.

        The two share noise if their tables were reconciled, or are of one table's cells. To
        first order a ratio moves with the noise of top - ratio * bottom, so the correlation of
        those two is the one that counts.
        """
        correlation = 0.0
        if self.interval.known and other.interval.known:
            s, t = self.interval.raw_estimate, other.interval.raw_estimate
            covariance = (
                covariance_of(self.top, other.top)
                - s * covariance_of(self.bottom, other.top)
                - t * covariance_of(self.top, other.bottom)
                + s * t * covariance_of(self.bottom, other.bottom)
            )
            variances = self.noise.variance(s), other.noise.variance(t)
            correlation = correlated(covariance, *variances)
        return difference(
            self.interval, other.interval, span=self.high - self.low, correlation=correlation
        )

"""Do draws follow the law that the task states, and are they independent?

Chi-square and Kolmogorov against exact probabilities; rank correlation between draws of one
release, and with those of the next. The law is computed from its definition, by other code
than that which plans margins (`grievance.empirical.laws`).

Source: Spearman 1904 for rank correlation, whose law does not depend on that of the draws.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sampler.tails import kolmogorov_tail
from grievance.empirical.laws import law, variance_of
from grievance.empirical.tails import chi_square_tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from benchmarks.sampler.noise import Floats, Integers
    from grievance.privacy import Mechanism

_CELLS = 40
_LEAST_EXPECTED = 5.0


@dataclass(frozen=True)
class Fit:
    """How well draws fit: chances of a fit as bad as this, if the law is the stated one.

    Attributes:
        draws: How many draws were looked at.
        chi_square: P-value of the chi-square test over some 40 classes.
        kolmogorov: P-value of the largest deviation of the distribution function.
        variance_ratio: Variance seen, divided by the variance stated.
    """

    draws: int
    chi_square: float
    kolmogorov: float
    variance_ratio: float

    @property
    def p_value(self) -> float:
        """The smaller of the two, doubled: valid for both tests together."""
        return min(1.0, 2 * min(self.chi_square, self.kolmogorov))


def fit(
    draws: Integers | Sequence[int], mechanism: Mechanism, scale: Fraction, summed: int = 1
) -> Fit:
    """Compare draws, each the sum of `summed` draws of `scale`, with their stated law."""
    seen = np.asarray(draws, dtype=np.int64).ravel()
    reach, chances = law(mechanism, scale, summed)
    counts = np.bincount(np.clip(seen, -reach, reach) + reach, minlength=len(chances))
    size = len(seen)
    steps = np.cumsum(counts) / size - np.cumsum(chances)
    least = max(1 / _CELLS, _LEAST_EXPECTED / size)
    chi, classes, expected, found = 0.0, 0, 0.0, 0
    left = 1.0
    for chance, count in zip(chances, counts, strict=True):
        expected += float(chance)
        found += int(count)
        # The last class takes whatever is left, so that none is too small.
        if expected >= least and left - expected >= least:
            chi += (found - size * expected) ** 2 / (size * expected)
            classes, left, expected, found = classes + 1, left - expected, 0.0, 0
    chi += (found - size * left) ** 2 / (size * left)
    stated = summed * variance_of(mechanism, scale)
    return Fit(
        draws=size,
        chi_square=chi_square_tail(chi, classes) if classes else 1.0,
        kolmogorov=kolmogorov_tail(float(np.max(np.abs(steps))), size),
        variance_ratio=float(np.mean(seen.astype(np.float64) ** 2)) / stated,
    )


def correlation_p_value(rows: Integers) -> float:
    """Return the chance of draws as alike as the two most alike ones, if all are independent.

    `rows` has a release a row. Every coordinate is compared with every other of its release, and
    with all of the release before; the chance is multiplied by the number of comparisons. 0.0
    where a coordinate does not vary at all.
    """
    if np.any(rows.max(axis=0) == rows.min(axis=0)):
        return 0.0
    ranks = np.argsort(np.argsort(rows, axis=0, kind="stable"), axis=0).astype(np.float64)
    pairs: Floats = np.atleast_2d(np.corrcoef(np.hstack([ranks[1:], ranks[:-1]]), rowvar=False))
    width, trials = rows.shape[1], len(rows) - 1
    within = np.abs(pairs[:width, :width])[np.triu_indices(width, 1)]
    across = np.abs(pairs[:width, width:]).ravel()
    most = min(float(max(np.max(within, initial=0.0), np.max(across))), 1 - 1e-12)
    z = math.atanh(most) * math.sqrt(trials - 3)
    return min(1.0, 2 * NormalDist().cdf(-z) * (len(within) + len(across)))

"""Laws of noise on a grid, by characteristic functions. For margins; it never makes noise.

Both mechanisms have a characteristic function in closed form:

    discrete Laplace   phi(t) = 1 / (1 + (sin(t/2) / sinh(1/(2b)))^2)
    discrete Gaussian  phi(t) = sum over whole n of exp(-sigma^2 (t + 2 pi n)^2 / 2), over phi(0)

(the second by Poisson's summation formula, all terms positive). A sum of independent draws has
the product. A discrete Fourier transform over a window, outside of which Chernoff's bound leaves
less than `MASS_ERROR`, gives the probabilities.

On a grid that holds every value the result is exact but for floating point. Otherwise (factors
without a common unit, or a law wider than `WIDEST`) the grid has `POINTS` points a standard
deviation, and the law is first smoothed by a normal law of 2/`POINTS` of its standard deviation,
so that nothing is left beyond the grid's frequencies. That adds one part in four million to the
variance, which is nothing for a wide law. But a sum of a few whole numbers without a common unit
may have lumps, and smoothing carries a part of a lump over the margin. So 4 such widths, 8 parts
in `POINTS` of a standard deviation, are added: the margin then holds its level but for the
6 parts in 10^5 that a normal law has beyond 4 widths, and is too wide by a 500th of a standard
deviation at most.

Sources: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (arXiv
2004.00010), Definition 1 and Fact 18; Inusah and Kozubowski 2006, "A discrete analogue of the
Laplace distribution", Proposition 2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, inf, log, log1p, log2, pi, sinh, sqrt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt

    from grievance.privacy.mechanisms import Mechanism

    Floats = npt.NDArray[np.float64]

MASS_ERROR: Final = 1e-16
WIDEST: Final = 4096
POINTS: Final = 4096
_GUARD: Final = 4.0
_CHERNOFF_STEPS: Final = 64
_FORGET: Final = 84.0  # exp(-84/2) is below 1e-18
_SMALL_SIGMA: Final = 8.0


@dataclass(frozen=True, order=True)
class Term:
    """`factor` times the sum of `draws` draws of one mechanism, with `scale` its sigma or b."""

    mechanism: Mechanism
    scale: float
    draws: int
    factor: float = 1.0

    @property
    def variance(self) -> float:
        """The exact variance: 2q/(1-q)^2 a draw, q = exp(-1/b), or the discrete Gaussian's."""
        if self.mechanism == "laplace":
            one = 1 / (2 * sinh(1 / (2 * self.scale)) ** 2)
        else:
            one = _gaussian_variance(self.scale)
        return self.factor**2 * self.draws * one

    def log_moment(self, s: float) -> float:
        """Return a bound of ln E exp(s X): exact for the Laplace, sub-Gaussian for the other.

        For the Laplace, s times factor times scale is below 1: beyond there is no such mean.
        """
        s = abs(s * self.factor)
        if self.mechanism == "gaussian":
            return self.draws * (self.scale * s) ** 2 / 2
        return -self.draws * log1p(-((sinh(s / 2) / sinh(1 / (2 * self.scale))) ** 2))

    def characteristic(self, angles: Floats) -> Floats:
        """Return E cos(t X) for every t in `angles`."""
        import numpy as np

        t = angles * self.factor
        if self.mechanism == "laplace":
            one = 1 / (1 + (np.sin(t / 2) / sinh(1 / (2 * self.scale))) ** 2)
        else:
            t = t - 2 * pi * np.round(t / (2 * pi))
            images = max(0, ceil((sqrt(_FORGET) / (pi * self.scale) - 1) / 2))
            turns = [2 * pi * n for n in range(-images, images + 1)]
            at_zero = sum(exp(-((self.scale * turn) ** 2) / 2) for turn in turns)
            one = np.zeros_like(t)
            for turn in turns:
                one += np.exp(-((self.scale * (t + turn)) ** 2) / 2) / at_zero
        powers: Floats = one**self.draws
        return powers


def _gaussian_variance(sigma: float) -> float:
    if sigma >= _SMALL_SIGMA:
        return sigma * sigma  # the lattice takes away less than exp(-2 pi^2 sigma^2) of it
    weights = [exp(-(k * k) / (2 * sigma * sigma)) for k in range(1, ceil(12 * sigma) + 1)]
    return 2 * sum(k * k * w for k, w in enumerate(weights, 1)) / (1 + 2 * sum(weights))


def standard_deviation(terms: Sequence[Term]) -> float:
    """Return the standard deviation of the sum of independent `terms`."""
    return sqrt(sum(term.variance for term in terms))


def bound(terms: Sequence[Term], chance: float) -> float:
    """Return some h with P(|X| > h) <= chance, X the sum of `terms`. By Chernoff's bound."""
    needed = log(2 / chance)
    slopes = [1 / (t.scale * abs(t.factor)) for t in terms if t.mechanism == "laplace"]
    most = min(slopes, default=inf)
    tries = [most * k / _CHERNOFF_STEPS for k in range(1, _CHERNOFF_STEPS)] if slopes else []
    best = sqrt(2 * needed) / standard_deviation(terms)  # where it is best for Gaussian noise
    tries += [s for s in (best,) if s < most]
    return min((sum(term.log_moment(s) for term in terms) + needed) / s for s in tries)


@dataclass(frozen=True)
class Grid:
    """A law that is symmetric about 0, on the multiples of `step`.

    `half[k]` is the probability of the one point k * step, `within[k]` that of all from
    -k * step to k * step. Where the grid is not `exact`, a point stands for the interval of
    length `step` about it, and margins are widened by `guard`.
    """

    step: float
    exact: bool
    guard: float
    half: Floats
    within: Floats

    def tail(self, width: float) -> float:
        """Return P(|X| > width)."""
        import numpy as np

        if width < 0:
            return 1.0
        if self.exact:
            k = int(width / self.step * (1 + 1e-12))
            return 2 * float(self.half[k + 1 :].sum())
        edges = (np.arange(len(self.within)) + 0.5) * self.step
        return 1 - float(np.interp(width, edges, self.within, left=self.within[0], right=1.0))

    def margin(self, level: float) -> float:
        """Return the least h on the grid, or about that if not exact, with P(|X| <= h) >= level.

        Probabilities are trusted to 1e-13, so that a level reached exactly counts as reached.
        """
        import numpy as np

        k = int(np.searchsorted(self.within, level - 1e-13))
        if self.exact or k == 0:
            return min(k, len(self.within) - 1) * self.step + self.guard
        low, high = float(self.within[k - 1]), float(self.within[k])
        return (k - 0.5 + (level - low) / (high - low)) * self.step + self.guard


def _probabilities(terms: Sequence[Term], step: float, reach: float, smoothing: float) -> Floats:
    """Return P(X = k * step) for k = 0, 1, ... up to `reach`, X smoothed by a normal law."""
    import numpy as np

    size = 1 << ceil(log2(2 * reach / step + 4))
    angles = np.arange(size // 2 + 1, dtype=np.float64) * (2 * pi / (size * step))
    product: Floats = np.exp(-((smoothing * angles) ** 2) / 2)
    for term in terms:
        product = product * term.characteristic(angles)
    half: Floats = np.fft.irfft(product, size)[: min(size // 2, int(reach / step) + 1) + 1]
    return np.maximum(half, 0.0)


def grid_of(terms: Sequence[Term], *, whole: bool) -> Grid:
    """Return the law of the sum of independent `terms`; `whole` if their factors are integers."""
    import numpy as np

    sd = standard_deviation(terms)
    exact = whole and sd <= WIDEST
    step, smoothing = (1.0, 0.0) if exact else (sd / POINTS, 2 * sd / POINTS)
    half = _probabilities(terms, step, bound(terms, MASS_ERROR) + 10 * smoothing, smoothing)
    within = half[0] + 2 * np.concatenate([[0.0], np.cumsum(half[1:])])
    guard = 0.0 if whole else _GUARD * smoothing
    return Grid(step, exact, guard, half, np.minimum(within, 1.0))

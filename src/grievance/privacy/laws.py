"""The law of noise as it was added: exact margins of figures and of combinations of figures.

A figure of a release carries a sum of independent draws, one for each aggregator and each
coordinate it is read off. `NoiseLaw` is the law of such a sum, `combined_margin` the margin of a
weighted sum of several. No normal approximation is used: for discrete Laplace noise it is wrong
where it matters, in the tails of one or two draws, and `grievance.privacy.lattice` gives the law
itself (see there for how exactly).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from hashlib import shake_256
from math import ceil, sqrt
from typing import TYPE_CHECKING, Final

from grievance.errors import PrivacyError
from grievance.privacy.lattice import Grid, Term, bound, grid_of
from grievance.privacy.mechanisms import check_scale, noise_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    import numpy as np
    import numpy.typing as npt

    from grievance.privacy.mechanisms import Mechanism

MAX_DRAWS: Final = 10**9
NEVER: Final = 1e-32
"""The chance that `NoiseLaw.bound` leaves by default: about that of 12 sigma of a normal law."""

_MAX_RATIO: Final = 64
_RATIO_DIGITS: Final = 10


@dataclass(frozen=True)
class NoiseLaw:
    """The law of the sum of `draws` independent draws of one mechanism; whole numbers.

    `scale` is sigma of the discrete Gaussian, P(x) proportional to exp(-x^2 / (2 sigma^2)), or b
    of the discrete Laplace, P(x) proportional to exp(-|x| / b). Raises PrivacyError for a
    mechanism or scale that no task has, and for other than 1 to MAX_DRAWS draws.
    """

    mechanism: Mechanism
    scale: Fraction
    draws: int

    def __post_init__(self) -> None:
        noise_of(self.mechanism)  # or PrivacyError
        check_scale(self.scale)
        if type(self.draws) is not int or not 1 <= self.draws <= MAX_DRAWS:
            raise PrivacyError("a law needs a whole number of draws, from 1", code="privacy.law")

    def _term(self, factor: float = 1.0) -> Term:
        return Term(self.mechanism, float(self.scale), self.draws, factor)

    @property
    def variance(self) -> float:
        """The exact variance: 2q/(1-q)^2 a draw, q = exp(-1/b), for the discrete Laplace."""
        return self._term().variance

    @property
    def sd(self) -> float:
        """The standard deviation."""
        return sqrt(self.variance)

    def tail(self, half_width: float) -> float:
        """Return P(|X| > half_width)."""
        return _grid(self).tail(half_width)

    def margin(self, level: float = 0.95) -> int:
        """Return the least whole h with P(|X| <= h) >= level, 0 < level < 1."""
        grid = _grid(self)
        margin = grid.margin(_check_level(level))
        # On a coarse grid a whole h covers up to h + 1/2.
        return int(margin) if grid.exact else max(0, ceil(margin - 0.5))

    def bound(self, chance: float = NEVER) -> int:
        """Return some whole h with P(|X| > h) <= chance: what noise will not exceed."""
        return ceil(bound([self._term()], chance))

    def pmf(self) -> tuple[int, npt.NDArray[np.float64]]:
        """Return (offset, probabilities): entry i is P(X = offset + i). Symmetric about 0.

        Less than 1e-15 is cut off. Raises PrivacyError for a law whose standard deviation is
        above `lattice.WIDEST`: it is not listed point by point.
        """
        import numpy as np

        grid = _grid(self)
        if not grid.exact:
            raise PrivacyError("this law is too wide to be listed", code="privacy.law")
        return 1 - len(grid.half), np.concatenate([grid.half[:0:-1], grid.half])

    def sample(self, size: int, seed: bytes) -> npt.NDArray[np.int64]:
        """Return `size` values that follow the law, the same for the same seed. NEVER for noise.

        They serve to check margins by simulation. SHAKE-256 of the seed gives 64 bits a value,
        which go through the inverse of the distribution function.
        """
        import numpy as np

        grid = _grid(self)
        stream = shake_256(b"simulation, never noise" + seed).digest(8 * size)
        words = np.frombuffer(stream, "<u8") >> np.uint64(12)
        uniform = words.astype(np.float64) * 2.0**-52 + 2.0**-53
        points = np.searchsorted(grid.within, np.abs(2 * uniform - 1))
        signs = np.where(uniform < 0.5, -grid.step, grid.step)
        return np.asarray(np.rint(signs * points), dtype=np.int64)


def combined_margin(parts: Sequence[tuple[NoiseLaw, float]], level: float = 0.95) -> float:
    """Return the least h with P(|sum of c_i X_i| <= h) >= level, X_i independent.

    `parts` are (law of X_i, c_i). Where the factors are, but for sign, small whole multiples of
    one of them (equal factors above all), the result is exact, and a multiple of that one.
    Otherwise it is right as described in `grievance.privacy.lattice`. 0.0 without any noise.
    """
    _check_level(level)
    unit = min((abs(factor) for _, factor in parts if factor), default=0.0)
    draws: dict[tuple[Mechanism, float, float], int] = {}
    for law, factor in parts:
        if factor:
            key = (law.mechanism, float(law.scale), round(abs(factor) / unit, _RATIO_DIGITS))
            draws[key] = draws.get(key, 0) + law.draws
    if not draws:
        return 0.0
    return unit * _margin(tuple(sorted(Term(m, s, n, f) for (m, s, f), n in draws.items())), level)


def _check_level(level: float) -> float:
    if not 0 < level < 1:
        raise PrivacyError("a level is between 0 and 1", code="privacy.law")
    return level


@lru_cache(maxsize=64)
def _grid(law: NoiseLaw) -> Grid:
    return grid_of([law._term()], whole=True)


@lru_cache(maxsize=4096)
def _margin(terms: tuple[Term, ...], level: float) -> float:
    whole = all(term.factor == int(term.factor) <= _MAX_RATIO for term in terms)
    return grid_of(terms, whole=whole).margin(level)

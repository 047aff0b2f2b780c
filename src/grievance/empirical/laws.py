"""The laws of the noise, from their definitions: by other code than that which plans margins."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fractions import Fraction

    import numpy.typing as npt

    from grievance.privacy import Mechanism

    Floats = npt.NDArray[np.float64]


def law(mechanism: Mechanism, scale: Fraction, draws: int = 1) -> tuple[int, Floats]:
    """Return (reach, probabilities of -reach..reach) of a sum of `draws` draws of one scale.

    Discrete Gaussian, P(x) ~ exp(-x^2 / (2 scale^2)); discrete Laplace, P(x) ~ exp(-|x| / scale).
    """
    wide = float(scale)
    reach = math.ceil((12 if mechanism == "gaussian" else 40) * wide) + 3
    x = np.arange(-reach, reach + 1, dtype=np.float64)
    weights: Floats = np.exp(
        -(x * x) / (2 * wide * wide) if mechanism == "gaussian" else -np.abs(x) / wide
    )
    one = weights / weights.sum()
    total = one
    for _ in range(draws - 1):
        total = np.convolve(total, one)
    return len(total) // 2, total


def variance_of(mechanism: Mechanism, scale: Fraction) -> float:
    """Return the exact variance of one draw."""
    if mechanism == "gaussian" and scale >= 8:
        return float(scale * scale)  # the lattice takes away less than exp(-2 pi^2 scale^2)
    if mechanism == "laplace":
        return 1 / (2 * math.sinh(1 / (2 * float(scale))) ** 2)
    reach, chances = law(mechanism, scale)
    return float(np.sum(chances * np.arange(-reach, reach + 1, dtype=np.float64) ** 2))

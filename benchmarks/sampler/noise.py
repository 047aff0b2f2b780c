"""One aggregator's noise, over many releases at once.

`Noise` is the seam at which test doubles stand in for a faulty aggregator. The real one,
`library_noise`, is what `grievance.aggregator` adds: the same call, with the releases laid end
to end, since the sampler is faster in bulk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from grievance import privacy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    import numpy.typing as npt

    from grievance.privacy import Mechanism

    Integers = npt.NDArray[np.int64]
    Floats = npt.NDArray[np.float64]


class Noise(Protocol):
    """Draws one aggregator's noise: (scale of every coordinate, releases) -> a row a release."""

    def __call__(self, scales: Sequence[Fraction], releases: int) -> Integers:
        """Return integers of shape (releases, coordinates)."""
        ...


def library_noise(mechanism: Mechanism) -> Noise:
    """Return the noise that this library adds where a task's mechanism is `mechanism`."""

    def drawn(scales: Sequence[Fraction], releases: int) -> Integers:
        flat = privacy.draw(mechanism, list(scales) * releases)
        return np.array(flat, dtype=np.int64).reshape(releases, len(scales))

    return drawn


def released(
    exact: Sequence[int], scales: Sequence[Fraction], noises: Sequence[Noise], releases: int
) -> Integers:
    """Return many releases of the same exact totals, each with fresh noise of every aggregator.

    Which noise is in it depends on who looks. The public sees all aggregators' noise; an
    aggregator that cheats knows its own and subtracts it, so it is left out of `noises`.
    """
    total = np.tile(np.array(exact, dtype=np.int64), (releases, 1))
    for noise in noises:
        total += noise(scales, releases)
    return total

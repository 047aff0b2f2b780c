"""Times that can be compared although the machine is shared.

The least of several repetitions is what the code takes; the median beside it says how much
the neighbours took. What is compared is measured in turns, in one run.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Times:
    """Microseconds for each report, one figure for each repetition."""

    each: tuple[float, ...]

    @property
    def least(self) -> float:
        """The quickest repetition."""
        return min(self.each)

    @property
    def median(self) -> float:
        """The one in the middle."""
        return statistics.median(self.each)

    def __add__(self, other: Times) -> Times:
        """Add two phases that were repeated together."""
        return Times(tuple(a + b for a, b in zip(self.each, other.each, strict=True)))

    def as_json(self) -> dict[str, float]:
        """The two figures, rounded."""
        return {"least_us": round(self.least, 2), "median_us": round(self.median, 2)}


def measure(work: Callable[[], object], num_rows: int, repeats: int) -> Times:
    """Repeat `work`, which handles `num_rows` reports."""
    each = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        each.append((time.perf_counter() - begun) * 1e6 / num_rows)
    return Times(tuple(each))


def joined(times: Sequence[Times]) -> Times:
    """Put repetitions of several turns together."""
    return Times(tuple(figure for some in times for figure in some.each))

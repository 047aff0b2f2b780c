"""What a release promises, for one worker and for several at once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, sqrt
from typing import TYPE_CHECKING

from grievance.privacy import epsilon_for

if TYPE_CHECKING:
    from grievance.cost import Cost


@dataclass(frozen=True)
class Claim:
    """The stated cost of one worker's reports, seen at a distance of `distance` workers.

    Noise hides many workers less well than one, in a known way: rho-zCDP for one is
    distance^2 * rho for so many, pure epsilon is distance * epsilon. A mechanism that breaks
    the promise for several breaks it for one. It is tested where few releases show most.
    Source: Bun and Steinke 2016, Proposition 1.9.
    """

    cost: Cost
    distance: int = 1

    @property
    def amount(self) -> Fraction:
        """Rho, or pure epsilon, at this distance."""
        factor = self.distance**2 if self.cost.kind == "zcdp" else self.distance
        return factor * self.cost.amount

    def epsilon(self, delta: float) -> float:
        """Return the epsilon promised at this distance with `delta`, which is not 0 for zCDP."""
        if self.cost.kind == "pure":
            return float(self.amount)
        return float(epsilon_for(self.amount, Fraction(delta)))


def distance_for(cost: Cost, wanted: float) -> int:
    """Return the least distance at which the promised rho (or epsilon) is `wanted` or more."""
    ratio = wanted / float(cost.amount)
    return max(1, ceil(sqrt(ratio) if cost.kind == "zcdp" else ratio))

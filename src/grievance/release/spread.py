"""Where the noise in a table's figures comes from: exact variances of any sum of cells.

A table's estimates are linear in the released integers of one or more sources (see
`grievance.release.reconcile`). For every source and every set S of axes that it shares with
the table, w(S) is the weight the source has in the table's residual on S, that is, in the
part of the table that depends on exactly the axes S and sums to 0 along each of them. A sum
over a box of cells (some labels of every axis) then has, on a cell of the source, the factor

    sum over S of w(S) * prod over axes in S of ([label in box] - f) * prod over the others of f

with f the share of an axis's labels that the box takes. Axes that a box takes whole have f = 1
and drop out, and labels that no box tells apart have the same factor, so a figure's noise is a
short list of terms whatever the size of the table, and equal figures share one list.

Source: Xiao, He, Zhang and Kifer, "An Optimal and Scalable Matrix Mechanism for Noisy Marginals
under Convex Loss Functions" (ResidualPlanner), sections 4 and 5, for residual subspaces.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from grievance.release.intervals import half_width

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.privacy.laws import NoiseLaw

Box = tuple["frozenset[int] | None", ...]
"""Cells of a table: for each axis the places of the labels taken, or None for all of them."""

Selection = tuple[tuple[float, Box], ...]
"""A weighted sum of boxes."""

# Per axis the classes of labels that no box tells apart: (which boxes take it, how many labels).
_Classes = tuple[tuple[tuple[bool, ...], int], ...]


@dataclass(frozen=True)
class Origin:
    """One source of a table's estimates.

    Attributes:
        law: The noise in one released integer of the source, all aggregators together.
        axes: The table's axes that the source has too.
        repeats: How many integers of the source lie under one cell of those axes.
        weights: Set of axes to the source's weight in the residual there; None: 1 for all.
    """

    law: NoiseLaw
    axes: frozenset[int]
    repeats: int = 1
    weights: Mapping[frozenset[int], float] | None = None

    def weight(self, subset: frozenset[int]) -> float:
        """Return the weight on one residual."""
        return 1.0 if self.weights is None else self.weights[subset]


@dataclass(frozen=True)
class Term:
    """Independent draws with the same part in the figures: `count` of `law`, times `factors`."""

    law: NoiseLaw
    count: int
    factors: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Noise:
    """The joint noise of one or more figures of a table."""

    terms: tuple[Term, ...]

    @cached_property
    def covariances(self) -> tuple[tuple[float, ...], ...]:
        """The covariance of each figure with each."""
        num = range(len(self.terms[0].factors) if self.terms else 0)
        weighted = [(term.count * term.law.variance, term.factors) for term in self.terms]
        return tuple(
            tuple(math.fsum(weight * f[i] * f[j] for weight, f in weighted) for j in num)
            for i in num
        )

    def covariance(self, first: int = 0, second: int = 0) -> float:
        """Return the covariance of two of the figures; 0 where all noise cancels."""
        return self.covariances[first][second] if self.terms else 0.0

    @cached_property
    def margin(self) -> float:
        """Half the width of the first figure's 95 % interval."""
        return half_width([(term.law, term.count, term.factors[0]) for term in self.terms])

    @cached_property
    def fourth_cumulants(self) -> tuple[float, ...]:
        """The cumulants (4, 0), (3, 1), ... (0, 4) of the first two figures, or of one twice.

        They measure how much heavier the tails are than those of a normal law with the same
        variance. Discrete Laplace of variance v in one draw: v + 3 v^2, from the logarithm of
        its characteristic function; discrete Gaussian: 0, to any accuracy that matters here.
        """
        sums = [0.0] * 5
        for term in self.terms:
            if term.law.mechanism == "laplace":
                one = term.law.variance / term.law.draws
                each = term.count * term.law.draws * (one + 3 * one * one)
                a, b = term.factors[0], term.factors[-1]
                for power in range(5):
                    sums[power] += each * a ** (4 - power) * b**power
        return tuple(sums)


@dataclass(frozen=True)
class Spread:
    """The noise of a table whose axes have `sizes` labels."""

    sizes: tuple[int, ...]
    origins: tuple[Origin, ...]
    _known: dict[object, Noise] = field(default_factory=dict, repr=False, compare=False, hash=False)

    @classmethod
    def independent(cls, sizes: Sequence[int], law: NoiseLaw, repeats: int = 1) -> Spread:
        """Return the noise of a table each of whose cells is a sum of `repeats` integers."""
        return cls(tuple(sizes), (Origin(law, frozenset(range(len(sizes))), repeats),))

    def noise(self, *selections: Selection) -> Noise:
        """Return the noise that figures of this table have, one factor for each figure.

        Equal for figures that differ in nothing but which labels they are about, and then the
        very same object.
        """
        boxes = [box for selection in selections for _, box in selection]
        classes = tuple(
            _classes([box[axis] for box in boxes], size) for axis, size in enumerate(self.sizes)
        )
        weights = tuple(tuple(weight for weight, _ in selection) for selection in selections)
        key = (classes, weights)
        if key not in self._known:
            self._known[key] = Noise(
                tuple(term for one in self.origins for term in self._of(one, classes, weights))
            )
        return self._known[key]

    def _of(
        self,
        origin: Origin,
        classes: tuple[_Classes | None, ...],
        weights: tuple[tuple[float, ...], ...],
    ) -> list[Term]:
        cut = [axis for axis, found in enumerate(classes) if found is not None]
        shared = [axis for axis in cut if axis in origin.axes]
        whole = origin.repeats * math.prod(
            self.sizes[axis] for axis in origin.axes if classes[axis] is None
        )
        num_boxes = sum(len(some) for some in weights)
        taken = {axis: _taken(classes[axis] or (), num_boxes, self.sizes[axis]) for axis in cut}
        subsets = [
            (frozenset(subset), origin.weight(frozenset(subset)))
            for length in range(len(shared) + 1)
            for subset in itertools.combinations(shared, length)
        ]
        found: dict[tuple[float, ...], int] = {}
        for at in itertools.product(*(classes[axis] or () for axis in shared)):
            inside = dict(zip(shared, (pattern for pattern, _ in at), strict=True))
            count = whole * math.prod(size for _, size in at)
            on_boxes = [
                math.fsum(
                    weight
                    * math.prod(
                        inside[axis][box] - taken[axis][box] if axis in subset else taken[axis][box]
                        for axis in cut
                    )
                    for subset, weight in subsets
                )
                for box in range(num_boxes)
            ]
            each = iter(on_boxes)
            factors = tuple(math.fsum(weight * next(each) for weight in some) for some in weights)
            # What cancels does so but for rounding.
            factors = tuple(0.0 if abs(factor) < 1e-12 else factor for factor in factors)
            if any(factors):
                found[factors] = found.get(factors, 0) + count
        return [Term(origin.law, count, factors) for factors, count in found.items()]


def _classes(parts: Sequence[frozenset[int] | None], size: int) -> _Classes | None:
    """Group an axis's labels by the boxes that take them; None if every box takes all."""
    different = {part for part in parts if part is not None}
    if not different:
        return None
    if len(different) == 1:
        (only,) = different
        inside = (tuple(True for _ in parts), len(only))
        outside = (tuple(part is None for part in parts), size - len(only))
        return tuple(one for one in (inside, outside) if one[1])
    counts: dict[tuple[bool, ...], int] = {}
    for label in range(size):
        pattern = tuple(part is None or label in part for part in parts)
        counts[pattern] = counts.get(pattern, 0) + 1
    return tuple(sorted(counts.items()))


def _taken(classes: _Classes, num_boxes: int, size: int) -> list[float]:
    """Return per box the share of an axis's labels it takes."""
    return [
        sum(count for pattern, count in classes if pattern[box]) / size for box in range(num_boxes)
    ]

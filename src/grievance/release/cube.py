"""Cubes of noisy numbers: axes with labels, an estimate per cell, and the noise of any sum.

A choice of labels is a box of cells. Figures are weighted sums of boxes (`Total`), of one cube or
of several: adding and subtracting them adds and cancels the cells they have in common, and their
variances and covariances are those of the noise that is really in them
(`grievance.release.spread`). Different cubes are made from different released integers, so their
noise is independent.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from grievance.errors import ReleaseError
from grievance.release.intervals import PairNoise
from grievance.release.spread import Noise

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.release.spread import Box, Selection, Spread


@dataclass(frozen=True)
class Axis:
    """One axis of a table: the field's name, its question, its labels in order.

    `blank` is the label of those who did not answer the question, where there is one.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    blank: str | None = None


def words(choice: Mapping[str, object]) -> dict[str, str]:
    """Return a choice as labels for people: several labels of one axis joined by "or"."""
    return {
        name: " or ".join(map(str, value))
        if isinstance(value, (list, tuple, set, frozenset))
        else str(value)
        for name, value in choice.items()
    }


@dataclass(frozen=True, eq=False)
class Cube:
    """Noisy numbers in row-major order of the axes. No axes: one cell, the total.

    Released integers are whole numbers; estimates reconciled from several tables are not.
    """

    axes: tuple[Axis, ...]
    values: tuple[float, ...]
    spread: Spread

    def __post_init__(self) -> None:
        cells = math.prod(len(axis.labels) for axis in self.axes)
        if len(self.values) != cells or self.spread.sizes != self.sizes:
            raise ReleaseError(
                f"a table of {cells} cells cannot hold {len(self.values)} values",
                code="release.shape",
            )

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many labels each axis has."""
        return tuple(len(axis.labels) for axis in self.axes)

    def labels(self) -> Iterator[tuple[str, ...]]:
        """Go through the cells' labels in order."""
        return itertools.product(*(axis.labels for axis in self.axes))

    def boxes(self) -> list[Box]:
        """Return every cell, in order, as a box of one."""
        singles = [
            [None] if size == 1 else [frozenset([at]) for at in range(size)] for size in self.sizes
        ]
        return list(itertools.product(*singles))

    def cells(self) -> list[Total]:
        """Return the number in every cell, in order."""
        return [
            Total(value, ((self, ((1, box),)),))
            for value, box in zip(self.values, self.boxes(), strict=True)
        ]

    def axis(self, name: str) -> Axis:
        """Return the axis called `name`. Raises ReleaseError naming those there are."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        there = ", ".join(axis.name for axis in self.axes) or "none"
        raise ReleaseError(
            f"this table has no axis {name!r:.60}", code="release.axis", hint=f"axes: {there}"
        )

    def chosen(self, choice: Mapping[str, object]) -> Box:
        """Return the cells that `choice` (axis name to a label or labels) selects.

        An axis that is not named is taken whole. Raises ReleaseError for an unknown axis or
        label and for an empty choice.
        """
        for name in choice:
            self.axis(name)
        return tuple(
            _part([axis.labels.index(label) for label in given(axis, choice[axis.name])], axis)
            if axis.name in choice
            else None
            for axis in self.axes
        )

    def sum(self, box: Box) -> Total:
        """Add up the cells of a box."""
        value: float = 0
        for cell in self._places(box):
            value += self.values[cell]
        return Total(value, ((self, ((1, box),)),))

    def _places(self, box: Box) -> Sequence[int]:
        places: Sequence[int] = [0]
        for part, size in zip(box, self.sizes, strict=True):
            wanted = range(size) if part is None else sorted(part)
            places = [place * size + at for place in places for at in wanted]
        return places


def _part(places: Sequence[int], axis: Axis) -> frozenset[int] | None:
    found = frozenset(places)
    return None if len(found) == len(axis.labels) else found


def meet(first: Box, second: Box) -> Box:
    """Return the cells that are in both boxes."""
    return tuple(
        a if b is None else b if a is None else a & b for a, b in zip(first, second, strict=True)
    )


def is_empty(box: Box) -> bool:
    """Whether no cell is in the box."""
    return any(part is not None and not part for part in box)


@dataclass(frozen=True, eq=False)
class Total:
    """A weighted sum of cells: its estimate, and which cells of which cubes it is of."""

    value: float
    parts: tuple[tuple[Cube, Selection], ...]

    def times(self, factor: float) -> Total:
        """Return it `factor` times over."""
        return Total(
            factor * self.value,
            tuple(
                (cube, tuple((factor * weight, box) for weight, box in selection))
                for cube, selection in self.parts
            ),
        )

    def plus(self, other: Total, weight: float = 1) -> Total:
        """Add `weight` times another total."""
        found = {id(cube): (cube, selection) for cube, selection in self.parts}
        for cube, selection in other.times(weight).parts:
            _, before = found.get(id(cube), (cube, ()))
            found[id(cube)] = cube, before + selection
        return Total(self.value + weight * other.value, tuple(found.values()))

    def __sub__(self, other: Total) -> Total:
        return self.plus(other, -1)

    def of(self, cube: Cube) -> Selection:
        """Return which cells of a cube it is of."""
        return next((selection for one, selection in self.parts if one is cube), ())

    @property
    def noise(self) -> Noise:
        """The noise in it."""
        return joint(self)

    @property
    def sd(self) -> float:
        """The standard deviation of the noise in it."""
        return math.sqrt(max(0.0, self.noise.covariance()))

    @property
    def margin(self) -> float:
        """Half the width of its 95 % interval: a whole number where the noise is."""
        return self.noise.margin


def joint(*totals: Total) -> Noise:
    """Return the joint noise of several totals: the very same object for figures alike."""
    cubes = {id(cube): cube for total in totals for cube, _ in total.parts}
    found = tuple(
        cube.spread.noise(*(total.of(cube) for total in totals)) for cube in cubes.values()
    )
    return found[0] if len(found) == 1 else _together(found)


@lru_cache(maxsize=4096)
def _together(noises: tuple[Noise, ...]) -> Noise:
    return Noise(tuple(term for noise in noises for term in noise.terms))


def pair_noise(top: Total, bottom: Total) -> PairNoise:
    """Return the joint noise of a ratio's numerator and denominator."""
    both = joint(top, bottom)
    (var_x, cov), (_, var_y) = both.covariances
    return PairNoise(var_x, var_y, cov, both.fourth_cumulants)


def covariance_of(first: Total, second: Total) -> float:
    """Return the covariance of two totals."""
    return joint(first, second).covariance(0, 1)


def given(axis: Axis, value: object) -> list[str]:
    """Return the labels a choice names: one label, or a list of them. Raises ReleaseError."""
    labels: list[Any] = list(value) if isinstance(value, (list, tuple, set, frozenset)) else [value]
    if not labels:
        raise ReleaseError(f"no label of {axis.name} is chosen", code="release.label")
    for label in labels:
        if label not in axis.labels:
            raise ReleaseError(
                f"{axis.name} has no label {label!r:.60}",
                code="release.label",
                hint="labels: " + ", ".join(axis.labels),
            )
    return labels

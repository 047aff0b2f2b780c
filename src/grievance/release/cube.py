"""Cubes of noisy whole numbers: axes with labels, a value and a number of draws per cell.

A cell read off a larger table is a sum of that table's cells and carries that many draws of
noise; cells of one cube never share a draw, so draws of a sum are the sum of draws.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Axis:
    """One axis of a table: the field's name, its question, its labels in order.

    `blank` is the label of those who did not answer the question, where there is one.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    blank: str | None = None


@dataclass(frozen=True)
class NoisySum:
    """A noisy whole number and how many draws of noise are in it."""

    value: int
    draws: int

    def __add__(self, other: NoisySum) -> NoisySum:
        return NoisySum(self.value + other.value, self.draws + other.draws)

    def __sub__(self, other: NoisySum) -> NoisySum:
        return NoisySum(self.value - other.value, self.draws + other.draws)


def words(choice: Mapping[str, object]) -> dict[str, str]:
    """Return a choice as labels for people: several labels of one axis joined by "or"."""
    return {
        name: " or ".join(map(str, value))
        if isinstance(value, (list, tuple, set, frozenset))
        else str(value)
        for name, value in choice.items()
    }


@dataclass(frozen=True)
class Cube:
    """Noisy integers in row-major order of the axes. No axes: one cell, the total."""

    axes: tuple[Axis, ...]
    values: tuple[int, ...]
    draws: tuple[int, ...]

    def __post_init__(self) -> None:
        cells = 1
        for axis in self.axes:
            cells *= len(axis.labels)
        if len(self.values) != cells or len(self.draws) != cells:
            raise ReleaseError(
                f"a table of {cells} cells cannot hold {len(self.values)} values",
                code="release.shape",
            )

    def labels(self) -> Iterator[tuple[str, ...]]:
        """Go through the cells' labels in order."""
        return itertools.product(*(axis.labels for axis in self.axes))

    def axis(self, name: str) -> Axis:
        """Return the axis called `name`. Raises ReleaseError naming those there are."""
        for axis in self.axes:
            if axis.name == name:
                return axis
        there = ", ".join(axis.name for axis in self.axes) or "none"
        raise ReleaseError(
            f"this table has no axis {name!r:.60}", code="release.axis", hint=f"axes: {there}"
        )

    def chosen(self, choice: Mapping[str, object]) -> frozenset[int]:
        """Return the cells that `choice` (axis name to a label or labels) selects.

        An axis that is not named is taken whole. Raises ReleaseError for an unknown axis or
        label and for an empty choice.
        """
        positions = [
            [axis.labels.index(label) for label in given(axis, choice[axis.name])]
            if axis.name in choice
            else range(len(axis.labels))
            for axis in self.axes
        ]
        for name in choice:
            self.axis(name)
        cells = [0]
        for axis, wanted in zip(self.axes, positions, strict=True):
            cells = [cell * len(axis.labels) + at for cell in cells for at in wanted]
        return frozenset(cells)

    def sum(self, cells: Iterable[int]) -> NoisySum:
        """Add up cells."""
        indices = list(cells)
        return NoisySum(sum(self.values[i] for i in indices), sum(self.draws[i] for i in indices))


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

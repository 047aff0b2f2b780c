"""Where one statistic's bits and coordinates are: its parts, blocks and sensitivity.

Blocks of a statistic (`length` bits of which at most `k` are 1):

* count over single-choice fields, and distribution: the cells, row-major, k = 1.
* count with a multi-choice field: `answered`, groups x status (answered, and not answered
  where the field is not required), k = 1; then the cells, row-major in the order of
  `count`, k = min(pick, labels), each with the `answered` bit of its group as parent.
* mean over G groups: `answered`, G bits, k = 1; then one row of G bits for every bit of
  the value, lowest first, without weight, each with the `answered` bit of its column as
  parent.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from grievance.errors import ShapeError
from grievance.plan.axes import Axis, all_indices, build_axes, cell_at, num_cells, status_axis
from grievance.plan.fields import MultiField, NumberField

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from grievance.plan.model import Plan
    from grievance.plan.statistics import Statistic

Reads = tuple[tuple[int, ...], ...]
PartName = Literal["cells", "answered", "totals", "numbers"]
Spec = tuple[int, int | None, tuple[int, ...] | None]


@dataclass(frozen=True)
class Part:
    """A run of a statistic's coordinates that forms one table.

    `cells` of a count or distribution, `answered` (denominators) of a count with a
    multi-choice field, `totals` and `numbers` of a mean: T = sum(2v - M) and N, by group.

    Attributes:
        name: Which table it is.
        axes: Its axes; the coordinates are row-major over them.
        offset: Index of its first coordinate within the statistic.
        scale: The factor on the noise's scale of each of its coordinates: 1, or M for totals.
        terms: How many released coordinates each of its values is the sum of: 1, or more
            in an implied statistic.
    """

    name: PartName
    axes: tuple[Axis, ...]
    offset: int
    scale: int = 1
    terms: int = 1

    @property
    def size(self) -> int:
        """How many coordinates the part has."""
        return num_cells(self.axes)


@dataclass(frozen=True)
class StatisticLayout:
    """Where one statistic's bits and coordinates are.

    Attributes:
        name: The statistic's name.
        kind: "count", "mean" or "distribution".
        axes: Axes of its table in order; of a mean, the groups.
        parts: Its tables in the order of its coordinates.
        where: The people it is about: field -> labels; everybody if empty.
        number_name: The number field of a mean or distribution, or None.
        grid_size: M of a mean's number; 1 for the others.
        pick: Most ticks per person, for a count with a multi-choice field; else 1.
        importance: Weight of its squared error when the budget is split.
        start: Index of its first block bit; of an implied one, 0.
        num_bits: Block bits it takes; 0 if implied.
        source: The charged statistic it is read off, or None.
    """

    name: str
    kind: Literal["count", "mean", "distribution"]
    axes: tuple[Axis, ...]
    parts: tuple[Part, ...]
    where: Mapping[str, tuple[str, ...]]
    number_name: str | None
    grid_size: int
    pick: int
    importance: Fraction
    start: int = 0
    num_bits: int = 0
    source: StatisticLayout | None = field(default=None, repr=False)

    @property
    def implied_by(self) -> str | None:
        """The name of the charged statistic it is read off, or None."""
        return None if self.source is None else self.source.name

    @cached_property
    def reads(self) -> Reads:
        """For an implied statistic and each of its coordinates, the source's that it sums.

        Worked out when it is first asked for: only who reads tables needs it.
        """
        from grievance.plan.implied import reads_of

        return () if self.source is None else reads_of(self.source, self)

    @property
    def cells(self) -> int:
        """Cells of its main table; of a mean, its groups."""
        return num_cells(self.axes)

    @property
    def num_coordinates(self) -> int:
        """Coordinates of all its parts, released or read off."""
        return sum(part.size for part in self.parts)

    @property
    def num_released(self) -> int:
        """Coordinates it releases itself; 0 if implied."""
        return 0 if self.implied_by else self.num_coordinates

    @property
    def groups(self) -> tuple[Axis, ...]:
        """The axes that put a person into exactly one group; bands and ticks are within."""
        return tuple(axis for axis in self.axes if axis.kind == "choice")

    @property
    def multi(self) -> Axis | None:
        """The axis of the multi-choice field, if there is one."""
        return next((axis for axis in self.axes if axis.kind == "multi"), None)

    @property
    def num_value_bits(self) -> int:
        """Bits of one grid value of a mean; 0 for the others."""
        return self.grid_size.bit_length() if self.kind == "mean" else 0

    @property
    def weighted_blocks(self) -> tuple[tuple[int, int], ...]:
        """(length, k) of its blocks with a weight."""
        ks = {"answered": 1, "cells": self.pick, "numbers": 1}
        return tuple((part.size, ks[part.name]) for part in self.parts if part.name in ks)

    @property
    def noise_scale(self) -> tuple[int, ...]:
        """Per coordinate the factor on the noise's scale."""
        return tuple(part.scale for part in self.parts for _ in range(part.size))

    @property
    def l2_squared(self) -> int:
        """Squared L2 sensitivity for one report, coordinates in units of their noise scale.

        0 for an implied statistic: it is read off what is paid for elsewhere.
        """
        from grievance.privacy import MEAN_L2_SQUARED, count_l2_squared

        if self.implied_by is not None:
            return 0
        return MEAN_L2_SQUARED if self.kind == "mean" else count_l2_squared(self.weighted_blocks)

    @property
    def l1(self) -> int:
        """L1 sensitivity for one report, in the same units; 0 for an implied statistic."""
        from grievance.privacy import count_l1, mean_l1

        if self.implied_by is not None:
            return 0
        return mean_l1(self.cells) if self.kind == "mean" else count_l1(self.weighted_blocks)

    def part(self, name: PartName) -> Part:
        """Return one part by name. Raises ShapeError where there is none."""
        for part in self.parts:
            if part.name == name:
                return part
        raise ShapeError(f"a {self.kind} has no {name}")

    @property
    def total_bits(self) -> int:
        """Block bits it takes unless it is implied."""
        return (
            self.cells * (1 + self.num_value_bits) if self.kind == "mean" else self.num_coordinates
        )

    def block_specs(self) -> list[Spec]:
        """Return (length, k, absolute parents) of its blocks, in order."""
        if self.implied_by is not None:
            return []
        if self.kind == "mean":
            groups = self.cells
            parents = tuple(
                self.start + g for _ in range(self.num_value_bits) for g in range(groups)
            )
            return [(groups, 1, None), (len(parents), None, parents)]
        if self.multi is None:
            return [(self.cells, 1, None)]
        answered = self.part("answered")
        status = answered.axes[-1].size
        tick = self.axes.index(self.multi)
        parents = tuple(
            self.start + cell_at(self.groups, (*at[:tick], *at[tick + 1 :])) * status
            for at in all_indices(self.axes)
        )
        return [(answered.size, 1, None), (self.cells, self.pick, parents)]


def describe(plan: Plan, name: str, statistic: Statistic) -> StatisticLayout:
    """Return a statistic's axes and parts, before it has a place. The plan has been checked."""
    axes = build_axes(plan, statistic)
    groups = tuple(axis for axis in axes if axis.kind == "choice")
    asked = next((plan.fields[a.name] for a in axes if a.kind == "multi"), None)
    number = plan.fields[statistic.number] if statistic.number is not None else None
    pick = grid_size = 1
    parts: tuple[Part, ...]
    if statistic.kind == "mean" and isinstance(number, NumberField):
        grid_size = number.grid_size
        parts = (Part("totals", axes, 0, scale=grid_size), Part("numbers", axes, num_cells(axes)))
    elif isinstance(asked, MultiField):
        ticked = next(axis for axis in axes if axis.kind == "multi")
        pick = min(asked.pick, ticked.size)
        answered = Part("answered", (*groups, status_axis(ticked.name, asked)), 0)
        parts = (answered, Part("cells", axes, answered.size))
    else:
        parts = (Part("cells", axes, 0),)
    return StatisticLayout(
        name=name,
        kind=statistic.kind,
        axes=axes,
        parts=parts,
        where=statistic.where,
        number_name=statistic.number,
        grid_size=grid_size,
        pick=pick,
        importance=statistic.importance,
    )

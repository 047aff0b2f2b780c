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
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from grievance.errors import ShapeError
from grievance.plan.axes import Axis, all_indices, build_axes, cell_at, num_cells, status_axis
from grievance.plan.fields import MultiField, NumberField
from grievance.plan.ticks import UNITS, TickTable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.plan.model import Plan
    from grievance.plan.statistics import Statistic
    from grievance.privacy import Mechanism

Reads = tuple[tuple[int, ...], ...]
PartName = Literal["cells", "answered", "ticks", "totals", "numbers"]
Spec = tuple[int, int | None, tuple[int, ...] | None]


@dataclass(frozen=True)
class Part:
    """A run of a statistic's coordinates that forms one table.

    `cells` of a count or distribution; `answered` (denominators) and `ticks` of a count with a
    multi-choice field, the latter T = 64 ticks - a answered (`grievance.plan.ticks`); `totals`
    and `numbers` of a mean: T = sum(2v - M) and N, by group.

    Attributes:
        name: Which table it is.
        axes: Its axes; the coordinates are row-major over them.
        offset: Index of its first coordinate within the statistic.
        scale: The factor on the noise's scale of each of its coordinates: 1, M for totals, t for
            ticks.
        low: What one report adds to a coordinate at least: 0, -M for totals, -a for ticks.
        high: What it adds at most: 1, M, or 64 - a.
        terms: How many released coordinates each of its values is the sum of: 1, or more
            in an implied statistic.
    """

    name: PartName
    axes: tuple[Axis, ...]
    offset: int
    scale: int = 1
    terms: int = 1
    low: int = 0
    high: int = 1

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

    @cached_property
    def tick_table(self) -> TickTable | None:
        """The shape of a count with a multi-choice field; None for the others."""
        if self.multi is None:
            return None
        required = self.part("answered").axes[-1].size == 1
        return TickTable(self.multi.size, self.pick, num_cells(self.groups), required)

    @property
    def centre(self) -> tuple[int, int]:
        """(a, t) of its ticks. Raises ShapeError where it counts none."""
        ticks = self.part("ticks")
        return -ticks.low, ticks.scale

    @property
    def noise_scale(self) -> tuple[int, ...]:
        """Per coordinate the factor on the noise's scale."""
        return tuple(part.scale for part in self.parts for _ in range(part.size))

    @property
    def l2_squared(self) -> Fraction:
        """Squared L2 sensitivity for one report, coordinates in units of their noise scale.

        0 for an implied statistic: it is read off what is paid for elsewhere.
        """
        from grievance.privacy import MEAN_L2_SQUARED, count_moved

        if self.implied_by is not None:
            return Fraction(0)
        if self.tick_table is not None:
            return self.tick_table.moved(*self.centre, 2)
        return Fraction(MEAN_L2_SQUARED if self.kind == "mean" else count_moved(self.cells))

    @property
    def l1(self) -> Fraction:
        """L1 sensitivity for one report, in the same units; 0 for an implied statistic."""
        from grievance.privacy import count_moved, mean_l1

        if self.implied_by is not None:
            return Fraction(0)
        if self.tick_table is not None:
            return self.tick_table.moved(*self.centre, 1)
        return Fraction(mean_l1(self.cells) if self.kind == "mean" else count_moved(self.cells))

    @property
    def error(self) -> Fraction:
        """The variances of its counts, denominators included, in units of one draw's.

        Of a mean those of its groups' totals, in units of M: N comes free with T.
        """
        if self.tick_table is not None:
            return self.tick_table.error(*self.centre)
        return Fraction(self.cells)

    @cached_property
    def denominators(self) -> tuple[int, ...]:
        """For each cell of a count with a multi-choice field, where its group's `answered` is."""
        if self.multi is None:
            return ()
        status = self.part("answered").axes[-1].size
        tick = self.axes.index(self.multi)
        return tuple(
            cell_at(self.groups, (*at[:tick], *at[tick + 1 :])) * status
            for at in all_indices(self.axes)
        )

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
        parents = tuple(self.start + answered for answered in self.denominators)
        return [(self.part("answered").size, 1, None), (self.cells, self.pick, parents)]


def describe(
    plan: Plan, name: str, statistic: Statistic, mechanism: Mechanism = "gaussian"
) -> StatisticLayout:
    """Return a statistic's axes and parts, before it has a place. The plan has been checked.

    `mechanism` decides how ticks are centred, and nothing else.
    """
    axes = build_axes(plan, statistic)
    groups = tuple(axis for axis in axes if axis.kind == "choice")
    asked = next((plan.fields[a.name] for a in axes if a.kind == "multi"), None)
    number = plan.fields[statistic.number] if statistic.number is not None else None
    pick = grid_size = 1
    parts: tuple[Part, ...]
    if statistic.kind == "mean" and isinstance(number, NumberField):
        grid_size = number.grid_size
        totals = Part("totals", axes, 0, scale=grid_size, low=-grid_size, high=grid_size)
        parts = (totals, Part("numbers", axes, num_cells(axes)))
    elif isinstance(asked, MultiField):
        ticked = next(axis for axis in axes if axis.kind == "multi")
        pick = min(asked.pick, ticked.size)
        answered = Part("answered", (*groups, status_axis(ticked.name, asked)), 0)
        table = TickTable(ticked.size, pick, num_cells(groups), asked.required)
        a, t = table.centre(2 if mechanism == "gaussian" else 1)
        ticks = Part("ticks", axes, answered.size, scale=t, low=-a, high=UNITS - a)
        parts = (answered, ticks)
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

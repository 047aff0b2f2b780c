"""From an aggregate to released coordinates, and from those to tables of integers.

Run by aggregators (`project`, on their own share) and by whoever adds noisy shares up
(`tables`). Nothing here knows of noise: exact sums and noisy ones are read alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import ShapeError
from grievance.plan.encode import range_weights
from grievance.plan.frozen import FrozenMap
from grievance.plan.ticks import UNITS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.plan.axes import Axis
    from grievance.plan.layout import Layout
    from grievance.plan.parts import PartName, StatisticLayout


@dataclass(frozen=True)
class RawTable:
    """One statistic's integers, row-major over the axes of each part.

    Count and distribution have `cells`; a count with a multi-choice field has `answered`, the
    denominators, over groups x status, and `ticks` T = 64 ticks - a answered; a mean has `totals`
    T = sum(2v - M) and `numbers` N of those who answered, both over groups.
    """

    layout: StatisticLayout
    values: Mapping[str, tuple[int, ...]]

    @property
    def name(self) -> str:
        """The statistic's name."""
        return self.layout.name

    @property
    def kind(self) -> str:
        """One of "count", "mean" and "distribution"."""
        return self.layout.kind

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the main table; of a mean, its groups."""
        return self.layout.axes

    def part(self, name: PartName) -> tuple[int, ...]:
        """Return the integers of one part. Raises ShapeError where there is none."""
        if name not in self.values:
            raise ShapeError(f"a {self.kind} has no {name}")
        return self.values[name]

    @property
    def cells(self) -> tuple[int, ...]:
        """The table of a count or distribution."""
        return self.part("cells")

    @property
    def answered(self) -> tuple[int, ...]:
        """The denominators of a count with a multi-choice field."""
        return self.part("answered")

    @property
    def ticks(self) -> tuple[int, ...]:
        """Centred ticks of a count with a multi-choice field; see `grievance.plan.ticks`."""
        return self.part("ticks")

    @property
    def totals(self) -> tuple[int, ...]:
        """Centred totals of a mean, by group."""
        return self.part("totals")

    @property
    def numbers(self) -> tuple[int, ...]:
        """How many answered, by group of a mean."""
        return self.part("numbers")


def _find(layout: Layout, name: str) -> StatisticLayout:
    if name not in layout.statistics:
        raise ShapeError(f"the plan has no statistic of the name {name!r:.60}")
    return layout.statistics[name]


def project(layout: Layout, name: str, aggregate: Sequence[int], modulus: int) -> list[int]:
    """Map `num_bits` field elements to a statistic's released coordinates; see `Layout.project`."""
    statistic = _find(layout, name)
    if len(aggregate) != layout.num_bits:
        raise ShapeError(f"an aggregate of this plan has {layout.num_bits} entries")
    if statistic.implied_by is not None:
        return []
    bits = aggregate[statistic.start : statistic.start + statistic.num_bits]
    if statistic.multi is not None:
        return [value % modulus for value in _centred_ticks(statistic, [int(bit) for bit in bits])]
    if statistic.kind != "mean":
        return [int(bit) % modulus for bit in bits]
    groups, top = statistic.cells, statistic.grid_size
    numbers = [int(bit) for bit in bits[:groups]]
    totals = [-top * number for number in numbers]
    for row, weight in enumerate(range_weights(top), start=1):
        for group in range(groups):
            totals[group] += 2 * weight * int(bits[row * groups + group])
    return [value % modulus for value in (*totals, *numbers)]


def _centred_ticks(statistic: StatisticLayout, bits: list[int]) -> list[int]:
    """Answered as it is, then 64 ticks less a times who answered in the group."""
    answered, ticks = statistic.part("answered"), statistic.part("ticks")
    groups = statistic.denominators
    return bits[: answered.size] + [
        UNITS * bits[ticks.offset + cell] + ticks.low * bits[group]
        for cell, group in enumerate(groups)
    ]


def tables(layout: Layout, values: Mapping[str, Sequence[int]]) -> dict[str, RawTable]:
    """Turn released coordinates into tables; see `Layout.tables`."""
    for name, coordinates in values.items():
        expected = _find(layout, name).num_released
        if len(coordinates) != expected:
            raise ShapeError(f"{name} releases {expected} coordinates")
    found = {}
    for name, statistic in layout.statistics.items():
        source = values.get(statistic.implied_by or name)
        if source is None:
            continue
        coordinates = (
            [sum(int(source[at]) for at in summed) for summed in statistic.reads]
            if statistic.implied_by
            else [int(value) for value in source]
        )
        parts: dict[str, tuple[int, ...]] = {
            part.name: tuple(coordinates[part.offset : part.offset + part.size])
            for part in statistic.parts
        }
        found[name] = RawTable(statistic, FrozenMap(parts))
    return found

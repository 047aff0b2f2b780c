"""The three kinds of table, and how they are made from released integers.

`CountTable`, `MeanTable` and `DistributionTable` share one interface (`Table`): names, axes,
`cells()`, `cell(...)`, `compare(...)`, tidy rows, Arrow, polars, pandas, text and HTML. All
their intervals are 95 % intervals of the noise only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from grievance.plan import NOT_ANSWERED, NumberField
from grievance.release.base import Table
from grievance.release.counts import CountTable
from grievance.release.cube import Axis, Cube
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable
from grievance.release.reconcile import keys_of, overlaps, people, scaled
from grievance.release.spread import Spread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from grievance.plan import Axis as PlanAxis
    from grievance.plan import Layout, Part, Plan, RawTable
    from grievance.privacy.laws import NoiseLaw

__all__ = ["CountTable", "DistributionTable", "MeanTable", "Table", "make_tables"]


def make_tables(
    layout: Layout,
    values: Mapping[str, Sequence[int]],
    *,
    laws: Mapping[str, NoiseLaw],
    hide_below: int,
    most: float = math.inf,
) -> dict[str, Table]:
    """Make the table of every statistic in `values`, and of those implied by them.

    `values` are released coordinates by charged statistic; `laws`, for each of those, the noise
    in one released count, all aggregators' together; `most`: as many reports as there were.
    Tables come in the plan's order. Their
    estimates are reconciled; `table.raw` is the table from its own released integers.
    """
    made: dict[str, Table] = {}
    found = overlaps(layout, values, laws)
    for name, raw in layout.tables(values).items():
        maker = _Maker(raw, _number(layout.plan, raw), hide_below, most)
        plain = maker.make({part.name: _raw_cube(raw, part, laws) for part in raw.layout.parts})
        meeting = [found[people(layout, raw.layout, part)] for part in raw.layout.parts]
        if any(overlap.reconciles for overlap in meeting):
            table = maker.make(
                {
                    part.name: _cube(part, *overlap.read(keys_of(part)))
                    if overlap.reconciles
                    else _raw_cube(raw, part, laws)
                    for part, overlap in zip(raw.layout.parts, meeting, strict=True)
                }
            )
            table.reconcile(
                plain, sorted({n for o in meeting if o.reconciles for n in o.statistics} - {name})
            )
        else:
            table = plain
        for overlap in meeting:
            if not overlap.agrees:
                table.remark = (
                    f"not reconciled: {', '.join(overlap.statistics)} are about the same people "
                    "and disagree by more than the noise explains"
                )
        made[name] = table
    return made


@dataclass(frozen=True)
class _Maker:
    """Makes one statistic's table from the cubes of its parts."""

    raw: RawTable
    number: NumberField | None
    hide_below: int
    most: float

    def make(self, cubes: Mapping[str, Cube]) -> Table:
        raw, number = self.raw, self.number
        title = title_for(raw, number)
        if raw.kind == "mean" and number is not None:
            return MeanTable(
                name=raw.name,
                title=title,
                totals=cubes["totals"],
                people=cubes["numbers"],
                hide_below=self.hide_below,
                minimum=number.minimum,
                step=number.step,
                grid=number.grid_size,
                unit=number.unit,
                most=self.most,
            )
        if raw.kind == "distribution" and number is not None:
            return DistributionTable(
                name=raw.name,
                title=title,
                cube=cubes["cells"],
                hide_below=self.hide_below,
                subject=raw.axes[-1].name,
                ranges=_ranges(number),
                most=self.most,
            )
        return CountTable(
            name=raw.name,
            title=title,
            cube=cubes["ticks" if raw.layout.multi else "cells"],
            hide_below=self.hide_below,
            subject=raw.layout.multi.name if raw.layout.multi else None,
            answered=cubes.get("answered"),
            centre=raw.layout.centre[0] if raw.layout.multi else 0,
            pick=raw.layout.pick,
            most=self.most,
        )


def title_for(raw: RawTable, number: NumberField | None) -> str:
    """Return a table's title: the question, by which others, and who it is restricted to."""
    questions = [axis.title for axis in raw.axes]
    if raw.kind == "mean" and number is not None:
        questions.insert(0, f"Mean of: {number.question}")
    elif raw.kind == "distribution":
        questions.insert(0, questions.pop())
    only = [f"{field}: {', '.join(labels)}" for field, labels in raw.layout.where.items()]
    return " / ".join(questions) + (f" (only {'; '.join(only)})" if only else "")


def _axis(axis: PlanAxis) -> Axis:
    blank = NOT_ANSWERED if NOT_ANSWERED in axis.labels else None
    return Axis(axis.name, axis.title, axis.labels, blank)


def _cube(part: Part, values: tuple[float, ...], spread: Spread) -> Cube:
    return Cube(tuple(_axis(axis) for axis in part.axes), values, spread)


def _raw_cube(raw: RawTable, part: Part, laws: Mapping[str, NoiseLaw]) -> Cube:
    law = scaled(laws[raw.layout.implied_by or raw.name], part.scale)
    sizes = tuple(axis.size for axis in part.axes)
    return _cube(part, raw.part(part.name), _plain_spread(sizes, law, part.terms))


@lru_cache(maxsize=1024)
def _plain_spread(sizes: tuple[int, ...], law: NoiseLaw, repeats: int) -> Spread:
    return Spread.independent(sizes, law, repeats)


def _number(plan: Plan, raw: RawTable) -> NumberField | None:
    field = plan.fields.get(raw.layout.number_name or "")
    return field if isinstance(field, NumberField) else None


def _ranges(number: NumberField) -> tuple[tuple[Fraction, Fraction], ...]:
    """Return the smallest and largest answer of every band: all but the last are open above."""
    edges = number.bands
    tops = [edge - number.step for edge in edges[1:-1]] + [edges[-1]]
    return tuple(zip(edges[:-1], tops, strict=True))

"""The three kinds of table, and how they are made from released integers.

`CountTable`, `MeanTable` and `DistributionTable` share one interface (`Table`): names, axes,
`cells()`, `cell(...)`, `compare(...)`, tidy rows, Arrow, polars, pandas, text and HTML. All
their intervals are 95 % intervals of the noise only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.plan import NOT_ANSWERED, NumberField
from grievance.release.base import Noise, Table
from grievance.release.counts import CountTable
from grievance.release.cube import Axis, Cube
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from fractions import Fraction

    from grievance.plan import Axis as PlanAxis
    from grievance.plan import Layout, Part, Plan, RawTable

__all__ = ["CountTable", "DistributionTable", "MeanTable", "Table", "make_tables"]


def make_tables(
    layout: Layout,
    values: Mapping[str, Sequence[int]],
    *,
    sigmas: Mapping[str, Fraction],
    aggregators: int,
    hide_below: int,
) -> dict[str, Table]:
    """Make the table of every statistic in `values`, and of those implied by them.

    `values` are released coordinates by charged statistic, `sigmas` one aggregator's noise for
    each of those. Tables come in the plan's order.
    """
    made: dict[str, Table] = {}
    for name, raw in layout.tables(values).items():
        noise = Noise(sigmas[raw.layout.implied_by or name], aggregators)
        made[name] = _make(raw, _number(layout.plan, raw), noise, hide_below)
    return made


def _make(raw: RawTable, number: NumberField | None, noise: Noise, hide_below: int) -> Table:
    title = title_for(raw, number)
    if raw.kind == "mean" and number is not None:
        return MeanTable(
            name=raw.name,
            title=title,
            totals=_cube(raw, raw.layout.part("totals")),
            people=_cube(raw, raw.layout.part("numbers")),
            noise=noise,
            hide_below=hide_below,
            minimum=number.minimum,
            step=number.step,
            grid=number.grid_size,
            unit=number.unit,
        )
    cube = _cube(raw, raw.layout.part("cells"))
    if raw.kind == "distribution" and number is not None:
        return DistributionTable(
            name=raw.name,
            title=title,
            cube=cube,
            noise=noise,
            hide_below=hide_below,
            subject=raw.axes[-1].name,
            ranges=_ranges(number),
        )
    multi = raw.layout.multi
    if multi is None:
        return CountTable(name=raw.name, title=title, cube=cube, noise=noise, hide_below=hide_below)
    answered, not_answered = _split_status(_cube(raw, raw.layout.part("answered")))
    return CountTable(
        name=raw.name,
        title=title,
        cube=cube,
        noise=noise,
        hide_below=hide_below,
        subject=multi.name,
        answered=answered,
        not_answered=not_answered,
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


def _cube(raw: RawTable, part: Part) -> Cube:
    axes = tuple(_axis(axis) for axis in part.axes)
    values = raw.part(part.name)
    return Cube(axes, values, (part.terms,) * len(values))


def _split_status(cube: Cube) -> tuple[Cube, Cube | None]:
    """Split denominators by their last axis: who answered, and who did not where one may."""
    *groups, status = cube.axes
    num = len(status.labels)
    answered, *others = (
        Cube(tuple(groups), cube.values[at::num], cube.draws[at::num]) for at in range(num)
    )
    return answered, others[0] if others else None


def _number(plan: Plan, raw: RawTable) -> NumberField | None:
    field = plan.fields.get(raw.layout.number_name or "")
    return field if isinstance(field, NumberField) else None


def _ranges(number: NumberField) -> tuple[tuple[Fraction, Fraction], ...]:
    """Return the smallest and largest answer of every band: all but the last are open above."""
    edges = number.bands
    tops = [edge - number.step for edge in edges[1:-1]] + [edges[-1]]
    return tuple(zip(edges[:-1], tops, strict=True))

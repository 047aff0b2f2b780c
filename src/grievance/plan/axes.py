"""Axes of tables: how one answer picks a label, after `where` and `merge`."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Literal

from grievance.plan.fields import ChoiceField, MultiField, NumberField
from grievance.plan.labels import ANSWERED, NOT_ANSWERED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from fractions import Fraction

    from grievance.plan.model import Plan
    from grievance.plan.statistics import Statistic

AxisKind = Literal["choice", "multi", "band", "status"]


@dataclass(frozen=True)
class Axis:
    """One dimension of a table.

    Attributes:
        name: The field's name.
        title: The field's question.
        labels: What the table shows, in order.
        kind: "choice" and "band": everybody in the table is under exactly one label.
            "multi": under up to `pick` labels. "status": answered, and not answered.
        picks: For every answer the field knows (choices in order, then "not answered" of a
            field that is not required; grid bands likewise) the index of its label, or
            None where the statistic's `where` leaves it out.
        edges: For a band axis, the bands' edges as numbers; the label "not answered", if
            any, has none.
        cuts: The edges between bands as grid values: a value v is in the band whose index
            is the number of cuts <= v, since bands are closed below and the last one also
            above.
        unit: For a band axis, the unit of the edges.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    kind: AxisKind
    picks: tuple[int | None, ...]
    edges: tuple[Fraction, ...] = ()
    cuts: tuple[int, ...] = ()
    unit: str = ""

    @property
    def size(self) -> int:
        """How many labels the axis has."""
        return len(self.labels)

    @property
    def meaning(self) -> tuple[str, AxisKind, tuple[int | None, ...]]:
        """What two axes share when the same answers lie under the same positions of both."""
        return self.name, self.kind, self.picks


def _choice_axis(
    name: str, field: ChoiceField | MultiField, options: Sequence[str], statistic: Statistic
) -> Axis:
    """Keep the options `where` names; a merged group stands where its first member stood."""
    kept = statistic.where.get(name, options)
    group_of = {
        label: group
        for group, members in statistic.merge.get(name, {}).items()
        for label in members
    }
    labels: list[str] = []
    picks: list[int | None] = []
    for option in options:
        if option not in kept:
            picks.append(None)
            continue
        label = group_of.get(option, option)
        if label not in labels:
            labels.append(label)
        picks.append(labels.index(label))
    return Axis(
        name,
        field.question,
        tuple(labels),
        "multi" if isinstance(field, MultiField) else "choice",
        tuple(picks),
    )


def _band_axis(name: str, field: NumberField) -> Axis:
    labels = field.band_labels if field.required else (*field.band_labels, NOT_ANSWERED)
    return Axis(
        name,
        field.question,
        labels,
        "band",
        tuple(range(len(labels))),
        edges=field.bands,
        cuts=field.band_edges[1:-1],
        unit=field.unit,
    )


def status_axis(name: str, field: MultiField) -> Axis:
    """Return the axis of the denominators of a multi-choice field."""
    labels = (ANSWERED,) if field.required else (ANSWERED, NOT_ANSWERED)
    return Axis(name, field.question, labels, "status", tuple(range(len(labels))))


def build_axes(plan: Plan, statistic: Statistic) -> tuple[Axis, ...]:
    """Return the axes of a statistic's table in its order; bands come last."""
    axes: list[Axis] = []
    for name in statistic.choices:
        field = plan.fields[name]
        if isinstance(field, ChoiceField):
            axes.append(_choice_axis(name, field, field.options, statistic))
        elif isinstance(field, MultiField):
            axes.append(_choice_axis(name, field, field.choices, statistic))
    if statistic.kind == "distribution" and statistic.number is not None:
        number = plan.fields[statistic.number]
        if isinstance(number, NumberField):
            axes.append(_band_axis(statistic.number, number))
    return tuple(axes)


def num_cells(axes: Sequence[Axis]) -> int:
    """How many cells a table over `axes` has."""
    return prod(axis.size for axis in axes)


def cell_at(axes: Sequence[Axis], indices: Sequence[int]) -> int:
    """Return the row-major position of one cell."""
    cell = 0
    for axis, index in zip(axes, indices, strict=True):
        cell = cell * axis.size + index
    return cell


def all_indices(axes: Sequence[Axis]) -> Iterator[tuple[int, ...]]:
    """Yield the indices of every cell, row-major: the last axis runs fastest."""
    return product(*(range(axis.size) for axis in axes))

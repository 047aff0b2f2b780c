"""How a table is read aloud: which of its questions is the answer, and which are groups.

A question with several choices is always the answer, and so are the bands of a number. Of a
table over questions with one answer each, the one that is asked last is the answer: people are
asked who they are before they are asked how they are. The full table has all the numbers, so
whoever would read it the other way can.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.plan import NumberField
from grievance.release.counts import CountTable
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable

if TYPE_CHECKING:
    from grievance.plan import Plan, StatisticLayout
    from grievance.release.base import Table
    from grievance.release.cube import Axis
    from grievance.release.release import Release


@dataclass(frozen=True)
class Reading:
    """A table, its answer (None: a mean), its groups, and the words that go with it.

    `several`: people could tick several answers. `leads`: the answer is not itself a group in
    another table. `unit`: of a number. `bounds`: what a mean can be. `only`: questions, and the
    answers that people had to give to be in the table.
    """

    table: Table
    answer: Axis | None
    groups: tuple[Axis, ...]
    question: str
    several: bool = False
    leads: bool = True
    unit: str = ""
    bounds: tuple[float, float] | None = None
    only: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def name(self) -> str:
        """The statistic's name."""
        return self.table.name

    @property
    def verb(self) -> str:
        """What people did to be counted: said or ticked an answer, or gave a number."""
        if isinstance(self.table, DistributionTable):
            return "gave"
        return "ticked" if self.several else "said"

    @property
    def answers(self) -> tuple[str, ...]:
        """The answers people gave, without "not answered"."""
        return () if self.answer is None else given_labels(self.answer)


def given_labels(axis: Axis) -> tuple[str, ...]:
    """Return an axis's labels without "not answered"."""
    return tuple(label for label in axis.labels if label != axis.blank)


def read_tables(release: Release) -> list[Reading]:
    """Return how each table of a release is read, in the plan's order."""
    statistics = release.task.layout.statistics
    found = [read_table(table, release.plan, statistics[table.name]) for table in release]
    grouping = {axis.name for reading in found for axis in reading.groups}
    return [
        Reading(**{**vars(one), "leads": one.answer is None or one.answer.name not in grouping})
        for one in found
    ]


def read_table(table: Table, plan: Plan, statistic: StatisticLayout) -> Reading:
    """Return how one table is read, as if it were the only one of its release."""
    fields = list(plan.fields)
    several, answer = False, None
    if isinstance(table, CountTable):
        several = statistic.multi is not None
        fixed = several or isinstance(table, DistributionTable)
        last = max(table.axes, key=lambda axis: fields.index(axis.name))
        answer = table.subject if fixed else last
    number = plan.fields.get(statistic.number_name or "")
    return Reading(
        table=table,
        answer=answer,
        groups=tuple(axis for axis in table.axes if axis is not answer),
        question=number.question if number else answer.title if answer else table.title,
        several=several,
        unit=number.unit if isinstance(number, NumberField) else "",
        bounds=_bounds(table),
        only=tuple(
            (plan.fields[name].question, tuple(labels)) for name, labels in statistic.where.items()
        ),
    )


def _bounds(table: Table) -> tuple[float, float] | None:
    if not isinstance(table, MeanTable):
        return None
    return float(table.minimum), float(table.minimum + table.step * table.grid)

"""The tables a release would have if exactly the expected people came, and what they show.

They are made by the code that makes the tables of a release, from expected counts in place of
noisy ones. So every margin is the one a release would print for such numbers, reconciliation
with overlapping tables included, and none is computed a second way. Differences are forecast
at the level of its page, which corrects for the number of comparisons of a statistic.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from grievance.plan import NOT_ANSWERED, Layout, NumberField, RawTable
from grievance.plan.frozen import FrozenMap
from grievance.planner.model import CellForecast
from grievance.privacy.laws import NoiseLaw
from grievance.release.figures import UNKNOWN
from grievance.release.page.apart import ask, of_means, of_people, of_shares, quantile
from grievance.release.page.reading import read_table
from grievance.release.tables import CountTable, MeanTable, make_tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.plan import Plan, StatisticLayout
    from grievance.planner.groups import Expectation
    from grievance.privacy import Allocation
    from grievance.release import Figure, Table
    from grievance.release.intervals import Interval
    from grievance.release.page.reading import Reading

Labels = tuple[str, ...]


class ExpectedLayout(Layout):
    """A layout whose coordinates may be expectations, which are not whole numbers."""

    def tables(self, values: Mapping[str, Sequence[float]]) -> dict[str, RawTable]:
        """Turn coordinates into tables, as `Layout.tables` does, and round nothing."""
        found = {}
        for name, statistic in self.statistics.items():
            source = values[statistic.implied_by or name]
            coordinates = (
                [math.fsum(source[at] for at in summed) for summed in statistic.reads]
                if statistic.implied_by
                else list(source)
            )
            parts: dict[str, Any] = {
                part.name: tuple(coordinates[part.offset : part.offset + part.size])
                for part in statistic.parts
            }
            found[name] = RawTable(statistic, FrozenMap(parts))
        return found


def expected_tables(
    layout: ExpectedLayout,
    expected: Expectation,
    allocations: Mapping[str, Allocation],
    aggregators: int,
) -> dict[str, Prospect]:
    """Return what every statistic of a plan would show, by name, in the plan's order."""
    values = {
        s.name: [value for part in s.parts for value in expected.values(s, part)]
        for s in layout.charged
    }
    laws = {
        name: NoiseLaw(given.mechanism, given.scale, aggregators)
        for name, given in allocations.items()
    }
    terms = layout.plan.privacy
    tables = make_tables(layout, cast("Any", values), laws=laws, hide_below=terms.hide_below)
    kinds = {True: MeanProspect, False: CountProspect}
    return {
        name: kinds[layout.statistics[name].kind == "mean"](
            layout.plan, layout.statistics[name], cast("Any", table), expected
        )
        for name, table in tables.items()
    }


@dataclass(frozen=True)
class Pair:
    """The smallest difference that shows: between two middle groups, and the two smallest."""

    middle: float | None
    most: float | None


@dataclass(frozen=True)
class Prospect(ABC):
    """What one statistic would show: a count (or distribution), or a mean."""

    plan: Plan
    statistic: StatisticLayout
    table: Table
    expected: Expectation

    @property
    def known(self) -> bool:
        """Whether a number of reports is expected."""
        return self.expected.reports is not None

    @property
    def people(self) -> float:
        """The people expected in the whole table; of a mean, those who answer."""
        people = (self.expected.reports or 0.0) * self.expected.of_people(self.statistic)
        if self.statistic.kind == "mean":
            people *= self.expected.answered(self.statistic.number_name or "")
        return people

    @cached_property
    def labels(self) -> list[Labels]:
        """The labels of every cell, row-major."""
        return list(itertools.product(*(axis.labels for axis in self.statistic.axes)))

    @cached_property
    def reading(self) -> Reading:
        """How the page of a release reads the table."""
        return read_table(self.table, self.plan, self.statistic)

    @cached_property
    def comparisons(self) -> int:
        """How many differences the page looks at; it corrects each of them for that."""
        return len(ask(self.reading))

    def named(self, labels: Labels) -> dict[str, str]:
        """Return labels by field."""
        return dict(zip((axis.name for axis in self.statistic.axes), labels, strict=True))

    @cached_property
    def cells(self) -> tuple[CellForecast, ...]:
        """Every cell, row-major."""
        return tuple(self._cells())

    @abstractmethod
    def _cells(self) -> Iterator[CellForecast]:
        """Every cell, row-major."""

    @property
    def answered(self) -> list[CellForecast]:
        """The cells that are not of people who leave a question open; all if there are none."""
        return [cell for cell in self.cells if not cell.blank] or list(self.cells)

    @property
    def margin(self) -> float:
        """The margin of a cell in people; of a mean, of the group's size."""
        return self.cells[0].margin

    @property
    @abstractmethod
    def margin_raw(self) -> float:
        """The same without reconciliation."""


class CountProspect(Prospect):
    """A count or a distribution."""

    table: CountTable

    @property
    def margin_raw(self) -> float:
        """The margin of a cell from its own released integers."""
        return _count(self.table.raw).cell(**self.named(self.labels[0])).margin

    @cached_property
    def place(self) -> int:
        """Which of the axes the shares are of."""
        return next(
            at for at, a in enumerate(self.statistic.axes) if a.name == self.table.subject.name
        )

    @cached_property
    def groups(self) -> dict[Labels, float]:
        """People expected to answer, by the labels of the other axes; no blank groups."""
        return self._groups_without(self.place)

    def _groups_without(self, place: int) -> dict[Labels, float]:
        part = self.statistic.part("cells" if self.statistic.multi is None else "answered")
        found: dict[Labels, float] = {}
        subject = len(part.axes) - 1 if self.statistic.multi is not None else place
        cells = itertools.product(*(axis.labels for axis in part.axes))
        for labels, value in zip(cells, self.expected.values(self.statistic, part), strict=True):
            if NOT_ANSWERED not in labels:
                group = (*labels[:subject], *labels[subject + 1 :])
                found[group] = found.get(group, 0.0) + value
        return found

    def _group(self, labels: Labels) -> Labels:
        return (*labels[: self.place], *labels[self.place + 1 :])

    def _cells(self) -> Iterator[CellForecast]:
        margin = self.table.cell(**self.named(self.labels[0])).margin
        values = self.expected.counts(self.statistic)
        seen: dict[tuple[float, float], float] = {}
        for labels, value in zip(self.labels, values, strict=True):
            blank = NOT_ANSWERED in labels
            points = None
            if self.known and not blank:
                people = self.groups[self._group(labels)]
                # Cells of a table differ in nothing else.
                key = round(value, 6), round(people, 6)
                if key not in seen:
                    seen[key] = 100 * reach(self._share(labels), 1.0)
                points = seen[key]
            yield CellForecast(
                labels=self.named(labels),
                expected=value if self.known else None,
                margin=margin,
                points=points,
                units=None,
                hopeless=self.known and not blank and value < margin,
                grey=self.known and value < max(self.plan.privacy.hide_below, margin),
                blank=blank,
            )

    def _share(self, labels: Labels) -> Figure:
        named = self.named(labels)
        subject = self.table.subject.name
        return self.table.share(of={subject: named.pop(subject)}, within=named)

    def difference(self) -> float | None:
        """Return the smallest difference of two cells, in people, that shows."""
        if len(self.labels) < 2:
            return None
        table = self.table
        first, second = (
            table._count(table._cube.chosen(self.named(one))) for one in self.labels[:2]
        )
        return of_people(first - second, quantile(self.comparisons))

    def difference_points(self) -> Pair:
        """Return the smallest difference of one answer's share in two groups that shows.

        What are answers and what groups is as the page reads the table; the answer is the one
        most people give. Of a table without groups: of two answers.
        """
        if not self.known:
            return Pair(None, None)
        name = (self.reading.answer or self.table.subject).name
        place = next(at for at, axis in enumerate(self.statistic.axes) if axis.name == name)
        groups = self._groups_without(place)
        if len(groups) < 2:
            (people,) = groups.values() or (0.0,)
            count = self.difference()
            if count is None or count > people:
                return Pair(None, None)
            points = 100 * count / people
            return Pair(points, points)
        subject = self.statistic.axes[place]
        often = self.expected.of_axis(subject)
        answer = max(
            (label for label in subject.labels if label != NOT_ANSWERED),
            key=lambda label: often[subject.labels.index(label)],
        )
        others = [axis.name for axis in self.statistic.axes if axis is not subject]

        def compare(*pair: Labels) -> float | None:
            two = [dict(zip(others, group, strict=True)) for group in pair]
            z = quantile(self.comparisons)
            points = _shows(of_shares(self.table, {name: answer}, two, z), 1.0)
            return None if points is None else 100 * points

        return _of_pairs(sorted(groups, key=groups.__getitem__), compare)


class MeanProspect(Prospect):
    """A mean by groups."""

    table: MeanTable

    @property
    def number(self) -> NumberField:
        """The number the mean is of."""
        field = self.plan.fields[self.statistic.number_name or ""]
        if not isinstance(field, NumberField):
            raise TypeError("a mean is of a number")
        return field

    @property
    def margin_raw(self) -> float:
        """The margin of a group's size from its own released integers."""
        raw = self.table.raw
        if not isinstance(raw, MeanTable):
            raise TypeError("a mean's raw table is a mean")
        return raw.answered(**self.named(self.labels[0])).margin

    @cached_property
    def sizes(self) -> list[float]:
        """People expected to answer in every group."""
        return self.expected.values(self.statistic, self.statistic.part("numbers"))

    def _cells(self) -> Iterator[CellForecast]:
        margin = self.table.answered(**self.named(self.labels[0])).margin
        for labels, people in zip(self.labels, self.sizes, strict=True):
            mean = self.table.cell(**self.named(labels)) if self.known else None
            unknown = mean is not None and UNKNOWN in mean.note
            blank = NOT_ANSWERED in labels
            yield CellForecast(
                labels=self.named(labels),
                expected=people if self.known else None,
                margin=margin,
                points=None,
                units=None if mean is None else reach(mean, self.span),
                hopeless=self.known and not blank and (unknown or people < margin),
                grey=self.known and people < max(self.plan.privacy.hide_below, margin),
                blank=blank,
            )

    @property
    def span(self) -> float:
        """The width of the number's range."""
        return float(self.number.maximum - self.number.minimum)

    def difference_units(self) -> Pair:
        """Return the smallest difference of two groups' means that shows."""
        people = {
            labels: some
            for labels, some in zip(self.labels, self.sizes, strict=True)
            if NOT_ANSWERED not in labels
        }
        if not self.known or len(people) < 2:
            return Pair(None, None)
        return _of_pairs(sorted(people, key=people.__getitem__), self._compare)

    def _compare(self, first: Labels, second: Labels) -> float | None:
        two = [self.named(first), self.named(second)]
        return _shows(of_means(self.table, two, quantile(self.comparisons)), self.span)


def reach(figure: Figure, span: float) -> float:
    """Return how far the exact figure may lie from the one printed: the farther limit.

    It is the margin, unless the interval was cut where the range of the figure ends; then half
    its width would flatter. `span`, the width of that range, if nothing can be estimated.
    """
    if figure.estimate is None:
        return span
    return max(figure.estimate - figure.low, figure.high - figure.estimate)


def _shows(found: Interval, span: float) -> float | None:
    """Return the smallest difference that shows; None where none does, up to `span`."""
    return None if found.margin >= span * (1 - 1e-9) else found.margin


def _of_pairs(groups: Sequence[Labels], compare: Any) -> Pair:
    """Compare the two middle and the two first of sorted groups."""
    middle = (len(groups) - 2) // 2
    return Pair(compare(groups[middle], groups[middle + 1]), compare(groups[0], groups[1]))


def _count(table: Table) -> CountTable:
    if not isinstance(table, CountTable):
        raise TypeError("a count's raw table is a count")
    return table

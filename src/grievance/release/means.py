"""Tables of means: a number's mean by groups, from noisy totals and noisy numbers of people."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from grievance.release.base import Beside, Table
from grievance.release.counts import overlap, sentence
from grievance.release.cube import is_empty, meet, words
from grievance.release.figures import Difference, Figure, of_interval, of_total
from grievance.release.ratios import Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from grievance.release.cube import Cube, Total
    from grievance.release.spread import Box


class MeanTable(Table):
    """The mean of a number, by groups: minimum + step * (T / N + M) / 2.

    T is the noisy total of 2v - M over the people of a group, v being the place of the number
    on its grid 0..M, with M times the noise of N, the noisy number of people who answered.
    The noise of the two is independent, so the interval is Fieller's for T / N, cut to what a mean
    can be. Where N does not stand out of its noise the interval is the whole range.
    """

    kind = "mean"

    def __init__(
        self,
        *,
        name: str,
        title: str,
        totals: Cube,
        people: Cube,
        hide_below: int,
        minimum: Fraction,
        step: Fraction,
        grid: int,
        unit: str = "",
        most: float = math.inf,
    ) -> None:
        super().__init__(name=name, title=title, axes=people.axes, hide_below=hide_below, most=most)
        self.value_name = f"mean, {unit}" if unit else "mean"
        self.minimum, self.step, self.grid, self.unit = minimum, step, grid, unit
        self._totals, self._numbers = totals, people

    def cells(self) -> list[Figure]:
        """Return the mean of every group; one figure without labels if there are no groups."""
        names = [axis.name for axis in self.axes]
        return [
            self._figure(self._ratio(total, people), dict(zip(names, key, strict=True)))
            for total, people, key in zip(
                self._totals.cells(), self._numbers.cells(), self._numbers.labels(), strict=True
            )
        ]

    def _cell(self, labels: Mapping[str, str]) -> Figure:
        return self.mean(**labels)

    def mean(self, **group: object) -> Figure:
        """Return the mean over the chosen groups together, every person counting the same.

        `mean(region=["London", "North"])`. Raises ReleaseError for an unknown axis or label.
        """
        return self._figure(self._of(self._numbers.chosen(group)), words(group))

    def answered(self, **group: object) -> Figure:
        """Return the noisy number of people the mean of the chosen groups is over."""
        return self._people(self._numbers.sum(self._numbers.chosen(group)), words(group))

    def total(self, **group: object) -> Figure:
        """Return the sum of the number over everybody in the chosen groups who gave it.

        It is step * (T + M * N) / 2 + minimum * N: all unpaid hours, say. The noise of T and N is
        independent. Raises ReleaseError for an unknown axis or label.
        """
        return self._total(self._numbers.chosen(group), words(group))

    def _total(self, box: Box, labels: Mapping[str, str]) -> Figure:
        people, half_step = self._numbers.sum(box), float(self.step) / 2
        middle = float(self.minimum) + half_step * self.grid
        least, most = float(self.minimum), float(self.minimum) + self._span
        return of_total(
            Figure,
            self._totals.sum(box).times(half_step).plus(people, middle),
            labels=labels,
            # Nobody, or everybody who sent a report, may have given the least or the most.
            possible=(_times(min(0.0, least), self.most), _times(max(0.0, most), self.most)),
            grey=self._is_grey(people),
            whole=False,
        )

    def compare(
        self, a: Mapping[str, object] | str, b: Mapping[str, object] | str, /
    ) -> Difference:
        """Return the difference a - b of the means of two groups that do not overlap.

        `compare({"region": "London"}, {"region": "North"})`, or `compare("London", "North")`
        where only one axis has those labels. Raises ReleaseError for groups that overlap and for
        unknown axes or labels.
        """
        a, b = self._group(a), self._group(b)
        boxes = self._numbers.chosen(a), self._numbers.chosen(b)
        if not is_empty(meet(*boxes)):
            raise overlap()
        first, second = (self._of(box) for box in boxes)
        return of_interval(
            Difference,
            first.minus(second),
            labels={"a": sentence(a), "b": sentence(b)},
            possible=(-self._span, self._span),
        )

    @property
    def _span(self) -> float:
        """How far the largest answer is from the smallest."""
        return float(self.step * self.grid)

    def _of(self, box: Box) -> Ratio:
        return self._ratio(self._totals.sum(box), self._numbers.sum(box))

    def _ratio(self, total: Total, people: Total) -> Ratio:
        half_step = float(self.step) / 2
        return Ratio(
            total,
            people,
            -self.grid,
            self.grid,
            step=half_step,
            start=float(self.minimum) + half_step * self.grid,
        )

    def _figure(self, ratio: Ratio, labels: Mapping[str, str]) -> Figure:
        return of_interval(
            Figure,
            ratio.interval,
            labels=labels,
            possible=(float(self.minimum), float(self.minimum) + self._span),
            grey=self._is_grey(ratio.bottom),
        )

    def _beside(self) -> list[Beside]:
        # No sd: that of a ratio does not exist, and the interval says all there is to say.
        return [
            Beside(
                people=self._people(self._numbers.sum(box), {}).point, total=self._total(box, {})
            )
            for box in self._numbers.boxes()
        ]


def _times(each: float, people: float) -> float:
    """What so many people come to; 0 of any number of them is 0, of infinitely many too."""
    return each * people if each else 0.0

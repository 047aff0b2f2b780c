"""Tables of means: a number's mean by groups, from noisy totals and noisy numbers of people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import ReleaseError
from grievance.release.base import Beside, Table
from grievance.release.counts import overlap, sentence
from grievance.release.cube import words
from grievance.release.figures import Difference, Figure, of_interval
from grievance.release.intervals import difference, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from grievance.release.base import Noise
    from grievance.release.cube import Cube
    from grievance.release.intervals import Interval


class MeanTable(Table):
    """The mean of a number, by groups: minimum + step * (T / N + M) / 2.

    T is the noisy total of 2v - M over the people of a group, v being the place of the number
    on its grid 0..M, with M times the noise of N, the noisy number of people who answered.
    Both carry independent noise, so the interval is Fieller's for T / N, cut to what a mean
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
        noise: Noise,
        hide_below: int,
        minimum: Fraction,
        step: Fraction,
        grid: int,
        unit: str = "",
    ) -> None:
        super().__init__(
            name=name, title=title, axes=people.axes, noise=noise, hide_below=hide_below
        )
        self.value_name = f"mean, {unit}" if unit else "mean"
        self.minimum, self.step, self.grid, self.unit = minimum, step, grid, unit
        self._totals, self._people = totals, people

    def cells(self) -> list[Figure]:
        """Return the mean of every group; one figure without labels if there are no groups."""
        names = [axis.name for axis in self.axes]
        return [
            self._figure(frozenset([index]), dict(zip(names, key, strict=True)))
            for index, key in enumerate(self._people.labels())
        ]

    def mean(self, **group: object) -> Figure:
        """Return the mean over the chosen groups together, every person counting the same.

        `mean(region=["London", "North"])`. Raises ReleaseError for an unknown axis or label.
        """
        return self._figure(self._people.chosen(group), words(group))

    def answered(self, **group: object) -> Figure:
        """Return the noisy number of people the mean of the chosen groups is over."""
        people = self._people.sum(self._people.chosen(group))
        margin = self.noise.margin(people.draws)
        few = self._few(people)
        return Figure(
            labels=words(group),
            estimate=people.value,
            margin=margin,
            low=people.value - margin,
            high=people.value + margin,
            hidden=few,
            note=self._hidden_note() if few else "",
        )

    def compare(self, a: Mapping[str, object], b: Mapping[str, object], /) -> Difference:
        """Return the difference a - b of the means of two groups that do not overlap.

        `compare({"region": "London"}, {"region": "North"})`. Raises ReleaseError for groups
        that overlap and for unknown axes or labels.
        """
        first, second = self._people.chosen(a), self._people.chosen(b)
        if first & second:
            raise overlap()
        result = difference(
            self._interval(first), self._interval(second), span=float(self.step * self.grid)
        )
        few = self._few(self._people.sum(first), self._people.sum(second))
        return of_interval(
            Difference,
            result,
            labels={"a": sentence(a), "b": sentence(b)},
            hidden=few,
            note=self._hidden_note() if few else "",
        )

    def _interval(self, cells: frozenset[int]) -> Interval:
        total, people = self._totals.sum(cells), self._people.sum(cells)
        found = ratio(
            total.value,
            people.value,
            var_x=self.noise.variance(total.draws, self.grid),
            var_y=self.noise.variance(people.draws),
            low=-self.grid,
            high=self.grid,
        )
        half_step = float(self.step) / 2
        return found.scaled(half_step, float(self.minimum) + half_step * self.grid)

    def _figure(self, cells: frozenset[int], labels: Mapping[str, str]) -> Figure:
        if not cells:
            raise ReleaseError("no group is chosen", code="release.label")
        few = self._few(self._people.sum(cells))
        return of_interval(
            Figure,
            self._interval(cells),
            labels=labels,
            hidden=few,
            note=self._hidden_note() if few else "",
        )

    def _beside(self) -> list[Beside]:
        # No sd: that of a ratio does not exist, and the interval says all there is to say.
        people = [self._people.sum([index]) for index in range(len(self._people.values))]
        return [Beside(people=None if self._few(some) else some.value) for some in people]

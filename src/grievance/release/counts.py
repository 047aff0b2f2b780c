"""Tables of counts: people by their answers, with totals, shares and comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import ReleaseError
from grievance.release.base import Beside, Table
from grievance.release.cube import given, words
from grievance.release.figures import Difference, Figure, of_interval
from grievance.release.intervals import difference, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.release.base import Noise
    from grievance.release.cube import Cube, NoisySum
    from grievance.release.intervals import Interval


@dataclass(frozen=True)
class _Part:
    """A share before it is divided: `top` of `people`, who are the cells `where`.

    `rest` is people without top, which has its own noise; None when top and people are counted
    by different blocks, whose noise is independent.
    """

    top: NoisySum
    rest: NoisySum | None
    people: NoisySum
    where: frozenset[int]


class CountTable(Table):
    """How many people gave which answers, over one or more fields.

    A count's estimate is the noisy integer as it is, negative ones included: cutting at 0 would
    bias every sum. With a field of several choices (`ticked`), a cell counts the people who
    ticked that choice, and `answered` (by the other axes) those who answered the question at
    all: the denominator of its shares, with noise of its own.
    """

    kind = "count"
    value_name = "people"

    def __init__(
        self,
        *,
        name: str,
        title: str,
        cube: Cube,
        noise: Noise,
        hide_below: int,
        subject: str | None = None,
        answered: Cube | None = None,
        not_answered: Cube | None = None,
    ) -> None:
        self.subject = cube.axis(subject) if subject else cube.axes[0]
        super().__init__(name=name, title=title, axes=cube.axes, noise=noise, hide_below=hide_below)
        self._cube, self._answered, self._not_answered = cube, answered, not_answered

    def cells(self) -> list[Figure]:
        """Return the noisy count of every cell, with the margin of the noise in it."""
        return [
            self._figure(self._cube.sum([index]), labels)
            for index, labels in enumerate(self._labels())
        ]

    def total(self, **choice: object) -> Figure:
        """Return the sum of chosen cells: `total(region="London")`, `total(region=[...])`.

        Axes not named are summed over; margins add in quadrature. Over several choices of a
        several-choices field it counts ticks, not people (for those, see `answered`). Raises
        ReleaseError for an unknown axis or label.
        """
        several = len(given(self.subject, choice.get(self.subject.name, self.subject.labels))) > 1
        note = "counts ticks, of which one person may have several"
        total = self._cube.sum(self._cube.chosen(choice))
        return self._figure(total, words(choice), note if several and self._answered else "")

    def answered(self, **group: object) -> Figure:
        """Return how many people answered the question, in the chosen groups together.

        The question is the several-choices field, or else the first of the table.
        """
        if self._answered is not None:
            people = self._answered.sum(self._answered.chosen(group))
        else:
            people = self._cube.sum(self._among(self._cube, {self.subject.name: ()}, group))
        return self._figure(people, words(group))

    def not_answered(self, **group: object) -> Figure:
        """Return how many left the question open. Raises ReleaseError where nobody could."""
        blank = self.subject.blank
        if self._not_answered is not None:
            people = self._not_answered.sum(self._not_answered.chosen(group))
        elif blank is not None:
            people = self._cube.sum(self._cube.chosen({**group, self.subject.name: blank}))
        else:
            raise ReleaseError(
                f"{self.subject.name} is required: nobody left it open", code="release.label"
            )
        return self._figure(people, words(group))

    def share(
        self, *, of: Mapping[str, object], within: Mapping[str, object] | None = None
    ) -> Figure:
        """Return which share of the people `within` some groups gave the answers `of`.

        `share(of={"problems": "targets"}, within={"region": "London"})`. Both choose labels;
        without `within` it is everybody in the table. Who did not answer a field named in `of`
        is not in the denominator, unless `of` names that label. Interval: Fieller, with the
        numerator as part of the denominator, or, for a several-choices field, with the
        independent noise of those who answered. Raises ReleaseError for an unknown axis or
        label, for nobody, and for two choices of a several-choices field at once.
        """
        return self._share(of, within or {})

    def compare(
        self,
        a: Mapping[str, object],
        b: Mapping[str, object],
        /,
        *,
        of: Mapping[str, object] | None = None,
    ) -> Difference:
        """Return a - b with its interval: of two counts, or, with `of`, of two shares.

        `compare({"region": "London"}, {"region": "North"}, of={"problems": "targets"})`. Cells
        that are in both counts cancel; shares are compared between groups that do not overlap.
        Raises ReleaseError for the same group twice, for overlapping groups, and as `share`.
        """
        labels = {"a": sentence(a), "b": sentence(b)}
        if of is None:
            return self._compare_counts(a, b, labels)
        first, second = self._part(of, a), self._part(of, b)
        if first.where & second.where:
            raise overlap()
        result = difference(self._ratio(first), self._ratio(second), span=1.0)
        few = self._few(first.top, first.people, second.top, second.people)
        return of_interval(
            Difference,
            result,
            labels={**words(of), **labels},
            hidden=few,
            note=self._hidden_note() if few else "",
            percent=True,
        )

    def _compare_counts(
        self, a: Mapping[str, object], b: Mapping[str, object], labels: Mapping[str, str]
    ) -> Difference:
        first, second = self._cube.chosen(a), self._cube.chosen(b)
        if first == second:
            raise overlap()
        result = self._cube.sum(first - second) - self._cube.sum(second - first)
        margin = self.noise.margin(result.draws)
        few = self._few(self._cube.sum(first), self._cube.sum(second))
        return Difference(
            labels=labels,
            estimate=result.value,
            margin=margin,
            low=result.value - margin,
            high=result.value + margin,
            hidden=few,
            note=self._hidden_note() if few else "",
        )

    def _labels(self) -> list[dict[str, str]]:
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, key, strict=True)) for key in self._cube.labels()]

    def _figure(self, total: NoisySum, labels: Mapping[str, str], note: str = "") -> Figure:
        few = self._few(total)
        margin = self.noise.margin(total.draws)
        return Figure(
            labels=dict(labels),
            estimate=total.value,
            margin=margin,
            low=total.value - margin,
            high=total.value + margin,
            hidden=few,
            note="; ".join(text for text in (note, self._hidden_note() if few else "") if text),
        )

    def _beside(self) -> list[Beside]:
        """Return per cell the share of the subject's label among who answered in its group."""
        besides = []
        subject = self.subject.name
        for index, labels in enumerate(self._labels()):
            sd = self.noise.sd(self._cube.draws[index])
            if labels[subject] == self.subject.blank:
                besides.append(Beside(sd=sd))
                continue
            of = {subject: labels[subject]}
            group = {name: label for name, label in labels.items() if name != subject}
            people = self._part(of, group).people
            shown = None if self._few(people) else people.value
            besides.append(Beside(self._share(of, group), shown, sd))
        return besides

    def _left_out(self, of: Mapping[str, object]) -> set[str]:
        """Return the axes whose non-answers leave the denominator of a share of `of`."""
        return set(of)

    def _among(
        self, cube: Cube, of: Mapping[str, object], within: Mapping[str, object]
    ) -> frozenset[int]:
        """Return the denominator: the cells `within`, without those who did not answer."""
        whole = cube.chosen(within)
        for name in self._left_out(of):
            axis = cube.axis(name)
            asked = of.get(name) and axis.blank in given(axis, of[name])
            if axis.blank is not None and not asked:
                answers = [label for label in axis.labels if label != axis.blank]
                whole &= cube.chosen({name: answers})
        return whole

    def _part(self, of: Mapping[str, object], within: Mapping[str, object]) -> _Part:
        if not of:
            raise ReleaseError("a share is of some answer", code="release.label", hint="of={...}")
        if self._answered is None:
            whole = self._among(self._cube, of, within)
            part = self._cube.chosen(of) & whole
            top, rest = self._cube.sum(part), self._cube.sum(whole - part)
            result = _Part(top, rest, top + rest, whole)
        else:
            subject = self.subject.name
            if subject in within or len(given(self.subject, of.get(subject, ()))) != 1:
                raise ReleaseError(
                    f"a share of {subject} is of one choice, among the people who answered",
                    code="release.label",
                    hint=f"name one choice of {subject} in `of`, and only other axes in `within`",
                )
            groups = {name: labels for name, labels in of.items() if name != subject}
            whole = self._among(self._answered, groups, within)
            part = self._cube.chosen(of) & self._cube.chosen(within)
            top, people = self._cube.sum(part), self._answered.sum(whole)
            result = _Part(top, None, people, whole)
        if not part:
            raise ReleaseError("nobody can be in this share", code="release.label")
        return result

    def _ratio(self, part: _Part) -> Interval:
        top, people = part.top, part.people
        variance = self.noise.variance(top.draws)
        if part.rest is None:
            rest, shared = self.noise.variance(people.draws), 0.0
        else:
            rest, shared = self.noise.variance(part.rest.draws), variance
        return ratio(top.value, people.value, var_x=variance, var_y=shared + rest, cov=shared)

    def _share(self, of: Mapping[str, object], within: Mapping[str, object]) -> Figure:
        part = self._part(of, within)
        few = self._few(part.top, part.people)
        return of_interval(
            Figure,
            self._ratio(part),
            labels={**words(within), **words(of)},
            hidden=few,
            note=self._hidden_note() if few else "",
            percent=True,
        )


def sentence(choice: Mapping[str, object]) -> str:
    """Return a choice in words."""
    return ", ".join(f"{name}: {label}" for name, label in words(choice).items()) or "everybody"


def overlap() -> ReleaseError:
    """Return the error for two groups that cannot be compared."""
    return ReleaseError("these two groups overlap or are the same", code="release.label")

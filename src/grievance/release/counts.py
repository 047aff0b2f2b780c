"""Tables of counts: people by their answers, with totals, shares and comparisons."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import ReleaseError
from grievance.plan import ANSWERED
from grievance.plan.ticks import UNITS
from grievance.release.base import Beside, Table
from grievance.release.cube import given, is_empty, meet, words
from grievance.release.figures import Difference, Figure, of_interval, of_total
from grievance.release.ratios import Ratio

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.release.cube import Cube, Total
    from grievance.release.spread import Box


@dataclass(frozen=True)
class _Part:
    """A share: `count` of `people`, who are the cells `where`.

    The `ratio` of ticks is of the centred ones, whose noise is independent of that of the people.
    """

    count: Total
    people: Total
    where: Box
    ratio: Ratio


class CountTable(Table):
    """How many people gave which answers, over one or more fields.

    A count's estimate is what the noise left, negative numbers included: cutting at 0 would
    bias every sum. Its interval holds nothing impossible. With a field of several choices a cell
    counts the people who ticked that choice, of which a person has at most `pick`. Then `cube` has
    what is released of them, T = 64 ticks - `centre` * answered, and `answered` (by the other axes,
    and last by whether the question was answered) the denominators of its shares, with noise of its
    own (`grievance.plan.ticks`).
    """

    kind = "count"
    value_name = "people"

    def __init__(
        self,
        *,
        name: str,
        title: str,
        cube: Cube,
        hide_below: int,
        subject: str | None = None,
        answered: Cube | None = None,
        centre: int = 0,
        pick: int = 1,
        most: float = math.inf,
    ) -> None:
        self.subject = cube.axis(subject) if subject else cube.axes[0]
        super().__init__(name=name, title=title, axes=cube.axes, hide_below=hide_below, most=most)
        self._cube, self._answered, self._centre, self._pick = cube, answered, centre, pick
        if len(self.axes) > 1:
            self.share_name = f"share of {self.subject.name}"

    def cells(self) -> list[Figure]:
        """Return the count of every cell, with the margin of the noise in it."""
        return [
            self._people(self._count(box), labels)
            for box, labels in zip(self._cube.boxes(), self._labels(), strict=True)
        ]

    def _cell(self, labels: Mapping[str, str]) -> Figure:
        return self._people(self._count(self._cube.chosen(labels)), labels)

    def _count(self, box: Box) -> Total:
        """Return the people, or ticks, in some cells: of ticks (T + centre * answered) / 64."""
        found = self._cube.sum(box)
        if self._answered is None:
            return found
        at = self.axes.index(self.subject)
        ticks = box[at]
        labels = len(self.subject.labels) if ticks is None else len(ticks)
        if self._centre:
            answered = self._status({}, ANSWERED)[-1]
            groups = (*box[:at], *box[at + 1 :], answered)
            found = found.plus(self._answered.sum(groups), self._centre * labels)
        return found.times(1 / UNITS)

    def total(self, **choice: object) -> Figure:
        """Return the sum of chosen cells: `total(region="London")`, `total(region=[...])`.

        Axes not named are summed over; the margin is that of the sum's own noise. Over several
        choices of a several-choices field it counts ticks, not people (for those, see
        `answered`). Raises ReleaseError for an unknown axis or label.
        """
        ticks = len(given(self.subject, choice.get(self.subject.name, self.subject.labels)))
        total = self._count(self._cube.chosen(choice))
        if not (ticks > 1 and self._answered):
            return self._people(total, words(choice))
        return of_total(
            Figure,
            total,
            labels=words(choice),
            possible=(0, min(ticks, self._pick) * self.most),
            grey=self._is_grey(total),
            note="counts ticks, of which one person may have several",
        )

    def answered(self, question: str | None = None, /, **group: object) -> Figure:
        """Return how many people answered a question, in the chosen groups together.

        `question` is an axis of the table: by default the several-choices field or the bands, or
        else the first. In a distribution only people whose number is known are counted. Raises
        ReleaseError for an unknown axis or label.
        """
        name = question or self.subject.name
        if self._answered is None:
            people = self._cube.sum(self._among(self._cube, {name: ()}, group))
        elif name == self.subject.name:
            people = self._answered.sum(self._status(group, ANSWERED))
        else:
            people = self._answered.sum(self._among(self._answered, {name: ()}, group))
        return self._people(people, words(group))

    def not_answered(self, **group: object) -> Figure:
        """Return how many left the question open. Raises ReleaseError where nobody could."""
        cube = self._cube if self._answered is None else self._answered
        blank = cube.axis(self.subject.name).blank
        if blank is None:
            raise ReleaseError(
                f"{self.subject.name} is required: nobody left it open", code="release.label"
            )
        if self._answered is not None:
            people = cube.sum(self._status(group, blank))
        else:
            people = cube.sum(cube.chosen({**group, self.subject.name: blank}))
        return self._people(people, words(group))

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

    def _status(self, group: Mapping[str, object], status: str) -> Box:
        """Return the denominators of those in a group who answered the subject, or did not."""
        if self._answered is None:
            raise ReleaseError("this table has no denominators", code="release.axis")
        *_, last = self._answered.axes
        if last.name in group:
            raise ReleaseError(
                f"people are counted by the other axes, not by {last.name}", code="release.axis"
            )
        return self._answered.chosen({**group, last.name: status})

    def compare(
        self,
        a: Mapping[str, object] | str,
        b: Mapping[str, object] | str,
        /,
        *,
        of: Mapping[str, object] | None = None,
    ) -> Difference:
        """Return a - b with its interval: of two counts, or, with `of`, of two shares.

        `compare({"region": "London"}, {"region": "North"}, of={"problems": "targets"})`, or
        `compare("London", "North")` where only one axis has those labels. Cells that are in both
        counts cancel; shares are compared between groups that do not overlap.
        Raises ReleaseError for the same group twice, for overlapping groups, and as `share`.
        """
        a, b = self._group(a), self._group(b)
        labels = {"a": sentence(a), "b": sentence(b)}
        if of is None:
            return self._compare_counts(a, b, labels)
        first, second = self._part(of, a), self._part(of, b)
        if not is_empty(meet(first.where, second.where)):
            raise overlap()
        return of_interval(
            Difference,
            first.ratio.minus(second.ratio),
            labels={**words(of), **labels},
            possible=(-1, 1),
            percent=True,
        )

    def _compare_counts(
        self, a: Mapping[str, object], b: Mapping[str, object], labels: Mapping[str, str]
    ) -> Difference:
        boxes = self._cube.chosen(a), self._cube.chosen(b)
        if boxes[0] == boxes[1]:
            raise overlap()
        first, second = (self._count(box) for box in boxes)
        return of_total(
            Difference,
            first - second,
            labels=labels,
            possible=(-self.most, self.most),
        )

    def _labels(self) -> list[dict[str, str]]:
        names = [axis.name for axis in self.axes]
        return [dict(zip(names, key, strict=True)) for key in self._cube.labels()]

    def _beside(self) -> list[Beside]:
        """Return per cell the share of the subject's label among who answered in its group."""
        besides = []
        subject = self.subject.name
        for box, labels in zip(self._cube.boxes(), self._labels(), strict=True):
            sd = self._count(box).sd
            if labels[subject] == self.subject.blank:
                besides.append(Beside(sd=sd))
                continue
            of = {subject: labels[subject]}
            group = {name: label for name, label in labels.items() if name != subject}
            part = self._part(of, group)
            shown = self._people(part.people, group).point
            besides.append(Beside(self._share_of(part, of, group), shown, sd))
        return besides

    def _left_out(self, of: Mapping[str, object]) -> set[str]:
        """Return the axes whose non-answers leave the denominator of a share of `of`."""
        return set(of)

    def _among(self, cube: Cube, of: Mapping[str, object], within: Mapping[str, object]) -> Box:
        """Return the denominator: the cells `within`, without those who did not answer."""
        whole = cube.chosen(within)
        for name in self._left_out(of):
            axis = cube.axis(name)
            asked = of.get(name) and axis.blank in given(axis, of[name])
            if axis.blank is not None and not asked:
                answers = [label for label in axis.labels if label != axis.blank]
                whole = meet(whole, cube.chosen({name: answers}))
        return whole

    def _part(self, of: Mapping[str, object], within: Mapping[str, object]) -> _Part:
        if not of:
            raise ReleaseError("a share is of some answer", code="release.label", hint="of={...}")
        if self._answered is None:
            whole = self._among(self._cube, of, within)
            part = meet(self._cube.chosen(of), whole)
            people = self._cube.sum(whole)
        else:
            subject = self.subject.name
            if subject in within or len(given(self.subject, of.get(subject, ()))) != 1:
                raise ReleaseError(
                    f"a share of {subject} is of one choice, among the people who answered",
                    code="release.label",
                    hint=f"name one choice of {subject} in `of`, and only other axes in `within`",
                )
            groups = {name: labels for name, labels in of.items() if name != subject}
            answered = self._status({}, ANSWERED)
            whole = meet(self._among(self._answered, groups, within), answered)
            part = meet(self._cube.chosen(of), self._cube.chosen(within))
            people = self._answered.sum(whole)
        if is_empty(part):
            raise ReleaseError("nobody can be in this share", code="release.label")
        count = self._count(part)
        if self._answered is None:
            return _Part(count, people, whole, Ratio(count, people))
        centred = Ratio(
            self._cube.sum(part),
            people,
            -self._centre,
            UNITS - self._centre,
            step=1 / UNITS,
            start=self._centre / UNITS,
        )
        return _Part(count, people, whole, centred)

    def _share(self, of: Mapping[str, object], within: Mapping[str, object]) -> Figure:
        return self._share_of(self._part(of, within), of, within)

    def _share_of(
        self, part: _Part, of: Mapping[str, object], within: Mapping[str, object]
    ) -> Figure:
        return of_interval(
            Figure,
            part.ratio.interval,
            labels={**words(within), **words(of)},
            possible=(0, 1),
            grey=self._is_grey(part.count) or self._is_grey(part.people),
            percent=True,
        )


def sentence(choice: Mapping[str, object]) -> str:
    """Return a choice in words."""
    return ", ".join(f"{name}: {label}" for name, label in words(choice).items()) or "everybody"


def overlap() -> ReleaseError:
    """Return the error for two groups that cannot be compared."""
    return ReleaseError("these two groups overlap or are the same", code="release.label")

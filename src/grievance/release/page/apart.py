"""Which figures are really apart: every comparison of a statistic, corrected for their number.

Which comparisons are made follows from the plan alone, never from the figures: each two answers
to a question with everybody together; for every answer (or for the mean) each two groups, and
each group against the other groups together. Where two groups each would be more than
MOST_PAIRS comparisons, only the latter are made. People who did not answer are in none.

Each interval is of a level, and a difference is named where the interval excludes 0. There are two
lists, both for all K comparisons of a statistic, and right whatever depends on what:

- the strict one at 1 - 0.05/K, Bonferroni's, so that the chance that noise alone puts even one
  wrong entry into it is at most 5 %;
- the wider one at 1 - (1/4)/K: each comparison is wrong with a chance of at most (1/4)/K, so noise
  alone puts at most 1/4 of a wrong entry into it on average, one into four such lists. It holds
  the strict one, as an interval of a lower level lies within that of a higher one.

Intervals at that level are those of `grievance.release.intervals` with larger noise: at
the quantile z instead of Z an interval for noise of sd s is the one at Z for noise of sd s z/Z.
For noise with heavier tails than normal its fourth cumulants are enlarged too, as Cornish and
Fisher's correction of z asks; that far out it errs towards wider intervals.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from grievance.release.counts import CountTable
from grievance.release.figures import within
from grievance.release.intervals import PairNoise, Z
from grievance.release.means import MeanTable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from grievance.release.cube import Axis, Total
    from grievance.release.intervals import Interval
    from grievance.release.page.reading import Reading
    from grievance.release.ratios import Ratio

MOST_PAIRS = 60
ERROR = 0.05
WIDER_ERROR = 0.25
Kind = Literal["answers", "groups", "rest"]


@dataclass(frozen=True)
class Question:
    """One comparison that the plan asks for: is `first` more than `second`?

    `answer` is the answer whose share is compared; empty for means, and when two answers are
    compared. `axis` is the question that `first` and `second` are answers to.
    """

    kind: Kind
    axis: str
    answer: str
    first: str
    second: str
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """What the figures say to a question: the difference first - second at the corrected level.

    `lost`: the noise hides one of the two figures, and the difference may be anything. `percent`
    and `whole` as in a figure: a difference of shares, or of numbers of people.
    """

    asked: Question
    estimate: float | None
    low: float
    high: float
    lost: bool = False
    percent: bool = False
    whole: bool = False

    @property
    def apart(self) -> bool:
        """Whether the difference is larger than the noise explains."""
        return self.low > 0 or self.high < 0

    @property
    def upwards(self) -> Comparison:
        """The same comparison with the larger figure first; itself if they are not apart."""
        if not self.apart or self.low > 0 or self.asked.kind == "rest":
            return self
        turned = Question(
            self.asked.kind,
            self.asked.axis,
            self.asked.answer,
            self.asked.second,
            self.asked.first,
        )
        middle = None if self.estimate is None else -self.estimate
        return Comparison(
            turned, middle, -self.high, -self.low, self.lost, self.percent, self.whole
        )


def ask(reading: Reading) -> list[Question]:
    """Return the comparisons of a statistic. They depend on the plan alone."""
    answers: Sequence[str] = reading.answers
    found: list[Question] = []
    if reading.table.kind == "count" and reading.answer is not None:
        pairs = list(combinations(answers, 2))
        if len(pairs) <= MOST_PAIRS:
            found += [Question("answers", reading.answer.name, "", a, b) for a, b in pairs]
    if len(answers) == 2 and not reading.several:
        answers = answers[:1]  # who did not say the one said the other
    for axis in reading.groups:
        found += _of_groups(axis, answers or ("",))
    return found


def _of_groups(axis: Axis, answers: Sequence[str]) -> Iterator[Question]:
    groups = [label for label in axis.labels if label != axis.blank]
    pairs = list(combinations(groups, 2))
    if len(pairs) * len(answers) <= MOST_PAIRS:
        for answer in answers:
            for first, second in pairs:
                yield Question("groups", axis.name, answer, first, second)
    if len(groups) > 2:
        for answer in answers:
            for at, group in enumerate(groups):
                others = (*groups[:at], *groups[at + 1 :])
                yield Question("rest", axis.name, answer, group, "", others)


def quantile(comparisons: int, error: float = ERROR) -> float:
    """Return z of each of so many comparisons of a statistic; of one where none is made."""
    return NormalDist().inv_cdf(1 - error / (2 * max(1, comparisons)))


def compare(reading: Reading, error: float = ERROR) -> list[Comparison]:
    """Answer every question of a statistic, each at the level 1 - `error` / their number."""
    asked = ask(reading)
    z = quantile(len(asked), error)
    return [_answer(reading, question, z) for question in asked]


def _answer(reading: Reading, asked: Question, z: float) -> Comparison:
    table = reading.table
    if isinstance(table, CountTable) and asked.kind == "answers":
        return _compare_answers(table, asked, z)
    second: Mapping[str, object] = {asked.axis: list(asked.others) or asked.second}
    groups: list[Mapping[str, object]] = [{asked.axis: asked.first}, second]
    if isinstance(table, MeanTable):
        found = of_means(table, groups, z)
        return Comparison(asked, found.estimate, found.low, found.high, not found.known)
    if not isinstance(table, CountTable) or reading.answer is None:
        raise TypeError("a table is of counts or of means")
    found = of_shares(table, {reading.answer.name: asked.answer}, groups, z)
    return Comparison(asked, found.estimate, found.low, found.high, not found.known, percent=True)


def _compare_answers(table: CountTable, asked: Question, z: float) -> Comparison:
    first, second = (
        table._count(table._cube.chosen({asked.axis: label}))
        for label in (asked.first, asked.second)
    )
    apart = first - second
    low, high = within(apart.value, of_people(apart, z), (-table.most, table.most))
    return Comparison(asked, apart.value, low, high, whole=True)


def of_means(table: MeanTable, groups: Sequence[Mapping[str, object]], z: float) -> Interval:
    """Return the interval at z of how much the mean of the first of two groups is larger."""
    first, second = (table._of(table._numbers.chosen(group)) for group in groups)
    return _minus(first, second, z)


def of_shares(
    table: CountTable,
    answer: Mapping[str, object],
    groups: Sequence[Mapping[str, object]],
    z: float,
) -> Interval:
    """Return the interval at z of how much larger an answer's share is in the first of two."""
    first, second = (table._part(answer, group).ratio for group in groups)
    return _minus(first, second, z)


def lower_end(share: Ratio, z: float) -> float:
    """Return the lower end of a ratio's interval at z; the least it can be if noise hides it."""
    return share.at(_enlarged(share.noise, z / Z)).low


def of_people(total: Total, z: float) -> float:
    """Return half the width of a total's interval at z; half a unit more, as noise is whole."""
    variance = total.noise.covariance()
    if variance <= 0:
        return 0.0
    heavier = total.noise.fourth_cumulants[0] / variance**2
    return (z + _tail(z) * heavier) * math.sqrt(variance) + 0.5


def _tail(z: float) -> float:
    """Return how far one unit of excess kurtosis moves the quantile z; never inwards."""
    return max(0.0, z**3 - 3 * z) / 24


def _minus(first: Ratio, second: Ratio, z: float) -> Interval:
    """Return the interval of first - second at z."""
    return first.minus(second, lambda noise: _enlarged(noise, z / Z))


def _enlarged(noise: PairNoise, factor: float) -> PairNoise:
    """Return noise whose interval at Z is that of `noise` at `factor` * Z."""
    large = _times(noise, factor)
    # `ratio` allows for small noise being whole numbers; noise that only enlarging made large
    # is still whole numbers.
    return _times(noise.widened, factor) if large.widened is large else large


def _times(noise: PairNoise, factor: float) -> PairNoise:
    square = factor * factor
    # A ratio's limits are found at Z + _tail(Z) * kurtosis; scaled by `factor` that has to
    # give z + _tail(z) * kurtosis.
    tails = _tail(factor * Z) / (factor * _tail(Z))
    return PairNoise(
        noise.var_x * square,
        noise.var_y * square,
        noise.cov * square,
        tuple(one * square * square * tails for one in noise.fourth),
    )

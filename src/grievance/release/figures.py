"""What a table gives back: figures with margins, shares, differences, quantiles.

All intervals are 95 % intervals of the noise only (see `grievance.release.intervals`), and hold
nothing that is impossible whatever was answered. They are never empty: noise that pushed a number
out of what is possible leaves the interval of the nearest possible one.

What is marked `grey` is written without a best number, a count as "under 37". That is a rule about
display, so that nobody reads meaning into noise; the noise is what protects. Its numbers are in
every export and in release.json.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.release.cube import Total
    from grievance.release.intervals import Interval

DIGITS = 6
"""Decimals that estimates of counts are rounded to, so that they are alike on every machine."""

MOST_DECIMALS = 24
"""Decimals of any figure at most: a plan's steps have 18, and margins of means are smaller."""

UNKNOWN = "the noise is too large for this figure: it may lie anywhere in its range"

NEARLY_ALL = 0.9
"""A range that takes more than this of what is possible says nothing: its figure is not known."""


@dataclass(frozen=True, repr=False)
class Figure:
    """One number with its 95 % interval of noise.

    Attributes:
        labels: axis name to label, what the figure is about.
        estimate: the noisy figure; None when there is nothing to estimate it from. Of counts and
            sums it may lie beyond what is possible: cut estimates would add up to too much.
        margin: how far the noise reaches to either side; of a share or mean half its interval.
        low: lower end of the interval, which holds only what is possible.
        high: upper end of the interval.
        note: what to know when reading it; empty when there is nothing.
        grey: whether the people it is about do not stand out: fewer than the plan's `hide_below`,
            or than the margin of their own noise.
        percent: whether it is a share, shown in per cent.
        whole: whether it is a count, shown as a whole number.

    What the noise hides (`known` is false) has no `point`, in no output; its range stays.
    """

    labels: Mapping[str, str]
    estimate: float | None
    margin: float
    low: float
    high: float
    note: str = ""
    grey: bool = field(default=False, kw_only=True)
    percent: bool = field(default=False, kw_only=True)
    whole: bool = field(default=False, kw_only=True)
    unit: ClassVar[str] = "%"

    @property
    def known(self) -> bool:
        """Whether the noise leaves anything to say."""
        return self.estimate is not None and UNKNOWN not in self.note

    @property
    def dark(self) -> bool:
        """Whether there is a best number to write: known, and not grey."""
        return self.known and not self.grey

    @property
    def point(self) -> float | None:
        """The noisy figure, unless the noise hides it; for adding up, grey ones included."""
        return self.estimate if self.known else None

    @property
    def best(self) -> float | None:
        """The number to write: the nearest possible one to `point`."""
        return None if self.point is None else min(max(self.point, self.low), self.high)

    @property
    def under(self) -> int:
        """The least whole number that a count's interval lies under."""
        return math.floor(self.high) + 1

    @property
    def text(self) -> str:
        """Return the figure for people: `123 (103 to 143)`, `under 37`, `34.1 % (30.2 to 38.0)`."""
        if self.best is None:
            return "unknown"
        if self.whole and self.grey:
            return f"under {self.under}"
        if self.whole:
            best = round(self.best)
            low, high = min(best, math.ceil(self.low)), max(best, math.floor(self.high))
            return f"{best} ({low} to {high})"
        digits = decimals((self.high - self.low) / 2 * (100 if self.percent else 1))
        ends = f"{self._number(self.low, digits)} to {self._number(self.high, digits)}"
        unit = f" {self.unit}" if self.percent else ""
        return ends + unit if self.grey else f"{self._number(self.best, digits)}{unit} ({ends})"

    def _number(self, value: float, digits: int) -> str:
        return plain(value * 100 if self.percent else value, digits)

    def __repr__(self) -> str:
        about = ", ".join(f"{name}={label!r}" for name, label in self.labels.items())
        note = f"; {self.note}" if self.note else ""
        return f"<{type(self).__name__}{' ' if about else ''}{about}: {self.text}{note}>"


@dataclass(frozen=True, repr=False)
class Difference(Figure):
    """The difference of two figures. `larger_than_noise`: its interval does not contain 0.

    That says the difference is in the reports, not in the noise. It does not say why, nor that
    it holds for those who did not report.
    """

    unit: ClassVar[str] = "points"

    @property
    def larger_than_noise(self) -> bool:
        """Whether the interval excludes 0."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True, repr=False)
class Quantile:
    """The band in which a quantile lies, and the bands in which it may lie given the noise.

    Attributes:
        q: the quantile, strictly between 0 and 1.
        band: label of the estimated band; None when there is nothing to estimate it from.
        low: smallest answer of the lowest band it may lie in.
        high: largest answer of the highest band it may lie in.
        limits: the same two as the plan has them, exact decimals.
        low_band: label of that lowest band.
        high_band: label of that highest band.
        note: what to know when reading it.
    """

    q: float
    band: str | None
    low: float
    high: float
    limits: tuple[str, str]
    low_band: str
    high_band: str
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether the noise leaves anything to say."""
        return self.band is not None and UNKNOWN not in self.note

    @property
    def text(self) -> str:
        """Return the quantile for people: `5 to 9.5 (between 1 and 19.5)`."""
        if not self.known:
            return "unknown"
        return f"{self.band} (between {self.limits[0]} and {self.limits[1]})"

    def __repr__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"<Quantile {self.q:g}: {self.text}{note}>"


AnyFigure = TypeVar("AnyFigure", bound=Figure)


def is_grey(people: Total, hide_below: int) -> bool:
    """Whether so many people do not stand out: of what the plan asks for, or of their noise."""
    return round(people.value, DIGITS) < max(hide_below, people.margin)


def says_nothing(low: float, high: float, possible: tuple[float, float]) -> bool:
    """Whether a range takes nearly all of what is possible anyway, from least to most."""
    least, most = possible
    return high - low > NEARLY_ALL * (most - least)


def of_interval(
    kind: type[AnyFigure],
    interval: Interval,
    *,
    labels: Mapping[str, str],
    possible: tuple[float, float],
    grey: bool = False,
    percent: bool = False,
) -> AnyFigure:
    """Make a figure from an interval of a ratio, saying so when the noise hides it.

    `possible`: the least and the most it can be, whatever was answered.
    """
    known = interval.known and not says_nothing(interval.low, interval.high, possible)
    return kind(
        labels=dict(labels),
        estimate=interval.estimate,
        margin=interval.margin,
        low=interval.low,
        high=interval.high,
        note="" if known else UNKNOWN,
        grey=grey,
        percent=percent,
    )


def of_total(
    kind: type[AnyFigure],
    total: Total,
    *,
    labels: Mapping[str, str],
    possible: tuple[float, float],
    grey: bool = False,
    note: str = "",
    whole: bool = True,
) -> AnyFigure:
    """Make a figure from a sum of cells, saying so when the noise hides it.

    `possible`: the least and the most it can be, whatever was answered. The interval holds nothing
    else; the estimate is not cut to that: sums of cut figures would be biased.
    """
    # Adding up rounded estimates of people leaves digits that mean nothing.
    value, margin = round(total.value, DIGITS) if whole else total.value, total.margin
    low, high = within(value, margin, possible)
    if says_nothing(low, high, possible):
        note = "; ".join(text for text in (UNKNOWN, note) if text)
    return kind(
        labels=dict(labels),
        estimate=value,
        margin=margin,
        low=low,
        high=high,
        note=note,
        grey=grey,
        whole=whole,
    )


def within(value: float, margin: float, possible: tuple[float, float]) -> tuple[float, float]:
    """Return the interval of the nearest possible number to `value`, cut to what is possible.

    It holds every possible number that value -+ margin holds, so it is right as often; and it
    does not shrink to nothing at the edge.
    """
    least, most = possible
    inside = min(max(value, least), most)
    return max(least, inside - margin), min(most, inside + margin)


def decimals(margin: float) -> int:
    """Return how many decimals a number with this margin deserves: two digits of the margin."""
    if not margin > 0:
        return 2
    return min(MOST_DECIMALS, max(0, 1 - math.floor(math.log10(margin))))


def plain(value: float, digits: int) -> str:
    """Write a number with at most `digits` decimals, without exponent or negative zero."""
    text = f"{value:.{digits}f}"
    if "." in text and digits >= DIGITS:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "-0.0") else text

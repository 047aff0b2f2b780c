"""What a table gives back: figures with margins, shares, differences, quantiles.

All intervals are 95 % intervals of the noise only (see `grievance.release.intervals`). What is
marked `hidden` is not printed: its numbers show neither in `repr` nor in any export, though the
attributes are there, as are the raw integers in release.json. Hiding is a rule about display,
so that nobody reads meaning into noise; the noise is what protects.
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
HIDDEN = "hidden"

NEARLY_ALL = 0.9
"""A range that takes more than this of what is possible says nothing: its figure is not known."""


@dataclass(frozen=True, repr=False)
class Figure:
    """One number with its 95 % interval of noise.

    Attributes:
        labels: axis name to label, what the figure is about.
        estimate: the noisy figure; None when there is nothing to estimate it from.
        margin: half the width of the interval.
        low: lower end of the interval.
        high: upper end of the interval.
        withheld: why the display rule withholds it; empty when it does not.
        note: what to know when reading it; empty when there is nothing.
        percent: whether it is a share, shown in per cent.
        whole: whether it is a count, shown as a whole number.

    What the noise hides (`known` is false) has no `point`, in no output; its range stays.
    """

    labels: Mapping[str, str]
    estimate: float | None
    margin: float
    low: float
    high: float
    withheld: str = ""
    note: str = ""
    percent: bool = field(default=False, kw_only=True)
    whole: bool = field(default=False, kw_only=True)
    unit: ClassVar[str] = "%"

    @property
    def hidden(self) -> bool:
        """Whether the display rule withholds it."""
        return bool(self.withheld)

    @property
    def known(self) -> bool:
        """Whether the noise leaves anything to say; a withheld figure may be known."""
        return self.estimate is not None and UNKNOWN not in self.note

    @property
    def point(self) -> float | None:
        """The single best number, where there is one to show: not withheld, and known."""
        return self.estimate if self.known and not self.hidden else None

    @property
    def remarks(self) -> str:
        """All there is to say beside the numbers: why it is withheld, and the note."""
        return "; ".join(text for text in (self.note, self.withheld) if text)

    @property
    def text(self) -> str:
        """Return the figure for people: `123 ± 20`, `34.1 % (30.2 to 38.0)`, `hidden`."""
        if self.hidden:
            return HIDDEN
        if self.estimate is None or not self.known:
            return "unknown"
        if self.whole:
            # Rounded half up, so that no whole number of the interval is lost.
            return f"{round(self.estimate)} ± {math.floor(self.margin + 0.5)}"
        digits = decimals(self.margin * (100 if self.percent else 1))
        low, high = self._number(self.low, digits), self._number(self.high, digits)
        unit = f" {self.unit}" if self.percent else ""
        return f"{self._number(self.estimate, digits)}{unit} ({low} to {high})"

    def _number(self, value: float, digits: int) -> str:
        return plain(value * 100 if self.percent else value, digits)

    def __repr__(self) -> str:
        about = ", ".join(f"{name}={label!r}" for name, label in self.labels.items())
        note = f"; {self.remarks}" if self.remarks else ""
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
        """Whether the interval excludes 0; never true of a hidden difference."""
        return not self.hidden and (self.low > 0 or self.high < 0)


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
        withheld: why the display rule withholds it; empty when it does not.
        note: what to know when reading it.
    """

    q: float
    band: str | None
    low: float
    high: float
    limits: tuple[str, str]
    low_band: str
    high_band: str
    withheld: str = ""
    note: str = ""

    @property
    def hidden(self) -> bool:
        """Whether the display rule withholds it."""
        return bool(self.withheld)

    @property
    def known(self) -> bool:
        """Whether the noise leaves anything to say."""
        return self.band is not None and UNKNOWN not in self.note

    @property
    def text(self) -> str:
        """Return the quantile for people: `5 to 9.5 (between 1 and 19.5)`."""
        if self.hidden:
            return HIDDEN
        if not self.known:
            return "unknown"
        return f"{self.band} (between {self.limits[0]} and {self.limits[1]})"

    def __repr__(self) -> str:
        note = "".join(f"; {text}" for text in (self.note, self.withheld) if text)
        return f"<Quantile {self.q:g}: {self.text}{note}>"


AnyFigure = TypeVar("AnyFigure", bound=Figure)


def says_nothing(low: float, high: float, possible: tuple[float, float]) -> bool:
    """Whether a range takes nearly all of what is possible anyway, from least to most."""
    least, most = possible
    return min(high, most) - max(low, least) > NEARLY_ALL * (most - least)


def of_interval(
    kind: type[AnyFigure],
    interval: Interval,
    *,
    labels: Mapping[str, str],
    withheld: str,
    possible: tuple[float, float],
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
        withheld=withheld,
        note="" if known else UNKNOWN,
        percent=percent,
    )


def of_total(
    kind: type[AnyFigure],
    total: Total,
    *,
    labels: Mapping[str, str],
    withheld: str,
    possible: tuple[float, float],
    note: str = "",
) -> AnyFigure:
    """Make a figure of people from a sum of cells, saying so when the noise hides it.

    `possible`: the least and the most it can be, whatever was answered. The estimate and its
    range are not cut to that: sums of cut figures would be biased.
    """
    # Adding up rounded estimates leaves digits that mean nothing.
    value, margin = round(total.value, DIGITS), total.margin
    if says_nothing(value - margin, value + margin, possible):
        note = "; ".join(text for text in (UNKNOWN, note) if text)
    return kind(
        labels=dict(labels),
        estimate=value,
        margin=margin,
        low=value - margin,
        high=value + margin,
        withheld=withheld,
        note=note,
        whole=True,
    )


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

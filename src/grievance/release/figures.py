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

    from grievance.release.intervals import Interval

UNKNOWN = "the noise is too large for this figure: it may lie anywhere in its range"
HIDDEN = "hidden"


@dataclass(frozen=True, repr=False)
class Figure:
    """One number with its 95 % interval of noise.

    Attributes:
        labels: axis name to label, what the figure is about.
        estimate: the noisy figure; None when there is nothing to estimate it from.
        margin: half the width of the interval.
        low: lower end of the interval.
        high: upper end of the interval.
        hidden: whether the display rule withholds it.
        note: what to know when reading it; empty when there is nothing.
    """

    labels: Mapping[str, str]
    estimate: float | None
    margin: float
    low: float
    high: float
    hidden: bool = False
    note: str = ""
    percent: bool = field(default=False, kw_only=True)
    unit: ClassVar[str] = "%"

    @property
    def text(self) -> str:
        """Return the figure for people: `123 ± 20`, `34.1 % (30.2 to 38.0)`, `hidden`."""
        if self.hidden:
            return HIDDEN
        if self.estimate is None:
            return "unknown"
        if isinstance(self.estimate, int):
            return f"{self.estimate} ± {round(self.margin)}"
        digits = decimals(self.margin * (100 if self.percent else 1))
        low, high = self._number(self.low, digits), self._number(self.high, digits)
        unit = f" {self.unit}" if self.percent else ""
        return f"{self._number(self.estimate, digits)}{unit} ({low} to {high})"

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
        low_band: label of that lowest band.
        high_band: label of that highest band.
        hidden: whether the display rule withholds it.
        note: what to know when reading it.
    """

    q: float
    band: str | None
    low: float
    high: float
    low_band: str
    high_band: str
    hidden: bool = False
    note: str = ""

    @property
    def text(self) -> str:
        """Return the quantile for people: `5 to 9.5 (between 1 and 19.5)`."""
        if self.hidden:
            return HIDDEN
        if self.band is None:
            return "unknown"
        return f"{self.band} (between {plain(self.low, 6)} and {plain(self.high, 6)})"

    def __repr__(self) -> str:
        note = f"; {self.note}" if self.note else ""
        return f"<Quantile {self.q:g}: {self.text}{note}>"


AnyFigure = TypeVar("AnyFigure", bound=Figure)


def of_interval(
    kind: type[AnyFigure],
    interval: Interval,
    *,
    labels: Mapping[str, str],
    hidden: bool,
    note: str,
    percent: bool = False,
) -> AnyFigure:
    """Make a figure from an interval of a ratio, saying so when the noise hides it."""
    notes = [note] if note else []
    if not interval.known:
        notes.append(UNKNOWN)
    return kind(
        labels=dict(labels),
        estimate=interval.estimate,
        margin=interval.margin,
        low=interval.low,
        high=interval.high,
        hidden=hidden,
        note="; ".join(notes),
        percent=percent,
    )


def decimals(margin: float) -> int:
    """Return how many decimals a number with this margin deserves: two digits of the margin."""
    if not margin > 0:
        return 2
    return min(6, max(0, 1 - math.floor(math.log10(margin))))


def plain(value: float, digits: int) -> str:
    """Write a number with at most `digits` decimals, without exponent or negative zero."""
    text = f"{value:.{digits}f}"
    if "." in text and digits == 6:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "-0.0") else text

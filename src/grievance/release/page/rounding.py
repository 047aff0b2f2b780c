"""Numbers rounded to their noise: never more digits than the margin supports.

A number is written to the power of ten that is at most a third of its margin. Lower ends are
rounded down and upper ends up, so that no interval gets narrower by being written down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Protocol

from grievance.release.figures import MOST_DECIMALS

_FINEST = -MOST_DECIMALS
_NOISE_FREE = -2


class Measured(Protocol):
    """A number with an interval: a figure, or a difference of two."""

    @property
    def estimate(self) -> float | None:
        """The noisy number."""

    @property
    def low(self) -> float:
        """Lower end."""

    @property
    def high(self) -> float:
        """Upper end."""

    @property
    def percent(self) -> bool:
        """Whether it is a share."""

    @property
    def whole(self) -> bool:
        """Whether it counts people."""


@dataclass(frozen=True)
class Shown:
    """A figure as it is written: best single number, lower and upper end, and what they count."""

    best: str
    low: str
    high: str
    unit: str = ""

    @property
    def between(self) -> str:
        """`between 38% and 46%`, or `38%` where there is no more to say."""
        if self.low == self.high:
            return self._with_unit(self.low)
        first = f"{self.low}%" if self.unit == "%" else self.low
        return f"between {first} and {self._with_unit(self.high)}"

    @property
    def range(self) -> str:
        """`38% to 46%`, for tables and charts."""
        first = f"{self.low}%" if self.unit == "%" else self.low
        return f"{first} to {self._with_unit(self.high)}"

    @property
    def about(self) -> str:
        """`42% (38% to 46%)`."""
        best = f"{self.best}%" if self.unit == "%" else self.best
        return f"{best} ({self.range})"

    def _with_unit(self, number: str) -> str:
        if self.unit == "%":
            return f"{number}%"
        return f"{number} {self.unit}" if self.unit else number


def place_of(margin: float, *, whole: bool) -> int:
    """Return the power of ten to write a number with this margin to: 40 -> 1, 3.9 -> 0."""
    if not margin > 0:
        return 0 if whole else _NOISE_FREE
    place = max(_FINEST, math.floor(math.log10(margin / 3)))
    return max(0, place) if whole else place


def write(value: float, place: int, rounding: str) -> str:
    """Write a number to a power of ten, without exponent, with a comma every three digits."""
    # Six decimals beyond the place are what a float got from computing, and mean nothing.
    exact = Decimal(repr(round(value, 6 - place)))
    steps = exact.scaleb(-place).to_integral_value(rounding)
    text = f"{steps.scaleb(place):,f}"
    return text[1:] if text.startswith("-") and not steps else text


def _in_full(value: float) -> str:
    """Write a bound of the plan, with as many digits as it has."""
    text = f"{Decimal(repr(float(value))):,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def show(
    figure: Measured,
    unit: str = "",
    *,
    bounds: tuple[float, float] | None = None,
) -> Shown:
    """Round a figure to its noise. `bounds`: what it can be at all; nothing is written beyond."""
    factor = 100 if figure.percent else 1
    least, most = bounds or (-math.inf, math.inf)
    place = place_of((figure.high - figure.low) / 2 * factor, whole=figure.whole)

    def rounded(value: float, how: str) -> str:
        inside = min(max(value, least), most)
        text = write(inside * factor, place, how)
        beyond = not least * factor <= float(text.replace(",", "")) <= most * factor
        return _in_full(inside * factor) if beyond else text

    best = figure.low if figure.estimate is None else figure.estimate
    return Shown(
        best=rounded(best, ROUND_HALF_EVEN),
        low=rounded(figure.low, ROUND_FLOOR),
        high=rounded(figure.high, ROUND_CEILING),
        unit="%" if figure.percent and not unit else unit,
    )

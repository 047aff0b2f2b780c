"""Exact decimals: no number of a plan is ever a float.

TOML numbers arrive as `int` or `Decimal`, JSON decimals as strings in their one shortest
spelling. Inside they are `Fraction`s.
"""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

from grievance.plan.limits import MAX_DECIMALS

_CANONICAL = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,17}[1-9])?")
_HUGE = 10**12


def decimal_text(value: Fraction) -> str:
    """Write a terminating decimal in its one shortest spelling: "0.000001", "-2.5", "40"."""
    scaled, places = value, 0
    while scaled.denominator != 1 and places <= MAX_DECIMALS:
        scaled, places = scaled * 10, places + 1
    if scaled.denominator != 1:
        raise ValueError("not a decimal fraction")
    digits = str(abs(scaled.numerator)).rjust(places + 1, "0")
    text = digits[: len(digits) - places] + ("." + digits[len(digits) - places :] if places else "")
    return "-" + text if value < 0 else text


def decimal_problem(  # noqa: PLR0911 (one return for each way a number can be wrong)
    value: object, *, json: bool
) -> str | None:
    """Say why `value` is not a number a plan may hold, or None.

    From TOML an int or a finite Decimal; from JSON a string in canonical spelling.
    """
    if json:
        canonical = isinstance(value, str) and _CANONICAL.fullmatch(value) and value != "-0"
        return None if canonical else 'must be a decimal string in its shortest form, like "0.5"'
    if isinstance(value, int) and not isinstance(value, bool):
        return None if abs(value) < _HUGE else "is too large"
    if not isinstance(value, Decimal):
        return "must be a number, without quotes"
    if not value.is_finite():
        return "must be a finite number"
    # Look at size and length before anything is computed: 1e400000000 would fill the memory.
    if not -MAX_DECIMALS <= value.adjusted() < 12 or len(value.as_tuple().digits) > 40:
        return "has too many digits"
    if (Fraction(value) * 10**MAX_DECIMALS).denominator != 1:
        return f"has more than {MAX_DECIMALS} decimal places"
    return None


def read_decimal(value: object, *, json: bool) -> Fraction:
    """Return `value` exactly. Raises ValueError with the words of `decimal_problem`."""
    problem = decimal_problem(value, json=json)
    if problem is not None or not isinstance(value, (int, str, Decimal)):
        raise ValueError(problem)
    return Fraction(value)

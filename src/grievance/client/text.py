"""Cell text and numbers as people write them, read exactly or not at all."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from fractions import Fraction

# At most 20 digits and a two-digit exponent: nothing a survey asks for is longer, and the
# exact arithmetic behind it stays small.
_NUMBER = re.compile(
    r"[+-]?(?:[0-9]{1,20}(?:\.[0-9]{0,20})?|\.[0-9]{1,20})(?:[eE][+-]?[0-9]{1,2})?"
)


def normal(text: str) -> str:
    """Return text as it is compared: Unicode NFC, without white space around it."""
    return unicodedata.normalize("NFC", text).strip()


def parse_number(text: str, decimal: str = ".") -> Decimal | None:
    """Read a number with `decimal` ("." or ",") as its decimal sign, or return None.

    `.5` and `5.` are numbers, as some programs write them. No thousands separators, no units,
    no "about": where those occur, someone has to decide.
    """
    if decimal == ",":
        if "." in text:
            return None
        text = text.replace(",", ".")
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def fit(
    value: Decimal,
    minimum: Fraction,
    maximum: Fraction,
    step: Fraction,
    *,
    clip: bool,
    to_grid: bool,
) -> Decimal:
    """Move a number into its bounds (`clip`) and then to the nearest step (`to_grid`).

    Halfway goes to the even multiple of `step` above `minimum`. A number out of bounds that
    is not clipped stays out of bounds, so that the plan's own check still refuses it.
    """
    exact = Fraction(value)
    if clip:
        exact = min(max(exact, minimum), maximum)
    if to_grid and minimum <= exact <= maximum:
        exact = minimum + round((exact - minimum) / step) * step
    # Bounds and steps are decimals, so this division ends.
    return value if exact == Fraction(value) else Decimal(exact.numerator) / exact.denominator


def is_far_out(value: Decimal, minimum: Fraction, maximum: Fraction) -> bool:
    """Whether a number lies farther outside its bounds than these are apart.

    Nobody mistypes by so much: it is a code for "no answer", a date, or another column.
    """
    span = maximum - minimum
    return not minimum - span <= Fraction(value) <= maximum + span

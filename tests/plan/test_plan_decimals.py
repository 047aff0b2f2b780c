"""Exact decimals, in and out."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.plan.decimals import decimal_text, read_decimal

DECIMALS = st.builds(
    lambda digits, places: Fraction(digits, 10**places),
    st.integers(-(10**11), 10**11),
    st.integers(0, 18),
)


@given(DECIMALS)
def test_one_spelling(value: Fraction) -> None:
    text = decimal_text(value)
    assert read_decimal(text, json=True) == value
    assert read_decimal(Decimal(text), json=False) == value
    assert decimal_text(Fraction(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Fraction(0), "0"),
        (Fraction(40), "40"),
        (Fraction(-5, 2), "-2.5"),
        (Fraction(1, 10**6), "0.000001"),
        (Fraction(100), "100"),
    ],
)
def test_spellings(value: Fraction, text: str) -> None:
    assert decimal_text(value) == text


def test_a_third_has_no_decimal() -> None:
    with pytest.raises(ValueError, match="not a decimal"):
        decimal_text(Fraction(1, 3))


@pytest.mark.parametrize(
    "value",
    ["", "1.0", "01", "+1", "-0", "1e3", ".5", "5.", "0.50", " 1", "1_0", "\u0661", "NaN", "1/2",
     "9" * 16, "0." + "0" * 18 + "1", 1, 0.5, None, True, Decimal(1), []],
)  # fmt: skip
def test_json_takes_no_other_spelling(value: object) -> None:
    with pytest.raises(ValueError, match="shortest form"):
        read_decimal(value, json=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("1", "without quotes"),
        (0.5, "without quotes"),
        (True, "without quotes"),
        (None, "without quotes"),
        (Decimal("nan"), "finite"),
        (Decimal("snan"), "finite"),
        (Decimal("inf"), "finite"),
        (10**12, "too large"),
        (-(10**12), "too large"),
        (Decimal("1e400"), "too many digits"),
        (Decimal("1e999999"), "too many digits"),
        (Decimal("0e999999"), "too many digits"),
        (Decimal("1e-400"), "too many digits"),
        (Decimal("0." + "1" * 50), "too many digits"),
        (Decimal("0.1234567890123456789"), "decimal places"),
    ],
)
def test_toml_numbers_that_are_refused(value: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read_decimal(value, json=False)


@pytest.mark.parametrize(
    "value", [5, -5, Decimal("0.10"), Decimal("-0.0"), Decimal("1e-6"), Decimal("1E3")]
)
def test_toml_numbers_that_are_read(value: object) -> None:
    assert read_decimal(value, json=False) == Fraction(value)

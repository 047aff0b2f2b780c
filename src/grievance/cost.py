"""What a release costs, as an exact tagged fraction: `{"zcdp": "3/125"}` or `{"pure": "1/4"}`.

The two kinds never mix: a campaign's mechanism is fixed, Gaussian noise is charged in
zCDP rho and discrete Laplace noise in pure epsilon, and both add up exactly.
Sources: Bun and Steinke 2016, Lemma 1.7 (zCDP composes by addition); Dwork and Roth 2014,
Theorem 3.16 (so does pure epsilon).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, Self

from grievance.errors import PrivacyError

Kind = Literal["zcdp", "pure"]
_FRACTION = re.compile(r"(0|[1-9][0-9]{0,199})(?:/([1-9][0-9]{0,199}))?")


def parse_fraction(text: str) -> Fraction:
    """Read "3/125" or "2" in lowest terms. Raises PrivacyError for any other spelling."""
    match = _FRACTION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise PrivacyError(f"not an exact non-negative fraction: {text!r:.60}", code="cost.syntax")
    value = Fraction(int(match[1]), int(match[2] or 1))
    if str(value) != text:
        raise PrivacyError(f"a fraction must be in lowest terms: {text!r:.60}", code="cost.syntax")
    return value


@dataclass(frozen=True)
class Cost:
    """An amount of privacy budget. `amount` is rho for "zcdp" and epsilon for "pure"."""

    kind: Kind
    amount: Fraction

    def __post_init__(self) -> None:
        if self.kind not in ("zcdp", "pure"):
            raise PrivacyError(f"unknown kind of cost: {self.kind!r:.20}", code="cost.kind")
        if not isinstance(self.amount, Fraction) or self.amount < 0:
            raise PrivacyError("a cost is an exact, non-negative fraction", code="cost.amount")

    @classmethod
    def zero(cls, kind: Kind) -> Self:
        """Return the cost of nothing."""
        return cls(kind, Fraction(0))

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read `{"zcdp": "3/125"}`. Raises PrivacyError for anything else."""
        if isinstance(value, dict) and len(value) == 1:
            ((kind, text),) = value.items()
            if kind in ("zcdp", "pure"):
                return cls(kind, parse_fraction(text))
        raise PrivacyError('a cost looks like {"zcdp": "3/125"}', code="cost.syntax")

    def to_json(self) -> dict[str, str]:
        """Write the tagged object."""
        return {self.kind: str(self.amount)}

    def _same_kind(self, other: Cost) -> None:
        if self.kind != other.kind:
            raise PrivacyError("zCDP and pure costs never mix", code="cost.kind")

    def __add__(self, other: Cost) -> Cost:
        self._same_kind(other)
        return Cost(self.kind, self.amount + other.amount)

    def __sub__(self, other: Cost) -> Cost:
        self._same_kind(other)
        return Cost(self.kind, self.amount - other.amount)

    def __le__(self, other: Cost) -> bool:
        self._same_kind(other)
        return self.amount <= other.amount

    def __lt__(self, other: Cost) -> bool:
        self._same_kind(other)
        return self.amount < other.amount

    @property
    def short(self) -> str:
        """The amount for people: the fraction where it is short, else about so much."""
        exact = str(self.amount)
        if len(exact) <= 12:
            return exact
        try:
            about: float | Decimal = float(self.amount)
        except OverflowError:  # what a stranger claims, or what follows from it
            about = Decimal(self.amount.numerator) / self.amount.denominator
        return f"about {about:.4g}"

    def __str__(self) -> str:
        return f"{'rho' if self.kind == 'zcdp' else 'epsilon'} {self.short}"

"""Prime fields with a large power-of-two subgroup: Field64 and Field128.

An element is a plain `int` in [0, p) and a vector a `list[int]`: nothing to wrap, and
sums of products may be reduced once at the end, since Python's integers do not overflow.
Plain integers are not constant-time, which the README says.
Source: VDAF draft-20, 6.1 "Finite Fields", table "Parameters for the finite fields".
"""

from __future__ import annotations

import secrets
from functools import lru_cache
from operator import mul
from typing import TYPE_CHECKING

from grievance.errors import ShapeError, WireError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Vec = list[int]


def next_power_of_2(n: int) -> int:
    """Return the smallest power of two that is not below `n` (n >= 1)."""
    return 1 << (n - 1).bit_length()


class Field:
    """The integers mod a prime `MODULUS`, with the subgroup that the NTT needs.

    `generator` generates the subgroup of order `GEN_ORDER`, a power of two. There are two
    instances, `FIELD64` and `FIELD128`; compare them with `is`.
    """

    def __init__(self, name: str, modulus: int, encoded_size: int, gen_order: int) -> None:
        self.name = name
        self.MODULUS = modulus
        self.ENCODED_SIZE = encoded_size
        self.GEN_ORDER = gen_order
        self.generator = pow(7, (modulus - 1) // gen_order, modulus)
        self._inverses: dict[int, int] = {}

    def __repr__(self) -> str:
        return self.name

    # -- encoding --------------------------------------------------------------------

    def encode_vec(self, vec: Sequence[int]) -> bytes:
        """Write each element as ENCODED_SIZE little-endian bytes.

        Raises ShapeError when an element is not in [0, p): that is our own mistake, and
        writing it would make a second encoding of a value.
        """
        if vec and (min(vec) < 0 or max(vec) >= self.MODULUS):
            raise ShapeError(f"a vector to encode has an element outside {self.name}")
        size = self.ENCODED_SIZE
        return b"".join([x.to_bytes(size, "little") for x in vec])

    def decode_vec(self, data: bytes) -> Vec:
        """Read a vector. Raises WireError for a broken length or an element that is p or more."""
        if len(data) % self.ENCODED_SIZE:
            raise WireError(f"{len(data)} bytes are no whole number of elements", code="wire.short")
        vec = self._ints(data)
        if vec and max(vec) >= self.MODULUS:
            raise WireError(f"an element is not reduced mod p in {self.name}", code="vdaf.modulus")
        return vec

    def sample(self, data: bytes) -> Vec:
        """Read as `decode_vec` does, but drop what is p or more: rejection sampling of a XOF."""
        return [x for x in self._ints(data) if x < self.MODULUS]

    def _ints(self, data: bytes) -> Vec:
        size = self.ENCODED_SIZE
        read = int.from_bytes
        return [read(data[i : i + size], "little") for i in range(0, len(data), size)]

    # -- arithmetic ------------------------------------------------------------------

    def inv(self, x: int) -> int:
        """Return 1/x. Raises ShapeError for 0."""
        if x % self.MODULUS == 0:
            raise ShapeError("zero has no inverse")
        return pow(x, -1, self.MODULUS)

    def small_inv(self, n: int) -> int:
        """Return 1/n for a count such as the number of shares; remembered, as it is used often."""
        if n not in self._inverses:
            self._inverses[n] = self.inv(n)
        return self._inverses[n]

    def add(self, left: Sequence[int], right: Sequence[int]) -> Vec:
        """Add element by element. Raises ShapeError when the lengths differ."""
        _same_length(left, right)
        p = self.MODULUS
        return [(x + y) % p for x, y in zip(left, right, strict=True)]

    def sub(self, left: Sequence[int], right: Sequence[int]) -> Vec:
        """Subtract element by element. Raises ShapeError when the lengths differ."""
        _same_length(left, right)
        p = self.MODULUS
        return [(x - y) % p for x, y in zip(left, right, strict=True)]

    def inner(self, left: Iterable[int], right: Iterable[int]) -> int:
        """Return the inner product, reduced once; the longer side is cut to the shorter."""
        total: int = sum(map(mul, left, right))
        return total % self.MODULUS

    def rand_vec(self, length: int) -> Vec:
        """Draw uniform elements from the operating system. No protocol function uses this."""
        return [secrets.randbelow(self.MODULUS) for _ in range(length)]

    # -- roots of unity and the number theoretic transform ---------------------------

    def nth_root(self, n: int) -> int:
        """Return the principal n-th root of unity; n is a power of two up to GEN_ORDER.

        Source: draft-20, 6.1.2: generator ** (GEN_ORDER / n). (The argument is n itself; the
        draft's Python takes its logarithm.)
        """
        if n < 1 or n & (n - 1) or n > self.GEN_ORDER:
            raise ShapeError(f"there is no principal root of order {n} in {self.name}")
        return pow(self.generator, self.GEN_ORDER // n, self.MODULUS)

    def nth_root_powers(self, n: int) -> tuple[int, ...]:
        """Return all n powers of the principal n-th root, from the zeroth on."""
        return _root_powers(self, n)

    def ntt(self, coefficients: Sequence[int], n: int) -> Vec:
        """Evaluate a polynomial at the n-th roots of unity.

        `coefficients`: at most n of them, lowest degree first. Returns n values,
        value[i] = poly(root ** i).
        """
        if len(coefficients) > n:
            raise ShapeError(f"{len(coefficients)} coefficients do not fit {n} points")
        padded = list(coefficients) + [0] * (n - len(coefficients))
        p = self.MODULUS
        return [x % p for x in _butterflies(self, padded)]

    def inv_ntt(self, values: Sequence[int]) -> Vec:
        """Return the coefficients of the polynomial with these values at the n-th roots."""
        # Transforming twice gives n times the input, backwards but for the first entry.
        n, p = len(values), self.MODULUS
        turned = _butterflies(self, list(values))
        turned[1:] = turned[:0:-1]
        scale = self.small_inv(n)
        return [x * scale % p for x in turned]


def _same_length(left: Sequence[int], right: Sequence[int]) -> None:
    if len(left) != len(right):
        raise ShapeError(f"vectors of lengths {len(left)} and {len(right)} do not go together")


@lru_cache(maxsize=128)
def _root_powers(field: Field, n: int) -> tuple[int, ...]:
    root, power, powers = field.nth_root(n), 1, []
    for _ in range(n):
        powers.append(power)
        power = power * root % field.MODULUS
    return tuple(powers)


def _butterflies(field: Field, values: Vec) -> Vec:
    """Cooley and Tukey's recursion. The result is not reduced: it grew by one bit per level."""
    n, p = len(values), field.MODULUS
    if n == 1:
        return values
    if n == 2:
        return [values[0] + values[1], values[0] - values[1]]
    roots = _root_powers(field, n)
    if n == 4:  # written out, as most of the time is spent here
        a, b, c, d = values
        sum_even, sum_odd = a + c, b + d
        difference, turned = a - c, (b - d) * roots[1] % p
        return [sum_even + sum_odd, difference + turned, sum_even - sum_odd, difference - turned]
    even, odd = _butterflies(field, values[0::2]), _butterflies(field, values[1::2])
    odd = [w * x % p for w, x in zip(roots, odd, strict=False)]
    return [x + y for x, y in zip(even, odd, strict=True)] + [
        x - y for x, y in zip(even, odd, strict=True)
    ]


FIELD64 = Field("Field64", 2**32 * 4294967295 + 1, encoded_size=8, gen_order=2**32)
FIELD128 = Field("Field128", 2**66 * 4611686018427387897 + 1, encoded_size=16, gen_order=2**66)

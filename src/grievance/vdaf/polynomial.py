"""Polynomials in the Lagrange basis: lists of values at the n-th roots of unity.

A polynomial of degree below n is the list of its values at 1, w, ..., w**(n-1), w the
principal n-th root. Everything here is linear in those values, so it may be applied to
additive shares. What depends on the field and n alone is computed once and kept.
Source: VDAF draft-20, 6.1.3 "Polynomial Representation"; derivations are given where used.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from grievance.vdaf.field import Vec, next_power_of_2

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.vdaf.field import Field


def eval_monomial(field: Field, coefficients: Sequence[int], x: int) -> int:
    """Evaluate a polynomial given by its coefficients, lowest degree first, at x (Horner)."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % field.MODULUS
    return value


def lagrange_at(field: Field, n: int, t: int) -> Vec:
    """Return the weights c with poly(t) = sum c[i] * value[i], for any t and all polynomials.

    The basis polynomial of node x_i is (x_i / n) * prod over j != i of (t - x_j), since the
    product of all x_i - x_j over j != i is n / x_i. Prefix and suffix products give it without a
    division: where t is itself a node (a 2P-th root of unity is allowed for the gadget
    polynomial) the weights are simply 0, ..., 1, ..., 0.
    """
    p = field.MODULUS
    differences = [t - x for x in field.nth_root_powers(n)]
    after = [1] * n  # after[i]: product of the differences behind i
    for i in range(n - 1, 0, -1):
        after[i - 1] = after[i] * differences[i] % p
    weights, before = [], 1
    for scaled_node, difference, behind in zip(
        _scaled_nodes(field, n), differences, after, strict=True
    ):
        weights.append(before * behind % p * scaled_node % p)
        before = before * difference % p
    return weights


@lru_cache(maxsize=128)
def _scaled_nodes(field: Field, n: int) -> tuple[int, ...]:
    inverse = field.small_inv(n)
    return tuple(x * inverse % field.MODULUS for x in field.nth_root_powers(n))


def double_evaluations(field: Field, values: Sequence[int]) -> Vec:
    """From n values of a polynomial of degree below n to its values at the 2n-th roots.

    The even ones are the given ones. The odd ones are those of poly(s * X) at the n-th
    roots, s the principal 2n-th root.
    """
    n, p = len(values), field.MODULUS
    twisted = [
        c * s % p for c, s in zip(field.inv_ntt(values), field.nth_root_powers(2 * n), strict=False)
    ]
    doubled = [0] * (2 * n)
    doubled[0::2] = values
    doubled[1::2] = field.ntt(twisted, n)
    return doubled


def extend(field: Field, values: Sequence[int]) -> Vec:
    """Fill up to the next power of two the values of a polynomial of degree below len(values)."""
    n = next_power_of_2(len(values))
    return [*values, *(field.inner(row, values) for row in _extension(field, len(values), n))]


@lru_cache(maxsize=32)
def _extension(field: Field, num_given: int, n: int) -> tuple[tuple[int, ...], ...]:
    """For each missing node the weights of the given values.

    X**n - 1 = A * B, A vanishing on the given nodes and B on the missing ones. The weight of node
    x_i at a missing x_k is A(x_k) / ((x_k - x_i) * A'(x_i)). At a node the derivative of A * B
    is n / x, and it is A * B' or A' * B there, so the weight is
    x_i * B(x_i) / (x_k * B'(x_k) * (x_k - x_i)). With one node missing this is -x_i / x_k.
    """
    p, nodes = field.MODULUS, field.nth_root_powers(n)
    given, missing = nodes[:num_given], nodes[num_given:]

    def product(x: int, roots: Sequence[int]) -> int:
        value = 1
        for root in roots:
            value = value * (x - root) % p
        return value

    numerators = [x * product(x, missing) % p for x in given]
    rows = []
    for k, x_k in enumerate(missing):
        slope = x_k * product(x_k, missing[:k] + missing[k + 1 :])
        rows.append(
            tuple(
                numerator * field.inv(slope * (x_k - x)) % p
                for numerator, x in zip(numerators, given, strict=True)
            )
        )
    return tuple(rows)

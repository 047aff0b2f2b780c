"""Transforms, Lagrange weights and the gadget polynomial against `grievance.vdaf.polynomial`."""

from __future__ import annotations

import secrets

import numba
import numpy as np
import pytest

from grievance.kernels import elements as e
from grievance.kernels import prove, query, xof
from grievance.kernels.shape import shape_of, table
from grievance.vdaf import (
    FIELD64,
    Prio3Histogram,
    Prio3SumVecWithMultiproof,
)
from grievance.vdaf.polynomial import double_evaluations, extend, lagrange_at

BEGINNING = xof.BEGINNING
# By number of calls: wire polynomials of 2, 4, 8, 32 and 128 values.
CASES = [Prio3Histogram(2, calls * 3, 3) for calls in (1, 3, 5, 31, 100)]
CASES += [Prio3SumVecWithMultiproof(2, calls * 3, 1, 3) for calls in (1, 3, 31)]
EVERY = pytest.mark.parametrize(
    "vdaf", CASES, ids=lambda v: f"{v.field!r}-{v.circuit.GADGET_CALLS[0]}"
)


@numba.njit
def transform(shape, values):
    prove.odd_values(shape, values, BEGINNING)


@numba.njit
def weigh(shape, t, weights, power):
    e.save(power, 0, query.lagrange(shape, e.load(t, 0), weights))


@numba.njit
def evaluate(shape, t, weights, data, out):
    power = query.lagrange(shape, e.load(t, 0), weights)
    e.save(out, 0, query.value_at(shape, weights, power, data, BEGINNING))


def integers(field, array):
    data, size = array.tobytes(), field.ENCODED_SIZE
    p = field.MODULUS
    return [int.from_bytes(data[i : i + size], "little") % p for i in range(0, len(data), size)]


def points(field, wire_len):
    """Ordinary points, zero, and every kind of root: of P, of 2P, of 4P."""
    roots = field.nth_root_powers(4 * wire_len)
    found = [0, 1, field.MODULUS - 1, roots[1], roots[2], roots[3], roots[4], roots[-2], roots[-4]]
    return [*found, *field.rand_vec(4)]


def some(field, length):
    """Random values with edge elements among them."""
    values = field.rand_vec(length)
    for edge in (0, 1, field.MODULUS - 1):
        values[secrets.randbelow(length)] = edge
    return values


@EVERY
def test_odd_values_are_the_references(vdaf):
    field, shape = vdaf.field, shape_of(vdaf)
    for values in (some(field, shape.wire_len), [field.MODULUS - 1] * shape.wire_len):
        array = table(field, values)
        transform(shape, array)
        assert integers(field, array) == double_evaluations(field, values)[1::2]


@EVERY
def test_lagrange_weights_are_the_references_at_any_point(vdaf):
    field, shape = vdaf.field, shape_of(vdaf)
    p, n = field.MODULUS, shape.wire_len
    for t in points(field, n):
        weights, power = np.empty_like(shape.roots), table(field, [0])
        weigh(shape, table(field, [t]), weights, power)
        assert integers(field, power) == [pow(t, n, p)]
        got = integers(field, weights)
        assert got[::2] == lagrange_at(field, n, t)
        half = field.inv(2)
        factors = [(1 + pow(t, n, p)) * half, (1 - pow(t, n, p)) * half] * n
        doubled = [w * factor % p for w, factor in zip(got, factors, strict=True)]
        assert doubled == lagrange_at(field, 2 * n, t)


@EVERY
def test_the_gadget_polynomial_is_evaluated_at_any_point(vdaf):
    field, shape = vdaf.field, shape_of(vdaf)
    n = 2 * shape.wire_len
    values = some(field, n - 1)
    data = np.frombuffer(field.encode_vec(values), np.uint8).copy()
    for t in points(field, shape.wire_len):
        weights, out = np.empty_like(shape.roots), table(field, [0])
        evaluate(shape, table(field, [t]), weights, data, out)
        want = field.inner(lagrange_at(field, n, t), extend(field, values))
        assert integers(field, out) == [want]


def test_a_field_is_told_by_its_tables():
    assert shape_of(CASES[0]).roots.ndim == 2
    assert shape_of(CASES[-1]).roots.ndim == 1
    assert CASES[-1].field is FIELD64

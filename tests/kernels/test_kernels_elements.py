"""Elements, sums and reduction against Python's integers."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.kernels import elements as e
from grievance.kernels.shape import table
from grievance.vdaf import FIELD64, FIELD128

BOTH = pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)


@numba.njit
def operate(x, y, added, subtracted, multiplied):
    for i in range(len(x)):
        a, b = e.load(x, i), e.load(y, i)
        e.save(added, i, e.add(a, b))
        e.save(subtracted, i, e.sub(a, b))
        e.save(multiplied, i, e.mul(a, b))


@numba.njit
def subtract_reduced(x, y, out):
    for i in range(len(x)):
        e.save(out, i, e.difference(e.load(x, i), e.load(y, i)))


@numba.njit
def inner(x, y, out):
    total = e.no_sum(x)
    for i in range(len(x)):
        total = e.add_product(total, e.load(x, i), e.load(y, i))
        total = e.add_element(total, e.load(y, i))
    e.save(out, 0, e.reduced(total))


@numba.njit
def encode(x, data, width):
    for i in range(len(x)):
        e.store(data, i * width, e.load(x, i))


@numba.njit
def compare(x, y, same, below):
    for i in range(len(x)):
        same[i] = e.equal(e.load(x, i), e.load(y, i))
        below[i] = e.is_reduced(e.load(x, i))


@numba.njit
def collect(x, totals):
    for i in range(len(x)):
        e.accumulate(totals, 0, e.load(x, i))


def words(field, values):
    """Any integers of the element's size, reduced or not."""
    data = b"".join(x.to_bytes(field.ENCODED_SIZE, "little") for x in values)
    array = np.frombuffer(data, np.uint64).copy()
    return array.reshape(-1, 2) if field is FIELD128 else array


def integers(field, array):
    data, size = array.tobytes(), field.ENCODED_SIZE
    return [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]


def edges(field):
    p, top = field.MODULUS, 1 << (8 * field.ENCODED_SIZE)
    middle = [2**32 - 1, 2**32, 2**63, 2**64 - 1]
    values = [0, 1, 2, p - 2, p - 1, p, p + 1, top - 2, top - 1, top - p, *middle]
    if field is FIELD128:
        values += [2**64, 2**64 + 1, 2**127, 2**128 - 2**64, 27 << 64, (2**64 - 28) << 64]
    return sorted({x for x in values if x < top})


def pairs(field):
    top = (1 << (8 * field.ENCODED_SIZE)) - 1
    one = st.one_of(st.sampled_from(edges(field)), st.integers(0, top))
    return st.lists(st.tuples(one, one), min_size=1, max_size=40)


def check(field, cases):
    p = field.MODULUS
    x, y = (words(field, side) for side in zip(*cases, strict=True))
    outs = [np.zeros_like(x) for _ in range(3)]
    operate(x, y, *outs)
    for out, operation in zip(outs, (int.__add__, int.__sub__, int.__mul__), strict=True):
        got = [value % p for value in integers(field, out)]
        assert got == [operation(a, b) % p for a, b in cases]


@BOTH
def test_all_pairs_of_edge_elements(field):
    values = edges(field)
    check(field, [(a, b) for a in values for b in values])


@settings(max_examples=60)
@given(st.data())
@BOTH
def test_operations_on_any_pairs(field, data):
    cases = data.draw(pairs(field))
    check(field, cases)
    p = field.MODULUS
    x, y = (words(field, side) for side in zip(*cases, strict=True))
    out = np.zeros_like(x)
    inner(x, y, out)
    assert integers(field, out)[0] % p == sum(a * b + b for a, b in cases) % p


@BOTH
def test_a_difference_of_reduced_elements_is_reduced(field):
    values = [x for x in edges(field) if x < field.MODULUS]
    cases = [(a, b) for a in values for b in values]
    x, y = (words(field, side) for side in zip(*cases, strict=True))
    out = np.zeros_like(x)
    subtract_reduced(x, y, out)
    assert integers(field, out) == [(a - b) % field.MODULUS for a, b in cases]


@BOTH
def test_a_long_sum_of_the_largest_products(field):
    top = (1 << (8 * field.ENCODED_SIZE)) - 1
    x = words(field, [top] * 3000)
    out = np.zeros_like(x)
    inner(x, x, out)
    assert integers(field, out)[0] % field.MODULUS == 3000 * (top * top + top) % field.MODULUS


@BOTH
def test_encodings_are_reduced_and_comparisons_see_through(field):
    p, values = field.MODULUS, edges(field)
    x = words(field, values)
    data = np.zeros(len(values) * field.ENCODED_SIZE, np.uint8)
    encode(x, data, field.ENCODED_SIZE)
    assert field.decode_vec(data.tobytes()) == [v % p for v in values]
    same, below = np.zeros((2, len(values)), np.bool_)
    compare(x, words(field, [v % p for v in values]), same, below)
    assert same.all()
    assert below.tolist() == [v < p for v in values]
    compare(x, words(field, [(v + 1) % p for v in values]), same, below)
    assert not same.any()


@BOTH
def test_totals_do_not_overflow(field):
    totals = np.zeros((1, 3), np.uint64)
    values = [field.MODULUS - 1] * 1000
    collect(words(field, values), totals)
    low, mid, high = totals[0].tolist()
    assert low + (mid << 64) + (high << 128) == sum(values)


def test_tables_hold_elements_as_on_the_wire():
    assert table(FIELD64, [5]).tobytes() == FIELD64.encode_vec([5])
    assert table(FIELD128, [2**100]).tobytes() == FIELD128.encode_vec([2**100])

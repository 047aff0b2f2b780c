"""Field arithmetic, the NTT and the Lagrange basis, against slow and obvious forms."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.errors import ShapeError, WireError
from grievance.vdaf.field import FIELD64, FIELD128, next_power_of_2
from grievance.vdaf.polynomial import double_evaluations, eval_monomial, extend, lagrange_at

FIELDS = pytest.mark.parametrize("field", [FIELD64, FIELD128], ids=repr)


def elements(field):
    special = st.sampled_from([0, 1, 2, field.MODULUS - 1, field.MODULUS - 2])
    return st.one_of(special, st.integers(0, field.MODULUS - 1))


def vectors(field, size):
    return st.lists(elements(field), min_size=size, max_size=size)


@FIELDS
def test_parameters_are_the_drafts(field):
    p = field.MODULUS
    assert p in {2**32 * 4294967295 + 1, 2**66 * 4611686018427387897 + 1}
    assert p.bit_length() == 8 * field.ENCODED_SIZE
    assert field.generator == pow(7, (p - 1) // field.GEN_ORDER, p)
    assert pow(field.generator, field.GEN_ORDER, p) == 1
    assert pow(field.generator, field.GEN_ORDER // 2, p) == p - 1


@FIELDS
def test_roots(field):
    p = field.MODULUS
    for log in range(8):
        n = 1 << log
        powers = field.nth_root_powers(n)
        assert len(set(powers)) == n
        assert all(pow(x, n, p) == 1 for x in powers)
        assert powers == tuple(pow(field.nth_root(n), i, p) for i in range(n))
    for bad in (0, -2, 3, 2 * field.GEN_ORDER):
        with pytest.raises(ShapeError):
            field.nth_root(bad)


@FIELDS
@settings(max_examples=25)
@given(st.data())
def test_encoding_is_undone_and_unique(field, data):
    vec = data.draw(st.lists(elements(field), max_size=6))
    encoded = field.encode_vec(vec)
    assert len(encoded) == len(vec) * field.ENCODED_SIZE
    assert field.decode_vec(encoded) == vec


@FIELDS
@pytest.mark.parametrize("excess", [0, 1])
def test_elements_that_are_not_reduced_are_refused(field, excess):
    size = field.ENCODED_SIZE
    for value in (field.MODULUS + excess, 256**size - 1):
        with pytest.raises(WireError) as caught:
            field.decode_vec(bytes(size) + value.to_bytes(size, "little"))
        assert caught.value.code == "vdaf.modulus"
    assert field.decode_vec((field.MODULUS - 1).to_bytes(size, "little")) == [field.MODULUS - 1]
    for vec in ([field.MODULUS], [-1], [0, 256**size]):
        with pytest.raises(ShapeError):
            field.encode_vec(vec)


@FIELDS
def test_lengths_that_are_no_whole_elements_are_refused(field):
    for length in range(1, field.ENCODED_SIZE):
        with pytest.raises(WireError):
            field.decode_vec(bytes(length))


@FIELDS
@settings(max_examples=25)
@given(st.data())
def test_arithmetic(field, data):
    p = field.MODULUS
    a, b = data.draw(vectors(field, 4)), data.draw(vectors(field, 4))
    assert field.sub(field.add(a, b), b) == a
    assert field.inner(a, b) == sum(x * y for x, y in zip(a, b, strict=True)) % p
    for x in a:
        if x:
            assert x * field.inv(x) % p == 1
    with pytest.raises(ShapeError):
        field.add(a, b[:3])
    with pytest.raises(ShapeError):
        field.inv(0)


@FIELDS
@settings(max_examples=25)
@given(st.data())
def test_ntt_evaluates_at_the_roots(field, data):
    n = 1 << data.draw(st.integers(0, 6))
    coefficients = data.draw(vectors(field, data.draw(st.integers(0, n))))
    values = field.ntt(coefficients, n)
    assert values == [eval_monomial(field, coefficients, x) for x in field.nth_root_powers(n)]
    padded = coefficients + [0] * (n - len(coefficients))
    assert field.inv_ntt(values) == padded
    with pytest.raises(ShapeError):
        field.ntt([0] * (n + 1), n)


@FIELDS
@settings(max_examples=25)
@given(st.data())
def test_lagrange_weights_evaluate_anywhere(field, data):
    n = 1 << data.draw(st.integers(0, 5))
    coefficients = data.draw(vectors(field, n))
    nodes = field.nth_root_powers(n)
    t = data.draw(st.one_of(elements(field), st.sampled_from(nodes)))
    values = field.ntt(coefficients, n)
    assert field.inner(lagrange_at(field, n, t), values) == eval_monomial(field, coefficients, t)


@FIELDS
def test_lagrange_weights_at_a_node_pick_its_value(field):
    for i, x in enumerate(field.nth_root_powers(8)):
        assert lagrange_at(field, 8, x) == [int(j == i) for j in range(8)]


@FIELDS
@settings(max_examples=25)
@given(st.data())
def test_more_values_of_the_same_polynomial(field, data):
    degree_below = data.draw(st.integers(1, 20))
    coefficients = data.draw(vectors(field, degree_below))
    n = next_power_of_2(degree_below)
    values = field.ntt(coefficients, n)
    assert extend(field, values[:degree_below]) == values
    assert double_evaluations(field, values) == field.ntt(coefficients, 2 * n)


def test_next_power_of_2():
    assert [next_power_of_2(n) for n in (1, 2, 3, 4, 5, 63, 64, 65)] == [1, 2, 4, 4, 8, 64, 64, 128]

"""The proof system: valid measurements pass, others do not, and the test point is safe."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.errors import ProofError, ShapeError, TestPointError, VdafError
from grievance.vdaf import (
    FIELD64,
    FIELD128,
    Block,
    BlockCountVec,
    Count,
    Flp,
    Histogram,
    MultihotCountVec,
    Sum,
    SumVec,
)
from grievance.vdaf.circuits import decode_range_checked_int, encode_range_checked_int
from grievance.vdaf.gadgets import Mul, ParallelSum, PolyEval, wire_poly_len
from grievance.vdaf.vectors import _HigherDegree

PARENTS = BlockCountVec(FIELD128, [Block(2, 1), Block(4, 2, (0, 0, 1, 1))], 3)
CASES = [
    (Count(FIELD64), [0, 1]),
    (Sum(FIELD64, 5), [0, 3, 4, 5]),
    (Sum(FIELD64, 1), [0, 1]),
    (SumVec(FIELD128, 3, 5, 2), [[0, 5, 3], [4, 4, 4]]),
    (SumVec(FIELD64, 2, 255, 7), [[255, 0]]),
    (Histogram(FIELD128, 5, 2), [0, 4]),
    (Histogram(FIELD128, 1, 1), [0]),
    (MultihotCountVec(FIELD128, 5, 3, 2), [[1, 1, 1, 0, 0], [0] * 5]),
    (PARENTS, [[1, 0, 1, 1, 0, 0], [0] * 6]),
    (_HigherDegree(), [0, 1, 2]),
]


def run(flp, meas, *, num_shares=2, query_rand=None, tamper=None):
    """Prove, share, query, decide; raises what `decide` or `query` raises."""
    field = flp.field
    joint_rand = field.rand_vec(flp.JOINT_RAND_LEN)
    proof = flp.prove(meas, field.rand_vec(flp.PROVE_RAND_LEN), joint_rand)
    if tamper is not None:
        proof[tamper] = (proof[tamper] + 1) % field.MODULUS
    query_rand = query_rand or field.rand_vec(flp.QUERY_RAND_LEN)
    total = [0] * flp.VERIFIER_LEN
    meas_left, proof_left = list(meas), proof
    for i in range(num_shares):
        last = i == num_shares - 1
        meas_share = meas_left if last else field.rand_vec(flp.MEAS_LEN)
        proof_share = proof_left if last else field.rand_vec(flp.PROOF_LEN)
        meas_left = field.sub(meas_left, meas_share)
        proof_left = field.sub(proof_left, proof_share)
        total = field.add(
            total, flp.query(meas_share, proof_share, query_rand, joint_rand, num_shares)
        )
    flp.decide(total)


@pytest.mark.parametrize(("circuit", "measurements"), CASES)
@pytest.mark.parametrize("num_shares", [1, 2, 3])
def test_valid_measurements_pass(circuit, measurements, num_shares):
    flp = Flp(circuit)
    for measurement in measurements:
        run(flp, circuit.encode(measurement), num_shares=num_shares)


@pytest.mark.parametrize(("circuit", "measurements"), CASES)
def test_one_changed_element_of_the_measurement_is_refused(circuit, measurements):
    flp = Flp(circuit)
    for i in range(flp.MEAS_LEN):
        meas = circuit.encode(measurements[-1])
        meas[i] = (meas[i] + 5) % flp.field.MODULUS
        with pytest.raises(ProofError):
            run(flp, meas)


@pytest.mark.parametrize(("circuit", "measurements"), CASES)
def test_one_changed_element_of_the_proof_is_refused(circuit, measurements):
    flp = Flp(circuit)
    meas = circuit.encode(measurements[-1])
    for i in range(flp.PROOF_LEN):
        with pytest.raises(ProofError):
            run(flp, meas, tamper=i)


@pytest.mark.parametrize(("circuit", "measurements"), CASES)
def test_the_test_point(circuit, measurements):
    """Refused at each P-th root; correct at 2P-th and 4P-th roots that are none."""
    flp = Flp(circuit)
    field, meas = flp.field, circuit.encode(measurements[-1])
    wrong = [(meas[0] + 5) % field.MODULUS, *meas[1:]]
    P = wire_poly_len(circuit.GADGET_CALLS[0])
    roots = field.nth_root_powers(4 * P)
    for i, t in enumerate(roots):
        query_rand = [*field.rand_vec(flp.QUERY_RAND_LEN - 1), t]
        if i % 4 == 0:
            with pytest.raises(TestPointError):
                run(flp, meas, query_rand=query_rand)
            continue
        run(flp, meas, query_rand=query_rand)
        with pytest.raises(ProofError):
            run(flp, wrong, query_rand=query_rand)


def test_wrong_lengths_are_our_own_mistake():
    flp = Flp(PARENTS)
    lengths = (flp.MEAS_LEN, flp.PROOF_LEN, flp.QUERY_RAND_LEN, flp.JOINT_RAND_LEN)
    for i in range(4):
        for delta in (-1, 1):
            parts = [[2] * (n + delta * (i == j)) for j, n in enumerate(lengths)]
            with pytest.raises(ShapeError):
                flp.query(*parts, 2)
    lengths = (flp.MEAS_LEN, flp.PROVE_RAND_LEN, flp.JOINT_RAND_LEN)
    for i in range(3):
        parts = [[0] * (n + (i == j)) for j, n in enumerate(lengths)]
        with pytest.raises(ShapeError):
            flp.prove(*parts)
    with pytest.raises(ShapeError):
        flp.decide([0] * (flp.VERIFIER_LEN + 1))


@settings(max_examples=25)
@given(st.integers(1, 300), st.data())
def test_range_checked_integers(largest, data):
    value = data.draw(st.integers(0, largest))
    encoded = encode_range_checked_int(value, largest)
    assert len(encoded) == largest.bit_length()
    assert set(encoded) <= {0, 1}
    assert decode_range_checked_int(FIELD64, encoded, largest) == value
    assert decode_range_checked_int(FIELD64, [1] * len(encoded), largest) == largest


@pytest.mark.parametrize("bad", [-1, 6, 2.0, "1", None, [1]])
def test_range_check_refuses_what_it_cannot_express_without_repeating_it(bad):
    with pytest.raises(VdafError) as caught:
        encode_range_checked_int(bad, 5)
    assert caught.value.code == "vdaf.measurement"
    assert repr(bad) not in str(caught.value)


@pytest.mark.parametrize(
    ("circuit", "measurement"),
    [
        (Count(FIELD64), 2),
        (Count(FIELD64), None),
        (Sum(FIELD64, 5), 6),
        (SumVec(FIELD128, 2, 5, 1), [1]),
        (SumVec(FIELD128, 2, 5, 1), [1, 6]),
        (SumVec(FIELD128, 2, 5, 1), None),
        (Histogram(FIELD128, 3, 1), 3),
        (Histogram(FIELD128, 3, 1), -1),
        (MultihotCountVec(FIELD128, 3, 2, 1), [1, 1, 1]),
        (MultihotCountVec(FIELD128, 3, 2, 1), [2, 0, 0]),
        (MultihotCountVec(FIELD128, 3, 2, 1), [1, 1]),
    ],
)
def test_no_circuit_encodes_an_invalid_measurement(circuit, measurement):
    with pytest.raises(VdafError) as caught:
        circuit.encode(measurement)
    assert caught.value.code == "vdaf.measurement"


@pytest.mark.parametrize(
    "make",
    [
        partial(Sum, FIELD64, 0),
        partial(Sum, FIELD64, 2**64),
        partial(SumVec, FIELD128, 0, 1, 1),
        partial(SumVec, FIELD128, 1, 0, 1),
        partial(SumVec, FIELD128, 1, 1, 0),
        partial(SumVec, FIELD128, 1, 2**127, 1),
        partial(Histogram, FIELD128, 0, 1),
        partial(Histogram, FIELD128, 4, -1),
        partial(Histogram, FIELD128, True, 1),
        partial(MultihotCountVec, FIELD128, 3, 4, 1),
        partial(MultihotCountVec, FIELD128, 3, 0, 1),
        partial(PolyEval, [1]),
        partial(PolyEval, [0, 1, 0]),
    ],
)
def test_no_circuit_takes_bad_parameters(make):
    with pytest.raises(VdafError) as caught:
        make()
    assert caught.value.code == "vdaf.parameters"


@pytest.mark.parametrize(
    "gadget", [Mul(), PolyEval([0, -1, 1]), PolyEval([0, 2, -3, 1]), ParallelSum(Mul(), 3)]
)
def test_gadgets_on_polynomials_are_gadgets_on_values(gadget):
    for P in (2, 4, 8):
        wires = [FIELD64.rand_vec(P) for _ in range(gadget.ARITY)]
        values = gadget.eval_poly(FIELD64, wires)
        step = len(values) // P
        assert values[::step] == [
            gadget.eval(FIELD64, inputs) for inputs in zip(*wires, strict=True)
        ]

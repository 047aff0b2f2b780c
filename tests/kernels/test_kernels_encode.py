"""Tables of measurements are encoded as the reference encodes each of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernels_world import STANDARD, name_of, plans, refusal

from grievance.errors import VdafError
from grievance.kernels.encode import encode_rows
from grievance.vdaf import Prio3BlockCountVec, Prio3Histogram, Prio3Sum, Prio3SumVec


@pytest.mark.parametrize("case", STANDARD, ids=name_of)
def test_every_circuit(case):
    vdaf, measurement = case
    want = vdaf.circuit.encode(measurement)
    for kind in (np.int64, np.uint32, np.int32):
        encoded = encode_rows(vdaf, np.array([measurement] * 3, kind))
        assert encoded.dtype == np.uint8
        assert encoded.tolist() == [want] * 3


@given(st.integers(1, 2**62).flatmap(lambda top: st.tuples(st.just(top), st.integers(0, top))))
def test_range_checked_integers(case):
    largest, value = case
    vdaf = Prio3SumVec(2, 2, largest, 3)
    want = vdaf.circuit.encode([value, largest])
    assert encode_rows(vdaf, np.array([[value, largest]])).tolist() == [want]


@settings(max_examples=40)
@given(plans(), st.data())
def test_blocks_valid_or_not(plan, data):
    blocks, bits, _ = plan
    vdaf = Prio3BlockCountVec(2, blocks, 3)
    changed = list(bits)
    for i in data.draw(st.lists(st.integers(0, len(bits) - 1), max_size=3)):
        changed[i] ^= 1
    refused = refusal(lambda: vdaf.circuit.encode(changed))
    assert refusal(lambda: encode_rows(vdaf, [bits, changed])) == refused
    if refused is None:
        assert encode_rows(vdaf, [bits, changed])[1].tolist() == vdaf.circuit.encode(changed)


@pytest.mark.parametrize(
    ("vdaf", "rows"),
    [
        (Prio3Histogram(2, 4, 2), [4]),
        (Prio3Histogram(2, 4, 2), [-1]),
        (Prio3Histogram(2, 4, 2), [[1]]),
        (Prio3Histogram(2, 4, 2), [1.0]),
        (Prio3Histogram(2, 4, 2), ["1"]),
        (Prio3Sum(2, 10), [11]),
        (Prio3SumVec(2, 2, 10, 2), [1, 2]),
        (Prio3SumVec(2, 2, 10, 2), [[1, 2, 3]]),
        (Prio3SumVec(2, 2, 2**63, 2), [[1, 2]]),
    ],
)
def test_what_is_no_measurement_is_refused(vdaf, rows):
    with pytest.raises(VdafError) as caught:
        encode_rows(vdaf, rows)
    assert caught.value.code == "vdaf.measurement"

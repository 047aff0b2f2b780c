"""Measurements to encoded vectors, whole arrays at a time.

Source: VDAF draft-20, 7.4, "encode" of every variant; `grievance.vdaf.circuits` and
`grievance.vdaf.block_count_vec` in readable form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.errors import VdafError
from grievance.vdaf.block_count_vec import BlockCountVec
from grievance.vdaf.circuits import Count, Histogram, MultihotCountVec, Sum, SumVec

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from grievance.vdaf.prio3 import Prio3

    Integers = NDArray[np.int64]
    Bytes = NDArray[np.uint8]

LARGEST = 2**62  # of the integers in an array


def encode_rows(prio3: Prio3[Any, Any], measurements: ArrayLike) -> Bytes:
    """Encode N measurements as bits: (N, MEAS_LEN) of 0 and 1.

    BlockCountVec and MultihotCountVec take (N, OUTPUT_LEN) bits, SumVec (N, OUTPUT_LEN) integers,
    Histogram, Count and Sum (N,) integers. Raises VdafError "vdaf.measurement", without the value,
    for what the reference would not encode.
    """
    circuit = prio3.circuit
    rows = np.asarray(measurements)
    shape = (circuit.OUTPUT_LEN,) if isinstance(circuit, VECTORS) else ()
    if rows.dtype.kind not in "iub" or rows.shape[1:] != shape or rows.ndim != 1 + len(shape):
        raise _refused(
            f"expected an array of integers, (N{', ' * bool(shape)}{shape and shape[0]})"
        )
    if isinstance(circuit, BlockCountVec):
        return _blocks(circuit, _within(rows, 1))
    if isinstance(circuit, MultihotCountVec):
        bits = _within(rows, 1)
        return np.hstack([bits, _digits(bits.sum(1), circuit.max_weight)]).astype(np.uint8)
    if isinstance(circuit, Histogram):
        places = _within(rows, circuit.MEAS_LEN - 1)
        meas = np.zeros((len(rows), circuit.MEAS_LEN), np.uint8)
        meas[np.arange(len(rows)), places] = 1
        return meas
    if isinstance(circuit, Count):
        return _within(rows, 1)[:, None].astype(np.uint8)
    if isinstance(circuit, (Sum, SumVec)):
        digits = _digits(_within(rows, circuit.max_measurement), circuit.max_measurement)
        return digits.reshape(len(rows), circuit.MEAS_LEN)
    raise VdafError("there are no kernels for this circuit", code="vdaf.parameters")


VECTORS = (BlockCountVec, MultihotCountVec, SumVec)


def _refused(message: str) -> VdafError:
    return VdafError(message, code="vdaf.measurement")


def _within(rows: NDArray[Any], largest: int) -> Integers:
    if rows.size and (rows.min() < 0 or rows.max() > largest):
        raise _refused(f"not an integer from 0 to {largest}")
    return rows.astype(np.int64)


def _digits(values: Integers, largest: int) -> Bytes:
    """Range-checked integers: (...,) -> (..., digits), the last digit with a trimmed weight."""
    if largest > LARGEST:
        raise _refused(f"integers above {LARGEST} are not for arrays")
    num_rest = largest.bit_length() - 1
    if values.size and values.max() > largest:
        raise _refused(f"not an integer from 0 to {largest}")
    last = values >= 1 << num_rest
    rest = values - last * (largest - ((1 << num_rest) - 1))
    digits = [(rest >> i) & 1 for i in range(num_rest)]
    return np.stack([*digits, last], axis=-1).astype(np.uint8)


def _blocks(circuit: BlockCountVec, bits: Integers) -> Bytes:
    pieces: list[NDArray[Any]] = [bits]
    start = 0
    for block in circuit.blocks:
        own = bits[:, start : start + block.length]
        for i, parent in enumerate(block.parents or ()):
            if parent is not None and (own[:, i] > bits[:, parent]).any():
                raise _refused("a bit is 1 where its parent is 0")
        if block.max_weight is not None:
            pieces.append(_digits(own.sum(1), block.max_weight))
        start += block.length
    return np.hstack(pieces).astype(np.uint8)

"""The prover's side of the proof, for one report.

Source: VDAF draft-20, 7.3.3 "Generating the Proof"; 6.1.3 for polynomials in the Lagrange
basis. The readable form is `grievance.vdaf.flp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.kernels.compiler import device
from grievance.kernels.elements import (
    add,
    add_product,
    load,
    mul,
    no_sum,
    read,
    reduced,
    save,
    small,
    store,
    sub,
)
from grievance.kernels.query import ONE
from grievance.kernels.shape import BOUND_ONE, SUM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels.shape import Shape

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]


@device
def odd_values(shape: Shape, values: Words, start: int) -> None:
    """From P values of a polynomial at the P-th roots to those at the odd 2P-th roots, in place.

    Decimation in frequency goes back to the coefficients and leaves them in bit-reversed
    order, which is the order that decimation in time begins with; between them the
    coefficients are turned by the principal 2P-th root. 1 / P is in the twists.
    """
    size = shape.wire_len
    half = size // 2
    while half:
        stride = size // half  # from an index among 2 * half roots to one among the 2P-th
        for block in range(start, start + size, 2 * half):
            for i in range(half):
                x, y = load(values, block + i), load(values, block + i + half)
                save(values, block + i, add(x, y))
                turned = mul(sub(x, y), load(shape.inverses, i * stride))
                save(values, block + i + half, turned)
        half //= 2
    for i in range(size):
        save(values, start + i, mul(load(values, start + i), load(shape.twists, i)))
    half = 1
    while half < size:
        stride = size // half
        for block in range(start, start + size, 2 * half):
            for i in range(half):
                x = load(values, block + i)
                y = mul(load(values, block + i + half), load(shape.roots, i * stride))
                save(values, block + i, add(x, y))
                save(values, block + i + half, sub(x, y))
        half *= 2


@device
def fill_wires(
    shape: Shape,
    meas: Bytes,
    row: int,
    masks: Bytes,
    masks_at: int,
    joint_rand: Bytes,
    joint_at: int,
    wires: Words,
) -> None:
    """Set the P values of every wire: the mask, the value in each call, zeros.

    `meas` has a byte, 0 or 1, for each element; row: whose.
    """
    field, width, step = shape.roots, shape.width, shape.arity // shape.chunk_length
    zero, one = small(field, 0), load(shape.constants, ONE)
    for wire in range(shape.arity):
        at = wire * shape.wire_len
        save(wires, at, read(field, masks, masks_at + wire * width))
        for i in range(shape.num_calls + 1, shape.wire_len):
            save(wires, at + i, zero)
    for call in range(shape.num_calls):
        r = one
        if shape.joint_rand_len:
            r = read(field, joint_rand, joint_at + call * width)
        power = r
        for j in range(shape.chunk_length):
            i = call * shape.chunk_length + j
            left, right = zero, sub(zero, one)
            if i < shape.meas_len:
                if meas[row, i]:
                    left = power
                bound = shape.bounds[i]
                right = small(field, np.int64(meas[row, i]))
                if bound >= 0:
                    right = sub(right, small(field, np.int64(meas[row, bound])))
                elif bound == BOUND_ONE:
                    right = sub(right, one)
            at = step * j * shape.wire_len + call + 1
            save(wires, at, left)
            if step == 2:
                save(wires, at + shape.wire_len, right)
            power = mul(power, r)


@device
def gadget_value(shape: Shape, wires: Words, point: int) -> Any:
    """Apply the gadget to the values of all wires at index `point`."""
    total = no_sum(shape.roots)
    if shape.kind == SUM:
        b = load(wires, point)
        total = add_product(total, b, sub(b, load(shape.constants, ONE)))
    else:
        for wire in range(0, shape.arity, 2):
            at = wire * shape.wire_len + point
            total = add_product(total, load(wires, at), load(wires, at + shape.wire_len))
    return reduced(total)


@device
def prove(
    shape: Shape,
    wires: Words,
    meas: Bytes,
    row: int,
    masks: Bytes,
    masks_at: int,
    joint_rand: Bytes,
    joint_at: int,
    out: Bytes,
    out_at: int,
) -> None:
    """Write one proof: the masks, and 2P - 1 values of the gadget polynomial."""
    width = shape.width
    fill_wires(shape, meas, row, masks, masks_at, joint_rand, joint_at, wires)
    for wire in range(shape.arity):
        mask = read(shape.roots, masks, masks_at + wire * width)
        store(out, out_at + wire * width, mask)
    values_at = out_at + shape.arity * width
    for i in range(shape.wire_len):
        store(out, values_at + 2 * i * width, gadget_value(shape, wires, i))
    for wire in range(shape.arity):
        odd_values(shape, wires, wire * shape.wire_len)
    for i in range(shape.wire_len - 1):
        store(out, values_at + (2 * i + 1) * width, gadget_value(shape, wires, i))

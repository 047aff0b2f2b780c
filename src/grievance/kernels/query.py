"""The verifier's side of the proof, for one report: query and decide.

Nothing here divides by what a report brings, so no report can disturb its neighbours.
Source: VDAF draft-20, 7.3.4 "Querying the Proof" and 7.3.5 "Deciding Validity"; derivations
are given where used. The readable form is `grievance.vdaf.flp`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grievance.kernels.compiler import device
from grievance.kernels.elements import (
    add,
    add_element,
    add_product,
    difference,
    equal,
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
from grievance.kernels.shape import BOUND_ONE, COUNT, SUM

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from grievance.kernels.shape import Shape

    Bytes = NDArray[np.uint8]
    Words = NDArray[np.uint64]
    Element = Any

ONE, SHARE_OF_ONE, HALF, INVERSE_OF_P = range(4)  # in Shape.constants


@device
def lagrange(shape: Shape, t: Element, weights: Words) -> Element:
    """Set weights[i] = (1 / P) * sum of (t / x_i)**m over m < P, x_i the 2P-th roots; return t**P.

    At even i these are the Lagrange weights of the P-th roots for the point t: the basis
    polynomial of x_i is the product (x_i / P) * (t**P - 1) / (t - x_i), a geometric sum. With
    2P nodes the sum goes on to 2P and 1 / P becomes 1 / 2P, which multiplies the weights by
    (1 + t**P) / 2 at even and by (1 - t**P) / 2 at odd i, as x_i**P is 1 or -1.
    The sum is the product of 1 + (t / x_i)**(2**k) over 2**k < P. Taking the largest k first, the
    first factors are few, and each step splits every value v in two: v + v z and v - v z.
    """
    num_levels = 0
    while 1 << num_levels < shape.wire_len:
        num_levels += 1
    powers = np.empty_like(shape.roots)
    power = t
    for level in range(num_levels):
        save(powers, level, power)
        power = mul(power, power)
    save(weights, 0, load(shape.constants, INVERSE_OF_P))
    save(weights, 1, load(shape.constants, INVERSE_OF_P))
    for level in range(num_levels - 1, -1, -1):
        half = shape.wire_len >> level
        u = load(powers, level)
        for i in range(half):
            v = load(weights, i)
            vz = mul(v, mul(u, load(shape.inverses, i << level)))
            save(weights, i, add(v, vz))
            save(weights, i + half, sub(v, vz))
    return power


@device
def value_at(shape: Shape, weights: Words, t_to_p: Element, proof: Bytes, at: int) -> Element:
    """Evaluate the gadget polynomial at t; the proof has its values from byte `at` on.

    Its degree is 2P - 2, so the value at the last of the 2P-th roots follows from the
    others: v[2P-1] = -sum of w**(i+1) * v[i], w the principal root.
    """
    last = 2 * shape.wire_len - 1
    even, odd, missing = no_sum(shape.roots), no_sum(shape.roots), no_sum(shape.roots)
    for i in range(last):
        v = read(shape.roots, proof, at + i * shape.width)
        missing = add_product(missing, load(shape.roots, i + 1), v)
        if i & 1:
            odd = add_product(odd, load(weights, i), v)
        else:
            even = add_product(even, load(weights, i), v)
    one, half = load(shape.constants, ONE), load(shape.constants, HALF)
    last_term = mul(load(weights, last), reduced(missing))
    upper = mul(reduced(even), add(one, t_to_p))
    lower = mul(sub(reduced(odd), last_term), sub(one, t_to_p))
    return mul(half, add(upper, lower))


@device
def check_sum(shape: Shape, check: int, meas: Bytes, at: int) -> Element:
    """Evaluate one row of Shape.checks on a measurement share."""
    first, end, weight_first, weight_end, last_weight, less_one = shape.checks[check]
    total = no_sum(shape.roots)
    for i in range(first, end):
        total = add_element(total, read(shape.roots, meas, at + i * shape.width))
    weight = no_sum(shape.roots)
    for i in range(weight_first, weight_end):
        factor = last_weight if i == weight_end - 1 else 1 << (i - weight_first)
        digit = read(shape.roots, meas, at + i * shape.width)
        weight = add_product(weight, digit, small(shape.roots, factor))
    result = sub(reduced(total), reduced(weight))
    if less_one:
        result = sub(result, load(shape.constants, SHARE_OF_ONE))
    return result


@device
def first_verifier(
    shape: Shape, meas: Bytes, meas_at: int, values: Bytes, at: int, query_rand: Bytes, rand_at: int
) -> Element:
    """Evaluate the circuit with the gadget's outputs read off the proof, and reduce its outputs."""
    field, width = shape.roots, shape.width
    if shape.kind == SUM and shape.num_outputs > 1:
        combined = no_sum(field)
        for call in range(shape.num_calls):
            output = read(field, values, at + 2 * (call + 1) * width)
            r = read(field, query_rand, rand_at + call * width)
            combined = add_product(combined, r, output)
        return reduced(combined)
    outputs = no_sum(field)
    for call in range(shape.num_calls):
        outputs = add_element(outputs, read(field, values, at + 2 * (call + 1) * width))
    result = reduced(outputs)
    if shape.kind == COUNT:
        return sub(result, read(field, meas, meas_at))
    if shape.num_outputs == 1:
        return result
    combined = add_product(no_sum(field), read(field, query_rand, rand_at), result)
    for check in range(shape.checks.shape[0]):
        r = read(field, query_rand, rand_at + (check + 1) * width)
        combined = add_product(combined, r, check_sum(shape, check, meas, meas_at))
    return reduced(combined)


@device
def wires(
    shape: Shape,
    weights: Words,
    running: Words,
    meas: Bytes,
    meas_at: int,
    masks: Bytes,
    masks_at: int,
    joint_rand: Bytes,
    joint_at: int,
    out: Bytes,
    out_at: int,
) -> None:
    """Evaluate all wire polynomials at t and write them.

    Call k has the value at node k + 1 of every wire, and node 0 has the mask. Of pair j of a
    chunk the wires carry r**(j + 1) * b and b - bound, r the joint randomness of the call, so
    weight * r**(j + 1) is kept running for every call and b is multiplied once.
    """
    field, width, chunk = shape.roots, shape.width, shape.chunk_length
    w0 = load(weights, 0)
    one = load(shape.constants, SHARE_OF_ONE)
    step = shape.arity // chunk
    for call in range(shape.num_calls):
        save(running, call, load(weights, 2 * (call + 1)))
    for j in range(chunk):
        # Only the last call may have no element left; it is filled up with zeros.
        end = shape.num_calls
        if (end - 1) * chunk + j >= shape.meas_len:
            end -= 1
        total = no_sum(field)
        for call in range(end):
            w = load(running, call)
            if shape.joint_rand_len:
                w = mul(w, read(field, joint_rand, joint_at + call * width))
                save(running, call, w)
            b = read(field, meas, meas_at + (call * chunk + j) * width)
            total = add_product(total, w, b)
        mask = masks_at + step * j * width
        total = add_product(total, w0, read(field, masks, mask))
        store(out, out_at + step * j * width, reduced(total))
        if step == 2:
            total = no_sum(field)
            for call in range(end):
                i = call * chunk + j
                b = read(field, meas, meas_at + i * width)
                bound = shape.bounds[i]
                if bound >= 0:
                    b = difference(b, read(field, meas, meas_at + bound * width))
                elif bound == BOUND_ONE:
                    b = difference(b, one)
                total = add_product(total, load(weights, 2 * (call + 1)), b)
            if end < shape.num_calls:
                w = load(weights, 2 * (end + 1))
                total = add_product(total, w, difference(small(field, 0), one))
            total = add_product(total, w0, read(field, masks, mask + width))
            store(out, out_at + (2 * j + 1) * width, reduced(total))


@device
def query(
    shape: Shape,
    weights: Words,
    running: Words,
    meas: Bytes,
    meas_at: int,
    proof: Bytes,
    proof_at: int,
    query_rand: Bytes,
    rand_at: int,
    joint_rand: Bytes,
    joint_at: int,
    out: Bytes,
    out_at: int,
) -> bool:
    """Write one verifier share for one proof. False, and nothing written, where t**P is 1.

    All arguments named `..._at` are byte offsets.
    """
    width = shape.width
    t = read(shape.roots, query_rand, rand_at + (shape.query_rand_len - 1) * width)
    t_to_p = lagrange(shape, t, weights)
    if equal(t_to_p, load(shape.constants, ONE)):
        return False
    values_at = proof_at + shape.arity * width
    first = first_verifier(shape, meas, meas_at, proof, values_at, query_rand, rand_at)
    store(out, out_at, first)
    wires(
        shape, weights, running, meas, meas_at, proof, proof_at, joint_rand, joint_at,
        out, out_at + width,
    )  # fmt: skip
    value = value_at(shape, weights, t_to_p, proof, values_at)
    store(out, out_at + (shape.arity + 1) * width, value)
    return True


@device
def decide(shape: Shape, verifier: Words, at: int) -> bool:
    """Whether a sum of verifier shares, elements from index `at` on, shows a valid proof."""
    zero = small(shape.roots, 0)
    if not equal(load(verifier, at), zero):
        return False
    total = no_sum(shape.roots)
    if shape.kind == SUM:
        b = load(verifier, at + 1)
        total = add_product(total, b, sub(b, load(shape.constants, ONE)))
    else:
        for i in range(0, shape.arity, 2):
            total = add_product(total, load(verifier, at + 1 + i), load(verifier, at + 2 + i))
    return bool(equal(reduced(total), load(verifier, at + 1 + shape.arity)))

"""Keccak-p[1600, 12] over eight states at once, one in each 64-bit lane of a vector.

A group of states is a uint64 array (25, 8): word i of all eight, side by side. Messages
lie one after another in memory, so absorbing and squeezing transpose blocks of 8 x 8 words.
Source: RFC 9861, section 2.1; FIPS 202, section 3.2, for the steps' names.
"""

# ruff: noqa: ARG001 (every intrinsic takes Numba's typing context and lowering arguments)
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types

from grievance.kernels.compiler import device, intrinsic

if TYPE_CHECKING:
    from collections.abc import Sequence

LANES = 8
RATE = 168  # bytes of a state that a block fills, for TurboSHAKE128
RATE_WORDS = RATE // 8
NUM_WORDS = 25
# A block's 21 words as three transpositions of 8; the last overlaps the second.
COLUMNS = (0, 8, RATE_WORDS - 8)

I64 = ir.IntType(64)
ONES = 2**64 - 1


def _round_constants() -> list[int]:
    """The last 12 of the 24 rounds, by FIPS 202, algorithms 5 and 6."""
    register, constants = 1, []
    for _ in range(24):
        constant = 0
        for j in range(7):
            constant |= (register & 1) << ((1 << j) - 1)
            register = register << 1 ^ (0x171 if register & 0x80 else 0)
        constants.append(constant)
    return constants[12:]


def _rotations() -> list[int]:
    """Offsets of rho for word x + 5 * y, by FIPS 202, algorithm 2."""
    rotations, x, y = [0] * NUM_WORDS, 1, 0
    for t in range(24):
        rotations[x + 5 * y] = (t + 1) * (t + 2) // 2 % 64
        x, y = y, (2 * x + 3 * y) % 5
    return rotations


ROUND_CONSTANTS = _round_constants()
ROTATIONS = _rotations()


def _splat(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


def _rotated(b: Any, value: Any, bits: int) -> Any:
    if bits == 0:
        return value
    left = b.shl(value, _splat(value.type, bits))
    return b.or_(left, b.lshr(value, _splat(value.type, 64 - bits)))


def _round(b: Any, words: Sequence[Any], constant: Any) -> list[Any]:
    """One round: theta, rho and pi, chi, iota."""
    columns = []
    for x in range(5):
        parity = words[x]
        for y in range(1, 5):
            parity = b.xor(parity, words[x + 5 * y])
        columns.append(parity)
    turned: list[Any] = [None] * NUM_WORDS
    for x in range(5):
        effect = b.xor(columns[(x - 1) % 5], _rotated(b, columns[(x + 1) % 5], 1))
        for y in range(5):
            moved = _rotated(b, b.xor(words[x + 5 * y], effect), ROTATIONS[x + 5 * y])
            turned[y + 5 * ((2 * x + 3 * y) % 5)] = moved
    ones = _splat(words[0].type, ONES)
    result = []
    for y in range(0, NUM_WORDS, 5):
        for x in range(5):
            others = b.and_(b.xor(turned[y + (x + 1) % 5], ones), turned[y + (x + 2) % 5])
            result.append(b.xor(turned[y + x], others))
    result[0] = b.xor(result[0], constant)
    return result


def _rounds(b: Any, words: Sequence[Any]) -> list[Any]:
    """Loop over the twelve rounds, the words in registers."""
    vector = words[0].type
    table = ir.GlobalVariable(
        b.module, ir.ArrayType(I64, len(ROUND_CONSTANTS)), b.module.get_unique_name("rounds")
    )
    table.global_constant = True
    table.linkage = "internal"
    table.initializer = ir.Constant(table.value_type, ROUND_CONSTANTS)
    before = b.block
    loop, after = b.append_basic_block("round"), b.append_basic_block("permuted")
    b.branch(loop)
    b.position_at_end(loop)
    number = b.phi(I64)
    number.add_incoming(ir.Constant(I64, 0), before)
    current = [b.phi(vector) for _ in words]
    undefined = ir.Constant(vector, ir.Undefined)
    constant = b.load(b.gep(table, [ir.Constant(I64, 0), number]))
    constant = b.insert_element(undefined, constant, ir.Constant(I64, 0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), [0] * vector.count)
    following = _round(b, current, b.shuffle_vector(constant, undefined, everywhere))
    for phi, first, then in zip(current, words, following, strict=True):
        phi.add_incoming(first, before)
        phi.add_incoming(then, b.block)
    next_number = b.add(number, ir.Constant(I64, 1))
    number.add_incoming(next_number, b.block)
    more = b.icmp_unsigned("<", next_number, ir.Constant(I64, len(ROUND_CONSTANTS)))
    b.cbranch(more, loop, after)
    b.position_at_end(after)
    return following


def _data(context: Any, b: Any, array_type: Any, array: Any) -> Any:
    return context.make_array(array_type)(context, b, array)


def _word_pointer(b: Any, states: Any, word: int, lane: int, vector: Any) -> Any:
    place = b.gep(states.data, [ir.Constant(I64, LANES * word + lane)])
    return b.bitcast(place, vector.as_pointer())


@intrinsic
def _permute(context: Any, states: Any) -> Any:
    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        array = _data(context, b, states, arguments[0])
        # 25 words and their temporaries fit the 32 vector registers that come with AVX-512;
        # with 16 registers of half the size it is better to do half the lanes at a time.
        wide = "+avx512f" in context.codegen().magic_tuple()[2]
        vector = ir.VectorType(I64, LANES if wide else LANES // 2)
        for lane in range(0, LANES, vector.count):
            pointers = [_word_pointer(b, array, i, lane, vector) for i in range(NUM_WORDS)]
            words = [b.load(pointer, align=8) for pointer in pointers]
            for pointer, word in zip(pointers, _rounds(b, words), strict=True):
                b.store(word, pointer, align=8)
        return context.get_dummy_value()

    return types.void(states), write


@device
def permute(states: Any) -> None:
    """Apply Keccak-p[1600, 12] to eight states."""
    _permute(states)


def _transposed(b: Any, rows: list[Any]) -> list[Any]:
    """Transpose 8 x 8 words: swap blocks off the diagonal, of 1, 2, then 4 words."""
    for size in (1, 2, 4):
        own_then_other = [c if not c & size else LANES + c - size for c in range(LANES)]
        other_then_own = [c + size if not c & size else LANES + c for c in range(LANES)]
        masks = [
            ir.Constant(ir.VectorType(ir.IntType(32), LANES), mask)
            for mask in (own_then_other, other_then_own)
        ]
        swapped = list(rows)
        for i in range(LANES):
            if not i & size:
                pair = rows[i], rows[i + size]
                swapped[i], swapped[i + size] = (b.shuffle_vector(*pair, m) for m in masks)
        rows = swapped
    return rows


def _row_pointers(b: Any, rows: Any, offset: Any, column: int) -> list[Any]:
    """Pointers to eight words of each of eight rows of bytes."""
    width = b.extract_value(rows.shape, 1)
    pointers = []
    for lane in range(LANES):
        start = b.add(b.mul(width, ir.Constant(I64, lane)), offset)
        place = b.gep(rows.data, [b.add(start, ir.Constant(I64, 8 * column))])
        pointers.append(b.bitcast(place, ir.VectorType(I64, LANES).as_pointer()))
    return pointers


@intrinsic
def absorb(context: Any, states: Any, rows: Any, offset: Any) -> Any:
    """XOR a block at a byte offset of each of eight rows, a uint8 array (8, w), into the states."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        state = _data(context, b, states, arguments[0])
        messages = _data(context, b, rows, arguments[1])
        done = 0
        for column in COLUMNS:
            pointers = _row_pointers(b, messages, arguments[2], column)
            words = _transposed(b, [b.load(pointer, align=1) for pointer in pointers])
            for i in range(done, column + LANES):
                pointer = _word_pointer(b, state, i, 0, words[0].type)
                mixed = b.xor(b.load(pointer, align=8), words[i - column])
                b.store(mixed, pointer, align=8)
            done = column + LANES
        return context.get_dummy_value()

    return types.void(states, rows, types.int64), write


@intrinsic
def squeeze(context: Any, states: Any, rows: Any, offset: Any) -> Any:
    """Write a block of each of eight states at a byte offset of its row."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        state = _data(context, b, states, arguments[0])
        vector = ir.VectorType(I64, LANES)
        out = _data(context, b, rows, arguments[1])
        for column in COLUMNS:
            words = [
                b.load(_word_pointer(b, state, i, 0, vector), align=8)
                for i in range(column, column + LANES)
            ]
            pointers = _row_pointers(b, out, arguments[2], column)
            for pointer, row in zip(pointers, _transposed(b, words), strict=True):
                b.store(row, pointer, align=1)
        return context.get_dummy_value()

    return types.void(states, rows, types.int64), write

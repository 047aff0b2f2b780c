"""Field elements inside kernels: LLVM integers of 64 or 128 bits, and wide sums of products.

An `Element` is any integer that fits its bits, so p and a little more have two forms;
`store` and `equal` reduce fully, everything else does not care. A `Sum` takes 2**64 products
before it is reduced, once: LLVM keeps it in registers and adds with carries. What field is
meant is read off the type of an argument: tables of Field128 are uint64 arrays (n, 2), of
Field64 (n,). In memory both are little-endian, as on the wire.

Reduction uses the primes' form. Field128: 2**128 = 28 * 2**64 - 1 (mod p). Field64:
2**64 = 2**32 - 1 and 2**96 = -1 (mod p).
Source: VDAF draft-20, 6.1 "Finite Fields", table "Parameters for the finite fields".
"""

# ruff: noqa: ARG001 (every intrinsic takes Numba's typing context and lowering arguments)
from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import types
from numba.core import cgutils
from numba.extending import models, register_model

from grievance.kernels.compiler import intrinsic
from grievance.vdaf.field import FIELD64, FIELD128

if TYPE_CHECKING:
    from collections.abc import Callable

MODULUS = {64: FIELD64.MODULUS, 128: FIELD128.MODULUS}
I64 = ir.IntType(64)


class Element(types.Type):
    """A field element of 64 or 128 bits."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"Element{bits}")


class Sum(types.Type):
    """A sum of products of elements."""

    def __init__(self, bits: int) -> None:
        self.bits = bits
        super().__init__(name=f"Sum{bits}")


@register_model(Element)
class _ElementModel(models.PrimitiveModel):
    def __init__(self, manager: Any, element: Element) -> None:
        super().__init__(manager, element, ir.IntType(element.bits))  # type: ignore[no-untyped-call]


@register_model(Sum)
class _SumModel(models.PrimitiveModel):
    def __init__(self, manager: Any, total: Sum) -> None:
        super().__init__(manager, total, ir.IntType(2 * total.bits + 64))  # type: ignore[no-untyped-call]


# -- helpers that write instructions ------------------------------------------------------


def _constant(bits: int, value: int) -> Any:
    return ir.Constant(ir.IntType(bits), value)


def _resize(b: Any, value: Any, bits: int) -> Any:
    """Extend by zeros, or cut."""
    width = value.type.width
    if width == bits:
        return value
    return (b.zext if width < bits else b.trunc)(value, ir.IntType(bits))


def _limb(b: Any, value: Any, index: int, bits: int = 64) -> Any:
    """Take the 64-bit limb at `index`, as an integer of `bits` bits."""
    width = value.type.width
    shifted = b.lshr(value, _constant(width, 64 * index)) if index else value
    return _resize(b, _resize(b, shifted, 64), bits)


def _times(b: Any, value: Any, factor: int) -> Any:
    return b.mul(value, _constant(value.type.width, factor))


def _shifted(b: Any, value: Any, bits: int) -> Any:
    return b.shl(value, _constant(value.type.width, bits))


def _product(b: Any, x: Any, y: Any) -> Any:
    """Multiply two n-bit integers to one of 2n bits, by 64x64 -> 128-bit multiplications."""
    if x.type.width == 64:
        return b.mul(_resize(b, x, 128), _resize(b, y, 128))
    x0, x1, y0, y1 = (_limb(b, v, i, 128) for v in (x, y) for i in (0, 1))
    outer = _resize(b, b.mul(x0, y0), 256)
    outer = b.or_(outer, _shifted(b, _resize(b, b.mul(x1, y1), 256), 128))
    middle = b.add(_resize(b, b.mul(x0, y1), 192), _resize(b, b.mul(x1, y0), 192))
    return b.add(outer, _shifted(b, _resize(b, middle, 256), 64))


def _wrap(b: Any, value: Any, bits: int) -> Any:
    """Reduce to `bits` bits something that is only a few bits longer.

    2**bits = c (mod p), so the surplus h becomes h * c. That can overflow once more, and the
    rest is then so small that adding c does not.
    """
    width, c = value.type.width, (1 << bits) - MODULUS[bits]
    surplus = _limb(b, value, bits // 64)
    if bits == 64:
        surplus_c = _resize(b, _times(b, surplus, c), width)
    else:
        surplus_c = _shifted(b, _resize(b, _times(b, surplus, 28), width), 64)
        surplus_c = b.sub(surplus_c, _resize(b, surplus, width))
    value = b.add(_resize(b, _resize(b, value, bits), width), surplus_c)
    again = b.trunc(b.lshr(value, _constant(width, bits)), ir.IntType(1))
    carried = b.select(again, _constant(bits, c), _constant(bits, 0))
    return b.add(_resize(b, value, bits), carried)


def _reduce_128(b: Any, value: Any) -> Any:
    """Reduce an integer of 256 or 320 bits.

    With B = 2**64: B**2 = 28 B - 1, B**3 = 783 B - 28, B**4 = 21896 B - 783 (mod p). The
    negative terms never outweigh the positive ones, being times B.
    """
    if value.type.width == 320:
        top = _limb(b, value, 4, 128)
        up = _shifted(b, _resize(b, _times(b, top, 21896), 320), 64)
        down = _resize(b, _times(b, top, 783), 320)
        rest = _resize(b, _resize(b, value, 256), 320)
        value = b.sub(b.add(rest, up), down)
    limbs = [_limb(b, value, i, 128) for i in range(2, value.type.width // 64)]
    factors = [(28, 1), (783, 28), (21896, 783)][: len(limbs)]
    up, down = _constant(128, 0), _constant(128, 0)
    for limb, (times_b, less) in zip(limbs, factors, strict=True):
        up = b.add(up, _times(b, limb, times_b))
        down = b.add(down, _times(b, limb, less))
    low = _resize(b, _resize(b, value, 128), 192)
    low = b.add(low, _shifted(b, _resize(b, up, 192), 64))
    return _wrap(b, b.sub(low, _resize(b, down, 192)), 128)


def _reduce_64(b: Any, value: Any) -> Any:
    """Reduce an integer of 128 or 192 bits."""
    low, high = _limb(b, value, 0), _limb(b, value, 1)
    # high = upper * 2**32 + lower, so the value is low - upper + lower * (2**32 - 1).
    upper = b.lshr(high, _constant(64, 32))
    lower = b.and_(high, _constant(64, 2**32 - 1))
    result = _add(b, _subtract(b, low, upper), _times(b, lower, 2**32 - 1))
    if value.type.width == 192:  # 2**128 = -(2**32)
        top = _shifted(b, _limb(b, value, 2, 128), 32)
        result = _subtract(b, result, _reduce_64(b, top))
    return result


def _reduce(b: Any, value: Any, bits: int) -> Any:
    return _reduce_64(b, value) if bits == 64 else _reduce_128(b, value)


def _add(b: Any, x: Any, y: Any) -> Any:
    bits = x.type.width
    return _wrap(b, b.add(_resize(b, x, bits + 64), _resize(b, y, bits + 64)), bits)


def _subtract(b: Any, x: Any, y: Any) -> Any:
    """Subtract; a borrow brought 2**bits, and takes c along. That may borrow once more."""
    bits = x.type.width
    c, zero = _constant(bits, (1 << bits) - MODULUS[bits]), _constant(bits, 0)
    for _ in range(2):
        difference = b.sub(x, y)
        x, y = difference, b.select(b.icmp_unsigned("<", x, y), c, zero)
    return b.sub(x, y)


def _canonical(b: Any, x: Any) -> Any:
    bits = x.type.width
    p = _constant(bits, MODULUS[bits])
    return b.select(b.icmp_unsigned(">=", x, p), b.sub(x, p), x)


def _pointer(context: Any, b: Any, array_type: Any, array: Any, offset: Any, width: int) -> Any:
    """Point to `width` bits at a byte offset into an array's data."""
    data = context.make_array(array_type)(context, b, array).data
    place = b.gep(b.bitcast(data, ir.IntType(8).as_pointer()), [offset])
    return b.bitcast(place, ir.IntType(width).as_pointer())


def _load(b: Any, pointer: Any) -> Any:
    value = b.load(pointer)
    value.align = 1
    return value


def _store(b: Any, value: Any, pointer: Any) -> None:
    b.store(value, pointer).align = 1


def bits_of(table: Any) -> int:
    """Tell the field from the type of one of its tables."""
    return 128 if table.ndim == 2 else 64


# -- what kernels call --------------------------------------------------------------------


@intrinsic
def load(context: Any, table: Any, index: Any) -> Any:
    """Element `index` of a table."""
    bits = bits_of(table)

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        offset = b.mul(arguments[1], _constant(64, bits // 8))
        return _load(b, _pointer(context, b, table, arguments[0], offset, bits))

    return Element(bits)(table, types.int64), write


@intrinsic
def save(context: Any, table: Any, index: Any, element: Any) -> Any:
    """Put an element into a table, not reduced."""
    bits = element.bits

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        offset = b.mul(arguments[1], _constant(64, bits // 8))
        _store(b, arguments[2], _pointer(context, b, table, arguments[0], offset, bits))
        return context.get_dummy_value()

    return types.void(table, types.int64, element), write


@intrinsic
def read(context: Any, field: Any, data: Any, offset: Any) -> Any:
    """The element at a byte offset; `field` is any table of its field."""
    bits = bits_of(field)

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _load(b, _pointer(context, b, data, arguments[1], arguments[2], bits))

    return Element(bits)(field, data, types.int64), write


@intrinsic
def store(context: Any, data: Any, offset: Any, element: Any) -> Any:
    """Write the encoding of an element at a byte offset."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        place = _pointer(context, b, data, arguments[0], arguments[1], element.bits)
        _store(b, _canonical(b, arguments[2]), place)
        return context.get_dummy_value()

    return types.void(data, types.int64, element), write


@intrinsic
def copy(context: Any, to: Any, to_offset: Any, source: Any, offset: Any, size: Any) -> Any:
    """Copy `size` bytes between arrays, at byte offsets from their beginnings."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        target = _pointer(context, b, to, arguments[0], arguments[1], 8)
        origin = _pointer(context, b, source, arguments[2], arguments[3], 8)
        cgutils.raw_memcpy(b, target, origin, arguments[4], 1)  # type: ignore[no-untyped-call]
        return context.get_dummy_value()

    return types.void(to, types.int64, source, types.int64, types.int64), write


@intrinsic
def is_reduced(context: Any, element: Any) -> Any:
    """Whether an element is below p, as every encoding must be."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.icmp_unsigned("<", arguments[0], _constant(element.bits, MODULUS[element.bits]))

    return types.boolean(element), write


@intrinsic
def equal(context: Any, x: Any, y: Any) -> Any:
    """Whether two elements are the same in the field."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.icmp_unsigned("==", *(_canonical(b, value) for value in arguments))

    return types.boolean(x, y), write


@intrinsic
def small(context: Any, field: Any, value: Any) -> Any:
    """A count as an element of the field of the table `field`."""
    bits = bits_of(field)

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _resize(b, arguments[1], bits)

    return Element(bits)(field, types.int64), write


def _binary(operation: Callable[[Any, Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
    def typing(context: Any, x: Any, y: Any) -> Any:
        def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            return operation(b, *arguments)

        return x(x, y), write

    return typing


def _multiply(b: Any, x: Any, y: Any) -> Any:
    return _reduce(b, _product(b, x, y), x.type.width)


def _difference(b: Any, x: Any, y: Any) -> Any:
    bits = x.type.width
    p, zero = _constant(bits, MODULUS[bits]), _constant(bits, 0)
    return b.add(b.sub(x, y), b.select(b.icmp_unsigned("<", x, y), p, zero))


add = intrinsic(_binary(_add))
sub = intrinsic(_binary(_subtract))
mul = intrinsic(_binary(_multiply))
difference = intrinsic(_binary(_difference))  # as `sub`, of two elements that are below p


@intrinsic
def no_sum(context: Any, field: Any) -> Any:
    """The empty sum."""
    total = Sum(bits_of(field))

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _constant(2 * total.bits + 64, 0)

    return total(field), write


@intrinsic
def add_product(context: Any, total: Any, x: Any, y: Any) -> Any:
    """The sum with x * y added."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        value = _product(b, arguments[1], arguments[2])
        return b.add(arguments[0], _resize(b, value, 2 * total.bits + 64))

    return total(total, x, y), write


@intrinsic
def add_element(context: Any, total: Any, x: Any) -> Any:
    """The sum with x added."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.add(arguments[0], _resize(b, arguments[1], 2 * total.bits + 64))

    return total(total, x), write


@intrinsic
def reduced(context: Any, total: Any) -> Any:
    """The value of a sum."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return _reduce(b, arguments[0], total.bits)

    return Element(total.bits)(total), write


@intrinsic
def accumulate(context: Any, totals: Any, index: Any, element: Any) -> Any:
    """Add an element to row `index` of a uint64 array (n, 3): a sum over 2**64 reports."""

    def write(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        offset = b.mul(arguments[1], _constant(64, 24))
        place = _pointer(context, b, totals, arguments[0], offset, 192)
        _store(b, b.add(_load(b, place), _resize(b, arguments[2], 192)), place)
        return context.get_dummy_value()

    return types.void(totals, types.int64, element), write

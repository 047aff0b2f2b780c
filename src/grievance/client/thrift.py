"""A small reader and writer of Thrift's compact protocol, as far as a Parquet footer needs it.

Arrow's own reader can be made to end the process by one wrong byte in a footer (an unknown
enumerator is not an exception there), so bytes from strangers are taken apart here first.
Every value costs at least one byte of input, so a result is never much larger than the
input; nesting is bounded.
Source: Apache Thrift, "Thrift Compact protocol encoding"; field numbers: parquet.thrift.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Value = int | bytes | list["Value"] | dict[int, "Value"]
"""Integers and booleans as int, strings as bytes, lists, structs as {field number: value}."""

_MAX_DEPTH = 8
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _BINARY, _LIST, _STRUCT = 1, 2, 3, 4, 5, 6, 8, 9, 12


class CompactReader:
    """Reads one struct from the start of `data`. Raises WireError at the first doubt."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self.at = 0

    def struct(self, depth: int = 0) -> dict[int, Value]:
        """Read a struct. A field that comes twice is refused."""
        if depth > _MAX_DEPTH:
            raise WireError("nested too deeply")
        fields: dict[int, Value] = {}
        number = 0
        while (head := self._byte()) != 0:
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            if number in fields:
                raise WireError("a field comes twice")
            if kind in (_TRUE, _FALSE):
                fields[number] = int(kind == _TRUE)
            else:
                fields[number] = self._value(kind, depth + 1)
        return fields

    def _value(self, kind: int, depth: int) -> Value:
        if kind == _BYTE:
            return self._byte()
        if kind in (_I16, _I32, _I64):
            return self._zigzag()
        if kind == _BINARY:
            return self._raw(self._varint())
        if kind == _LIST:
            return self._list(depth)
        if kind == _STRUCT:
            return self.struct(depth)
        raise WireError("a type that does not occur here")

    def _list(self, depth: int) -> list[Value]:
        if depth > _MAX_DEPTH:
            raise WireError("nested too deeply")
        head = self._byte()
        size, kind = head >> 4, head & 15
        if size == 15:
            size = self._varint()
        if size > len(self._data) - self.at:
            raise WireError("a list is longer than the input")
        if kind in (_TRUE, _FALSE):
            return [int(self._byte() == _TRUE) for _ in range(size)]
        return [self._value(kind, depth + 1) for _ in range(size)]

    def _byte(self) -> int:
        return self._raw(1)[0]

    def _raw(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            raise WireError("the input ends too early", code="wire.short")
        self.at += size
        return bytes(self._data[self.at - size : self.at])

    def _varint(self) -> int:
        value = 0
        for place in range(10):
            byte = self._byte()
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value
        raise WireError("a number is too long")

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)


Written = tuple[int, bytes]
"""What a writer has made of a value: its type in the protocol, and its bytes."""


def i32(value: int) -> Written:
    """Write a 32-bit integer, zero or above."""
    return _I32, _varint_of(2 * value)


def i64(value: int) -> Written:
    """Write a 64-bit integer, zero or above."""
    return _I64, _varint_of(2 * value)


def binary(value: bytes) -> Written:
    """Write a string."""
    return _BINARY, _varint_of(len(value)) + value


def items(values: Sequence[Written]) -> Written:
    """Write a list that is not empty, of values of one type."""
    kind, size = values[0][0], len(values)
    head = bytes([size << 4 | kind]) if size < 15 else bytes([0xF0 | kind]) + _varint_of(size)
    return _LIST, head + b"".join(data for _, data in values)


def struct(fields: Mapping[int, Written]) -> Written:
    """Write a struct; fields in the order of their numbers, steps of at most 15."""
    pieces, before = [], 0
    for number, (kind, data) in fields.items():
        pieces += [bytes([number - before << 4 | kind]), data]
        before = number
    return _STRUCT, b"".join((*pieces, b"\0"))


def _varint_of(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)

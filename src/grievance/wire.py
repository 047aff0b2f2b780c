"""Strict binary codec: one encoding per value, nothing left over.

Integers are big-endian, variable strings carry a 4-byte length. `Reader` refuses short
input, lengths above the caller's limit, and trailing bytes. The VDAF's own messages have
the draft's encodings and live in `grievance.vdaf`.
"""

from __future__ import annotations

from typing import Self

from grievance.errors import WireError


class Writer:
    """Builds a byte string; every method returns self so that a record reads as one line."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def raw(self, data: bytes) -> Self:
        """Append bytes whose length both sides know."""
        self._parts.append(bytes(data))
        return self

    def uint(self, value: int, size: int) -> Self:
        """Append an unsigned integer of `size` bytes. Raises WireError when it does not fit."""
        if not 0 <= value < 1 << (8 * size):
            raise WireError(f"an integer does not fit {size} bytes")
        return self.raw(value.to_bytes(size, "big"))

    def var(self, data: bytes) -> Self:
        """Append a byte string with its 4-byte length before it."""
        return self.uint(len(data), 4).raw(data)

    def finish(self) -> bytes:
        """Return everything appended so far."""
        return b"".join(self._parts)


class Reader:
    """Takes a byte string apart in the order it was written; WireError at the first doubt."""

    def __init__(self, data: bytes | memoryview) -> None:
        self._data = memoryview(data)
        self._at = 0

    def raw(self, size: int) -> bytes:
        """Take exactly `size` bytes."""
        if size < 0 or self._at + size > len(self._data):
            raise WireError("the input ends too early", code="wire.short")
        piece = bytes(self._data[self._at : self._at + size])
        self._at += size
        return piece

    def uint(self, size: int) -> int:
        """Take an unsigned integer of `size` bytes."""
        return int.from_bytes(self.raw(size), "big")

    def var(self, limit: int) -> bytes:
        """Take a byte string of at most `limit` bytes, length first."""
        size = self.uint(4)
        if size > limit:
            raise WireError(f"a length of {size} is above the limit {limit}", code="wire.long")
        return self.raw(size)

    def expect(self, data: bytes, what: str) -> None:
        """Take exactly these bytes, or raise WireError naming `what`."""
        if self.raw(len(data)) != data:
            raise WireError(f"this is not {what}", code="wire.kind")

    def finish(self) -> None:
        """Raise WireError unless everything was taken."""
        if self._at != len(self._data):
            raise WireError("bytes are left over at the end", code="wire.long")


def length_prefixed(*parts: bytes) -> bytes:
    """Join byte strings so that no two different lists give the same result."""
    return b"".join([len(part).to_bytes(4, "big") + part for part in parts])

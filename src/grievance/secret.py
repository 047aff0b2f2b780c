"""Bytes that do not print.

A `Secret` hides its bytes from repr, str, logs and pickles, compares in constant time,
and gives them up only through `.reveal()`, which is easy to search for.
"""

from __future__ import annotations

import hmac
import secrets
from typing import NoReturn, Self

from grievance.errors import ShapeError


class Secret:
    """Secret bytes, of `SIZE` bytes where the subclass fixes one. Raises ShapeError otherwise."""

    SIZE: int | None = None
    __slots__ = ("_data",)

    def __init__(self, data: bytes) -> None:
        if self.SIZE is not None and len(data) != self.SIZE:
            raise ShapeError(f"{type(self).__name__} takes {self.SIZE} bytes, got {len(data)}")
        self._data = bytes(data)

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh secret of `SIZE` bytes from the operating system."""
        if cls.SIZE is None:
            raise ShapeError(f"{cls.__name__} has no fixed size to draw")
        return cls(secrets.token_bytes(cls.SIZE))

    def reveal(self) -> bytes:
        """Give up the bytes."""
        return self._data

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._data, other._data)

    __hash__ = None  # type: ignore[assignment]  # a hash would leak through dict order

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(f"{type(self).__name__} does not pickle")

    def __getstate__(self) -> NoReturn:
        # What copies and pickles by hand would ask for; Python's own answer holds every slot.
        raise TypeError(f"{type(self).__name__} does not pickle")


class VerifyKey(Secret):
    """The 32-byte Prio3 verify key of one task: fixed before any report, unknown to clients.

    Source: VDAF draft-20, "The Verification Key".
    """

    SIZE = 32
    __slots__ = ()


class StateKey(Secret):
    """The 32-byte key under which an aggregator keeps its un-noised sums at rest."""

    SIZE = 32
    __slots__ = ()

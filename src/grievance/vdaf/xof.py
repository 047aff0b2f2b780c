"""The XOF of Prio3: XofTurboShake128, and the tags that keep its uses apart.

Source: VDAF draft-20, 6.2.1 "XofTurboShake128" and 6.2.3 "The Domain Separation Tag and
Binder String"; TurboSHAKE128 is RFC 9861, here from pycryptodome.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from Crypto.Hash import TurboSHAKE128

from grievance.errors import ShapeError

if TYPE_CHECKING:
    from grievance.vdaf.field import Field, Vec

VERSION = 18  # of the wire, which draft-20 speaks
CLASS_VDAF = 0


class _Sponge(Protocol):
    def update(self, data: bytes) -> object: ...
    def read(self, length: int) -> bytes: ...


def format_dst(algorithm_class: int, algorithm: int, usage: int) -> bytes:
    """Format a domain separation tag: version, class, algorithm ID, usage; big-endian."""
    return (
        VERSION.to_bytes(1, "big")
        + algorithm_class.to_bytes(1, "big")
        + algorithm.to_bytes(4, "big")
        + usage.to_bytes(2, "big")
    )


class XofTurboShake128:
    """A stream of bytes or field elements that only `seed`, `dst` and `binder` determine.

    `seed` is 32 bytes for all of Prio3; up to 255 are allowed. `dst` may have 65535 bytes.
    Raises ShapeError above that.
    """

    SEED_SIZE = 32

    def __init__(self, seed: bytes, dst: bytes, binder: bytes) -> None:
        if len(seed) > 255:
            raise ShapeError(f"a XOF seed has at most 255 bytes, got {len(seed)}")
        if len(dst) > 65535:
            raise ShapeError(f"a domain separation tag has at most 65535 bytes, got {len(dst)}")
        self._sponge: _Sponge = TurboSHAKE128.new(domain=1)
        self._sponge.update(
            len(dst).to_bytes(2, "little") + dst + len(seed).to_bytes(1, "little") + seed + binder
        )

    def __repr__(self) -> str:
        return "<XofTurboShake128>"

    def next(self, length: int) -> bytes:
        """Return the next `length` bytes of the stream."""
        return self._sponge.read(length)

    def next_vec(self, field: Field, length: int) -> Vec:
        """Return the next `length` field elements, by rejection sampling."""
        vec = field.sample(self.next(length * field.ENCODED_SIZE))
        while len(vec) < length:  # once in 2**59 elements of Field128, in 2**32 of Field64
            vec += field.sample(self.next(field.ENCODED_SIZE))
        return vec

    @classmethod
    def derive_seed(cls, seed: bytes, dst: bytes, binder: bytes) -> bytes:
        """Derive one fresh seed from another."""
        return cls(seed, dst, binder).next(cls.SEED_SIZE)

    @classmethod
    def expand_into_vec(
        cls, field: Field, seed: bytes, dst: bytes, binder: bytes, length: int
    ) -> Vec:
        """Expand a seed into `length` field elements."""
        return cls(seed, dst, binder).next_vec(field, length)

"""Ed25519 signatures of organisations, each with a label for what is being signed.

A signature covers the label and the message together, so a signed card can never pass
for a signed task. Public keys are checked when they are loaded: the library underneath
accepts any 32 bytes, and under a key of small order one signature fits many messages.
Source: RFC 8032, 5.1; labels as length-prefixed strings (`wire.length_prefixed`).
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from grievance.crypto.fingerprint import short
from grievance.errors import CryptoError, ShapeError, SignatureError
from grievance.secret import Secret
from grievance.wire import length_prefixed

PUBLIC_KEY_SIZE = 32
SEED_SIZE = 32

_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_ONE = pow(2, (_P - 1) // 4, _P)


class SigningKeySeed(Secret):
    """The 32 bytes from which an Ed25519 key pair follows. Source: RFC 8032, 5.1.5."""

    SIZE = SEED_SIZE
    __slots__ = ()


class VerifyingKey:
    """An organisation's public Ed25519 key, 32 bytes, known to be a point of large order.

    Raises CryptoError (code "plan.key") for a wrong length, a non-canonical encoding, bytes
    that are no point, or a point of small order. Equal by value; usable as a dict key.
    """

    __slots__ = ("_key", "raw")

    def __init__(self, raw: bytes) -> None:
        self.raw = bytes(raw)
        _check_point(self.raw)
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(self.raw)

    @property
    def fingerprint(self) -> bytes:
        """The 32 bytes people compare, usually in their short form."""
        return hashlib.sha256(b"grievance/2 identity" + self.raw).digest()

    def check(self, label: str, message: bytes, signature: bytes) -> None:
        """Check a labelled signature. Raises SignatureError unless it holds."""
        self._check_bytes(_labelled(label, message), signature)

    def check_note(self, text: bytes, signature: bytes) -> None:
        """Check a signature made by `SigningKey.sign_note`. Raises SignatureError."""
        self._check_bytes(_note(text), signature)

    def _check_bytes(self, data: bytes, signature: bytes) -> None:
        try:
            self._key.verify(signature, data)
        except InvalidSignature:
            raise SignatureError("a signature does not hold for these bytes and this key") from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VerifyingKey) and self.raw == other.raw

    def __hash__(self) -> int:
        return hash(self.raw)

    def __repr__(self) -> str:
        return f"<VerifyingKey {short(self.fingerprint)}>"


class SigningKey:
    """An organisation's private Ed25519 key. It does not print and does not pickle."""

    __slots__ = ("_key", "_seed", "public")

    def __init__(self, seed: SigningKeySeed) -> None:
        self._seed = seed
        self._key = ed25519.Ed25519PrivateKey.from_private_bytes(seed.reveal())
        self.public = VerifyingKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> Self:
        """Draw a fresh key from the operating system."""
        return cls(SigningKeySeed.generate())

    def sign(self, label: str, message: bytes) -> bytes:
        """Sign `message` as a `label`. Returns 64 bytes."""
        return self._key.sign(_labelled(label, message))

    def sign_note(self, text: bytes) -> bytes:
        """Sign text as it stands, for formats that fix the signed bytes.

        Only for C2SP signed notes and cosignatures. Such text is refused when it starts with
        a zero byte, as every labelled message does: neither kind can pass for the other.
        """
        return self._key.sign(_note(text))

    def export(self) -> SigningKeySeed:
        """Hand out the seed, for writing a key file."""
        return self._seed

    def __repr__(self) -> str:
        return f"<SigningKey of {short(self.public.fingerprint)}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("SigningKey does not pickle")

    def __getstate__(self) -> NoReturn:
        raise TypeError("SigningKey does not pickle")


def _labelled(label: str, message: bytes) -> bytes:
    return length_prefixed(b"grievance/2 signature", label.encode(), message)


def _note(text: bytes) -> bytes:
    if not text or text[0] == 0:
        raise ShapeError("a note is text: it is not empty and does not start with a zero byte")
    return text


def _refuse(why: str) -> CryptoError:
    return CryptoError(f"not a usable Ed25519 public key: {why}", code="plan.key")


@lru_cache(maxsize=1024)
def _check_point(raw: bytes) -> None:
    """Refuse encodings RFC 8032, 5.1.3 does not decode, and the eight points of small order."""
    if len(raw) != PUBLIC_KEY_SIZE:
        raise _refuse(f"{len(raw)} bytes instead of {PUBLIC_KEY_SIZE}")
    number = int.from_bytes(raw, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        raise _refuse("its encoding is not canonical")
    x_squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(x_squared, (_P + 3) // 8, _P)
    if (x * x - x_squared) % _P:
        x = x * _SQRT_MINUS_ONE % _P
    if (x * x - x_squared) % _P:
        raise _refuse("it is no point of the curve")
    if x == 0 and sign:
        raise _refuse("its encoding is not canonical")
    for _ in range(3):  # the cofactor is 8: three doublings take a small-order point to (0, 1)
        product = _D * x * x * y * y % _P
        x, y = (
            2 * x * y * pow(1 + product, -1, _P) % _P,
            (y * y + x * x) * pow(1 - product, -1, _P) % _P,
        )
    if (x, y) == (0, 1):
        raise _refuse("it has small order, so signatures under it prove nothing")

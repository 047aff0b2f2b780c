"""Hybrid public key encryption to one aggregator, under a key that lives for one round.

Two suites, both with HKDF-SHA256 and AES-128-GCM: "MLKEM768_X25519" (the default: holds
if either half does) and "X25519" (for small devices). The library underneath takes no
associated data, so whatever a ciphertext must be bound to goes into `info`; and it hands
out no bytes of a hybrid key, so the private key is kept as the 64-byte ML-KEM seed and
the 32-byte X25519 half, and rebuilt. Ciphertexts are enc || AEAD output.
Source: RFC 9180; draft-ietf-hpke-pq (MLKEM768-X25519, KEM 0x647a).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NoReturn, Self, get_args

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from grievance.errors import KeyFileError, OpenError
from grievance.secret import Secret

Kem = Literal["MLKEM768_X25519", "X25519"]
KEMS: tuple[Kem, ...] = get_args(Kem)
DEFAULT_KEM: Kem = "MLKEM768_X25519"

TAG_SIZE = 16
_MLKEM_PUBLIC_SIZE, _MLKEM_SEED_SIZE, _X25519_SIZE = 1184, 64, 32
_X25519_P = 2**255 - 19
# Any scalar shows small order: clamping makes it a multiple of 8, so the result is zero.
_PROBE = x25519.X25519PrivateKey.from_private_bytes(b"\x40" * 32)


@dataclass(frozen=True)
class _Sizes:
    suite: hpke.Suite
    enc: int
    public: int
    private: int


def _sizes(kem: hpke.KEM, public: int, private: int) -> _Sizes:
    suite = hpke.Suite(kem, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
    return _Sizes(suite, kem.enc_length(), public, private)


_SUITES: dict[Kem, _Sizes] = {
    "MLKEM768_X25519": _sizes(
        hpke.KEM.MLKEM768_X25519, _MLKEM_PUBLIC_SIZE + _X25519_SIZE, _MLKEM_SEED_SIZE + _X25519_SIZE
    ),
    "X25519": _sizes(hpke.KEM.X25519, _X25519_SIZE, _X25519_SIZE),
}


class HpkePublicKey:
    """A public key that was checked when it was loaded. Equal by value; usable as a dict key.

    `raw` is the X25519 u-coordinate, 32 bytes, or the ML-KEM key and it, 1184 + 32 bytes.
    Raises KeyFileError (code "plan.key") for an unknown KEM, a wrong length, an ML-KEM key
    that fails the modulus check (FIPS 203, 7.2), or an X25519 key that is non-canonical or of
    small order.
    """

    __slots__ = ("_key", "kem", "raw")

    def __init__(self, kem: str, raw: bytes) -> None:
        self.kem = check_kem(kem)
        self.raw = bytes(raw)
        if len(self.raw) != _SUITES[self.kem].public:
            raise _refuse(f"{len(self.raw)} bytes instead of {_SUITES[self.kem].public}")
        x_half = _load_x25519(self.x25519_half)
        self._key: x25519.X25519PublicKey | hpke.MLKEM768X25519PublicKey = x_half
        if self.kem == "MLKEM768_X25519":
            try:
                m_half = mlkem.MLKEM768PublicKey.from_public_bytes(self.raw[:_MLKEM_PUBLIC_SIZE])
            except ValueError:
                raise _refuse("its ML-KEM half fails the modulus check") from None
            self._key = hpke.MLKEM768X25519PublicKey(m_half, x_half)

    @property
    def x25519_half(self) -> bytes:
        """The 32 bytes of the X25519 key, on its own or inside a hybrid key."""
        return self.raw[-_X25519_SIZE:]

    @property
    def halves(self) -> tuple[bytes, ...]:
        """The independent public keys inside: two of a hybrid key, one otherwise."""
        if self.kem == "MLKEM768_X25519":
            return self.raw[:_MLKEM_PUBLIC_SIZE], self.x25519_half
        return (self.raw,)

    def seal(self, plaintext: bytes, info: bytes) -> bytes:
        """Encrypt to this key, bound to `info`."""
        return _SUITES[self.kem].suite.encrypt(plaintext, self._key, info)

    def ciphertext_size(self, plaintext_size: int) -> int:
        """Return how long a ciphertext of so many bytes is."""
        return _SUITES[self.kem].enc + plaintext_size + TAG_SIZE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, HpkePublicKey) and (self.kem, self.raw) == (other.kem, other.raw)

    def __hash__(self) -> int:
        return hash((self.kem, self.raw))

    def __repr__(self) -> str:
        return f"<HpkePublicKey {self.kem}>"


class HpkePrivateKey:
    """One aggregator's private key for one round. It does not print and does not pickle."""

    __slots__ = ("_key", "_secret", "kem", "public")

    def __init__(self, kem: str, secret: Secret) -> None:
        self.kem = check_kem(kem)
        self._secret = secret
        data = secret.reveal()
        if len(data) != _SUITES[self.kem].private:
            raise KeyFileError(
                f"a private key for {self.kem} has {_SUITES[self.kem].private} bytes",
                code="key.length",
            )
        x_half = x25519.X25519PrivateKey.from_private_bytes(data[-_X25519_SIZE:])
        raw = x_half.public_key().public_bytes_raw()
        self._key: x25519.X25519PrivateKey | hpke.MLKEM768X25519PrivateKey = x_half
        if self.kem == "MLKEM768_X25519":
            m_half = mlkem.MLKEM768PrivateKey.from_seed_bytes(data[:_MLKEM_SEED_SIZE])
            raw = m_half.public_key().public_bytes_raw() + raw
            self._key = hpke.MLKEM768X25519PrivateKey(m_half, x_half)
        self.public = HpkePublicKey(self.kem, raw)

    @classmethod
    def generate(cls, kem: str = DEFAULT_KEM) -> Self:
        """Draw a fresh key from the operating system."""
        data = x25519.X25519PrivateKey.generate().private_bytes_raw()
        if check_kem(kem) == "MLKEM768_X25519":
            data = mlkem.MLKEM768PrivateKey.generate().private_bytes_raw() + data
        return cls(kem, Secret(data))

    def export(self) -> Secret:
        """Hand out the bytes, for writing a key file: [ML-KEM seed d || z,] X25519 key."""
        return self._secret

    @classmethod
    def from_export(cls, kem: str, secret: Secret) -> Self:
        """Rebuild a key from `export()`. Raises KeyFileError for a wrong length."""
        return cls(kem, secret)

    def open(self, ciphertext: bytes, info: bytes) -> bytes:
        """Decrypt. Raises OpenError for a wrong key, wrong `info` or altered bytes, all alike."""
        try:
            return _SUITES[self.kem].suite.decrypt(ciphertext, self._key, info)
        except (InvalidTag, ValueError):
            raise OpenError("this does not open with this key and this context") from None

    def __repr__(self) -> str:
        return f"<HpkePrivateKey {self.kem}>"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("HpkePrivateKey does not pickle")

    def __getstate__(self) -> NoReturn:
        raise TypeError("HpkePrivateKey does not pickle")


def check_kem(kem: str) -> Kem:
    """Return the name if it is one of `KEMS`. Raises KeyFileError (code "plan.key")."""
    if kem not in KEMS:
        raise _refuse(f"the KEM is not one of {', '.join(KEMS)}")
    return kem


def _load_x25519(raw: bytes) -> x25519.X25519PublicKey:
    if int.from_bytes(raw, "little") >= _X25519_P:
        raise _refuse("its X25519 half is not canonical")
    key = x25519.X25519PublicKey.from_public_bytes(raw)
    try:
        _PROBE.exchange(key)
    except ValueError:
        raise _refuse("its X25519 half has small order, so anybody could read") from None
    return key


def _refuse(why: str) -> KeyFileError:
    return KeyFileError(f"not a usable HPKE key: {why}", code="plan.key")

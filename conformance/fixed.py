"""Fixed dice: everything a coalition draws comes from a seed, so that pools come out alike.

Only the generator uses this. With keys and noise that anybody can compute, the pools protect
nothing; they are examples. It reaches into the library where it draws: `secrets`, key
generation, HPKE encapsulation (the library's own is randomised by OpenSSL, so RFC 9180 base mode
for X25519 is spelled out here), the sampler of noise, and the clocks of client and witness.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import importlib
import itertools
import secrets
from collections.abc import Iterator, MutableSequence
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grievance import privacy
from grievance.aggregator import witness
from grievance.crypto.hpke import HpkePrivateKey, HpkePublicKey
from grievance.secret import Secret

NOW = 1_796_040_000
"""The time of every cosignature: 30 November 2026, 08:00 UTC."""


class Dice:
    """SHAKE-256 over the seed and a counter."""

    def __init__(self, seed: str) -> None:
        self._seed, self._count = f"grievance conformance {seed}".encode(), 0

    def token_bytes(self, size: int | None = None) -> bytes:
        self._count += 1
        source = hashlib.shake_256(self._seed + b"\0" + self._count.to_bytes(8, "big"))
        return source.digest(32 if size is None else size)

    def token_hex(self, size: int | None = None) -> str:
        return self.token_bytes(size).hex()

    def randbelow(self, limit: int) -> int:
        # The bias of 128 spare bits does not matter here.
        return int.from_bytes(self.token_bytes(limit.bit_length() // 8 + 17), "big") % limit

    def shuffle(self, items: MutableSequence[Any]) -> None:
        for last in range(len(items) - 1, 0, -1):
            other = self.randbelow(last + 1)
            items[last], items[other] = items[other], items[last]


def _extract(salt: bytes, data: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), data, "sha256")


def _expand(key: bytes, info: bytes, size: int) -> bytes:
    found, block = b"", b""
    while len(found) < size:
        block = hmac.digest(key, block + info + bytes([len(found) // 32 + 1]), "sha256")
        found += block
    return found[:size]


def _labeled(suite: bytes, label: str, data: bytes, salt: bytes = b"") -> bytes:
    return _extract(salt, b"HPKE-v1" + suite + label.encode() + data)


def _derive(suite: bytes, key: bytes, label: str, info: bytes, size: int) -> bytes:
    return _expand(key, size.to_bytes(2, "big") + b"HPKE-v1" + suite + label.encode() + info, size)


def seal_x25519(seed: bytes, public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """HPKE base mode, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, ephemeral `seed`.

    Source: RFC 9180, 4.1 (Encap), 5.1 (KeySchedule), 5.2 (Seal).
    """
    ephemeral = X25519PrivateKey.from_private_bytes(seed)
    enc = ephemeral.public_key().public_bytes_raw()
    shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    kem = b"KEM\x00\x20"
    secret = _derive(kem, _labeled(kem, "eae_prk", shared), "shared_secret", enc + public, 32)
    suite = b"HPKE\x00\x20\x00\x01\x00\x01"
    context = b"\0" + _labeled(suite, "psk_id_hash", b"") + _labeled(suite, "info_hash", info)
    schedule = _labeled(suite, "secret", b"", secret)
    key = _derive(suite, schedule, "key", context, 16)
    nonce = _derive(suite, schedule, "base_nonce", context, 12)
    return enc + AESGCM(key).encrypt(nonce, plaintext, b"")


@contextlib.contextmanager
def fixed_dice(seed: str) -> Iterator[None]:
    """Within this, the library draws from `seed`. Not for threads or worker processes."""
    dice = Dice(seed)
    draw = privacy.draw

    def generate(kem: str = "MLKEM768_X25519") -> HpkePrivateKey:
        return HpkePrivateKey(kem, Secret(dice.token_bytes(96 if kem != "X25519" else 32)))

    def seal(self: HpkePublicKey, plaintext: bytes, info: bytes) -> bytes:
        if self.kem != "X25519":
            raise NotImplementedError("pools here use X25519, whose encapsulation can be fixed")
        return seal_x25519(dice.token_bytes(32), self.raw, plaintext, info)

    def fixed_draw(*args: Any, **options: Any) -> list[int]:
        # As many numbers as the sampler gives, of a size that noise has.
        return [dice.randbelow(13) - 6 for _ in draw(*args, **options)]

    with contextlib.ExitStack() as stack:
        for name in ("token_bytes", "token_hex", "randbelow"):
            stack.enter_context(mock.patch.object(secrets, name, getattr(dice, name)))
        stack.enter_context(mock.patch.object(secrets, "SystemRandom", return_value=dice))
        stack.enter_context(mock.patch.object(HpkePrivateKey, "generate", generate))
        stack.enter_context(mock.patch.object(HpkePublicKey, "seal", seal))
        stack.enter_context(mock.patch.object(privacy, "draw", fixed_draw))
        clock = SimpleNamespace(time=lambda: NOW, time_ns=lambda: NOW * 10**9)
        stack.enter_context(mock.patch.object(witness, "time", clock))
        # A client mixes the system's dice with its clock and a counter of calls.
        client = importlib.import_module("grievance.client.seal")
        stack.enter_context(
            mock.patch.object(client, "os", SimpleNamespace(urandom=dice.token_bytes))
        )
        stack.enter_context(mock.patch.object(client, "time", clock))
        stack.enter_context(mock.patch.object(client, "_calls", itertools.count()))
        yield

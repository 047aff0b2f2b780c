"""A passphrase around a PKCS#8 private key, with a derivation that costs the guesser something.

The library's own writer derives the key with 2048 rounds of PBKDF2, too few for a file on
a laptop that may be stolen. This writes the same standard envelope (PBES2 with AES-256-CBC)
with scrypt in it; the library, OpenSSL and others read it.
Source: RFC 5958 (EncryptedPrivateKeyInfo), RFC 8018, 6.2 (PBES2), RFC 7914, 7 (scrypt in it).
"""

from __future__ import annotations

import base64
import secrets
import textwrap

from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

# 16 MiB and about a third of a second: the most that OpenSSL's default limit still reads.
SCRYPT_N, SCRYPT_R, SCRYPT_P = 1 << 14, 8, 5
SALT_SIZE = 16
_IV_SIZE = 16

_PBES2 = bytes.fromhex("06092a864886f70d01050d")
_SCRYPT = bytes.fromhex("06092b06010401da47040b")
_AES_256_CBC = bytes.fromhex("060960864801650304012a")
_INTEGER, _OCTETS, _SEQUENCE = 0x02, 0x04, 0x30


def derive(passphrase: bytes, salt: bytes) -> bytes:
    """Derive 32 key bytes from a passphrase."""
    return Scrypt(salt=salt, length=32, n=SCRYPT_N, r=SCRYPT_R, p=SCRYPT_P).derive(passphrase)


def encrypt(key_der: bytes, passphrase: bytes) -> bytes:
    """Wrap the DER of a PrivateKeyInfo. Returns an `ENCRYPTED PRIVATE KEY` in PEM."""
    salt, iv = secrets.token_bytes(SALT_SIZE), secrets.token_bytes(_IV_SIZE)
    padder = padding.PKCS7(128).padder()
    encryptor = Cipher(algorithms.AES(derive(passphrase, salt)), modes.CBC(iv)).encryptor()
    data = encryptor.update(padder.update(key_der) + padder.finalize()) + encryptor.finalize()
    costs = [_der(_INTEGER, _integer(value)) for value in (SCRYPT_N, SCRYPT_R, SCRYPT_P)]
    kdf = _sequence(_SCRYPT, _sequence(_der(_OCTETS, salt), *costs))
    cipher = _sequence(_AES_256_CBC, _der(_OCTETS, iv))
    envelope = _sequence(_sequence(_PBES2, _sequence(kdf, cipher)), _der(_OCTETS, data))
    lines = textwrap.wrap(base64.b64encode(envelope).decode("ascii"), 64)
    head, foot = "-----BEGIN ENCRYPTED PRIVATE KEY-----", "-----END ENCRYPTED PRIVATE KEY-----"
    return "\n".join([head, *lines, foot, ""]).encode("ascii")


def _integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    size_bytes = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(size_bytes)]) + size_bytes + content


def _sequence(*parts: bytes) -> bytes:
    return _der(_SEQUENCE, b"".join(parts))

"""Short forms of digests that two people can compare over the telephone.

A short form is the first 100 bits of a SHA-256 digest in Crockford's base32, five groups
of four: `K3TQ-8M2X-...`. Nobody can find a second key or task with a given short form
(that takes 2^100 trials). Whoever makes both sides can find a pair with one short form
in 2^50 trials, which is why signatures always cover the whole digest and a task counts
only with every aggregator's signature.
Source: Crockford, "Base 32" (alphabet without I, L, O, U; reading folds O, I and L).
"""

from __future__ import annotations

import re

from grievance.errors import CryptoError, ShapeError

DIGEST_SIZE = 32
NUM_SYMBOLS = 20
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FOLD = str.maketrans("OIL", "011")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_SYMBOLS = re.compile(f"[{_ALPHABET}]{{{NUM_SYMBOLS}}}")


def short(digest: bytes) -> str:
    """Write the short form of a 32-byte digest. Raises ShapeError for any other length."""
    if len(digest) != DIGEST_SIZE:
        raise ShapeError(f"a digest has {DIGEST_SIZE} bytes, got {len(digest)}")
    number = int.from_bytes(digest, "big") >> (8 * DIGEST_SIZE - 5 * NUM_SYMBOLS)
    symbols = [_ALPHABET[(number >> (5 * at)) & 31] for at in reversed(range(NUM_SYMBOLS))]
    return "-".join("".join(symbols[at : at + 4]) for at in range(0, NUM_SYMBOLS, 4))


def normalise(text: str) -> str:
    """Return what was typed as 64 lowercase hex digits or in the form `short` writes.

    Case, spaces and hyphens do not matter in the short form; O is read as 0, I and L as 1.
    Raises CryptoError (code "fingerprint") for anything else.
    """
    if _HEX.fullmatch(text.strip()):
        return text.strip().lower()
    symbols = re.sub(r"[\s-]", "", text).upper().translate(_FOLD)
    if not _SYMBOLS.fullmatch(symbols):
        raise CryptoError(
            "this is not a fingerprint",
            code="fingerprint",
            hint="a fingerprint is 64 hex digits, or five groups like K3TQ-8M2X-4F7P-0ZRW-19CD",
        )
    return "-".join(symbols[at : at + 4] for at in range(0, NUM_SYMBOLS, 4))


def matches(text: str, digest: bytes) -> bool:
    """Tell whether `text` is the short form or the full hex of `digest`; malformed text is not."""
    try:
        expected = normalise(text)
    except CryptoError:
        return False
    return expected in (digest.hex(), short(digest))

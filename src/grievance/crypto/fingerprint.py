"""Short forms of digests that two people can compare over the telephone.

A short form is the beginning of a SHA-256 digest in Crockford's base32, in groups of four:
`K3TQ-8M2X-...`. Five groups (100 bits) stand for a key, which nobody can match with a key of
their own in less than 2^100 trials. Eight groups (160 bits) stand for a task: an aggregator
has a hand in the true task and can make up another whole one, aggregators included, so it
looks for any pair with one short form, and of 100 bits it would find one in 2^50 trials.
Source: Crockford, "Base 32" (alphabet without I, L, O, U; reading folds O, I and L).
"""

from __future__ import annotations

import re

from grievance.errors import CryptoError, ShapeError

DIGEST_SIZE = 32
KEY_GROUPS, TASK_GROUPS = 5, 8
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FOLD = str.maketrans("OIL", "011")
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_GROUP = 4  # symbols of five bits
_SYMBOLS = re.compile(
    "|".join(f"[{_ALPHABET}]{{{groups * _GROUP}}}" for groups in (KEY_GROUPS, TASK_GROUPS))
)


def short(digest: bytes, groups: int = KEY_GROUPS) -> str:
    """Write the short form of a 32-byte digest. Raises ShapeError for any other length."""
    if len(digest) != DIGEST_SIZE:
        raise ShapeError(f"a digest has {DIGEST_SIZE} bytes, got {len(digest)}")
    count = groups * _GROUP
    number = int.from_bytes(digest, "big") >> (8 * DIGEST_SIZE - 5 * count)
    return _grouped("".join(_ALPHABET[(number >> (5 * at)) & 31] for at in reversed(range(count))))


def _grouped(symbols: str) -> str:
    return "-".join(symbols[at : at + _GROUP] for at in range(0, len(symbols), _GROUP))


def normalise(text: str) -> str:
    """Return what was typed as 64 lowercase hex digits or in a form `short` writes.

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
            hint="a fingerprint is 64 hex digits, or five groups like K3TQ-8M2X-4F7P-0ZRW-19CD; "
            "the digest of a round has eight",
        )
    return _grouped(symbols)


def matches(text: str, digest: bytes, groups: int = KEY_GROUPS) -> bool:
    """Tell whether `text` is the full hex of `digest`, or its short form of so many groups.

    Malformed text is not.
    """
    try:
        expected = normalise(text)
    except CryptoError:
        return False
    return expected in (digest.hex(), short(digest, groups))

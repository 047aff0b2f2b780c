"""What an aggregator keeps at rest: AES-256-GCM under a state key that dies with the round.

A box is nonce (12 bytes) || ciphertext || tag (16 bytes). Nonces are random; one key may
make 2^32 boxes before two nonces are likely enough to meet (NIST SP 800-38D, 8.3), far
more than a round has batches.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grievance.errors import OpenError

if TYPE_CHECKING:
    from grievance.secret import StateKey

NONCE_SIZE = 12
TAG_SIZE = 16


def seal_at_rest(key: StateKey, plaintext: bytes, context: bytes) -> bytes:
    """Encrypt for the same aggregator's later self, bound to `context`."""
    nonce = secrets.token_bytes(NONCE_SIZE)
    return nonce + AESGCM(key.reveal()).encrypt(nonce, plaintext, context)


def open_at_rest(key: StateKey, box: bytes, context: bytes) -> bytes:
    """Decrypt what `seal_at_rest` made. Raises OpenError (code "state.open")."""
    if len(box) >= NONCE_SIZE + TAG_SIZE:
        try:
            return AESGCM(key.reveal()).decrypt(box[:NONCE_SIZE], box[NONCE_SIZE:], context)
        except InvalidTag:
            pass
    raise OpenError("what was kept does not open with this key and context", code="state.open")

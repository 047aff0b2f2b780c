"""What is kept at rest opens with its key and context alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.crypto.boxes import NONCE_SIZE, TAG_SIZE, open_at_rest, seal_at_rest
from grievance.errors import OpenError
from grievance.secret import StateKey

KEY = StateKey(bytes(range(32)))


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_opening_undoes_sealing(plaintext: bytes, context: bytes) -> None:
    box = seal_at_rest(KEY, plaintext, context)
    assert len(box) == NONCE_SIZE + len(plaintext) + TAG_SIZE
    assert open_at_rest(KEY, box, context) == plaintext
    assert seal_at_rest(KEY, plaintext, context) != box


def test_anything_else_does_not_open() -> None:
    box = seal_at_rest(KEY, b"an exact sum", b"batch 1")
    attempts = [(StateKey.generate(), box, b"batch 1"), (KEY, box, b"batch 2"), (KEY, box, b"")]
    attempts += [(KEY, box[:size], b"batch 1") for size in range(len(box))]
    attempts += [
        (KEY, box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], b"batch 1") for at in range(len(box))
    ]
    for key, data, context in attempts:
        with pytest.raises(OpenError) as caught:
            open_at_rest(key, data, context)
        assert caught.value.code == "state.open"


def test_known_answer() -> None:
    """NIST GCM test case 14: AES-256, zero key, zero nonce, one zero block."""
    box = bytes(12) + bytes.fromhex(
        "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
    )
    assert open_at_rest(StateKey(bytes(32)), box, b"") == bytes(16)

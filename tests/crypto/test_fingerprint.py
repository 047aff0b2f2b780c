"""Short forms: read aloud, typed by hand."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grievance.crypto.fingerprint import KEY_GROUPS, TASK_GROUPS, matches, normalise, short
from grievance.crypto.signing import SigningKey
from grievance.errors import CryptoError, ShapeError


def test_known_short_forms() -> None:
    assert short(bytes(32)) == "0000-0000-0000-0000-0000"
    assert short(b"\xff" * 32) == "ZZZZ-ZZZZ-ZZZZ-ZZZZ-ZZZZ"
    # 100 bits 00001 00010 00011 ... 10100 in groups of five
    bits = "".join(f"{value:05b}" for value in range(1, 21))
    number = int(bits.ljust(256, "1"), 2)
    assert short(number.to_bytes(32, "big")) == "1234-5678-9ABC-DEFG-HJKM"
    bits = "".join(f"{value:05b}" for value in range(32))
    digest = int(bits.ljust(256, "1"), 2).to_bytes(32, "big")
    assert short(digest, TASK_GROUPS) == "0123-4567-89AB-CDEF-GHJK-MNPQ-RSTV-WXYZ"


def test_the_fingerprint_of_an_identity_is_a_labelled_hash() -> None:
    key = SigningKey.generate().public
    assert key.fingerprint == hashlib.sha256(b"grievance/2 identity" + key.raw).digest()


@given(st.binary(min_size=32, max_size=32), st.sampled_from([KEY_GROUPS, TASK_GROUPS]))
def test_short_and_full_forms_match(digest: bytes, groups: int) -> None:
    text = short(digest, groups)
    for typed in (
        text,
        text.lower(),
        text.replace("-", ""),
        text.replace("-", " "),
        f"  {text}\n",
        text.replace("0", "O").replace("1", "I"),
        text.replace("0", "o").replace("1", "l"),
        digest.hex(),
        digest.hex().upper(),
    ):
        assert matches(typed, digest, groups)
    assert normalise(text.lower()) == text


@given(st.binary(min_size=32, max_size=32), st.integers(0, 159), st.integers(0, 255))
def test_another_digest_does_not_match(digest: bytes, near: int, far: int) -> None:
    number = int.from_bytes(digest, "big")
    other = (number ^ 1 << 255 - near).to_bytes(32, "big")
    assert not matches(short(digest, TASK_GROUPS), other, TASK_GROUPS)
    assert matches(short(digest), other) == (near >= 100)
    # The form for keys is none for a task, however well it fits, nor the other way round.
    assert not matches(short(digest), digest, TASK_GROUPS)
    assert not matches(short(digest, TASK_GROUPS), digest)
    assert not matches(digest.hex(), (number ^ 1 << far).to_bytes(32, "big"))


@pytest.mark.parametrize(
    "text", ["", "ABCD", "U" * 20, "0" * 19, "0" * 21, "0" * 63, "g" * 64, "0" * 40, "é" * 20]
)
def test_anything_else_is_no_fingerprint(text: str) -> None:
    assert not matches(text, bytes(32))
    with pytest.raises(CryptoError) as caught:
        normalise(text)
    assert caught.value.code == "fingerprint"


def test_only_digests_have_short_forms() -> None:
    with pytest.raises(ShapeError):
        short(bytes(20))

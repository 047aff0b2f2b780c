"""Ed25519 with labels, and the public keys that are refused."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.crypto.signing import SigningKey, SigningKeySeed, VerifyingKey
from grievance.errors import CryptoError, ShapeError, SignatureError
from grievance.wire import length_prefixed

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493

# RFC 8032, 7.1, TEST 1 to 3: secret key, public key.
RFC_8032_KEYS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
    ),
]
# RFC 8032, 7.1, TEST 3: the two-byte message af82.
RFC_8032_SIGNATURE = (
    "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
    "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
)
Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


def encode(y: int, sign: int = 0) -> bytes:
    return (y | sign << 255).to_bytes(32, "little")


SMALL_ORDER = [
    encode(1),
    encode(P - 1),
    encode(0),
    encode(0, 1),
    *(encode(y, sign) for y in (Y_OF_ORDER_8, P - Y_OF_ORDER_8) for sign in (0, 1)),
]
NON_CANONICAL = [
    encode(P),
    encode(P + 1),
    encode(P, 1),
    encode(2**255 - 1),
    encode(1, 1),  # x = 0 has no odd twin
    encode(P - 1, 1),
]


@pytest.mark.parametrize(("secret", "public"), RFC_8032_KEYS)
def test_public_keys_of_rfc_8032(secret: str, public: str) -> None:
    key = SigningKey(SigningKeySeed(bytes.fromhex(secret)))
    assert key.public.raw.hex() == public
    assert VerifyingKey(bytes.fromhex(public)) == key.public


def test_a_signature_of_rfc_8032_is_what_a_note_gets() -> None:
    key = SigningKey(SigningKeySeed(bytes.fromhex(RFC_8032_KEYS[2][0])))
    assert key.sign_note(bytes.fromhex("af82")).hex() == RFC_8032_SIGNATURE
    key.public.check_note(bytes.fromhex("af82"), bytes.fromhex(RFC_8032_SIGNATURE))


def test_the_signed_bytes_are_the_label_and_the_message_with_their_lengths() -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = SigningKey.generate()
    signature = key.sign("grievance/2 card", b"message")
    signed = length_prefixed(b"grievance/2 signature", b"grievance/2 card", b"message")
    Ed25519PublicKey.from_public_bytes(key.public.raw).verify(signature, signed)


def test_another_label_message_key_or_signature_is_refused() -> None:
    key, other = SigningKey.generate(), SigningKey.generate()
    signature = key.sign("a", b"bc")
    key.public.check("a", b"bc", signature)
    for check in (
        lambda: key.public.check("ab", b"c", signature),
        lambda: key.public.check("a", b"bd", signature),
        lambda: other.public.check("a", b"bc", signature),
        lambda: key.public.check("a", b"bc", signature[:-1]),
        lambda: key.public.check("a", b"bc", b""),
        lambda: key.public.check_note(b"bc", signature),
    ):
        with pytest.raises(SignatureError):
            check()


@settings(max_examples=50)
@given(st.integers(0, 511))
def test_one_flipped_bit_is_refused(bit: int) -> None:
    key = SigningKey.generate()
    signature = bytearray(key.sign("label", b"message"))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        key.public.check("label", b"message", bytes(signature))


def test_the_other_signature_with_s_plus_l_is_refused() -> None:
    key = SigningKey.generate()
    signature = key.sign("label", b"message")
    s = int.from_bytes(signature[32:], "little") + L
    with pytest.raises(SignatureError):
        key.public.check("label", b"message", signature[:32] + s.to_bytes(32, "little"))


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_keys_of_small_order_are_refused(raw: bytes) -> None:
    with pytest.raises(CryptoError, match="small order") as caught:
        VerifyingKey(raw)
    assert caught.value.code == "plan.key"


@pytest.mark.parametrize("raw", NON_CANONICAL)
def test_keys_in_another_encoding_are_refused(raw: bytes) -> None:
    with pytest.raises(CryptoError, match="canonical") as caught:
        VerifyingKey(raw)
    assert caught.value.code == "plan.key"


def test_a_key_of_small_order_would_have_been_useful_to_a_cheat() -> None:
    """The check has work to do: the library takes such a key, and one signature fits much."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    weak = Ed25519PublicKey.from_public_bytes(encode(1))
    signature = encode(1) + bytes(32)  # R = identity, S = 0
    try:
        weak.verify(signature, b"anything")
        weak.verify(signature, b"anything else")
    except InvalidSignature:
        pytest.skip("this build of the library refuses small-order keys by itself")


def test_bytes_that_are_no_point_or_no_key() -> None:
    with pytest.raises(CryptoError, match="no point"):
        VerifyingKey(encode(2))
    for size in (0, 31, 33, 64):
        with pytest.raises(CryptoError, match="bytes instead of 32"):
            VerifyingKey(bytes(size))
    for _ in range(20):
        VerifyingKey(SigningKey.generate().public.raw)


def test_notes_cannot_pass_for_labelled_messages() -> None:
    key = SigningKey.generate()
    for text in (b"", b"\x00text", length_prefixed(b"grievance/2 signature", b"x", b"y")):
        with pytest.raises(ShapeError):
            key.sign_note(text)


def test_the_private_key_does_not_print_or_pickle() -> None:
    seed = SigningKeySeed(bytes(range(32)))
    key = SigningKey(seed)
    assert bytes(range(32)).hex() not in repr(key) + str(key) + repr(seed)
    assert key.export() == seed
    with pytest.raises(TypeError):
        pickle.dumps(key)
    assert len({key.public, VerifyingKey(key.public.raw)}) == 1
    assert key.public != "key"

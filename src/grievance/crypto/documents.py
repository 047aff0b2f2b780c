"""Signed JSON, one encoding per value.

A document is exactly the JCS form of
`{"body": {...}, "kind": "grievance/2 card", "signature": ..., "signer": ...}`. The keys
sort so that everything after the body has a known length: size, kind, signer and
signature are checked on the raw bytes, and the JSON parser only ever meets a body that
its signer signed. The parser is strict: no duplicate keys, no NaN, no fractions or
exponents (decimals travel as strings), no integer beyond 2^53 - 1, at most 32 levels,
nothing left over, and the bytes must be the canonical ones.
Source: RFC 8785 (JCS), RFC 7493 (I-JSON).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any, NoReturn

import rfc8785

from grievance.crypto.signing import SigningKey, VerifyingKey
from grievance.errors import CryptoError, SignatureError, WireError

DEFAULT_LIMIT = 1 << 20
MAX_DEPTH = 32
MAX_INTEGER = 2**53 - 1

_HEAD = b'{"body":'
_TAIL = re.compile(
    rb',"kind":"([ -!#-\[\]-~]{1,80})"'
    rb',"signature":"([A-Za-z0-9_-]{86})","signer":"([A-Za-z0-9_-]{43})"}\Z'
)
_MAX_TAIL_SIZE = 80 + 86 + 43 + 40


@dataclass(frozen=True)
class Document:
    """A document whose signature holds. `digest` is SHA-256 of the whole file."""

    kind: str
    body: dict[str, Any]
    signer: VerifyingKey
    digest: bytes
    data: bytes


def b64encode(data: bytes) -> str:
    """Write bytes as base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def b64decode(text: str) -> bytes:
    """Read base64url without padding. Raises WireError for any other spelling."""
    try:
        raw = text.encode("ascii")
        data = base64.b64decode(raw + b"=" * (-len(raw) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise WireError("this is not base64url without padding", code="document.base64") from None
    if b64encode(data) != text:  # set unused bits, or the characters of another alphabet
        raise WireError("this is not base64url without padding", code="document.base64")
    return data


def canonical(value: object) -> bytes:
    """Write a value of dicts, lists, strings, integers, booleans and None in its JCS form.

    Raises WireError for anything the strict parser would not read back.
    """
    _check_value(value, 1)
    try:
        return rfc8785.dumps(value)  # type: ignore[arg-type]  # checked above
    except ValueError:
        raise WireError("text that is not valid Unicode", code="document.value") from None


def parse_canonical(data: bytes, limit: int = DEFAULT_LIMIT) -> Any:
    """Read the value of which `data` is the JCS form. Raises WireError for any other bytes."""
    if len(data) > limit:
        raise WireError(f"{len(data)} bytes, above the limit of {limit}", code="document.size")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_no_duplicates,
            parse_int=_parse_int,
            parse_float=_no_fractions,
            parse_constant=_no_fractions,
        )
    except RecursionError:
        raise WireError("nested too deeply", code="document.depth") from None
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are both of this kind
        raise WireError("this is not JSON", code="document.syntax") from None
    if canonical(value) != data:
        raise WireError("this JSON is not in its canonical form", code="document.canonical")
    return value


def document_kind(data: bytes) -> str | None:
    """What kind of signed document this says it is; None for none. Checks no signature."""
    tail = _TAIL.search(data, max(0, len(data) - _MAX_TAIL_SIZE))
    return tail[1].decode("ascii") if tail is not None and data.startswith(_HEAD) else None


def sign_document(kind: str, body: dict[str, Any], key: SigningKey) -> bytes:
    """Sign `body` as a `kind` and return the bytes of the file."""
    return canonical(
        {
            "body": body,
            "kind": kind,
            "signature": b64encode(key.sign(kind, canonical(body))),
            "signer": b64encode(key.public.raw),
        }
    )


def parse_document(
    data: bytes, *, kind: str, signer: VerifyingKey | None = None, limit: int = DEFAULT_LIMIT
) -> Document:
    """Check and read a signed document of this `kind`.

    Without `signer` the document vouches for itself only: the caller must compare
    `Document.signer` with a key from elsewhere. Raises WireError for bytes that are no such
    document, SignatureError for another signer or a signature that does not hold.
    """
    if len(data) > limit:
        raise WireError(f"{len(data)} bytes, above the limit of {limit}", code="document.size")
    data = bytes(data)
    tail = _TAIL.search(data, max(0, len(data) - _MAX_TAIL_SIZE))
    if tail is None or not data.startswith(_HEAD):
        raise WireError("this is not a signed document", code="document.syntax")
    found = tail[1].decode("ascii")
    if found != kind:
        raise WireError(f"this is a {found!r}, not a {kind!r}", code="document.kind")
    try:
        key = VerifyingKey(b64decode(tail[3].decode("ascii")))
    except CryptoError as error:
        raise SignatureError(error.message, code="document.signer") from None
    if signer is not None and key != signer:
        raise SignatureError(f"this {kind!r} is signed by somebody else", code="document.signer")
    body_data = data[len(_HEAD) : tail.start()]
    key.check(kind, body_data, b64decode(tail[2].decode("ascii")))
    body = parse_canonical(body_data, limit)
    if not isinstance(body, dict):
        raise WireError("the body of a document is an object", code="document.syntax")
    return Document(kind, body, key, hashlib.sha256(data).digest(), data)


def _check_value(value: object, depth: int) -> None:
    """Refuse what has no canonical form here, before it is signed or compared."""
    if depth > MAX_DEPTH:
        raise WireError("nested too deeply", code="document.depth")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise WireError("the keys of an object are strings", code="document.value")
            _check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)
    elif isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise WireError("an integer is beyond 2^53 - 1", code="document.integer")
    elif value is not None and not isinstance(value, str):
        raise WireError(f"{type(value).__name__} is not allowed here", code="document.value")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise WireError("a key appears twice in one object", code="document.duplicate")
    return result


def _parse_int(text: str) -> int:
    if len(text) > 17:  # before int(): a million digits would take seconds
        raise WireError("an integer is beyond 2^53 - 1", code="document.integer")
    return int(text)


def _no_fractions(_text: str) -> NoReturn:
    raise WireError("numbers are whole; decimals are written as strings", code="document.number")

"""The scanner finds what it must: every form, every alignment, part of a secret."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets

import pytest
from scanner import Vault

# Always the same: of one secret in some hundred thousand the written forms happen to be ambiguous
# (quotes are written in another way beside other quotes).
SECRET = hashlib.shake_128(b"a secret for the scanner").digest(40)
FORMS = {
    "raw": SECRET,
    "hex": SECRET.hex().encode(),
    "HEX": SECRET.hex().upper().encode(),
    "repr": repr(SECRET).encode(),
    "list": repr(list(SECRET)).encode(),
    "json list": json.dumps(list(SECRET), separators=(",", ":")).encode(),
    "decimal, big": str(int.from_bytes(SECRET, "big")).encode(),
    "decimal, little": str(int.from_bytes(SECRET, "little")).encode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("before", range(5))
def test_every_form_is_found(form: str, before: int) -> None:
    vault = Vault()
    vault.add("key", SECRET)
    data = secrets.token_bytes(before) + FORMS[form] + b"\0 more"
    assert form in {found for _, found in vault.search(data)}
    assert not vault.search(secrets.token_bytes(1 << 16))


@pytest.mark.parametrize("before", range(4))
def test_base64_is_found_wherever_it_begins(before: int) -> None:
    vault = Vault()
    vault.add("key", SECRET)
    text = secrets.token_bytes(before) + SECRET + b"tail"
    assert ("key", "base64") in vault.search(b"{" + base64.b64encode(text))
    wrapped = base64.b64encode(text).hex().encode()
    assert ("key", "base64 in hex") in vault.search(wrapped)
    vault = Vault()
    needs_url = b"\xfb\xff\xbf\xfb\xff\xbe\xfb\xef\xbd\xfb\xfe\xbf" * 2 + SECRET[:16]
    vault.add("key", needs_url)
    found = vault.search(base64.urlsafe_b64encode(bytes(before) + needs_url))
    assert ("key", "base64url") in found


def test_part_of_a_secret_and_what_spans_pieces_is_found() -> None:
    vault = Vault()
    vault.add("key", SECRET)
    assert vault.search(b"x" * 100 + SECRET[11:30])
    far = bytes((1 << 22) - 6) + SECRET[:12]
    assert vault.search(far)
    vault.add_text("phrase", "seldom spoken words")
    assert ("phrase", "text") in vault.search(b"it is 'seldom spoken words', is it")

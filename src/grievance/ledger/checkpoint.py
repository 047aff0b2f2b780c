"""Checkpoints and cosignatures: what makes a ledger more than its owner's word.

A checkpoint is a C2SP signed note of a ledger's size and Merkle root, signed by its owner. A
cosignature is another aggregator's statement that this head extends every head of this
ledger it has seen. Both are Ed25519, in the formats other tools read.
Source: C2SP signed-note (types 0x01 and 0x04), tlog-checkpoint, tlog-cosignature v1.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import LedgerError, SignatureError

if TYPE_CHECKING:
    from grievance.crypto.signing import SigningKey, VerifyingKey

NOTE_TYPE, COSIGNATURE_TYPE = 0x01, 0x04
MAX_NOTE_SIZE = 4096
_NOTE = re.compile(
    r"(?P<text>(?P<origin>[!-*,-~]{1,120})\n(?P<size>[1-9][0-9]{0,15})\n(?P<root>[A-Za-z0-9+/]{43}=)\n)"
    r"\n\u2014 (?P<name>[!-*,-~]{1,120}) (?P<signature>[A-Za-z0-9+/]{88,100}={0,2})\n"
)
_COSIGNATURE = re.compile(
    r"\u2014 (?P<name>[!-*,-~]{1,120}) (?P<signature>[A-Za-z0-9+/]{88,120}={0,2})\n"
)


def origin_of(aggregator: str, key: VerifyingKey) -> str:
    """A ledger's origin and key name: the owner's name and the start of its fingerprint."""
    return f"grievance/{aggregator}/{key.fingerprint.hex()[:16]}"


def key_id(name: str, kind: int, key: VerifyingKey) -> bytes:
    """The four bytes that say which key and algorithm made a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([kind]) + key.raw).digest()[:4]


@dataclass(frozen=True)
class Checkpoint:
    """A ledger's head: `root` is the RFC 6962 root over `size` entries. `data` is the note."""

    origin: str
    size: int
    root: bytes
    data: bytes

    @property
    def text(self) -> bytes:
        """The note's text, which is what gets signed."""
        return note_text(self.origin, self.size, self.root)


def note_text(origin: str, size: int, root: bytes) -> bytes:
    """The three lines of a checkpoint."""
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def sign_checkpoint(aggregator: str, size: int, root: bytes, key: SigningKey) -> bytes:
    """Sign a head. Run by the ledger's owner; deterministic."""
    origin = origin_of(aggregator, key.public)
    text = note_text(origin, size, root)
    signature = key_id(origin, NOTE_TYPE, key.public) + key.sign_note(text)
    return text + b"\n" + _line(origin, signature)


def _line(name: str, signature: bytes) -> bytes:
    return f"\u2014 {name} {base64.b64encode(signature).decode()}\n".encode()


def parse_checkpoint(data: bytes, aggregator: str, key: VerifyingKey) -> Checkpoint:
    """Read and check an owner's checkpoint. Raises LedgerError for bytes that are none.

    Raises SignatureError when the owner did not sign it.
    """
    match = _NOTE.fullmatch(_text(data))
    if match is None:
        raise LedgerError("this is not a checkpoint", code="ledger.checkpoint")
    origin = origin_of(aggregator, key)
    if match["origin"] != origin or match["name"] != origin:
        raise LedgerError("this checkpoint is of another ledger", code="ledger.checkpoint")
    size, root = int(match["size"]), base64.b64decode(match["root"])
    if note_text(origin, size, root).decode() != match["text"]:
        raise LedgerError("the root is not in its one spelling", code="ledger.checkpoint")
    key.check_note(note_text(origin, size, root), _open_line(match, NOTE_TYPE, key, 64))
    return Checkpoint(origin, size, root, data)


def _text(data: bytes) -> str:
    try:
        return data[: MAX_NOTE_SIZE + 1].decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _open_line(match: re.Match[str], kind: int, key: VerifyingKey, size: int) -> bytes:
    """Take a signature line apart; the spelling must be the one base64 has for these bytes."""
    try:
        raw = base64.b64decode(match["signature"], validate=True)
    except binascii.Error:
        raise LedgerError("a signature is not base64", code="ledger.checkpoint") from None
    if base64.b64encode(raw).decode() != match["signature"] or len(raw) != 4 + size:
        raise LedgerError("a signature has the wrong form", code="ledger.checkpoint")
    if raw[:4] != key_id(match["name"], kind, key):
        raise SignatureError("a note is signed by somebody else", code="ledger.signer")
    return raw[4:]


def _cosigned_text(checkpoint: Checkpoint, timestamp: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp}\n".encode() + checkpoint.text


def cosign(checkpoint: Checkpoint, witness: str, timestamp: int, key: SigningKey) -> bytes:
    """Cosign a head. Run by a witness after it has stored the head, never before.

    `timestamp` is in seconds since 1970. Returns the signature line.
    """
    name = origin_of(witness, key.public)
    signature = key.sign_note(_cosigned_text(checkpoint, timestamp))
    stamped = timestamp.to_bytes(8, "big") + signature
    return _line(name, key_id(name, COSIGNATURE_TYPE, key.public) + stamped)


def check_cosignature(data: bytes, checkpoint: Checkpoint, witness: str, key: VerifyingKey) -> int:
    """Check a witness's cosignature of this head and return its time, in seconds since 1970.

    Raises LedgerError for bytes that are none, SignatureError when it does not hold.
    """
    match = _COSIGNATURE.fullmatch(_text(data))
    if match is None or match["name"] != origin_of(witness, key):
        raise LedgerError("this is not that witness's cosignature", code="ledger.cosignature")
    raw = _open_line(match, COSIGNATURE_TYPE, key, 72)
    timestamp = int.from_bytes(raw[:8], "big")
    key.check_note(_cosigned_text(checkpoint, timestamp), raw[8:])
    return timestamp

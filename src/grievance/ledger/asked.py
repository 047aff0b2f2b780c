"""Asking others how long our ledger was, and what they answer.

A request has 32 random bytes and the signature of the ledger's owner. An answer names the request
by its SHA-256, so it is no older than that, and holds the last head of the ledger that its home
had stored: a checkpoint with the owner's own signature, or it is no answer. So nobody can name
a head that the owner never signed, and nobody can show an answer to an earlier request again.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.fingerprint import TASK_GROUPS, short
from grievance.crypto.strict import StrictObject
from grievance.errors import LedgerError
from grievance.ledger.checkpoint import Checkpoint, parse_checkpoint
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from grievance.crypto.signing import SigningKey, VerifyingKey

REQUEST_KIND = "grievance/2 heads request"
ANSWER_KIND = "grievance/2 heads answer"
LIMIT = 16384
NONCE_SIZE = 32


@dataclass(frozen=True)
class Request:
    """An owner asks how long its ledger was. `digest` is SHA-256 of the file."""

    ledger: str
    digest: bytes
    data: bytes

    @property
    def request_id(self) -> str:
        """What its file is called."""
        return self.digest.hex()[:16]


def make_request(ledger: str, key: SigningKey) -> Request:
    """Ask anew. Run by the owner; nobody can foresee the request, nor its digest."""
    body = {"ledger": ledger, "random": secrets.token_hex(NONCE_SIZE)}
    return parse_request(sign_document(REQUEST_KIND, body, key), ledger, key.public)


def parse_request(data: bytes, ledger: str, key: VerifyingKey) -> Request:
    """Read a request of a ledger's owner. Raises SignatureError, WireError, LedgerError."""
    document = parse_document(data, kind=REQUEST_KIND, signer=key, limit=LIMIT)
    body = _strict(document.body, ("ledger", "random"), "the request")
    if body.text("ledger") != ledger:
        body.refuse("is about another ledger")
    body.digest("random")
    return Request(ledger, document.digest, document.data)


def make_answer(request: Request, witness: str, head: Checkpoint, key: SigningKey) -> bytes:
    """Answer with the last head that we had stored. Run by whoever watches the ledger."""
    body = {
        "ledger": request.ledger,
        "request": request.digest.hex(),
        "witness": witness,
        "head": head.data.decode("utf-8"),
    }
    return sign_document(ANSWER_KIND, body, key)


def parse_answer(
    data: bytes, request: Request, witness: str, key: VerifyingKey, owner: VerifyingKey
) -> Checkpoint:
    """Read an answer of `witness` to this request: the head it holds.

    Raises SignatureError, WireError, or LedgerError for anything else, as for a head that the
    ledger's owner did not sign.
    """
    document = parse_document(data, kind=ANSWER_KIND, signer=key, limit=LIMIT)
    body = _strict(document.body, ("ledger", "request", "witness", "head"), "the answer")
    about = (body.text("ledger"), body.digest("request"), body.text("witness"))
    if about != (request.ledger, request.digest, witness):
        body.refuse("is to another request, or by somebody else")
    return parse_checkpoint(body.text("head").encode("utf-8"), request.ledger, owner)


def spoken(head: Checkpoint) -> str:
    """A head as it is read out: 160 bits of it, with its ledger and size counted in."""
    return short(_digest(head.origin, head.size, head.root), TASK_GROUPS)


def _digest(origin: str, size: int, root: bytes) -> bytes:
    label = b"grievance/2 spoken head"
    return hashlib.sha256(
        length_prefixed(label, origin.encode(), size.to_bytes(8, "big"), root)
    ).digest()


def spoken_digest(origin: str, size: int, root: bytes) -> bytes:
    """The digest whose short form `spoken` is: to compare with what was typed."""
    return _digest(origin, size, root)


def _strict(value: object, names: tuple[str, ...], where: str) -> StrictObject:
    return StrictObject(value, names, where=where, error=LedgerError, code="ledger.asked")

"""Portable proof that an organisation signed two heads of one size of its ledger.

The two checkpoints prove it by themselves, to anybody who has the ledger owner's key; the
signature of the witness only says who noticed.
Source: docs/threats.md, section 3; docs/faults.md, fault D9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import LedgerError
from grievance.ledger.checkpoint import Checkpoint, parse_checkpoint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.signing import SigningKey, VerifyingKey

KIND = "grievance/2 ledger fork"


@dataclass(frozen=True)
class Fork:
    """Two different heads of one size, both signed by the ledger's owner."""

    ledger: str
    size: int
    heads: tuple[Checkpoint, Checkpoint]
    witness: VerifyingKey


def sign_fork(ledger: str, size: int, notes: Sequence[bytes], key: SigningKey) -> bytes:
    """Write evidence down. Run by the witness that noticed."""
    body = {"ledger": ledger, "size": size, "heads": [note.decode("utf-8") for note in notes]}
    return sign_document(KIND, body, key)


def parse_fork(data: bytes, owner: VerifyingKey) -> Fork:
    """Check evidence against the ledger owner's key. Raises LedgerError when it proves nothing."""
    document = parse_document(data, kind=KIND)
    body = StrictObject(
        document.body,
        {"ledger", "size", "heads"},
        where="the evidence",
        error=LedgerError,
        code="ledger.evidence",
    )
    ledger, size = body.text("ledger"), body.integer("size", 1)
    notes = body.items("heads")
    if not all(isinstance(note, str) for note in notes):
        body.refuse("holds something other than heads")
    heads = [parse_checkpoint(note.encode(), ledger, owner) for note in notes]
    if len(heads) != 2 or any(head.size != size for head in heads):
        body.refuse("does not hold two heads of that size")
    if heads[0].root == heads[1].root:
        body.refuse("holds one head twice")
    return Fork(ledger, size, (heads[0], heads[1]), document.signer)

"""An organisation's mailbox: the public key to which others seal what only it may read.

It outlives rounds, unlike the keys of cards, and holds pieces of other organisations' backup
keys. The document is signed by the identity, so whoever compared the identity's fingerprint
has the right mailbox too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import TaskError
from grievance.task.card import read_hpke_key

if TYPE_CHECKING:
    from grievance.crypto.hpke import HpkePublicKey
    from grievance.crypto.signing import SigningKey
    from grievance.task.identity import Identity

KIND = "grievance/2 mailbox"
LIMIT = 8192


def make_mailbox(name: str, mailbox: HpkePublicKey, key: SigningKey) -> bytes:
    """Write the document that says where to seal letters to `name`."""
    body = {"hpke": b64encode(mailbox.raw), "kem": mailbox.kem, "name": name}
    return sign_document(KIND, body, key)


def parse_mailbox(data: bytes, owner: Identity) -> HpkePublicKey:
    """Read the mailbox of `owner`. Raises WireError, SignatureError or TaskError."""
    document = parse_document(data, kind=KIND, signer=owner.key, limit=LIMIT)
    fields = StrictObject(
        document.body,
        ("hpke", "kem", "name"),
        where="mailbox",
        error=TaskError,
        code="task.mailbox",
    )
    if fields.text("name") != owner.name:
        fields.refuse("is about somebody else", "name")
    return read_hpke_key(fields)

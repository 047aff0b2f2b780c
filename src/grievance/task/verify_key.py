"""The verify key of a round: drawn by the leader, fixed by the task, sealed to each aggregator.

Whoever knows it can forge proofs, so clients never see it; whoever could change it after
reports exist could read answers out of verifier shares, so the task commits to it.
Source: VDAF draft-20, "The Verification Key"; commitment: SHA-256 of a labelled key.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from grievance.crypto.documents import b64encode, parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import SignatureError, TaskError
from grievance.secret import VerifyKey
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey
    from grievance.task.task import Task

KIND = "grievance/2 verify key"
LIMIT = 65536


def commitment(verify_key: VerifyKey) -> bytes:
    """Return the 32 bytes by which a task fixes its verify key without showing it."""
    return hashlib.sha256(b"grievance/2 verify key" + verify_key.reveal()).digest()


def seal_verify_key(task: Task, verify_key: VerifyKey, key: SigningKey) -> bytes:
    """Seal the verify key to every aggregator's card, one signed document. Run by the leader.

    Raises TaskError when the task commits to another key, SignatureError when `key` is not
    the leader's.
    """
    if key.public != task.aggregators[0].identity:
        raise SignatureError("only the leader hands out the verify key", code="document.signer")
    _check_commitment(task, verify_key)
    sealed = {
        entry.name: b64encode(entry.hpke.seal(verify_key.reveal(), _info(task, index)))
        for index, entry in enumerate(task.aggregators)
    }
    return sign_document(KIND, {"sealed": sealed, "task": task.digest.hex()}, key)


def open_verify_key(data: bytes, task: Task, name: str, key: HpkePrivateKey) -> VerifyKey:
    """Open the verify key with one aggregator's round key. Run before signing the task.

    Raises WireError, SignatureError, TaskError or OpenError; TaskError with code
    "task.commitment" means that the leader sealed another key than the task commits to.
    """
    document = parse_document(data, kind=KIND, signer=task.aggregators[0].identity, limit=LIMIT)
    where = "verify key"
    fields = StrictObject(
        document.body, ("sealed", "task"), where=where, error=TaskError, code="task.verify-key"
    )
    if fields.digest("task") != task.digest:
        fields.refuse("belongs to another task", "task")
    names = [entry.name for entry in task.aggregators]
    sealed = StrictObject(
        fields.raw("sealed"), names, where=where, error=TaskError, code="task.verify-key"
    )
    index = task.index_of(name)
    plaintext = key.open(sealed.blob(name), _info(task, index))
    if len(plaintext) != VerifyKey.SIZE:
        raise TaskError("the sealed verify key has the wrong length", code="task.commitment")
    verify_key = VerifyKey(plaintext)
    _check_commitment(task, verify_key)
    return verify_key


def _info(task: Task, index: int) -> bytes:
    parts = length_prefixed(b"grievance/2 verify key", task.digest, index.to_bytes(1, "big"))
    return hashlib.sha256(parts).digest()


def _check_commitment(task: Task, verify_key: VerifyKey) -> None:
    if not hmac.compare_digest(commitment(verify_key), task.verify_key_commitment):
        raise TaskError(
            "this is not the verify key that the task commits to",
            code="task.commitment",
            hint="do not sign; tell the other aggregators",
        )

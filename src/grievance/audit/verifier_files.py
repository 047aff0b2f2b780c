"""Verifier shares: what each aggregator sealed to the others about a batch.

Only the signed header lies in the open. The audit checks whose it is, what it is about, and
that what is sealed is what was signed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from grievance.audit.once import claim_shares
from grievance.errors import PoolError, SignatureError, WireError
from grievance.pool.decisions import LABEL, MAGIC, VERSION, signed_size, verify_size
from grievance.wire import Reader

if TYPE_CHECKING:
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.audit.terms import AuditedTask
    from grievance.pool.order import OrderedBatch

_PIECE = 1 << 20


def check_verify_files(
    inspection: Inspection, opened: OpenedRound, batch: OrderedBatch, *, voided: bool
) -> None:
    """Check what every aggregator sealed about a batch, as far as it lies in the open."""
    for index, name in enumerate(opened.names):
        path = opened.paths.verify(batch.seq, name)
        if not inspection.claim(path):
            message = f"the verifier shares of {name} are missing"
            if not voided and path not in inspection.files.left_out:
                inspection.lacks("verify.missing", path, message)
            continue
        try:
            with inspection.files.open(path, verify_size(opened.task, batch.rows)) as file:
                _check_verify(inspection, opened.task, batch, index, path, file)
        except PoolError as error:
            inspection.spoil(error.code, path, error.message)
        except OSError as error:
            inspection.spoil("file.read", path, f"cannot be read ({error.strerror})")


def _check_verify(
    inspection: Inspection,
    task: AuditedTask,
    batch: OrderedBatch,
    sender: int,
    path: str,
    file: BinaryIO,
) -> None:
    covered = signed_size(task)
    head = file.read(covered + 64)
    try:
        reader = Reader(head)
        reader.expect(MAGIC + bytes([VERSION]), "a file of verifier shares")
        said = (reader.raw(32), reader.uint(4), reader.raw(32), reader.uint(1))
        rows, plaintext, body = reader.uint(4), reader.raw(32), reader.raw(32)
        for party in task.aggregators:
            reader.raw(party.hpke.ciphertext_size(32))
        signature = reader.raw(64)
    except WireError as error:
        inspection.spoil("file.form", path, error.message)
        return
    inspection.signatures += 1
    signer = _signer(task, head[:covered], signature)
    name = task.aggregators[sender].name
    if signer is None:
        inspection.spoil("file.signature", path, "its signature does not hold")
        return
    says = said[2] + rows.to_bytes(4, "big") + plaintext
    key = task.aggregators[signer].identity.raw
    if said[0] == task.digest:
        inspection.state(claim_shares(key, said[0], said[1], said[3], says), path)
    if signer != sender:
        inspection.spoil("file.foreign", path, f"{task.aggregators[signer].name} signed it")
    elif said != (task.digest, batch.seq, batch.digest, sender):
        inspection.spoil("file.place", path, "it is about another batch, round or sender")
    elif rows != batch.rows:
        message = "it is not about every row of the batch"
        inspection.fault("verify.header", path, message, [name])
    else:
        _check_body(inspection, path, name, file, verify_size(task, rows) - covered - 64, body)


def _signer(task: AuditedTask, signed: bytes, signature: bytes) -> int | None:
    """The index of the aggregator whose signature this is."""
    for index, party in enumerate(task.aggregators):
        try:
            party.identity.check(LABEL, signed, signature)
        except SignatureError:
            continue
        return index
    return None


def _check_body(
    inspection: Inspection, path: str, name: str, file: BinaryIO, size: int, digest: bytes
) -> None:
    found, length = hashlib.sha256(), 0
    while piece := file.read(_PIECE):
        found.update(piece)
        length += len(piece)
    if found.digest() != digest:
        inspection.spoil("file.signature", path, "what is sealed is not what was signed")
    elif length != size:
        message = "what is sealed in it has another length"
        inspection.fault("verify.header", path, message, [name])

"""Verifier shares: what each aggregator sealed to the others about a batch.

Only the signed header lies in the open. The audit checks whose it is, what it is about, and
that the sealed boxes are those that were signed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from grievance.errors import PoolError, SignatureError, WireError
from grievance.pool.verdicts import LABEL, MAGIC, VERSION, max_verify_size
from grievance.wire import Reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.pool.order import OrderedBatch
    from grievance.task import Task

_PIECE = 1 << 20


def check_verify_files(
    inspection: Inspection, opened: OpenedRound, batch: OrderedBatch, *, decided: bool, voided: bool
) -> None:
    """Check what every aggregator sealed about a batch, as far as it lies in the open."""
    for index, name in enumerate(opened.names):
        path = opened.paths.verify(batch.seq, name)
        if not inspection.claim(path):
            message = f"the verifier shares of {name} are missing"
            if not voided:
                inspection.lacks("verify.missing", path, message, too_late=decided)
            continue
        try:
            with inspection.files.open(path, max_verify_size(opened.task, batch.rows)) as file:
                _check_verify(inspection, opened.task, batch, index, path, file)
        except PoolError as error:
            inspection.fault(error.code, path, error.message)
        except OSError as error:
            inspection.fault("file.read", path, f"cannot be read ({error.strerror})")


def _check_verify(
    inspection: Inspection,
    task: Task,
    batch: OrderedBatch,
    sender: int,
    path: str,
    file: BinaryIO,
) -> None:
    head = file.read(4 + 1 + 32 + 4 + 32 + 1 + 4 + 32 + 1 + 255 * 37 + 64)
    try:
        reader = Reader(head)
        reader.expect(MAGIC + bytes([VERSION]), "a file of verifier shares")
        said = (reader.raw(32), reader.uint(4), reader.raw(32), reader.uint(1))
        rows, _, number = reader.uint(4), reader.raw(32), reader.uint(1)
        boxes = [(reader.uint(1), reader.uint(4), reader.raw(32)) for _ in range(number)]
        signature = reader.raw(64)
    except WireError as error:
        inspection.fault("file.form", path, error.message)
        return
    signed_size = 111 + number * 37
    inspection.signatures += 1
    signer = _signer(task, head[:signed_size], signature)
    if signer is None:
        inspection.fault("file.signature", path, "its signature does not hold")
    elif signer != sender:
        inspection.fault("file.foreign", path, f"{task.aggregators[signer].name} signed it")
    elif said != (task.digest, batch.seq, batch.digest, sender):
        inspection.fault("file.place", path, "it is about another batch, round or sender")
    else:
        file.seek(signed_size + 64)
        _check_boxes(inspection, task, batch, sender, path, file, rows, boxes)


def _signer(task: Task, signed: bytes, signature: bytes) -> int | None:
    """The index of the aggregator whose signature this is."""
    for index, party in enumerate(task.aggregators):
        try:
            party.identity.check(LABEL, signed, signature)
        except SignatureError:
            continue
        return index
    return None


def _check_boxes(
    inspection: Inspection,
    task: Task,
    batch: OrderedBatch,
    sender: int,
    path: str,
    file: BinaryIO,
    rows: int,
    boxes: Sequence[tuple[int, int, bytes]],
) -> None:
    others = [index for index in range(len(task.aggregators)) if index != sender]
    plain = batch.rows * (1 + task.vdaf.VERIFIER_SHARE_SIZE)
    sizes = [task.aggregators[index].hpke.ciphertext_size(plain) for index in others]
    if rows != batch.rows or [box[0] for box in boxes] != others:
        message = "it is not about every row, or not for every other aggregator"
        inspection.fault("verify.header", path, message)
        return
    if [box[1] for box in boxes] != sizes:
        inspection.fault("verify.header", path, "what is sealed in it has another length")
        return
    for _, size, digest in boxes:
        found, left = hashlib.sha256(), size
        while left and (piece := file.read(min(left, _PIECE))):
            found.update(piece)
            left -= len(piece)
        if left or found.digest() != digest:
            inspection.fault("file.signature", path, "what is sealed is not what was signed")
            return
    if file.read(1):
        inspection.fault("file.form", path, "bytes are left over at the end")

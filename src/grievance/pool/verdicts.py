"""What aggregators tell each other about a batch: verifier shares, then decisions.

A verify file carries, for every row of a batch, a status and (where the row opened) the
Prio3 verifier share. It is sealed to each of the other aggregators; only a signed header
with the SHA-256 of the plaintext lies in the open, so that nobody can tell two peers two
different things:

    "GRVV" | u8 version | task digest 32 | u32 seq | batch digest 32 | u8 sender | u32 rows
    | SHA-256(plaintext) 32 | u8 n | n x (u8 recipient | u32 size | SHA-256(ciphertext) 32)
    | signature 64 | the ciphertexts

The decision is a signed document: one bit per row, a public reason for every refused row,
and the Merkle root of the accepted reports. Source: design.md, sections 7 and 8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from grievance.crypto.documents import Document, parse_document, sign_document
from grievance.errors import PoolError, SignatureError, WireError
from grievance.wire import Reader, Writer, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey
    from grievance.pool.order import OrderedBatch
    from grievance.pool.store import View
    from grievance.task import Task

MAGIC = b"GRVV"
VERSION = 1
LABEL = "grievance/1 verifier shares"
DECISION_KIND = "grievance/1 decision"


class Status(IntEnum):
    """What one aggregator, or all together, found about a row. Public; never a partial value."""

    OK = 0
    OPEN = 1  # the ciphertext does not open
    NONCE = 2  # the nonce is not the one the salt gives
    BURNT = 3  # this nonce was verified before with other bytes
    DECODE = 4  # the input share is not an encoding
    TEST_POINT = 5  # the test point is a root of unity
    PROOF = 6  # the proof does not hold
    JOINT_RANDOMNESS = 7  # the public share does not match what the aggregators hold
    REPLAY = 8  # the nonce was accepted before
    BATCH = 9  # the whole batch does not read

    @property
    def code(self) -> str:
        """The public reason code, for example `report.open`."""
        return "batch.malformed" if self is Status.BATCH else f"report.{_CODES[self]}"

    @property
    def local(self) -> bool:
        """Whether a single aggregator can find this on its own."""
        return self <= Status.TEST_POINT or self is Status.BATCH


_CODES = {
    Status.OK: "accepted",
    Status.OPEN: "open",
    Status.NONCE: "nonce",
    Status.BURNT: "burnt",
    Status.DECODE: "decode",
    Status.TEST_POINT: "test-point",
    Status.PROOF: "proof",
    Status.JOINT_RANDOMNESS: "joint-randomness",
    Status.REPLAY: "replay",
}


@dataclass(frozen=True, repr=False)
class VerifierShares:
    """One aggregator's findings about a batch: statuses (rows,), shares (rows, width)."""

    statuses: bytes
    shares: bytes

    def plaintext(self) -> bytes:
        """What is sealed: all statuses, then all shares (zeros where a row has none)."""
        return self.statuses + self.shares

    def share(self, row: int, width: int) -> bytes:
        """The encoded verifier share of one row."""
        return self.shares[row * width : (row + 1) * width]


def _box_info(task: Task, seq: int, sender: int, recipient: int, digest: bytes) -> bytes:
    return hashlib.sha256(
        length_prefixed(
            LABEL.encode(), task.digest, seq.to_bytes(4, "big"), bytes([sender, recipient]), digest
        )
    ).digest()


def max_verify_size(task: Task, rows: int) -> int:
    """No verify file about `rows` reports is larger, in bytes."""
    plain = rows * (1 + task.vdaf.VERIFIER_SHARE_SIZE)
    return 4096 + sum(a.hpke.ciphertext_size(plain) + 64 for a in task.aggregators)


def write_verify_file(
    task: Task, batch: OrderedBatch, sender: int, found: VerifierShares, key: SigningKey
) -> bytes:
    """Seal findings to every other aggregator and sign. Run by each aggregator, once per batch."""
    plaintext = found.plaintext()
    digest = hashlib.sha256(plaintext).digest()
    boxes = [
        (index, peer.hpke.seal(plaintext, _box_info(task, batch.seq, sender, index, digest)))
        for index, peer in enumerate(task.aggregators)
        if index != sender
    ]
    header = Writer().raw(MAGIC).uint(VERSION, 1).raw(task.digest).uint(batch.seq, 4)
    header.raw(batch.digest).uint(sender, 1).uint(len(found.statuses), 4).raw(digest)
    header.uint(len(boxes), 1)
    for index, box in boxes:
        header.uint(index, 1).uint(len(box), 4).raw(hashlib.sha256(box).digest())
    signed = header.finish()
    return signed + key.sign(LABEL, signed) + b"".join(box for _, box in boxes)


def open_verify_file(
    data: View, task: Task, batch: OrderedBatch, sender: int, recipient: int, key: HpkePrivateKey
) -> VerifierShares:
    """Check and open what `sender` says about a batch. Run by every other aggregator.

    Raises SignatureError when `sender` did not sign these bytes (the file then does not
    exist), PoolError when `sender` signed nonsense, OpenError when our box does not open.
    """
    plaintext_digest, rows, boxes = read_signed_header(data, task, batch, sender)
    if recipient not in boxes:
        raise PoolError("the sender sealed nothing to us", code="verify.recipient")
    plaintext = key.open(
        boxes[recipient], _box_info(task, batch.seq, sender, recipient, plaintext_digest)
    )
    width = task.vdaf.VERIFIER_SHARE_SIZE
    if hashlib.sha256(plaintext).digest() != plaintext_digest or len(plaintext) != rows * (
        1 + width
    ):
        raise PoolError("the sender sealed something else to us", code="verify.digest")
    statuses = plaintext[:rows]
    if any(value > Status.BATCH or not Status(value).local for value in set(statuses)):
        raise PoolError("the sender uses a status that does not exist", code="verify.status")
    return VerifierShares(statuses, plaintext[rows:])


def read_signed_header(
    data: View, task: Task, batch: OrderedBatch, sender: int
) -> tuple[bytes, int, dict[int, bytes]]:
    """Check what lies in the open: SHA-256 of the plaintext, rows, and the box for each recipient.

    Raises SignatureError when `sender` did not sign these bytes, PoolError when it signed
    something that is not about this batch.
    """
    view = memoryview(data)
    try:
        reader = Reader(view)
        reader.expect(MAGIC, "a file of verifier shares")
        reader.expect(bytes([VERSION]), "a version known here")
        reader.expect(task.digest, "about this round")
        reader.expect(batch.seq.to_bytes(4, "big"), "about this place in the order")
        reader.expect(batch.digest, "about this batch")
        reader.expect(bytes([sender]), "from this aggregator")
        rows, digest, count = reader.uint(4), reader.raw(32), reader.uint(1)
        listed = [(reader.uint(1), reader.uint(4), reader.raw(32)) for _ in range(count)]
        signed_size = 4 + 1 + 32 + 4 + 32 + 1 + 4 + 32 + 1 + count * 37
        signature = reader.raw(64)
        identity = task.aggregators[sender].identity
        identity.check(LABEL, bytes(view[:signed_size]), signature)
        boxes = {}
        for index, size, box_digest in listed:
            box = reader.raw(size)
            if hashlib.sha256(box).digest() != box_digest:
                raise SignatureError("a box is not the one that was signed")
            boxes[index] = box
        reader.finish()
    except WireError as error:
        raise SignatureError(f"not a signed file of verifier shares: {error}") from None
    if rows != batch.rows:
        raise PoolError("the number of rows differs from the batch", code="verify.rows")
    return digest, rows, boxes


@dataclass(frozen=True)
class Decision:
    """Which rows of a batch count: `refused` maps a row to its reason and who found it.

    The finder is an aggregator's index, or -1 where all see it together.
    """

    seq: int
    batch_digest: bytes
    rows: int
    refused: Mapping[int, tuple[Status, int]]
    root: bytes

    @property
    def accepted(self) -> int:
        """How many rows count."""
        return self.rows - len(self.refused)

    def body(self, task: Task) -> dict[str, object]:
        """The document's body; equal decisions give equal bodies at every aggregator."""
        bits = bytearray(-(-self.rows // 8))
        for row in range(self.rows):
            if row not in self.refused:
                bits[row // 8] |= 1 << (row % 8)
        return {
            "task": task.digest.hex(),
            "seq": self.seq,
            "batch": self.batch_digest.hex(),
            "rows": self.rows,
            "accepted": self.accepted,
            "bits": base64.urlsafe_b64encode(bytes(bits)).decode(),
            "refused": [
                [row, status.code, by] for row, (status, by) in sorted(self.refused.items())
            ],
            "root": self.root.hex(),
        }

    def sign(self, task: Task, key: SigningKey) -> bytes:
        """Make the signed file."""
        return sign_document(DECISION_KIND, self.body(task), key)


def parse_decision(data: bytes, task: Task, batch: OrderedBatch, aggregator: int) -> Decision:
    """Read an aggregator's decision. Raises SignatureError or PoolError."""
    document = parse_document(
        data,
        kind=DECISION_KIND,
        signer=task.aggregators[aggregator].identity,
        limit=decision_limit(batch.rows),
    )
    decision = _decision_from(document)
    if decision is None:
        raise PoolError("this is not a decision about a batch", code="decide.syntax")
    # Before the body is rebuilt: nothing may grow with a number the file merely claims.
    if (decision.seq, decision.batch_digest, decision.rows) != (
        batch.seq,
        batch.digest,
        batch.rows,
    ):
        raise PoolError("this decision is about another batch", code="decide.batch")
    if decision.body(task) != document.body:
        raise PoolError("this is not a decision about this batch", code="decide.syntax")
    return decision


def decision_limit(rows: int) -> int:
    """No decision about `rows` reports is larger, in bytes."""
    return 4096 + 64 * rows


_STATUS_BY_CODE = {status.code: status for status in Status}


def _decision_from(document: Document) -> Decision | None:
    body = document.body
    try:
        refused = {
            row: (_STATUS_BY_CODE[code], by)
            for row, code, by in _triples(body["refused"])
            if 0 <= row < body["rows"]
        }
        base64.b64decode(body["bits"], altchars=b"-_", validate=True)
        batch, root = bytes.fromhex(body["batch"]), bytes.fromhex(body["root"])
        return Decision(body["seq"], batch, body["rows"], refused, root)
    except (KeyError, TypeError, ValueError, binascii.Error):
        return None


def _triples(value: object) -> Sequence[tuple[int, str, int]]:
    if not isinstance(value, list):
        raise TypeError("a list is needed")
    found = []
    for item in value:
        row, code, by = item
        if type(row) is not int or type(code) is not str or type(by) is not int:
            raise TypeError("a row, a code and an index are needed")
        found.append((row, code, by))
    return found

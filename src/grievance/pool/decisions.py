"""What aggregators tell each other about a batch: verifier shares, then decisions.

A verify file carries, for every row of a batch, a status and (where the row opened) the
Prio3 verifier share. It is encrypted once, under a key of its own that is sealed to every
aggregator of the round, its author among them. Only a signed header with the SHA-256 of
the plaintext lies in the open, so that nobody can tell two peers two different things:

    "GRVV" | u8 version | task digest 32 | u32 seq | batch digest 32 | u8 sender | u32 rows
    | SHA-256(plaintext) 32 | SHA-256(body) 32 | sealed key, one for each aggregator
    | signature 64 | body

The body is AES-256-GCM with an all-zero nonce: the key is drawn for this file alone. GCM
does not commit to its key; the signed SHA-256 of the plaintext does.

The decision is a signed document: one bit per row, a public reason for every refused row,
and the Merkle root of the accepted reports. Source: docs/design.md, sections 7 and 8.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from grievance.crypto.documents import Document, canonical, parse_document, sign_document
from grievance.errors import GrievanceError, PoolError, SignatureError, WireError
from grievance.pool.layout import RoundPaths
from grievance.pool.store import find
from grievance.wire import Reader, Writer, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey, VerifyingKey
    from grievance.pool.order import OrderedBatch
    from grievance.pool.store import Store, View
    from grievance.task import RoundTerms

MAGIC = b"GRVV"
VERSION = 1
LABEL = "grievance/2 verifier shares"
DECISION_KIND = "grievance/2 decision"


class Status(IntEnum):
    """What one aggregator, or all together, found about a row. Public; never a partial value."""

    OK = 0
    OPEN = 1  # the ciphertext does not open
    COMMITMENT = 2  # what is sealed does not open the commitment
    BURNT = 3  # this nonce was verified before with other bytes
    DECODE = 4  # the input share is not an encoding
    TEST_POINT = 5  # the test point is a root of unity
    PROOF = 6  # the proof does not hold
    JOINT_RANDOMNESS = 7  # the public share does not match what the aggregators hold
    REPLAY = 8  # it was accepted before
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
    Status.COMMITMENT: "commitment",
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


@dataclass(frozen=True, repr=False)
class VerifyHeader:
    """What a verify file says in the open: digests, one sealed key for each aggregator.

    `data` is the header itself, up to the end of the signature.
    """

    task_digest: bytes
    seq: int
    batch_digest: bytes
    sender: int
    rows: int
    plaintext_digest: bytes
    body_digest: bytes
    keys: tuple[bytes, ...]
    data: bytes

    def check(self, key: VerifyingKey) -> None:
        """Check the signature. Raises SignatureError."""
        key.check(LABEL, self.data[:-64], self.data[-64:])


_KEY_SIZE, _TAG_SIZE = 32, 16
_FILE_NONCE = bytes(12)  # one key, one message


def _key_info(task: RoundTerms, seq: int, sender: int, recipient: int, digest: bytes) -> bytes:
    return hashlib.sha256(
        length_prefixed(
            LABEL.encode(), task.digest, seq.to_bytes(4, "big"), bytes([sender, recipient]), digest
        )
    ).digest()


def header_size(task: RoundTerms) -> int:
    """Bytes of a verify file before its body, the signature among them."""
    return signed_size(task) + 64


def signed_size(task: RoundTerms) -> int:
    """Bytes of a verify file that its signature covers."""
    return 4 + 1 + 32 + 4 + 32 + 1 + 4 + 32 + 32 + sum(_sealed_key_sizes(task))


def _sealed_key_sizes(task: RoundTerms) -> list[int]:
    return [party.hpke.ciphertext_size(_KEY_SIZE) for party in task.aggregators]


def verify_size(task: RoundTerms, rows: int) -> int:
    """Every verify file about `rows` reports has so many bytes."""
    return header_size(task) + rows * (1 + task.vdaf.VERIFIER_SHARE_SIZE) + _TAG_SIZE


def write_verify_file(
    task: RoundTerms, batch: OrderedBatch, sender: int, found: VerifierShares, key: SigningKey
) -> bytes:
    """Seal findings to all aggregators and sign. Run by each aggregator, once per batch."""
    plaintext = found.plaintext()
    digest = hashlib.sha256(plaintext).digest()
    file_key = secrets.token_bytes(_KEY_SIZE)
    body = AESGCM(file_key).encrypt(_FILE_NONCE, plaintext, None)
    header = Writer().raw(MAGIC).uint(VERSION, 1).raw(task.digest).uint(batch.seq, 4)
    header.raw(batch.digest).uint(sender, 1).uint(len(found.statuses), 4).raw(digest)
    header.raw(hashlib.sha256(body).digest())
    for index, party in enumerate(task.aggregators):
        header.raw(party.hpke.seal(file_key, _key_info(task, batch.seq, sender, index, digest)))
    signed = header.finish()
    return b"".join((signed, key.sign(LABEL, signed), body))


def open_verify_file(
    data: View,
    task: RoundTerms,
    batch: OrderedBatch,
    sender: int,
    recipient: int,
    key: HpkePrivateKey,
) -> VerifierShares:
    """Check and open what `sender` says about a batch. Run by every aggregator.

    Raises SignatureError when `sender` did not sign these bytes (the file then does not
    exist), PoolError when `sender` signed nonsense, OpenError when our key does not open.
    """
    header = read_signed_header(data, task, batch, sender)
    file_key = key.open(
        header.keys[recipient],
        _key_info(task, batch.seq, sender, recipient, header.plaintext_digest),
    )
    width = task.vdaf.VERIFIER_SHARE_SIZE
    try:
        plaintext = AESGCM(file_key).decrypt(
            _FILE_NONCE, memoryview(data)[len(header.data) :], None
        )
    except (InvalidTag, ValueError):
        raise PoolError("what is sealed does not open", code="verify.digest") from None
    if hashlib.sha256(plaintext).digest() != header.plaintext_digest or len(
        plaintext
    ) != batch.rows * (1 + width):
        raise PoolError("the sender sealed something else to us", code="verify.digest")
    statuses = plaintext[: batch.rows]
    if any(value > Status.BATCH or not Status(value).local for value in set(statuses)):
        raise PoolError("the sender uses a status that does not exist", code="verify.status")
    return VerifierShares(statuses, plaintext[batch.rows :])


def signed_head(data: View, task: RoundTerms) -> VerifyHeader:
    """Read the head of a verify file; whose it is, is for the caller to check. Raises WireError."""
    view = memoryview(data)[: header_size(task)]
    reader = Reader(view)
    reader.expect(MAGIC, "a file of verifier shares")
    reader.expect(bytes([VERSION]), "a version known here")
    digest, seq, batch, sender = reader.raw(32), reader.uint(4), reader.raw(32), reader.uint(1)
    rows, plaintext, body = reader.uint(4), reader.raw(32), reader.raw(32)
    keys = tuple(reader.raw(size) for size in _sealed_key_sizes(task))
    reader.raw(64)
    return VerifyHeader(digest, seq, batch, sender, rows, plaintext, body, keys, bytes(view))


def read_signed_header(
    data: View, task: RoundTerms, batch: OrderedBatch, sender: int
) -> VerifyHeader:
    """Check what lies in the open.

    Raises SignatureError when `sender` did not sign these bytes, PoolError when it signed
    something that is not about this batch.
    """
    try:
        head = signed_head(data, task)
    except WireError as error:
        raise SignatureError(f"not a signed file of verifier shares: {error}") from None
    if (head.task_digest, head.seq, head.batch_digest, head.sender) != (
        task.digest,
        batch.seq,
        batch.digest,
        sender,
    ):
        raise SignatureError("it is about another round, batch or sender")
    head.check(task.aggregators[sender].identity)
    body = memoryview(data)[len(head.data) :]
    if hashlib.sha256(body).digest() != head.body_digest:
        raise SignatureError("the body is not the one that was signed")
    if head.rows != batch.rows or len(data) != verify_size(task, head.rows):
        raise PoolError("the number of rows differs from the batch", code="verify.rows")
    return head


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

    def body(self, task: RoundTerms) -> dict[str, object]:
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

    def sign(self, task: RoundTerms, key: SigningKey) -> bytes:
        """Make the signed file."""
        return sign_document(DECISION_KIND, self.body(task), key)


def parse_decision(data: bytes, task: RoundTerms, batch: OrderedBatch, aggregator: int) -> Decision:
    """Read an aggregator's decision.

    Raises SignatureError when it signed nothing for this place (a true decision about another
    batch, which anybody can put here, included), PoolError when it signed nonsense.
    """
    document = parse_document(
        data,
        kind=DECISION_KIND,
        signer=task.aggregators[aggregator].identity,
        limit=decision_limit(batch.rows),
    )
    said = [document.body.get(key) for key in ("task", "seq", "batch")]
    if said != [task.digest.hex(), batch.seq, batch.digest.hex()]:
        raise SignatureError("this decision is about another batch", code="decide.elsewhere")
    decision = _decision_from(document, len(task.aggregators))
    if decision is None:
        raise PoolError("this is not a decision about a batch", code="decide.syntax")
    # Before the body is rebuilt: nothing may grow with a number the file merely claims.
    if (decision.seq, decision.batch_digest, decision.rows) != (
        batch.seq,
        batch.digest,
        batch.rows,
    ):
        raise PoolError("this decision is about another batch", code="decide.batch")
    if canonical(decision.body(task)) != canonical(document.body):
        raise PoolError("this is not a decision about this batch", code="decide.syntax")
    return decision


def find_decision(
    store: Store, task: RoundTerms, batch: OrderedBatch, aggregator: int
) -> Decision | None:
    """An aggregator's decision about a batch; None until one it signed has arrived.

    Raises PoolError `decide.fault` naming it when it signed one that cannot be.
    """
    name = task.aggregators[aggregator].name
    path = RoundPaths(task.round_id).decide(batch.seq, name)
    data = find(store, path, decision_limit(batch.rows))
    if data is None:
        return None
    try:
        return parse_decision(bytes(data), task, batch, aggregator)
    except (SignatureError, WireError):
        return None
    except GrievanceError as error:
        raise PoolError(
            f"{path}: {name} signed a decision that cannot be: {error}",
            code="decide.fault",
            hint=f"keep the file as evidence and ask {name} which version they run",
        ) from None


def decision_limit(rows: int) -> int:
    """No decision about `rows` reports is larger, in bytes."""
    return 4096 + 64 * rows


_STATUS_BY_CODE = {status.code: status for status in Status if status is not Status.OK}


def _decision_from(document: Document, aggregators: int) -> Decision | None:
    body = document.body
    try:
        refused = {
            row: (_STATUS_BY_CODE[code], by)
            for row, code, by in _triples(body["refused"])
            if 0 <= row < body["rows"]
        }
        # What one aggregator finds names it; what all see together names nobody.
        for status, by in refused.values():
            if not (0 <= by < aggregators if status.local else by == -1):
                raise ValueError("a finder that cannot be")
        base64.b64decode(body["bits"], altchars=b"-_", validate=True)
        batch, root = bytes.fromhex(body["batch"]), bytes.fromhex(body["root"])
        if len(root) != 32:
            raise ValueError("a root that is none")
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

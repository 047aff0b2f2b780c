"""The sealed report: what leaves a worker's device.

    "GRVR" | u8 version | task digest 32 | nonce 16 | var public share
    | u8 number of aggregators | var ciphertext, one per aggregator

It holds no time, no name and no word about the device, and all reports of one task have the
same size, whatever was answered. Each ciphertext is HPKE over `salt || input share`, with
task, aggregator, nonce and public share bound in through HPKE's `info`; the nonce comes from
the salt, so nobody who merely saw a nonce in the pool can use it first.
Source: design.md, section 6; DAP draft-17, "Upload Message"; security.md, faults B1 to B11.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from grievance.errors import OpenError, ReportError, ShapeError, WireError
from grievance.wire import Reader, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.task import Task

MAGIC = b"GRVR"
VERSION = 1
DIGEST_SIZE = 32
NONCE_SIZE = 16
SALT_SIZE = 32
_NONCE_LENGTH, _DIGEST_LENGTH = NONCE_SIZE.to_bytes(4, "big"), DIGEST_SIZE.to_bytes(4, "big")
# Limits for a reader that does not know the task; with a task every size is exact.
MAX_PUBLIC_SHARE_SIZE = 1 << 16
MAX_CIPHERTEXT_SIZE = 1 << 24
# Magic, version, task digest, nonce, two lengths: everything but shares and their lengths.
_FIXED_SIZE = len(MAGIC) + 1 + DIGEST_SIZE + NONCE_SIZE + 4 + 1


@dataclass(frozen=True)
class Report:
    """One sealed report: task digest (32 bytes), nonce (16), public share, one ciphertext each.

    Raises ShapeError for a digest or nonce of another length, or fewer than two ciphertexts.
    """

    task_digest: bytes
    nonce: bytes
    public_share: bytes
    ciphertexts: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.task_digest) != DIGEST_SIZE or len(self.nonce) != NONCE_SIZE:
            raise ShapeError("a report has a task digest of 32 bytes and a nonce of 16")
        if not 2 <= len(self.ciphertexts) <= 255:
            raise ShapeError("a report is sealed to 2 to 255 aggregators")

    @property
    def digest(self) -> bytes:
        """The worker's receipt, 32 bytes: `report_digest`. It says nothing about answers."""
        parts = [hashlib.sha256(part).digest() for part in (self.public_share, *self.ciphertexts)]
        return report_digest(self.task_digest, self.nonce, parts)

    def to_bytes(self) -> bytes:
        """Write the one binary form of this report."""
        head = MAGIC + bytes([VERSION]) + self.task_digest + self.nonce
        head += length_prefixed(self.public_share) + bytes([len(self.ciphertexts)])
        return head + length_prefixed(*self.ciphertexts)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, task: Task | None = None) -> Self:
        """Read a report strictly, and with `task` also check that it belongs there.

        Raises WireError for bytes that are not a report, ReportError `report.task` for a
        report of another round, `report.size` for a part that is not exactly as long as
        every report's of this task.
        """
        reader = Reader(data)
        reader.expect(MAGIC, "a sealed report")
        version = reader.uint(1)
        if version != VERSION:
            raise WireError(f"report version {version} is not known here", code="wire.version")
        task_digest, nonce = reader.raw(DIGEST_SIZE), reader.raw(NONCE_SIZE)
        public_share = reader.var(MAX_PUBLIC_SHARE_SIZE)
        count = reader.uint(1)
        if count < 2:
            raise WireError("a report is sealed to at least two aggregators", code="wire.kind")
        ciphertexts = tuple(reader.var(MAX_CIPHERTEXT_SIZE) for _ in range(count))
        reader.finish()
        report = cls(task_digest, nonce, public_share, ciphertexts)
        if task is not None:
            report.check(task)
        return report

    def check(self, task: Task) -> None:
        """Raise ReportError unless this report has the digest and the exact sizes of `task`."""
        if self.task_digest != task.digest:
            raise ReportError(
                "this report belongs to another round",
                code="report.task",
                hint="compare the round's digest with the one the report was sealed for",
            )
        sizes = [NONCE_SIZE, len(self.public_share), *map(len, self.ciphertexts)]
        if sizes != [width for _, width in columns(task)]:
            raise ReportError(
                "the report's size is not that of this round",
                code="report.size",
                hint="ask for the report again, as it was written",
            )

    def __repr__(self) -> str:
        return f"<Report sealed to {len(self.ciphertexts)} aggregators>"


def columns(task: Task) -> list[tuple[str, int]]:
    """Names and widths in bytes of a report's parts, in order: its columns in a table.

    `nonce`, `public_share`, `ciphertext_0` and so on, the same for every report of the task.
    """
    named = [("nonce", NONCE_SIZE), ("public_share", task.vdaf.PUBLIC_SHARE_SIZE)]
    return named + [
        (f"ciphertext_{index}", _ciphertext_size(task, index))
        for index in range(len(task.aggregators))
    ]


def report_size(task: Task) -> int:
    """Bytes of every report of this task."""
    widths = [width for _, width in columns(task)[1:]]
    return _FIXED_SIZE + sum(widths) + 4 * len(task.aggregators)


def to_row(report: Report) -> tuple[bytes, ...]:
    """Take a report apart into its columns; the task digest is not among them."""
    return (report.nonce, report.public_share, *report.ciphertexts)


def report_digest(task_digest: bytes, nonce: bytes, parts: Sequence[bytes]) -> bytes:
    """Digest of a report (32 bytes) from the SHA-256 of its public share and of each ciphertext.

    A hash of hashes, so that whoever works on one part needs to read no part twice:

        SHA-256("grievance/2 report" || task digest || nonce || u8 n || n + 1 digests)
    """
    head = b"grievance/2 report" + task_digest + nonce + bytes([len(parts) - 1])
    return hashlib.sha256(head + b"".join(parts)).digest()


def derive_nonce(task_digest: bytes, salt: bytes) -> bytes:
    """Nonce of a report: 16 bytes that only someone who holds the 32-byte salt can claim.

    Run by the client, and by every aggregator after opening its input share.
    """
    return _nonce(_nonce_head(task_digest), salt)


def input_share_info(task_digest: bytes, index: int, nonce: bytes, public_share: bytes) -> bytes:
    """HPKE `info` (32 bytes) of the input share for aggregator `index`, 0 to 254.

    Binds task, aggregator, nonce and public share, so that no part of a report can be moved
    into another. `cryptography` has no `aad`, so `info` carries all of it.
    """
    public_digest = hashlib.sha256(public_share).digest()
    return _info(_info_head(task_digest, index), nonce, public_digest)


def open_input_share(
    key: HpkePrivateKey,
    task: Task,
    index: int,
    nonce: bytes,
    public_share: bytes,
    ciphertext: bytes,
) -> bytes:
    """Open one ciphertext: `InputShareOpener.open` for a single report."""
    public_digest = hashlib.sha256(public_share).digest()
    return InputShareOpener(key, task, index).open(nonce, public_digest, ciphertext)


class InputShareOpener:
    """Opens the input shares of aggregator `index`. What all reports have alike is made once."""

    def __init__(self, key: HpkePrivateKey, task: Task, index: int) -> None:
        self._key, self._size = key, _ciphertext_size(task, index)
        self._info_head = _info_head(task.digest, index)
        self._nonce_head = _nonce_head(task.digest)

    def open(self, nonce: bytes, public_digest: bytes, ciphertext: bytes) -> bytes:
        """Open one ciphertext and return the encoded input share, without the salt.

        Run once per report; decoding is the VDAF's part. `public_digest`: SHA-256 of the public
        share. Raises OpenError `report.open` for everything that does not open (wrong key, task,
        aggregator, nonce or public share, altered, wrong length), and ReportError `report.nonce`
        when it opens but the nonce is not the salt's.
        """
        if len(ciphertext) != self._size:
            raise OpenError("the input share does not open")
        plaintext = self._key.open(ciphertext, _info(self._info_head, nonce, public_digest))
        if _nonce(self._nonce_head, plaintext[:SALT_SIZE]) != nonce:
            raise ReportError("the nonce is not the one of this report", code="report.nonce")
        return plaintext[SALT_SIZE:]


def _nonce_head(task_digest: bytes) -> bytes:
    return b"grievance/2 nonce" + task_digest


def _nonce(head: bytes, salt: bytes) -> bytes:
    return hashlib.sha256(head + salt).digest()[:NONCE_SIZE]


def _info_head(task_digest: bytes, index: int) -> bytes:
    return length_prefixed(b"grievance/2 input share", task_digest, index.to_bytes(1, "big"))


def _info(head: bytes, nonce: bytes, public_digest: bytes) -> bytes:
    # As `length_prefixed` writes it: both lengths are the same in every report.
    return hashlib.sha256(
        b"".join((head, _NONCE_LENGTH, nonce, _DIGEST_LENGTH, public_digest))
    ).digest()


def _ciphertext_size(task: Task, index: int) -> int:
    """Bytes of aggregator `index`'s ciphertext."""
    plaintext_size = SALT_SIZE + task.vdaf.input_share_size(index)
    return task.aggregators[index].hpke.ciphertext_size(plaintext_size)

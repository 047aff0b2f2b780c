"""The sealed report: what leaves a worker's device.

    "GRVR" | u8 version | task digest 32 | commitment 32 | var public share
    | u8 number of aggregators | var ciphertext, one per aggregator

It holds no time, no name and no word about the device, and all reports of one task have the
same size, whatever was answered. What a ciphertext is, `client.input_share` says; what the
commitment is, which names a report everywhere, `client.commitment`.
Source: docs/design.md, section 6; DAP draft-17, "Upload Message"; docs/faults.md, faults B1 to B11.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from grievance.client.commitment import COMMITMENT_SIZE
from grievance.client.input_share import ciphertext_size
from grievance.errors import ReportError, ShapeError, WireError
from grievance.wire import Reader, length_prefixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.task import RoundTerms

MAGIC = b"GRVR"
VERSION = 1
DIGEST_SIZE = 32
# Limits for a reader that does not know the task; with a task every size is exact.
MAX_PUBLIC_SHARE_SIZE = 1 << 16
MAX_CIPHERTEXT_SIZE = 1 << 24
LENGTH_SIZE = 4
FRAME_SIZE = len(MAGIC) + 1 + DIGEST_SIZE + COMMITMENT_SIZE + LENGTH_SIZE + 1
"""Everything in a report but its public share and its ciphertexts with their lengths."""


@dataclass(frozen=True)
class Report:
    """One sealed report: task digest and commitment (32 bytes each), public share, ciphertexts.

    Raises ShapeError for a digest or commitment of another length, or fewer than two ciphertexts.
    """

    task_digest: bytes
    commitment: bytes
    public_share: bytes
    ciphertexts: tuple[bytes, ...]

    def __post_init__(self) -> None:
        if len(self.task_digest) != DIGEST_SIZE or len(self.commitment) != COMMITMENT_SIZE:
            raise ShapeError("a report has a task digest and a commitment of 32 bytes each")
        if not 2 <= len(self.ciphertexts) <= 255:
            raise ShapeError("a report is sealed to 2 to 255 aggregators")

    @property
    def digest(self) -> bytes:
        """The worker's receipt, 32 bytes: `report_digest`. It says nothing about answers."""
        parts = [hashlib.sha256(part).digest() for part in (self.public_share, *self.ciphertexts)]
        return report_digest(self.task_digest, self.commitment, parts)

    def to_bytes(self) -> bytes:
        """Write the one binary form of this report."""
        head = MAGIC + bytes([VERSION]) + self.task_digest + self.commitment
        head += length_prefixed(self.public_share) + bytes([len(self.ciphertexts)])
        return head + length_prefixed(*self.ciphertexts)

    @classmethod
    def from_bytes(cls, data: bytes | memoryview, task: RoundTerms | None = None) -> Self:
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
        task_digest, commitment = reader.raw(DIGEST_SIZE), reader.raw(COMMITMENT_SIZE)
        public_share = reader.var(MAX_PUBLIC_SHARE_SIZE)
        count = reader.uint(1)
        if count < 2:
            raise WireError("a report is sealed to at least two aggregators", code="wire.kind")
        ciphertexts = tuple(reader.var(MAX_CIPHERTEXT_SIZE) for _ in range(count))
        reader.finish()
        report = cls(task_digest, commitment, public_share, ciphertexts)
        if task is not None:
            report.check(task)
        return report

    def check(self, task: RoundTerms) -> None:
        """Raise ReportError unless this report has the digest and the exact sizes of `task`."""
        if self.task_digest != task.digest:
            raise ReportError(
                "this report belongs to another round",
                code="report.task",
                hint="compare the round's digest with the one the report was sealed for",
            )
        sizes = [COMMITMENT_SIZE, len(self.public_share), *map(len, self.ciphertexts)]
        if sizes != [width for _, width in columns(task)]:
            raise ReportError(
                "the report's size is not that of this round",
                code="report.size",
                hint="ask for the report again, as it was written",
            )

    def __repr__(self) -> str:
        return f"<Report sealed to {len(self.ciphertexts)} aggregators>"


def columns(task: RoundTerms) -> list[tuple[str, int]]:
    """Names and widths in bytes of a report's parts, in order: its columns in a table.

    `commitment`, `public_share`, `ciphertext_0` and so on, the same for every report of the task.
    """
    named = [("commitment", COMMITMENT_SIZE), ("public_share", task.vdaf.PUBLIC_SHARE_SIZE)]
    return named + [
        (f"ciphertext_{index}", ciphertext_size(task, index))
        for index in range(len(task.aggregators))
    ]


def report_size(task: RoundTerms) -> int:
    """Bytes of every report of this task."""
    widths = [width for _, width in columns(task)[1:]]
    return FRAME_SIZE + sum(widths) + LENGTH_SIZE * len(task.aggregators)


def to_row(report: Report) -> tuple[bytes, ...]:
    """Take a report apart into its columns; the task digest is not among them."""
    return (report.commitment, report.public_share, *report.ciphertexts)


def report_digest(task_digest: bytes, commitment: bytes, parts: Sequence[bytes]) -> bytes:
    """Digest of a report (32 bytes) from the SHA-256 of its public share and of each ciphertext.

    A hash of hashes, so that whoever works on one part needs to read no part twice:

        SHA-256("grievance/2 report" || task digest || commitment || u8 n || n + 1 digests)
    """
    head = b"grievance/2 report" + task_digest + commitment + bytes([len(parts) - 1])
    return hashlib.sha256(head + b"".join(parts)).digest()

"""What a round takes: bytes of a report and of the folder, time to seal and to check.

Times are for one core of a common machine, from the constants below, and are meant to be right
within a factor of two or three. Sizes are exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.client.commitment import opening_size
from grievance.client.report import FRAME_SIZE, LENGTH_SIZE

if TYPE_CHECKING:
    from grievance.plan import Layout, Plan

HPKE_OVERHEAD = {"MLKEM768_X25519": 1136, "X25519": 48}
"""Bytes a ciphertext is longer than its plaintext: encapsulated key and 16 bytes of tag."""

SEAL_MS_PER_BIT = 0.013
"""Proving one bit on plain integers, the path a worker's device takes."""

SEAL_MS_PER_AGGREGATOR = 0.1
OPEN_MS = {"MLKEM768_X25519": 0.070, "X25519": 0.042}
"""Opening one ciphertext: the floor of verification."""

VERIFY_MS_PER_BIT = 0.7 / 500
"""Checking one bit's proof on plain integers, as small batches are."""

VERIFY_MS_PER_BIT_LARGE = 0.014 / 500
"""Checking it in the kernels, which large batches take."""

LARGE = 5_000
"""From so many reports on, those that come in one batch are checked in the kernels."""

VERIFY_MS_PER_REPORT = 0.060
"""Reading, hashing, burning the nonce, deciding, writing."""


@dataclass(frozen=True)
class Sizes:
    """What reports take.

    Attributes:
        report_bytes: Size of one sealed report.
        folder_bytes: Reports and verifier shares in the pool, without signatures.
        seal_ms: Sealing one report on a worker's device.
        verify_ms: One aggregator's work per report on one core.
    """

    report_bytes: int
    folder_bytes: int | None
    seal_ms: float
    verify_ms: float


def sizes_of(plan: Plan, layout: Layout, reports: int | None, aggregators: int) -> Sizes:
    """Return what `reports` reports take."""
    kem = plan.kem
    vdaf = layout.vdaf(aggregators)
    report_bytes = FRAME_SIZE + vdaf.PUBLIC_SHARE_SIZE
    for index in range(aggregators):
        plaintext = opening_size(aggregators) + vdaf.input_share_size(index)
        report_bytes += LENGTH_SIZE + HPKE_OVERHEAD[kem] + plaintext
    verifier_bytes = aggregators * (aggregators - 1) * vdaf.VERIFIER_SHARE_SIZE
    per_bit = VERIFY_MS_PER_BIT_LARGE if (reports or 0) >= LARGE else VERIFY_MS_PER_BIT
    return Sizes(
        report_bytes=report_bytes,
        folder_bytes=None if reports is None else reports * (report_bytes + verifier_bytes),
        seal_ms=layout.num_bits * SEAL_MS_PER_BIT + aggregators * SEAL_MS_PER_AGGREGATOR,
        verify_ms=OPEN_MS[kem] + layout.num_bits * per_bit + VERIFY_MS_PER_REPORT,
    )

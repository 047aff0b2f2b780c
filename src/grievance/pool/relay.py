"""What a partner does: turn sealed reports into one signed batch in the pool.

A relay pads with blank reports to a multiple of 100 and shuffles, so that neither the
number of reports nor their order tells who came when. Run at fixed hours.
Source: docs/design.md, section 7.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from grievance.client.seal import seal_blank
from grievance.errors import BatchError
from grievance.pool.batch import (
    MAX_BATCH_ROWS,
    batch_digest,
    row_width,
    write_batch,
)
from grievance.pool.layout import RoundPaths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.client.report import Report
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store
    from grievance.task import Task

PAD_TO = 100
BATCH_SIZE = 256 << 20
"""Bytes: a relay cuts what it has into batches of at most this size, which synced folders and
small machines can carry."""


def make_batches(
    task: Task,
    reports: Sequence[Report],
    key: SigningKey,
    *,
    pad_to: int = PAD_TO,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[bytes]:
    """Pad, shuffle and sign reports into as few batches as fit. Run by a relay.

    Reports that appear twice are sent once. Raises ReportError for a report of another
    round, BatchError when there is nothing to send.
    """
    unique = list({report.digest: report for report in reports}.values())
    if not unique:
        raise BatchError("there are no reports to relay", code="batch.rows")
    padding = -len(unique) % pad_to
    for done in range(padding):
        progress(done, padding)
        unique.append(seal_blank(task))
    progress(padding, padding)
    secrets.SystemRandom().shuffle(unique)
    most = min(MAX_BATCH_ROWS, BATCH_SIZE // row_width(task))
    most = max(pad_to, most - most % pad_to)  # whole multiples, as all of it is
    pieces = [unique[at : at + most] for at in range(0, len(unique), most)]
    return [write_batch(task, piece, key) for piece in pieces]


def publish_batch(store: Store, task: Task, partner: str, data: bytes) -> str:
    """Put a batch into the pool under its digest. Returns its path."""
    path = RoundPaths(task.round_id).batch(partner, batch_digest(data))
    store.put(path, data)
    return path

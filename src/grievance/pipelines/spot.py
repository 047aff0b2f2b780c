"""Spot checks: of what the kernels did, some rows are done again by the reference.

Which ones is drawn from the system's randomness by the process that drives the work, once the
findings are back, so nothing that computed them can have known. A kernel that gets one row in a
hundred wrong gets one drawn row in a hundred wrong. What this does not find is told in
docs/decisions/kernels.md.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import BatchError, StateError
from grievance.pipelines import rows as reference
from grievance.pipelines.rows import Opened, Verified, open_rows
from grievance.pool.decisions import VerifierShares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from grievance.pipelines.paths import Path, Verdict
    from grievance.pipelines.rows import Seat
    from grievance.pool.batch import Span
    from grievance.task import Task

ONE_IN = 500
"""Of so many rows one is done again: 20 of 10,000. A row takes the reference over a thousand
microseconds, and all that an aggregator does with it about a hundred."""


@dataclass(frozen=True, repr=False)
class Examined:
    """Rows opened and verified: what the burn table and the decision need, findings, their sum.

    `inputs` and `digests` as in `rows.Opened`.
    """

    commitments: list[bytes]
    publics: list[bytes]
    inputs: list[bytes]
    digests: list[bytes]
    verified: Verified


NOTHING = Examined([], [], [], [], Verified(VerifierShares(b"", b""), []))
"""What examining no row gives."""


def examine_rows(seat: Seat, rows: pa.RecordBatch, path: Path) -> Examined:
    """Open and verify rows."""
    opened = open_rows(seat, rows)
    return _examined(opened, path.verify(seat, opened))


def examine_again(seat: Seat, rows: pa.RecordBatch, path: Path) -> Examined:
    """Open and verify rows by the reference. Raises StateError when `path` adds up otherwise.

    The sum is of these rows alone, so `path` has to do them again too.
    """
    opened = open_rows(seat, rows)
    verified = reference.verify_rows(seat, opened)
    if path.verify(seat, opened).total != verified.total:
        raise _differs()
    return _examined(opened, verified)


def _examined(opened: Opened, verified: Verified) -> Examined:
    return Examined(opened.commitments, opened.publics, opened.inputs, opened.digests, verified)


class Draw:
    """Which rows are done again: one in 500 of all that it is shown, and one of every batch.

    Counted over all batches of a sitting and rounded up, so over a round's too.
    """

    def __init__(self) -> None:
        self._seen = 0

    def of(self, span: Span) -> list[int]:
        """Draw rows of a span, ascending, counted from its first."""
        begun, self._seen = self._seen, self._seen + span.count
        number = _share(self._seen) - _share(begun)
        return draw(span.count, max(number, 1) if span.start == 0 else number)


def _share(num_rows: int) -> int:
    return -(-num_rows // ONE_IN)


def draw(num_rows: int, number: int) -> list[int]:
    """Draw so many different rows, ascending."""
    return sorted(secrets.SystemRandom().sample(range(num_rows), number))


def compare(task: Task, first: Examined, rows: Sequence[int], again: Examined) -> None:
    """Hold findings about some rows against the reference's.

    Raises StateError `state.kernels` for any byte that differs, BatchError `batch.digest` when the
    second look saw another batch.
    """
    if again.digests != [first.digests[row] for row in rows]:
        raise BatchError("the batch has changed since it was verified", code="batch.digest")
    found, width = first.verified.found, task.vdaf.VERIFIER_SHARE_SIZE
    statuses = bytes([found.statuses[row] for row in rows])
    shares = b"".join([found.share(row, width) for row in rows])
    expected = again.verified.found
    if (statuses, shares) != (expected.statuses, expected.shares):
        raise _differs()


def check_decisions(
    task: Task,
    publics: Sequence[bytes],
    found: Sequence[VerifierShares],
    verdicts: Sequence[Verdict],
) -> None:
    """Decide some rows of a batch by the reference too. Raises StateError `state.kernels`."""
    for row in draw(len(publics), _share(len(publics))):
        if reference.decide_rows(task, [publics[row]], found, row) != [verdicts[row]]:
            raise _differs()


def check_total(seat: Seat, opened: Opened, path: Path) -> None:
    """Add some opened rows up both ways. Raises StateError `state.kernels`."""
    for row in draw(len(opened.shares), _share(len(opened.shares))):
        one = Opened(
            [opened.commitments[row]],
            [opened.publics[row]],
            opened.statuses[row : row + 1],
            [opened.inputs[row]],
            [opened.digests[row]],
            [opened.shares[row]],
        )
        if path.total(seat, one) != reference.sum_opened(seat, one):
            raise _differs()


def _differs() -> StateError:
    return StateError(
        "the fast path and the reference compute different bytes from one report; nothing was kept",
        code="state.kernels",
        hint="`grievance sync --reference` does everything by the reference, slowly, and goes on "
        "(after a loss: `grievance recover --reference`); tell the developers your processor, "
        "system and versions, and keep the batch",
    )

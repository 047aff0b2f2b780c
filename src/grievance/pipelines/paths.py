"""Two ways to do the field work on rows: the readable reference, and the batch kernels.

Both give the same bytes. A few reports take the reference: they are done before the kernels
are even loaded. Source: docs/design.md, section 14.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from grievance.client.commitment import COMMITMENT_SIZE, NONCE_SIZE
from grievance.pipelines import rows as reference
from grievance.pipelines.rows import Opened, Verified
from grievance.pool.decisions import Status, VerifierShares

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np

    from grievance.kernels import BatchPrio3
    from grievance.pipelines.rows import Seat
    from grievance.task import Task

FAST_ROWS = 5_000
"""From so many waiting rows on the kernels do the work. Compiling them takes some 15 seconds,
once; loading them about one, in which the reference checks a thousand rows."""

Verdict = tuple[Status, int]
_ACCEPTED: Verdict = (Status.OK, -1)


class Path(Protocol):
    """The field work on opened rows and findings; see `pipelines.rows` for what each does."""

    def verify(self, seat: Seat, opened: Opened) -> Verified:
        """Verify rows that are OK; see `rows.verify_rows`."""

    def decide(
        self, task: Task, publics: Sequence[bytes], found: Sequence[VerifierShares], start: int
    ) -> list[Verdict]:
        """Decide every row; see `rows.decide_rows`."""

    def total(self, seat: Seat, opened: Opened) -> list[int]:
        """Add up the output shares of opened rows; see `rows.sum_opened`."""


def is_fast(num_rows: int) -> bool:
    """Whether the kernels are the quicker path for so many rows."""
    return num_rows >= FAST_ROWS


def path_for(task: Task, num_rows: int) -> Path:
    """The quicker path for so many rows, of all batches that are waiting together."""
    if not is_fast(num_rows):
        return ReferencePath()
    if task.digest not in _fast_paths:
        _fast_paths.clear()  # one round at a time; its tables are a few megabytes
        _fast_paths[task.digest] = FastPath(task)
    return _fast_paths[task.digest]


_fast_paths: dict[bytes, FastPath] = {}


class ReferencePath:
    """The path auditors read."""

    def verify(self, seat: Seat, opened: Opened) -> Verified:
        """Verify row by row."""
        return reference.verify_rows(seat, opened)

    def decide(
        self, task: Task, publics: Sequence[bytes], found: Sequence[VerifierShares], start: int
    ) -> list[Verdict]:
        """Decide row by row."""
        return reference.decide_rows(task, publics, found, start)

    def total(self, seat: Seat, opened: Opened) -> list[int]:
        """Add up row by row."""
        return reference.sum_opened(seat, opened)


class FastPath:
    """Whole record batches through the kernels."""

    def __init__(self, task: Task) -> None:
        from grievance.kernels import BatchPrio3

        self._kernels: BatchPrio3 = BatchPrio3(task.vdaf)

    def verify(self, seat: Seat, opened: Opened) -> Verified:
        """Verify all rows at once."""
        import numpy as np

        found = self._kernels.verify(
            seat.verify_key,
            seat.task.ctx,
            seat.index,
            np.ascontiguousarray(_matrix(opened.commitments, COMMITMENT_SIZE)[:, :NONCE_SIZE]),
            _matrix(opened.publics, seat.task.vdaf.PUBLIC_SHARE_SIZE),
            _shares(seat, opened),
            np.frombuffer(bytes(opened.statuses), np.uint8).copy(),
        )
        shares = VerifierShares(found.statuses.tobytes(), found.verifier_shares.tobytes())
        return Verified(shares, found.total)

    def decide(
        self, task: Task, publics: Sequence[bytes], found: Sequence[VerifierShares], start: int
    ) -> list[Verdict]:
        """Decide all rows at once; an aggregator's own refusal comes before the proof."""
        import numpy as np

        width, num = task.vdaf.VERIFIER_SHARE_SIZE, len(publics)
        shares = [
            np.frombuffer(item.shares, np.uint8)[start * width : (start + num) * width].reshape(
                num, width
            )
            for item in found
        ]
        proofs, culprits = self._kernels.decide(
            _matrix(publics, task.vdaf.PUBLIC_SHARE_SIZE), shares
        )
        local = [np.frombuffer(item.statuses, np.uint8)[start : start + num] for item in found]
        verdicts: list[Verdict] = [_ACCEPTED] * num
        refused = np.flatnonzero(proofs | np.bitwise_or.reduce(local))
        for row in refused.tolist():
            by = next((i for i, statuses in enumerate(local) if statuses[row]), None)
            if by is not None:
                verdicts[row] = (Status(int(local[by][row])), by)
            else:
                verdicts[row] = (Status(int(proofs[row])), int(culprits[row]))
        return verdicts

    def total(self, seat: Seat, opened: Opened) -> list[int]:
        """Add up all rows at once."""
        present = [share for share in opened.shares if share is not None]
        if not present:
            return seat.task.vdaf.agg_init()
        width = seat.task.vdaf.input_share_size(seat.index)
        return self._kernels.sum_out_shares(seat.task.ctx, seat.index, _matrix(present, width))


def _matrix(rows: Sequence[bytes], width: int) -> np.ndarray:
    import numpy as np

    return np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), width)


def _shares(seat: Seat, opened: Opened) -> np.ndarray:
    width = seat.task.vdaf.input_share_size(seat.index)
    empty = bytes(width)
    return _matrix([empty if s is None else s for s in opened.shares], width)

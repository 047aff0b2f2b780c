"""Open and verify batches, in this process or in several, in the order of the rows.

Opening holds the interpreter's lock, so cores are used by processes. A worker gets the keys
once, through the pipe that starts it, and reads its own rows from the pool's folder; what it
computes does not leave the machine before the burn table has been asked
(`aggregator.batches`). What it read is held against the relay's signature by the digests it
hands back, so a file that changes below it spoils nothing.
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import BatchError, PoolError, StateError
from grievance.pipelines.paths import Path, path_for
from grievance.pipelines.rows import Seat, Verified, open_rows
from grievance.pool.batch import BatchFile, Span
from grievance.pool.store import FileSource
from grievance.secret import Secret, VerifyKey
from grievance.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    import pyarrow as pa

WORKER_ROWS = 40_000
"""Below so many waiting rows, starting processes (two to three seconds) costs more than it
saves."""


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


def examine_rows(seat: Seat, rows: pa.RecordBatch, path: Path) -> Examined:
    """Open and verify rows."""
    opened = open_rows(seat, rows)
    verified = path.verify(seat, opened)
    return Examined(opened.commitments, opened.publics, opened.inputs, opened.digests, verified)


class Crew:
    """Whoever opens and verifies in one sitting: this process, or several for many rows.

    `num_rows` is what waits in all batches together; processes start with the first batch
    and live until `close`. A context manager.
    """

    def __init__(self, seat: Seat, num_rows: int, workers: int = 1) -> None:
        self.seat, self.num_rows = seat, num_rows
        self._workers = workers if num_rows >= WORKER_ROWS else 1
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def path(self) -> Path:
        """The quicker path for what waits."""
        return path_for(self.seat.task, self.num_rows)

    def close(self) -> None:
        """Let the processes go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def examine(
        self, batch: BatchFile, location: str | None = None
    ) -> Iterator[tuple[Span, Examined]]:
        """Open and verify a whole batch, in order.

        `location`: where processes find the same file, if they can. Raises BatchError
        `batch.digest` when it is not the same any more, StateError when they die.
        """
        if self._workers < 2:
            for span in batch.spans():
                yield span, examine_rows(self.seat, batch.rows(span), self.path)
            return
        pool = self._start()
        ahead: deque[tuple[Span, Future[Examined]]] = deque()
        try:
            for span in batch.spans():
                source = location if location is not None else batch.rows(span)
                work = pool.submit(_work, source, batch.header.digest, span, self.num_rows)
                ahead.append((span, work))
                if len(ahead) > 2 * self._workers:
                    done, work = ahead.popleft()
                    yield done, work.result()
            while ahead:
                done, work = ahead.popleft()
                yield done, work.result()
        except BrokenProcessPool:
            raise StateError(
                "the processes that check reports have stopped; nothing was done",
                code="state.workers",
                hint="try again with one process (--workers 1); a script of your own starts them "
                'only under `if __name__ == "__main__":`',
            ) from None
        finally:
            for _, work in ahead:
                work.cancel()

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            seat = self.seat
            key = (seat.hpke.kem, seat.hpke.export().reveal(), seat.verify_key.reveal())
            self._pool = ProcessPoolExecutor(
                self._workers,
                multiprocessing.get_context("spawn"),
                initializer=_begin,
                initargs=(seat.task.data, seat.index, *key),
            )
        return self._pool


_seat: Seat | None = None
_open: tuple[bytes, BatchFile] | None = None


def _begin(task: bytes, index: int, kem: str, hpke: bytes, verify_key: bytes) -> None:
    global _seat  # noqa: PLW0603  # a worker process serves one seat for its whole life
    # On Ctrl-C the process that started us decides, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    private = HpkePrivateKey.from_export(kem, Secret(hpke))
    _seat = Seat(parse_task(task), index, private, VerifyKey(verify_key))


def _work(source: str | pa.RecordBatch, digest: bytes, span: Span, num_rows: int) -> Examined:
    if _seat is None:
        raise RuntimeError("the worker was not started")
    rows = _batch_at(_seat, source, digest).rows(span) if isinstance(source, str) else source
    return examine_rows(_seat, rows, path_for(_seat.task, num_rows))


def _batch_at(seat: Seat, location: str, digest: bytes) -> BatchFile:
    """The batch at a place, opened once. Raises BatchError when it is another one."""
    global _open  # noqa: PLW0603  # one batch at a time
    if _open is None or _open[0] != digest:
        try:
            fd = os.open(location, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                raise BatchError("the batch is gone", code="batch.digest") from None
            raise PoolError(
                f"the batch cannot be read ({error.strerror})",
                code="pool.read",
                hint="nothing was lost; run the same command again when it can",
            ) from None
        status = os.fstat(fd)
        source = FileSource(fd, status.st_size)
        if not stat.S_ISREG(status.st_mode):
            raise BatchError("the batch is gone", code="batch.digest")
        batch = BatchFile(source, seat.task)
        if batch.header.digest != digest:
            raise BatchError("the batch is another one now", code="batch.digest")
        _open = (digest, batch)
    return _open[1]

"""Open and verify batches, in this process or in several, in the order of the rows.

Opening holds the interpreter's lock, so cores are used by processes. A worker gets the keys
once, through the pipe that starts it, and reads its own rows from the pool's folder; what it
computes does not leave the machine before the burn table has been asked
(`aggregator.batches`). What it read is held against the relay's signature by the digests it
hands back, so a file that changes below it spoils nothing. Where the kernels do the work,
some rows are sent a second time, for the reference (`pipelines.spot`).
"""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
from collections import deque
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Self, TypeVar

from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import BatchError, PoolError, StateError
from grievance.pipelines import spot
from grievance.pipelines.paths import is_fast, path_for
from grievance.pipelines.rows import Seat
from grievance.pipelines.spot import Examined, examine_again, examine_rows
from grievance.pool.batch import BatchFile, Span
from grievance.pool.store import FileSource
from grievance.secret import Secret, VerifyKey
from grievance.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import pyarrow as pa

    from grievance.pipelines.paths import Path, Verdict
    from grievance.pipelines.rows import Opened
    from grievance.pool.decisions import VerifierShares

Key = TypeVar("Key")
Result = TypeVar("Result")

WORKER_ROWS = 40_000
"""Below so many waiting rows, starting processes (two to three seconds) costs more than it
saves."""


class Crew:
    """Whoever opens and verifies in one sitting: this process, or several for many rows.

    `num_rows` is what waits in all batches together: many take the kernels, and even more several
    processes, which start with the first batch and live until `close`. With `reference` the
    reference does everything. A context manager.
    """

    def __init__(
        self, seat: Seat, num_rows: int, workers: int = 1, *, reference: bool = False
    ) -> None:
        self.seat = seat
        self._workers = workers if num_rows >= WORKER_ROWS else 1
        self._fast_rows = 0 if reference else num_rows
        self._draw = spot.Draw()
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _path(self) -> Path:
        return path_for(self.seat.task, self._fast_rows)

    @property
    def _is_fast(self) -> bool:
        return is_fast(self._fast_rows)

    def close(self) -> None:
        """Let the processes go."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def decide(self, publics: Sequence[bytes], found: Sequence[VerifierShares]) -> list[Verdict]:
        """Decide every row of a batch; see `rows.decide_rows`.

        Raises StateError `state.kernels` when the reference decides one otherwise.
        """
        task = self.seat.task
        verdicts = self._path.decide(task, publics, found, 0)
        if self._is_fast:
            spot.check_decisions(task, publics, found, verdicts)
        return verdicts

    def total(self, opened: Opened) -> list[int]:
        """Add up our output shares of opened rows; see `rows.sum_opened`. Raises as `decide`."""
        if self._is_fast:
            spot.check_total(self.seat, opened, self._path)
        return self._path.total(self.seat, opened)

    def examine(
        self, batch: BatchFile, location: str | None = None
    ) -> Iterator[tuple[Span, Examined]]:
        """Open and verify a whole batch, in order.

        `location`: where processes find the same file, if they can. Raises BatchError
        `batch.digest` when it is not the same any more, StateError `state.workers` when they die
        and `state.kernels` when the reference finds something else in a row.
        """
        if self._workers < 2:
            for span in batch.spans():
                path, rows = self._path, batch.rows(span)
                first = examine_rows(self.seat, rows, path)
                chosen = self._draw.of(span) if self._is_fast else []
                if chosen:
                    again = examine_again(self.seat, rows.take(chosen), path)
                    spot.compare(self.seat.task, first, chosen, again)
                yield span, first
            return
        try:
            yield from self._in_processes(batch, location)
        except BrokenProcessPool:
            raise StateError(
                "the processes that check reports have stopped; nothing was done",
                code="state.workers",
                hint="try again with one process (--workers 1); a script of your own starts them "
                'only under `if __name__ == "__main__":`',
            ) from None

    def _in_processes(
        self, batch: BatchFile, location: str | None
    ) -> Iterator[tuple[Span, Examined]]:
        pool = self._start()

        def begin(span: Span, chosen: list[int] | None) -> Future[Examined]:
            if chosen == []:
                nothing: Future[Examined] = Future()
                nothing.set_result(spot.NOTHING)
                return nothing
            source: str | pa.RecordBatch | None = location
            if source is None:
                source = batch.rows(span) if chosen is None else batch.rows(span).take(chosen)
            digest = batch.header.digest
            return pool.submit(_work, source, digest, span, chosen, self._fast_rows)

        once = ((span, begin(span, None)) for span in batch.spans())
        found = _in_order(once, 2 * self._workers)
        if not self._is_fast:
            yield from found
            return
        drawn = ((span, first, self._draw.of(span)) for span, first in found)
        twice = (((span, first, rows), begin(span, rows)) for span, first, rows in drawn)
        for (span, first, rows), again in _in_order(twice, self._workers):
            spot.compare(self.seat.task, first, rows, again)
            yield span, first

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


def _work(
    source: str | pa.RecordBatch,
    digest: bytes,
    span: Span,
    chosen: list[int] | None,
    fast_rows: int,
) -> Examined:
    """Examine a span; or, where rows of it are chosen, those, and by the reference.

    `source` is where the batch's file is, or the rows themselves.
    """
    if _seat is None:
        raise RuntimeError("the worker was not started")
    path = path_for(_seat.task, fast_rows)
    if isinstance(source, str):
        rows = _batch_at(_seat, source, digest).rows(span)
        rows = rows if chosen is None else rows.take(chosen)
    else:
        rows = source
    if chosen is None:
        return examine_rows(_seat, rows, path)
    return examine_again(_seat, rows, path)


def _in_order(
    work: Iterable[tuple[Key, Future[Result]]], ahead: int
) -> Iterator[tuple[Key, Result]]:
    """Hand on results in the order in which work was begun, with so much more of it begun."""
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    try:
        for begun in work:
            waiting.append(begun)
            if len(waiting) > ahead:
                key, done = waiting.popleft()
                yield key, done.result()
        while waiting:
            key, done = waiting.popleft()
            yield key, done.result()
    finally:
        for _, left in waiting:
            left.cancel()


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

"""Open and verify record batches, in this process or in several, in the batch's order.

Opening holds the interpreter's lock, so cores are used by processes. A worker gets the keys
once, through the pipe that starts it, and then only the columns it needs; what it computes
does not leave the machine before the burn table has been asked (`aggregator.batches`).
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto.hpke import HpkePrivateKey
from grievance.errors import StateError
from grievance.pipelines.paths import path_for
from grievance.pipelines.rows import Seat, Verified, open_rows
from grievance.secret import Secret, VerifyKey
from grievance.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    import pyarrow as pa

WORKER_ROWS = 50_000
"""Below so many rows in a batch, starting processes (two to three seconds) costs more than it
saves."""


@dataclass(frozen=True, repr=False)
class Examined:
    """Rows opened and verified: nonces and digests for the burn table, findings and their sum."""

    nonces: list[bytes]
    digests: list[bytes]
    verified: Verified


def examine_rows(seat: Seat, batch: pa.RecordBatch, num_rows: int) -> Examined:
    """Open and verify one record batch of a batch of `num_rows`."""
    opened = open_rows(seat, batch)
    return Examined(
        opened.nonces, opened.digests, path_for(seat.task, num_rows).verify(seat, opened)
    )


def examine_all(
    seat: Seat, batches: Iterable[pa.RecordBatch], num_rows: int, workers: int
) -> Iterator[Examined]:
    """Open and verify all record batches of a batch, in order, with so many processes."""
    if workers < 2 or num_rows < WORKER_ROWS:
        for batch in batches:
            yield examine_rows(seat, batch, num_rows)
        return
    key = (seat.hpke.kem, seat.hpke.export().reveal(), seat.verify_key.reveal())
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(seat.task.data, seat.index, *key),
    )
    ahead: deque[Future[Examined]] = deque()
    try:
        for batch in batches:
            ahead.append(pool.submit(_work, _strip(seat, batch), num_rows))
            if len(ahead) > 2 * workers:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()
    except BrokenProcessPool:
        raise StateError(
            "the processes that check reports have stopped; nothing was done",
            code="state.workers",
            hint="try again with one process (--workers 1); a script of your own starts them "
            'only under `if __name__ == "__main__":`',
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _strip(seat: Seat, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Only our own ciphertexts go to a worker; the others' columns become empty."""
    import pyarrow as pa

    ours = 2 + seat.index
    columns = [
        column if place in (0, 1, ours) else pa.nulls(batch.num_rows, pa.null())
        for place, column in enumerate(batch.columns)
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


_seat: Seat | None = None


def _start(task: bytes, index: int, kem: str, hpke: bytes, verify_key: bytes) -> None:
    global _seat  # noqa: PLW0603  # a worker process serves one seat for its whole life
    # On Ctrl-C the process that started us decides, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    private = HpkePrivateKey.from_export(kem, Secret(hpke))
    _seat = Seat(parse_task(task), index, private, VerifyKey(verify_key))


def _work(batch: pa.RecordBatch, num_rows: int) -> Examined:
    if _seat is None:
        raise RuntimeError("the worker was not started")
    return examine_rows(_seat, batch, num_rows)

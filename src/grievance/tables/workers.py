"""Sealing rows, in this process or in several; results come in the order of the input.

What crosses to a worker process: once the task's bytes, then raw answers in chunks; what
comes back: reports as bytes, or why a row is refused. Answers therefore stand for a moment
in the pipe between processes of the same user, as they do in the memory of this one. No key
and no randomness ever crosses.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import TYPE_CHECKING

from grievance.client.seal import seal
from grievance.errors import AnswerError, UsageError
from grievance.task import parse_task

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future

    from grievance.task import Task

Answers = dict[str, object]
Problem = tuple[str, str, str]
"""A refused row: field, reason, code."""

Sealer = Callable[[list[Answers]], list[bytes | Problem]]

FAST_ROWS = 2_000
"""Tables of more rows take the kernels, which take a moment to load, and longer the first time."""

_CHUNK = 64
_FAST_CHUNK = 512
_seal_chunk: Sealer | None = None  # in a worker process: how it seals


def seal_in_order(
    task: Task, rows: Iterable[Answers], workers: int | None
) -> Iterator[bytes | Problem]:
    """Yield for every row the report's bytes, or why the plan refuses the answers.

    With `workers` the rows go to that many spawned processes, a few chunks ahead of what was
    taken. Raises UsageError when the processes do not start or die.
    """
    if workers is not None and workers < 1:
        raise UsageError("sealing needs at least one process", code="usage.workers")
    iterator = iter(rows)
    first = list(islice(iterator, FAST_ROWS + 1))
    fast = len(first) > FAST_ROWS
    chunks = _chunks(chain(first, iterator), _FAST_CHUNK if fast else _CHUNK)
    if workers is None:
        seal_chunk = _sealer(task, fast=fast)
        for chunk in chunks:
            yield from seal_chunk(chunk)
    else:
        yield from _in_processes(task, chunks, workers, fast=fast)


def _in_processes(
    task: Task, chunks: Iterable[list[Answers]], workers: int, *, fast: bool
) -> Iterator[bytes | Problem]:
    pool = ProcessPoolExecutor(
        workers,
        multiprocessing.get_context("spawn"),
        initializer=_start,
        initargs=(task.data, fast),
    )
    waiting: deque[Future[list[bytes | Problem]]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(_work, chunk))
            if len(waiting) > 2 * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    except BrokenProcessPool:
        raise UsageError(
            "the processes that seal have stopped",
            code="usage.workers",
            hint='start them from a script under `if __name__ == "__main__":`, or leave out '
            "`workers`",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _sealer(task: Task, *, fast: bool) -> Sealer:
    """How a chunk of rows is sealed: one by one on the reference path, or all at once."""
    if not fast:
        return lambda chunk: [_seal_one(task, answers) for answers in chunk]
    from grievance.tables.bulk import BulkSealer

    bulk = BulkSealer(task)
    return lambda chunk: [
        _problem(item) if isinstance(item, AnswerError) else item for item in bulk.seal(chunk)
    ]


def _seal_one(task: Task, answers: Answers) -> bytes | Problem:
    """Seal one row's answers, or say why the plan refuses them."""
    try:
        return seal(task, answers).to_bytes()
    except AnswerError as error:
        return _problem(error)


def _problem(error: AnswerError) -> Problem:
    return error.field, error.message.removeprefix(f"{error.field}: "), error.code


def _chunks(rows: Iterable[Answers], size: int) -> Iterator[list[Answers]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _start(task_data: bytes, fast: bool) -> None:
    """Run once in a new worker process. The caller loaded this task and vouches for it."""
    global _seal_chunk  # noqa: PLW0603 - a process pool's only way to hand over once
    # On Ctrl-C the process that started us decides, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _seal_chunk = _sealer(parse_task(task_data), fast=fast)


def _work(chunk: list[Answers]) -> list[bytes | Problem]:
    """Run in a worker process."""
    if _seal_chunk is None:
        raise UsageError("this process was not started to seal", code="usage.workers")
    return _seal_chunk(chunk)

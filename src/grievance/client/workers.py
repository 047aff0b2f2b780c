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
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
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

_CHUNK = 64
_task: Task | None = None  # in a worker process: the task it seals for


def seal_in_order(
    task: Task, rows: Iterable[Answers], workers: int | None
) -> Iterator[bytes | Problem]:
    """Yield for every row the report's bytes, or why the plan refuses the answers.

    With `workers` the rows go to that many spawned processes, a few chunks ahead of what was
    taken. Raises UsageError when the processes do not start or die.
    """
    if workers is None:
        for answers in rows:
            yield seal_one(task, answers)
        return
    if workers < 1:
        raise UsageError("sealing needs at least one process", code="usage.workers")
    pool = ProcessPoolExecutor(
        workers, multiprocessing.get_context("spawn"), initializer=_start, initargs=(task.data,)
    )
    waiting: deque[Future[list[bytes | Problem]]] = deque()
    try:
        for chunk in _chunks(rows):
            waiting.append(pool.submit(_seal_chunk, chunk))
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


def seal_one(task: Task, answers: Answers) -> bytes | Problem:
    """Seal one row's answers, or say why the plan refuses them."""
    try:
        return seal(task, answers).to_bytes()
    except AnswerError as error:
        return error.field, error.message.removeprefix(f"{error.field}: "), error.code


def _chunks(rows: Iterable[Answers]) -> Iterator[list[Answers]]:
    iterator = iter(rows)
    while chunk := list(islice(iterator, _CHUNK)):
        yield chunk


def _start(task_data: bytes) -> None:
    """Run once in a new worker process. The caller loaded this task and vouches for it."""
    global _task  # noqa: PLW0603 - a process pool's only way to hand over once
    # On Ctrl-C the process that started us decides, and says so once.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _task = parse_task(task_data)


def _seal_chunk(chunk: list[Answers]) -> list[bytes | Problem]:
    """Run in a worker process."""
    if _task is None:
        raise UsageError("this process was not started to seal", code="usage.workers")
    return [seal_one(_task, answers) for answers in chunk]

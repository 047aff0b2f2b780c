"""A folder that the relay owns: reports come in on top, and leave it for folders beside.

    SPOOL/<name>.report, <name>.reports     not passed on yet
    SPOOL/relayed/<batch>/                  passed on in this batch
    SPOOL/refused/                          does not read

A file is moved when all its reports are remembered, so a cut anywhere leaves it on top, and the
next look moves it without sending anything again. What is in `relayed` tells which rows of a
batch are real, so it is deleted as soon as every aggregator has decided the batch. What the close
left uncounted is kept for some days, so that people can be told, and then deleted too.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from grievance.errors import ReportError, after_fault
from grievance.failpoints import failpoint
from grievance.pool.layout import RoundPaths
from grievance.pool.store import sync_folder
from grievance.relay.files import REFUSED, Refused, files_in, move, read_files, set_aside
from grievance.relay.memory import Memory, is_decided, is_over, recall, tidy
from grievance.relay.passing import Passed, pass_on

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grievance.aggregator import Office
    from grievance.pool.order import OrderChain
    from grievance.relay.files import Taken
    from grievance.task import Task

RELAYED = "relayed"
_ARRIVING = timedelta(minutes=1)


@dataclass(frozen=True)
class Rule:
    """When what lies there goes out: at least so many new reports, or so long after the last time.

    Either is enough; with neither it goes at once.
    """

    at_least: int | None = None
    every: timedelta | None = None

    def is_due(self, waiting: int, looked: str | None, now: datetime) -> bool:
        """Whether it is time. `looked`: when it last was, also where nothing lay there then."""
        if self.at_least is None and self.every is None:
            return True
        if self.at_least is not None and waiting >= self.at_least:
            return True
        if self.every is None:
            return False
        # A clock that was set back must not hold reports up for years.
        last = datetime.fromisoformat(looked) if looked else None
        return last is None or last > now or now - last >= self.every


@dataclass(frozen=True)
class Left:
    """What of ours a closed round does not count: reports never passed on, batches, until when.

    `until`: when the files are deleted; None where there are none.
    """

    reports: int
    batches: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True)
class Look:
    """What one look at the spool did.

    `passed`: None while it is not time, or after the close. `waiting`: new reports that stay.
    `refused`: files that do not read, with the place they were moved to, if they could be.
    `deleted`: files of reports.
    """

    passed: Passed | None
    waiting: int
    refused: tuple[tuple[Refused, Path | None], ...]
    found: int
    left: Left | None
    deleted: int


def look(
    office: Office,
    task: Task,
    chain: OrderChain,
    spool: Path,
    rule: Rule,
    now: datetime,
    *,
    keep_days: int,
    lost: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Look:
    """Take what is new in the spool, if it is time, and put every file where it belongs.

    Raises what `recall` and `pass_on` raise, and ReportError `relay.move`.
    """
    if chain.closed:
        return _after_close(office, task, chain, spool, now, keep_days)
    memory = recall(office, task, chain, now, lost=lost)
    office.publish()
    taken, refused = _take(spool, task, memory, now)
    waiting = len({report.digest for file in taken for report in file.new})
    known, passed = office.state.relaying(task.digest), None
    if rule.is_due(waiting, known.looked if known else None, now):
        passed = pass_on(office, task, taken, progress)
        with office.state.transaction():
            office.state.note_relaying(task.digest, task.round_id, looked=now.isoformat())
        waiting, memory = 0, recall(office, task, chain, now)
    _put_away(spool, taken, memory)
    deleted = _delete_decided(office, chain, spool)
    return Look(passed, waiting, refused, len(memory.found), None, deleted)


def _take(
    spool: Path, task: Task, memory: Memory, now: datetime
) -> tuple[list[Taken], tuple[tuple[Refused, Path | None], ...]]:
    """Read what lies on top, and set aside what does not read."""
    if not files_in(spool):
        return [], ()
    taken, refused = read_files([spool], task, memory.path_of)
    aside = [one for one in refused if not _may_be_arriving(one.path, now)]
    return taken, tuple((one, set_aside(one.path)) for one in aside)


def _may_be_arriving(path: Path, now: datetime) -> bool:
    """Whether somebody may be copying this file right now."""
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, now.tzinfo)
    except OSError:
        return False
    return now - _ARRIVING < written <= now


def _put_away(spool: Path, taken: Sequence[Taken], memory: Memory) -> None:
    """Move every file all of whose reports have gone out into the folder of its first batch."""
    path_of = memory.path_of
    for file in taken:
        if all(digest in path_of for digest in file.digests):
            batch = path_of[file.digests[0]].rsplit("/", 1)[-1]
            move(file.path, spool / RELAYED / batch / file.path.name)


def _delete_decided(office: Office, chain: OrderChain, spool: Path) -> int:
    """Delete the files of batches that every aggregator has decided; the batches are kept."""
    paths, deleted = RoundPaths(chain.task.round_id), 0
    for batch in chain.counted:
        folder = spool / RELAYED / paths.batch(batch.partner, batch.digest).rsplit("/", 1)[-1]
        if folder.is_dir() and is_decided(office.home, chain.task, batch.seq):
            deleted += _delete(folder)
    return deleted


def _after_close(
    office: Office, task: Task, chain: OrderChain, spool: Path, now: datetime, keep_days: int
) -> Look:
    """Say what is not counted, and delete it when it has been kept long enough."""
    state, paths = office.state, RoundPaths(task.round_id)
    if state.relaying(task.digest) is None and files_in(spool):
        with state.transaction():
            state.note_relaying(task.digest, task.round_id)
    rows = state.relayed(task.digest)
    memory = Memory.of(rows)
    taken, refused = _take(spool, task, memory, now)
    _put_away(spool, taken, memory)
    counted = {paths.batch(batch.partner, batch.digest) for batch in chain.counted}
    late = tuple(path for path in rows if path not in counted)
    unsent = len({report.digest for file in taken for report in file.new})
    deleted = _delete_decided(office, chain, spool)
    over = tidy(office, task, chain, now, keep_days)
    if not over:
        office.publish()
    known = state.relaying(task.digest)
    since = known.closed if known is not None else None
    until = datetime.fromisoformat(since) + timedelta(days=keep_days) if since else None
    if over or is_over(since, now, keep_days):
        deleted += sum(map(_delete, [spool, spool / REFUSED, *_folders(spool / RELAYED)]))
        until = None
    left = Left(unsent, late, until) if unsent or late else None
    return Look(None, 0, refused, 0, left, deleted)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _delete(folder: Path) -> int:
    """Delete the files of reports in a folder, and the folder itself if it is one of ours.

    Returns how many. Raises ReportError `relay.move`.
    """
    files = files_in(folder) if folder.is_dir() else []
    for path in files:
        try:
            path.unlink(missing_ok=True)
            failpoint("relay.deleted")
        except OSError as error:
            raise ReportError(
                f"{path} cannot be deleted: {error.strerror}",
                code="relay.move",
                hint=after_fault(error),
            ) from None
    if folder.parent.name == RELAYED and not any(folder.iterdir()):
        folder.rmdir()
        sync_folder(folder.parent)
    return len(files)

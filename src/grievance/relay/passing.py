"""Pass reports on: remember first, put then, and put the same bytes again after a cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.failpoints import failpoint
from grievance.pool.batch import batch_digest
from grievance.pool.layout import RoundPaths
from grievance.pool.preflight import check_writable
from grievance.pool.relay import make_batches
from grievance.relay.memory import remember

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grievance.aggregator import Office
    from grievance.relay.files import Taken
    from grievance.task import Task


@dataclass(frozen=True)
class Passed:
    """What went out: how many different new reports, blank ones beside them, in which batches.

    `paths` are places in the pool; none when nothing was new. `twice`: copies of reports in the
    same files; `before`: different reports that an earlier batch of ours holds.
    """

    reports: int
    blank: int
    paths: tuple[str, ...]
    twice: int
    before: int


def pass_on(
    office: Office,
    task: Task,
    taken: Sequence[Taken],
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Passed:
    """Make one batch (or as few as fit) of what is new in the files, and put it into the pool.

    `taken` was read against `recall`. Nothing new makes no batch. Cover is drawn here, once; from
    the commit on the batch is the same bytes for ever, whatever stops us. Raises PoolError.
    """
    new = {report.digest: report for file in taken for report in file.new}
    every = [digest for file in taken for digest in file.digests]
    twice, before = len(every) - len(set(every)), len(set(every)) - len(new)
    if not new:
        return Passed(0, 0, (), twice, before)
    check_writable(office.home.store)
    batches = make_batches(task, list(new.values()), office.home.key, progress=progress)
    paths = RoundPaths(task.round_id)
    made = {paths.batch(office.home.name, batch_digest(data)): data for data in batches}
    with office.state.transaction():
        rows = sum(remember(office, task, path, data) for path, data in made.items())
        failpoint("relay.remembered")
    office.publish()
    return Passed(len(new), rows - len(new), tuple(made), twice, before)

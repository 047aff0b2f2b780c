"""A rehearsal: the trustees answer as they would after a loss, and nothing is written.

The key files come back into memory, are compared with the real ones, and are forgotten. Only
then does the owner sign that the backup works.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from grievance.backup import archive, owner, pending
from grievance.backup.rehearsed import make_rehearsed
from grievance.backup.requests import Answers, collect_answers, reconstruct
from grievance.errors import PoolError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.pool.layout import BackupPaths

if TYPE_CHECKING:
    from grievance.backup.requests import Request
    from grievance.backup.sets import BackupSet
    from grievance.home import Home

_NAME = "rehearse"


@dataclass(frozen=True, repr=False)
class Rehearsal:
    """A rehearsal under way, or done: then `day` is set and recorded in the pool."""

    request: Request
    backup_set: BackupSet
    answers: Answers
    day: str | None


def rehearse(home: Home, today: date | None = None) -> Rehearsal:
    """Ask the trustees as after a loss; run again, finish when enough have answered.

    Raises UsageError when there is no backup, StateError `backup.differs` when what came back is
    not what lies here, PoolError when the pieces make another key or the pool has no archive.
    """
    backup_set = owner.current_set(home)
    if backup_set is None:
        raise no_backup(home.name)
    owner.refresh(home)
    with home.lock():
        going = _pending(home, backup_set)
        pending.publish(home.store, going)
        answers = collect_answers(home.store, backup_set, going.request, going.key)
        enough = len(answers.pieces) >= backup_set.threshold
        if not (enough or answers.hopeless(backup_set)):
            return Rehearsal(going.request, backup_set, answers, None)
        key = reconstruct(backup_set, answers)
        newest = archive.newest_archive(home.store, backup_set)
        if newest is None:
            raise PoolError(
                "the pool has no archive of ours",
                code="backup.archive",
                hint="wait until the pool has arrived whole",
            )
        if archive.open_archive(backup_set, newest, key) != archive.collect_files(home):
            raise StateError(
                "what the backup gives back is not what lies here",
                code="backup.differs",
                hint="wait until the pool has arrived whole; if it stays so, make a new backup",
            )
        day = (today or datetime.now(UTC).date()).isoformat()
        record = make_rehearsed(
            backup_set,
            home.key,
            day=day,
            request=going.request.digest,
            trustees=answers.answered,
            number=newest.number,
        )
        home.store.put(BackupPaths(home.name).rehearsed(backup_set.set_id), record)
        failpoint("rehearsal.recorded")
        owner.settle_on(home, backup_set)
        pending.forget(home.root, _NAME)
    return Rehearsal(going.request, backup_set, answers, day)


def no_backup(name: str) -> UsageError:
    """There is no backup of this organisation's keys."""
    return UsageError(
        f"{name} has no backup of its keys",
        code="backup.missing",
        hint="make one with: grievance backup make --to NAME:FINGERPRINT --to NAME:FINGERPRINT",
    )


def _pending(home: Home, backup_set: BackupSet) -> pending.Pending:
    """The rehearsal under way for this set, or a new one; one for an older set is dropped."""
    if pending.pending_set(home.root, _NAME) == backup_set.set_id:
        return pending.resume(home.root, _NAME, backup_set, home.passphrase)
    return pending.begin(
        home.root, _NAME, backup_set, home.key, rehearsal=True, passphrase=home.passphrase
    )

"""What an organisation does for its own backup: make it, keep it up to date, say how it stands.

What it remembers in `backup.json` is nothing secret: which set is in use, the set's document
(put into the pool again should it vanish), and what the last archive held. The backup key itself
is forgotten as soon as it is split. So after a round is destroyed, its keys are in older archives
alone, which are deleted from the pool as far as that goes: copies elsewhere (a synced folder's
history, somebody's disk) may survive, and open to whoever has `threshold` pieces.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from grievance.backup import archive, sets
from grievance.backup.rehearsed import read_rehearsed
from grievance.backup.requests import read_answer, read_requests
from grievance.backup.split import BackupKey, archive_key, split
from grievance.errors import GrievanceError, PoolError, StateError, UsageError
from grievance.failpoints import failpoint
from grievance.home import read_mailbox
from grievance.pool.layout import BackupPaths
from grievance.pool.store import find
from grievance.task.backup import MAX_TRUSTEES, MIN_THRESHOLD, BackupClaim, ClaimedTrustee

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grievance.backup.sets import BackupSet
    from grievance.home import Home
    from grievance.pool.store import Store
    from grievance.task import Identity

KEPT_ARCHIVES = 3
"""So many archives stay in the pool, for folders in which a new file arrives late or damaged."""


@dataclass
class _Note:
    """What a home remembers about its backup."""

    backup_set: BackupSet
    number: int
    contents: str
    paths: list[str]
    keep_from: int
    sweep_others: bool

    @classmethod
    def read(cls, home: Home) -> _Note | None:
        value = home.read_settings("backup")
        if not value:
            return None
        try:
            document = str(value["document"]).encode()
            return cls(
                sets.parse_set(document, home.identity, str(value["set"])),
                int(value["number"]),
                str(value["contents"]),
                [str(path) for path in value["paths"]],
                int(value["keep_from"]),
                bool(value["sweep_others"]),
            )
        except (KeyError, TypeError, ValueError, GrievanceError):
            raise StateError(
                f"{home.settings_file('backup')} is damaged",
                code="home.damaged",
                hint="move it away and make a new backup: grievance backup make",
            ) from None

    def write(self, home: Home) -> None:
        home.write_settings(
            "backup",
            {
                "set": self.backup_set.set_id,
                "document": self.backup_set.data.decode(),
                "number": self.number,
                "contents": self.contents,
                "paths": self.paths,
                "keep_from": self.keep_from,
                "sweep_others": self.sweep_others,
            },
        )


@dataclass(frozen=True)
class Refreshed:
    """A new archive was published. `left`: older ones that could not be deleted.

    `forgotten`: keys are gone from the home since the last one, and so from the backup.
    """

    number: int
    forgotten: bool
    deleted: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def make(
    home: Home, trustees: Sequence[Identity], threshold: int, today: date | None = None
) -> BackupSet:
    """Draw a backup key, split it among the trustees, and publish the first archive.

    `trustees` are identities this organisation has compared. Any `threshold` of them will be
    able to act as this organisation. Replaces the backup there was, once it is rehearsed.
    Raises UsageError, PoolError (no mailbox, or not different organisations), KeyFileError.
    """
    if not MIN_THRESHOLD <= threshold <= len(trustees) <= MAX_TRUSTEES:
        raise UsageError(
            f"{threshold} of {len(trustees)} trustees cannot be",
            code="backup.threshold",
            hint=f"name at most {MAX_TRUSTEES} trustees, and a threshold from {MIN_THRESHOLD} to "
            "their number",
        )
    owner, store = home.identity, home.store
    sets.check_trustees(owner, trustees)
    mailboxes = [read_mailbox(store, trustee) for trustee in trustees]
    home.mailbox()
    with home.lock():
        known = [one.number for one in sets.read_sets(store, owner)]
        before = _Note.read(home)
        key = BackupKey.generate()
        pieces = split(key, threshold, len(trustees))
        set_id = secrets.token_hex(8)
        document = sets.make_set(
            owner,
            home.key,
            set_id=set_id,
            number=1 + max([*known, before.backup_set.number if before else 0]),
            made=(today or datetime.now(UTC).date()).isoformat(),
            threshold=threshold,
            archives=archive_key(key).public,
            pieces=list(zip(trustees, mailboxes, pieces, strict=True)),
        )
        made = sets.parse_set(document, owner, set_id)
        # The archive first: a set in the pool has something to give back.
        note = _Note(made, 0, "", [], 1, sweep_others=False)
        _publish(home, note, archive.collect_files(home))
    return made


def refresh(home: Home) -> Refreshed | None:
    """Publish a new archive when the key files have changed. None: nothing to do.

    To be called after anything that makes or deletes keys, and not while the home's lock is
    held. When keys were deleted, all older archives are deleted from the pool; what cannot be
    deleted now is tried again the next time. Raises StateError when another command is at work.
    """
    if not home.read_settings("backup"):
        return None
    with home.lock():
        note = _Note.read(home)
        if note is None:
            return None
        _put_set(home, note.backup_set)
        files = archive.collect_files(home)
        changed = note.contents != _contents(files)
        if changed or archive.read_archive(home.store, note.backup_set, note.number) is None:
            return _publish(home, note, files)
        _sweep(home, note)
    return None


def _publish(home: Home, note: _Note, files: archive.Files) -> Refreshed:
    """Publish the next archive of a set, remember it, and delete what it replaces."""
    backup_set = note.backup_set
    there = archive.archive_numbers(home.store, home.name, backup_set.set_id)
    number = 1 + max([note.number, *there])
    data = archive.seal_archive(backup_set, number, archive.pack(files), home.key)
    home.store.put(BackupPaths(home.name).archive(backup_set.set_id, number), data)
    failpoint("backup.archived")
    _put_set(home, backup_set)
    failpoint("backup.published")
    forgotten = not set(note.paths) <= set(files)
    note.number, note.contents, note.paths = number, _contents(files), sorted(files)
    note.keep_from = number if forgotten else max(note.keep_from, number - KEPT_ARCHIVES + 1)
    note.sweep_others = note.sweep_others or forgotten
    note.write(home)
    failpoint("backup.noted")
    deleted, left = _sweep(home, note)
    return Refreshed(number, forgotten, tuple(deleted), tuple(left))


def _put_set(home: Home, backup_set: BackupSet) -> None:
    path = BackupPaths(home.name).set(backup_set.set_id)
    held = find(home.store, path, sets.LIMIT)
    if held is None or bytes(held) != backup_set.data:
        home.store.put(path, backup_set.data)


def _sweep(home: Home, note: _Note) -> tuple[list[str], list[str]]:
    """Delete archives that are replaced. Returns what was deleted, and what could not be."""
    paths, store, current = BackupPaths(home.name), home.store, note.backup_set.set_id
    doomed = [
        paths.archive(current, number)
        for number in archive.archive_numbers(store, home.name, current)
        if number < note.keep_from
    ]
    if note.sweep_others:
        for one in sets.read_sets(store, home.identity):
            if one.set_id != current:
                numbers = archive.archive_numbers(store, home.name, one.set_id)
                doomed += [paths.archive(one.set_id, number) for number in numbers]
    deleted, left = [], []
    for path in doomed:
        try:
            store.delete(path)
        except PoolError:
            left.append(path)
        else:
            deleted.append(path)
    return deleted, left


def adopt(home: Home, backup_set: BackupSet, number: int, paths: Iterable[str]) -> None:
    """Go on with a backup after the home was restored from it.

    `paths` were in its archive. What of them the home does not have is forgotten: the next
    archive replaces all that hold it.
    """
    held = sorted({*archive.collect_files(home), *paths})
    _Note(backup_set, number, "", held, 1, sweep_others=False).write(home)


def settle_on(home: Home, backup_set: BackupSet) -> None:
    """Let older backups go, now that this one was rehearsed."""
    note = _Note.read(home)
    if note is not None and note.backup_set.set_id == backup_set.set_id:
        note.sweep_others = True
        note.write(home)
        _sweep(home, note)


def current_set(home: Home) -> BackupSet | None:
    """The backup in use; None when there is none. Raises StateError."""
    note = _Note.read(home)
    return note.backup_set if note is not None else None


def statement(home: Home) -> BackupClaim | None:
    """What a card may say about our backup; None when there is none that was rehearsed."""
    backup_set = current_set(home)
    return _claim(home.store, backup_set) if backup_set is not None else None


def statement_of(store: Store, owner: Identity) -> BackupClaim | None:
    """What the pool says about another's backup: the newest of those that were rehearsed."""
    claims = (_claim(store, one) for one in reversed(sets.read_sets(store, owner)))
    return next((claim for claim in claims if claim is not None), None)


def _claim(store: Store, backup_set: BackupSet) -> BackupClaim | None:
    rehearsed = read_rehearsed(store, backup_set)
    if rehearsed is None:
        return None
    trustees = tuple(ClaimedTrustee(one.name, one.identity.key) for one in backup_set.trustees)
    return BackupClaim(backup_set.set_id, backup_set.threshold, trustees, rehearsed.day)


@dataclass(frozen=True)
class BackupStatus:
    """How our backup stands. `requests`: every request for our pieces, with who answered it."""

    set_id: str
    made: str
    threshold: int
    trustees: list[str]
    rehearsed: str | None
    rehearsed_with: list[str]
    archive: int
    up_to_date: bool
    requests: list[dict[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Everything, for machines."""
        return {"set": self.set_id, **{k: v for k, v in vars(self).items() if k != "set_id"}}


def status(home: Home) -> BackupStatus | None:
    """Read how our backup stands from the pool and the home; None when there is none."""
    note = _Note.read(home)
    if note is None:
        return None
    backup_set, store = note.backup_set, home.store
    rehearsed = read_rehearsed(store, backup_set)
    here = archive.read_archive(store, backup_set, note.number) is not None
    every = {one.set_id: one for one in sets.read_sets(store, home.identity)}
    requests = [
        {
            "request": request.request_id,
            "set": request.set_id,
            "rehearsal": request.rehearsal,
            "answered": [
                trustee.name
                for trustee in every[request.set_id].trustees
                if read_answer(store, every[request.set_id], request, trustee) is not None
            ],
        }
        for request in read_requests(store, list(every.values()))
    ]
    return BackupStatus(
        set_id=backup_set.set_id,
        made=backup_set.made,
        threshold=backup_set.threshold,
        trustees=backup_set.names,
        rehearsed=rehearsed.day if rehearsed else None,
        rehearsed_with=list(rehearsed.trustees) if rehearsed else [],
        archive=note.number,
        up_to_date=here and note.contents == _contents(archive.collect_files(home)),
        requests=requests,
    )


def _contents(files: archive.Files) -> str:
    return hashlib.sha256(archive.pack(files)).hexdigest()

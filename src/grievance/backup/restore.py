"""Restore: a new machine asks the trustees, and writes the key files they give back.

Run twice (or as often as one likes): the first time it publishes a request, whose fingerprint is
read out to the trustees; once enough of them have answered, it puts the backup key together,
opens the newest archive and writes the files. Nothing that exists is ever overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance import task as tasks
from grievance.backup import archive, owner, pending
from grievance.backup.requests import Answers, Request, collect_answers, reconstruct
from grievance.backup.sets import BackupSet, read_sets
from grievance.crypto import keys
from grievance.crypto.fingerprint import matches, short
from grievance.crypto.signing import SigningKey
from grievance.errors import (
    GrievanceError,
    KeyFileError,
    LedgerError,
    OpenError,
    PoolError,
    StateError,
    TrustError,
    UsageError,
)
from grievance.failpoints import failpoint
from grievance.home import Home, read_identity
from grievance.ledger import read_ledger
from grievance.pool.layout import RoundPaths
from grievance.pool.places import check_apart
from grievance.pool.rounds import own_cards, read_task, read_task_and_signatures
from grievance.pool.store import SMALL_FILE_SIZE, find

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.pool.store import Store
    from grievance.task import Identity

_NAME = "restore"


@dataclass(frozen=True, repr=False)
class Restore:
    """A restore under way: the request, and the answers so far."""

    identity: Identity
    backup_set: BackupSet
    request: Request
    answers: Answers

    @property
    def ready(self) -> bool:
        """Whether enough trustees have answered."""
        return len(self.answers.pieces) >= self.backup_set.threshold


@dataclass(frozen=True)
class Restored:
    """What was restored.

    `unreadable` are archives in the pool that should be newer, but carry no signature of ours;
    `missing` are rounds, not destroyed, for which we published a card whose key did not come
    back; `destroyed` are rounds whose keys were in the archive, and are not written again because
    our ledger says that we destroyed them.
    """

    home: Home
    archive: int
    files: list[str]
    unreadable: list[int]
    missing: list[str]
    destroyed: list[str]


def ask(
    store: Store,
    name: str,
    folder: Path,
    *,
    fingerprint: str | None = None,
    set_id: str | None = None,
    passphrase: str | None = None,
) -> Restore:
    """Ask the trustees of `name`, or go on asking; the request's key is kept in `folder`.

    `fingerprint` is the organisation's own, where somebody still has it on paper. Without
    `set_id` the newest backup is taken. Raises UsageError when the folder is in use, TrustError
    for another fingerprint, PoolError when the pool has no backup of this organisation.
    """
    if (folder / archive.ORGANISATION).exists():
        raise UsageError(
            f"{folder} already belongs to an organisation",
            code="home.exists",
            hint="restore into a new folder: --home NEW",
        )
    check_apart(folder, store.location)
    identity = read_identity(store, name)
    if fingerprint is not None and not matches(fingerprint, identity.key.fingerprint):
        raise TrustError(
            f"the key of {name} in the pool is not the one you were told",
            code="trust.fingerprint",
            hint=f"the pool says {short(identity.key.fingerprint)}; look at your own posters",
        )
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    waiting = pending.pending_set(folder, _NAME)
    backup_set = _choose(store, identity, set_id or waiting)
    if waiting == backup_set.set_id:
        going = pending.resume(folder, _NAME, backup_set, passphrase)
    else:
        # Nobody knows this key: whoever asks has no other yet. The voice says who it is.
        signer = SigningKey.generate()
        going = pending.begin(
            folder, _NAME, backup_set, signer, rehearsal=False, passphrase=passphrase
        )
    pending.publish(store, going)
    answers = collect_answers(store, backup_set, going.request, going.key)
    return Restore(identity, backup_set, going.request, answers)


def _choose(store: Store, identity: Identity, set_id: str | None) -> BackupSet:
    """The set to restore from: the named one, or the newest that has an archive."""
    for one in reversed(read_sets(store, identity)):
        if set_id == one.set_id:
            return one
        if set_id is None and archive.newest_archive(store, one) is not None:
            return one
    raise PoolError(
        f"the pool has no backup {set_id or ''} of {identity.name} that its key signed",
        code="backup.unknown",
        hint="wait until the pool has arrived whole; without a backup, keys cannot come back",
    )


def finish(
    store: Store, asked: Restore, folder: Path, *, passphrase: str | None = None
) -> Restored:
    """Put the backup key together and write the key files into `folder`.

    `passphrase` is the one that protected the lost machine's keys, if any. Raises PoolError
    `backup.waiting` while too few sound pieces are there, naming the trustees, KeyFileError for
    a wrong passphrase (run it again) or a file that exists, StateError `backup.identity` when
    the identity that came back is not the one in the pool.
    """
    backup_set = asked.backup_set
    key = reconstruct(backup_set, asked.answers)
    newest = archive.newest_archive(store, backup_set)
    if newest is None:
        raise PoolError(
            f"the pool has no archive of {asked.identity.name} that its key signed",
            code="backup.archive",
            hint="wait until the pool has arrived whole",
        )
    try:
        files = archive.open_archive(backup_set, newest, key)
    except OpenError:
        raise PoolError(
            f"archive {newest.number} does not open with the key that the pieces make",
            code="backup.archive",
            hint="it was sealed wrong; is there an older backup? (--set)",
        ) from None
    destroyed = _destroyed(store, asked.identity, files)
    wanted = {path: data for path, data in files.items() if _round_of(path) not in destroyed}
    home = _write(wanted, asked.identity, folder, store.location, passphrase)
    _verify_keys(home)
    failpoint("restore.home")
    owner.adopt(home, backup_set, newest.number, files)
    pending.forget(folder, _NAME)
    numbers = archive.archive_numbers(store, home.name, backup_set.set_id)
    unreadable = [number for number in numbers if number > newest.number]
    missing = _missing(home)
    return Restored(home, newest.number, sorted(wanted), unreadable, missing, destroyed)


def _round_of(path: str) -> str | None:
    """The round whose key lies at this path of an archive; None for other files."""
    parts = path.split("/")
    return parts[1] if len(parts) == 3 else None


def _destroyed(store: Store, identity: Identity, files: archive.Files) -> list[str]:
    """Rounds with keys among these files that our ledger calls destroyed, as far as it is here.

    An older archive would else give back what nobody was to have any more.
    """
    try:
        log = read_ledger(store, identity.name, identity.key)
    except LedgerError:  # told when the ledger is needed; it must not keep the keys from us
        return []
    found = []
    for round_id in sorted({name for path in files if (name := _round_of(path)) is not None}):
        signed = read_task_and_signatures(store, round_id)
        if signed is not None and log.destroyed(signed[0].digest):
            found.append(round_id)
    return found


def _write(
    files: archive.Files,
    identity: Identity,
    folder: Path,
    pool: str,
    passphrase: str | None,
) -> Home:
    """Write the files, the identity first and checked, what makes the folder a home last."""
    fresh = _write_file(folder / archive.IDENTITY, files[archive.IDENTITY])
    try:
        key = keys.read_identity(folder / archive.IDENTITY, passphrase)
        if key.public != identity.key:
            raise StateError(
                f"the identity that came back is not that of {identity.name} in the pool",
                code="backup.identity",
                hint="the pool may have been tampered with; compare the fingerprint on your "
                "posters with the pool's",
            )
    except GrievanceError:
        if fresh:
            (folder / archive.IDENTITY).unlink()
        raise
    failpoint("restore.identity")
    for path, data in files.items():
        if path not in (archive.IDENTITY, archive.ORGANISATION):
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            _write_file(target, data)
    failpoint("restore.keys")
    settings = {"name": identity.name, "display_name": identity.display_name, "pool": pool}
    home = Home(folder, settings, passphrase)
    home.write_settings("organisation", settings)
    (folder / archive.ORGANISATION).chmod(0o600)
    home.mailbox()
    return home


def _write_file(path: Path, data: bytes) -> bool:
    """Write a file with mode 0600. False: it is there already, with the same bytes."""
    try:
        keys.write_file(path, data)
    except KeyFileError as error:
        # A restore that was interrupted is finished by the next one.
        if error.code != "key.exists" or keys.read_file(path) != data:
            raise
        return False
    return True


def _verify_keys(home: Home) -> None:
    """Open again the verify keys of tasks that were signed after the archive was made."""
    for round_id in own_cards(home.store, home.identity):
        files = home.round_files(round_id)
        if not files.hpke.exists():
            continue
        task = read_task(home.store, round_id)
        path = RoundPaths(round_id).verify_key
        data = find(home.store, path, SMALL_FILE_SIZE)
        if task is None or data is None or files.verify.exists():
            continue
        try:
            hpke = keys.read_hpke_key(files.hpke, home.passphrase)
            verify_key = tasks.open_verify_key(bytes(data), task, home.name, hpke)
        except GrievanceError:
            continue
        keys.write_verify_key(files.verify, verify_key, home.passphrase)


def _missing(home: Home) -> list[str]:
    """Rounds, not destroyed, for which we published a card whose key did not come back."""
    log = read_ledger(home.store, home.name, home.key.public)
    found = []
    for round_id, card in own_cards(home.store, home.identity).items():
        files = home.round_files(round_id)
        task = read_task(home.store, round_id)
        if task is not None and log.destroyed(task.digest):
            continue
        try:
            same = keys.read_hpke_key(files.hpke, home.passphrase).public == card.hpke
        except KeyFileError:
            same = False
        if not same:
            found.append(round_id)
    return found

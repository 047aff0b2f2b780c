"""The archive: every file without which an aggregator could not go on, sealed.

It holds the key files as they lie in the home, and so keeps their passphrase: without it a
restored key file opens no more than a stolen one. It does not hold the state, which
`grievance recover` rebuilds from the pool. An archive is sealed to the set's public key, bound to
owner, set and number, and signed; its own machine cannot open it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto import keys
from grievance.crypto.documents import (
    b64encode,
    canonical,
    parse_canonical,
    parse_document,
    sign_document,
)
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, PoolError
from grievance.pool.layout import BackupPaths, RoundPaths, is_round_id, parse_archive_name
from grievance.pool.store import SMALL_FILE_SIZE, find
from grievance.wire import length_prefixed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.backup.sets import BackupSet
    from grievance.crypto.hpke import HpkePrivateKey
    from grievance.crypto.signing import SigningKey
    from grievance.home import Home
    from grievance.pool.store import Store

KIND = "grievance/2 backup archive"
CONTENTS_KIND = "grievance/2 backup archive contents"
MAX_CONTENTS_SIZE = 2 << 20
"""Some two thousand rounds; sealed and in base64 it stays below what the pool calls small."""

IDENTITY = "identity.pem"
ORGANISATION = "organisation.json"
_SECRETS = (IDENTITY, "mailbox.key")
_SETTINGS = (ORGANISATION, "known.json", "admissions.json")
_ROUND_KEYS = ("hpke.key", "verify.key", "state.key")
_ROUND_KEY = re.compile(r"rounds/([^/]+)/(hpke|verify|state)\.key")

Files = dict[str, bytes]
"""Path inside the home -> the file's bytes."""


@dataclass(frozen=True, repr=False)
class Archive:
    """An archive as it lies in the pool: signed by its owner, still sealed."""

    number: int
    sealed: bytes
    digest: bytes
    data: bytes


def collect_files(home: Home) -> Files:
    """Read everything that belongs in an archive. Raises KeyFileError."""
    found: Files = {}
    for name in _SETTINGS:
        with contextlib.suppress(FileNotFoundError):
            found[name] = (home.root / name).read_bytes()
    for name in _SECRETS:
        found[name] = keys.read_file(home.root / name)
    rounds = home.root / "rounds"
    for folder in sorted(rounds.iterdir()) if rounds.is_dir() else []:
        if is_round_id(folder.name):
            for name in _ROUND_KEYS:
                if (folder / name).exists():
                    path = f"{RoundPaths(folder.name).folder}/{name}"
                    found[path] = keys.read_file(folder / name)
    return found


def pack(files: Mapping[str, bytes]) -> bytes:
    """Write the files as one string. Raises PoolError when they are too many."""
    listed = {path: b64encode(data) for path, data in files.items()}
    data = canonical({"files": listed, "kind": CONTENTS_KIND})
    if len(data) > MAX_CONTENTS_SIZE:
        raise PoolError("there are too many key files for one archive", code="backup.size")
    return data


def unpack(data: bytes) -> Files:
    """Read what `pack` wrote. Raises PoolError `backup.archive` for any other path or form."""
    try:
        value = parse_canonical(data, MAX_CONTENTS_SIZE)
    except GrievanceError:
        raise _refuse("does not read") from None
    fields = _fields(value, ("files", "kind"), "archive contents")
    fields.literal("kind", CONTENTS_KIND)
    listed = fields.mapping("files")
    for path in listed:
        match = _ROUND_KEY.fullmatch(path)
        if path not in (*_SECRETS, *_SETTINGS) and not (match and is_round_id(match[1])):
            raise _refuse("holds a file that belongs in no archive")
    if not {*_SECRETS, ORGANISATION} <= set(listed):
        raise _refuse("lacks the identity, the mailbox or the organisation's name")
    blobs = _fields(listed, tuple(listed), "archive contents")
    return {path: blobs.blob(path) for path in listed}


def archive_info(backup_set: BackupSet, number: int) -> bytes:
    """What a sealed archive is bound to."""
    owner = backup_set.owner
    return hashlib.sha256(
        length_prefixed(
            b"grievance/2 backup archive",
            *(owner.name.encode(), owner.key.raw),
            *(backup_set.set_id.encode(), number.to_bytes(8, "big")),
        )
    ).digest()


def seal_archive(backup_set: BackupSet, number: int, contents: bytes, key: SigningKey) -> bytes:
    """Seal packed files under the set's public key and sign them as archive `number`."""
    sealed = backup_set.key.seal(contents, archive_info(backup_set, number))
    body = {
        "number": number,
        "owner": backup_set.owner.name,
        "sealed": b64encode(sealed),
        "set": backup_set.set_id,
    }
    return sign_document(KIND, body, key)


def open_archive(backup_set: BackupSet, archive: Archive, key: HpkePrivateKey) -> Files:
    """Open an archive. Raises OpenError, PoolError."""
    return unpack(key.open(archive.sealed, archive_info(backup_set, archive.number)))


def parse_archive(data: bytes, backup_set: BackupSet, number: int) -> Archive:
    """Read archive `number`. Raises WireError, SignatureError or PoolError."""
    signer = backup_set.owner.key
    document = parse_document(data, kind=KIND, signer=signer, limit=SMALL_FILE_SIZE)
    fields = _fields(document.body, ("number", "owner", "sealed", "set"), "archive")
    there = (fields.text("owner"), fields.text("set"), fields.integer("number", 1))
    if there != (backup_set.owner.name, backup_set.set_id, number):
        raise _refuse("belongs to another organisation, set or place")
    return Archive(number, fields.blob("sealed"), document.digest, document.data)


def read_archive(store: Store, backup_set: BackupSet, number: int) -> Archive | None:
    """An archive from the pool; None when there is none that the owner signed."""
    path = BackupPaths(backup_set.owner.name).archive(backup_set.set_id, number)
    data = find(store, path, SMALL_FILE_SIZE)
    try:
        return parse_archive(bytes(data), backup_set, number) if data is not None else None
    except GrievanceError:
        return None


def archive_numbers(store: Store, owner: str, set_id: str) -> list[int]:
    """Numbers of all files of a set that are called an archive, the newest last."""
    names = store.names(BackupPaths(owner).set_folder(set_id))
    found = [parse_archive_name(name) for name in names]
    return sorted(number for number in found if number is not None)


def newest_archive(store: Store, backup_set: BackupSet) -> Archive | None:
    """The newest archive of a set that its owner signed."""
    owner, set_id = backup_set.owner.name, backup_set.set_id
    for number in reversed(archive_numbers(store, owner, set_id)):
        found = read_archive(store, backup_set, number)
        if found is not None:
            return found
    return None


def _fields(value: object, names: tuple[str, ...], where: str) -> StrictObject:
    return StrictObject(value, names, where=where, error=PoolError, code="backup.archive")


def _refuse(why: str) -> PoolError:
    return PoolError(f"an archive {why}", code="backup.archive")

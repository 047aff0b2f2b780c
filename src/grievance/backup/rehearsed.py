"""The owner's signed record that the pieces of a backup were put together, and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document, sign_document
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, PoolError
from grievance.pool.layout import BackupPaths
from grievance.pool.store import find
from grievance.task.backup import is_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.backup.sets import BackupSet
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store

KIND = "grievance/2 backup rehearsed"
LIMIT = 8192
_KEYS = ("archive", "backup", "date", "owner", "request", "set", "trustees")


@dataclass(frozen=True)
class Rehearsed:
    """On which day (YYYY-MM-DD), by which request, with which trustees, and which archive."""

    day: str
    request: bytes
    trustees: tuple[str, ...]
    archive: int


def make_rehearsed(
    backup_set: BackupSet,
    key: SigningKey,
    *,
    day: str,
    request: bytes,
    trustees: Sequence[str],
    number: int,
) -> bytes:
    """Record a rehearsal that gave the key files back. Run by the owner."""
    body = {
        "archive": number,
        "backup": backup_set.digest.hex(),
        "date": day,
        "owner": backup_set.owner.name,
        "request": request.hex(),
        "set": backup_set.set_id,
        "trustees": list(trustees),
    }
    data = sign_document(KIND, body, key)
    parse_rehearsed(data, backup_set)
    return data


def parse_rehearsed(data: bytes, backup_set: BackupSet) -> Rehearsed:
    """Read a record about a set. Raises WireError, SignatureError, PoolError."""
    document = parse_document(data, kind=KIND, signer=backup_set.owner.key, limit=LIMIT)
    fields = StrictObject(
        document.body, _KEYS, where="rehearsed", error=PoolError, code="backup.rehearsed"
    )
    there = (fields.text("owner"), fields.text("set"), fields.digest("backup"))
    if there != (backup_set.owner.name, backup_set.set_id, backup_set.digest):
        fields.refuse("concerns another backup")
    trustees, day = fields.items("trustees"), fields.text("date")
    # In the set's order, so that nobody is counted twice.
    known = [name for name in backup_set.names if name in trustees]
    if trustees != known or len(known) < backup_set.threshold:
        fields.refuse("are not enough of the set's trustees", "trustees")
    if not is_day(day):
        fields.refuse("is not a day", "date")
    number = fields.integer("archive", 1)
    return Rehearsed(day, fields.digest("request"), tuple(trustees), number)


def read_rehearsed(store: Store, backup_set: BackupSet) -> Rehearsed | None:
    """The record of the last rehearsal; None when there is none that the owner signed."""
    path = BackupPaths(backup_set.owner.name).rehearsed(backup_set.set_id)
    data = find(store, path, LIMIT)
    try:
        return parse_rehearsed(bytes(data), backup_set) if data is not None else None
    except GrievanceError:
        return None

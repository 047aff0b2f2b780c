"""A request under way on this machine: its private key, and which request it belongs to.

`<name>.key` (mode 0600) and `<name>.json` lie in the folder until enough trustees have answered;
both go when the request is done. Whoever has the key and the pool can open the answers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.backup.requests import LIMIT, Request, make_request, parse_request
from grievance.crypto import keys
from grievance.crypto.documents import b64decode, b64encode, canonical, parse_canonical
from grievance.crypto.hpke import HpkePrivateKey
from grievance.crypto.strict import StrictObject
from grievance.errors import GrievanceError, KeyFileError, StateError
from grievance.failpoints import failpoint
from grievance.pool.layout import BackupPaths
from grievance.pool.store import find

if TYPE_CHECKING:
    from pathlib import Path

    from grievance.backup.sets import BackupSet
    from grievance.crypto.signing import SigningKey
    from grievance.pool.store import Store


@dataclass(frozen=True, repr=False)
class Pending:
    """A request of ours and the key that opens its answers."""

    request: Request
    backup_set: BackupSet
    key: HpkePrivateKey


def begin(
    folder: Path,
    name: str,
    backup_set: BackupSet,
    signer: SigningKey,
    *,
    rehearsal: bool,
    passphrase: str | None,
) -> Pending:
    """Draw a key, keep it, and write the request. The key is on disk before anybody sees it."""
    forget(folder, name)
    key = HpkePrivateKey.generate()
    request = make_request(backup_set, key.public, signer, rehearsal=rehearsal)
    keys.write_hpke_key(folder / f"{name}.key", key, passphrase)
    failpoint("request.keyed")
    note = {"request": b64encode(request.data), "set": backup_set.set_id}
    keys.write_file(folder / f"{name}.json", canonical(note))
    failpoint("request.noted")
    return Pending(request, backup_set, key)


def pending_set(folder: Path, name: str) -> str | None:
    """The set that a request under way concerns; None when there is none. Raises StateError."""
    return _read(folder, name)[1] if (folder / f"{name}.json").exists() else None


def resume(folder: Path, name: str, backup_set: BackupSet, passphrase: str | None) -> Pending:
    """Go on with the request under way. Raises StateError, KeyFileError."""
    data, _ = _read(folder, name)
    try:
        request = parse_request(data, backup_set)
    except GrievanceError:
        raise _damaged(folder / f"{name}.json") from None
    key = _read_key(folder / f"{name}.key", passphrase)
    if key.public != request.key:
        raise _damaged(folder / f"{name}.key")
    return Pending(request, backup_set, key)


def publish(store: Store, pending: Pending) -> None:
    """Put the request into the pool, unless it lies there unchanged."""
    path = BackupPaths(pending.backup_set.owner.name).request(pending.request.request_id)
    held = find(store, path, LIMIT)
    if held is None or bytes(held) != pending.request.data:
        store.put(path, pending.request.data)


def forget(folder: Path, name: str) -> None:
    """Delete the request's note, then its key."""
    (folder / f"{name}.json").unlink(missing_ok=True)
    failpoint("request.forgotten")
    path = folder / f"{name}.key"
    if path.exists():
        size = path.stat().st_size
        with path.open("r+b") as file:
            file.write(bytes(size))
            file.flush()
        failpoint("request.overwritten")
        path.unlink()


def _read(folder: Path, name: str) -> tuple[bytes, str]:
    path = folder / f"{name}.json"
    try:
        value = parse_canonical(keys.read_file(path), LIMIT)
        fields = StrictObject(value, ("request", "set"), where=str(path))
        return b64decode(fields.text("request")), fields.text("set")
    except KeyFileError:
        raise
    except GrievanceError:
        raise _damaged(path) from None


def _read_key(path: Path, passphrase: str | None) -> HpkePrivateKey:
    """Read the key, with the passphrase or without: the two runs may differ in that."""
    try:
        return keys.read_hpke_key(path, passphrase)
    except KeyFileError as error:
        if passphrase is None or error.code != "key.passphrase":
            raise
        try:
            return keys.read_hpke_key(path)
        except KeyFileError:
            raise error from None


def _damaged(path: Path) -> StateError:
    return StateError(
        f"{path} is damaged",
        code="backup.pending",
        hint="move the request's two files away and start again; the trustees then answer anew",
    )

"""What of ours lies in the pool beyond what we know: a pool arrives file by file, in any order.

So the absence of a file says nothing. What says something is any file with our signature that
follows from an entry of our ledger: as long as the entry is not here, charging again would draw
other noise and sign a second head of one size. Only signatures count, and what they say; names
and places do not, else anybody could stop us with a file.
Source: docs/design.md, sections 8 and 10.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grievance.crypto.documents import parse_document
from grievance.errors import GrievanceError
from grievance.ledger import LedgerEntry, ReleaseEvent, entry_size_limit
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, parse_checkpoint
from grievance.pool.layout import RoundPaths, is_release_id, ledger_folder
from grievance.pool.noisy import KIND, LIMIT, OWN_KIND
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grievance.home import Home
    from grievance.task import Task

_LEDGER_FILE = re.compile(r"([1-9][0-9]{0,8})\.(json|checkpoint|share)")
_COSIGNATURE = re.compile(r"([1-9][0-9]{0,8})\.[^.]+\.cosignature")
_LIMITS = {"json": entry_size_limit(), "checkpoint": MAX_NOTE_SIZE, "share": LIMIT}


def unknown_charge(
    home: Home, entries: Sequence[LedgerEntry], rounds: Iterable[str], signed: Iterable[Task]
) -> str | None:
    """The path of a file with our signature that says we have more than these entries, if any.

    That is an entry, a head or a sealed share from behind the last one, a noisy share in one of
    the `rounds` of a release that none charges, or a task among the `signed` ones that names a
    longer ledger.
    """
    name, size = home.name, len(entries)
    charged = [
        (entry.task.hex(), entry.event.release)
        for entry in entries
        if isinstance(entry.event, ReleaseEvent)
    ]
    folder = ledger_folder(name)
    for file_name in home.store.names(folder):
        match = _LEDGER_FILE.fullmatch(file_name)
        if match is None or int(match[1]) <= size:
            continue
        path = f"{folder}/{file_name}"
        data = find(home.store, path, _LIMITS[match[2]])
        if data is not None and _is_beyond(home, match[2], bytes(data), size, charged):
            return path
    ids = {release for _, release in charged}
    for round_id in rounds:
        paths = RoundPaths(round_id)
        for release in home.store.names(paths.releases):
            if not is_release_id(release) or release in ids:
                continue
            path = paths.noisy(release, name)
            data = find(home.store, path, LIMIT)
            if data is not None and _is_uncharged(home, KIND, bytes(data), charged):
                return path
    for task in signed:
        head = task.ledger_heads[name]
        if head is not None and head.size > size:
            return RoundPaths(task.round_id).task
    return None


def _is_beyond(
    home: Home, kind: str, data: bytes, size: int, charged: list[tuple[str, str]]
) -> bool:
    name, key = home.name, home.key.public
    try:
        if kind == "json":
            entry = LedgerEntry.parse(data, key)
            return entry.ledger == name and entry.size > size
        if kind == "checkpoint":
            return parse_checkpoint(data, name, key).size > size
    except GrievanceError:
        return False
    return _is_uncharged(home, OWN_KIND, data, charged)


def _is_uncharged(home: Home, kind: str, data: bytes, charged: list[tuple[str, str]]) -> bool:
    """Whether we signed a share of a release that no entry charges."""
    try:
        body = parse_document(data, kind=kind, signer=home.key.public, limit=LIMIT).body
    except GrievanceError:
        return False
    return (body.get("task"), body.get("release")) not in charged


def unchecked_cosignatures(home: Home, size: int) -> list[str]:
    """Files that are called cosignatures of a longer ledger of ours than `size` entries.

    Without that head nobody can check them, so they stop nothing.
    """
    folder = ledger_folder(home.name)
    names = [(name, _COSIGNATURE.fullmatch(name)) for name in home.store.names(folder)]
    return [f"{folder}/{name}" for name, m in names if m and int(m[1]) > size]

"""Is this pool as new as somebody knows it was? Heads seen elsewhere, against the ledgers here.

An older copy of a pool is as consistent as it was; whoever brings a head from elsewhere (a
witness prints them with `grievance heads`, an earlier bundle holds them) can tell the two apart.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from grievance.audit.result import SeenHead
from grievance.crypto.fingerprint import TASK_GROUPS, matches
from grievance.errors import GrievanceError, UsageError
from grievance.ledger.asked import spoken, spoken_digest
from grievance.ledger.checkpoint import MAX_NOTE_SIZE, Checkpoint, origin_of, parse_checkpoint
from grievance.pool.layout import checkpoint_path, ledger_folder, ledger_path
from grievance.pool.store import find, open_store

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.ledgers import Ledger

_READ_OUT: Final = re.compile(r"([^:/\\]+):([1-9][0-9]{0,17}):([0-9A-Za-z -]+)")
"""LEDGER:SIZE:GROUPS, as somebody read it out."""


def seen_heads(ledgers: Mapping[str, Ledger]) -> tuple[SeenHead, ...]:
    """The newest head of every ledger that holds, to be read out and kept."""
    found = []
    for name, ledger in sorted(ledgers.items()):
        if ledger.newest is not None:
            head = ledger.newest
            found.append(SeenHead(name, head.size, spoken(head), head.data.decode("utf-8")))
    return tuple(found)


def check_newer(
    inspection: Inspection, ledgers: Mapping[str, Ledger], places: Sequence[str]
) -> None:
    """Hold every ledger against heads that were read out, or lie in files, pools or bundles.

    A head that is longer than the ledger here makes the audit wait; one of the same length with
    another root is a fork if its owner's signature is there. What was only read out carries none,
    so it makes the audit wait too. Raises UsageError for a place with no head.
    """
    for place in places:
        typed = _READ_OUT.fullmatch(place)
        if typed is not None and typed[1] in ledgers:
            _hold_typed(inspection, ledgers[typed[1]], int(typed[2]), typed[3])
            continue
        heads = [] if typed is not None else _heads_at(place, ledgers)
        if not heads:
            raise UsageError(
                f"{place} holds no head of a ledger of this pool",
                code="audit.newer",
                hint="give what `grievance heads` prints as LEDGER:SIZE:GROUPS, a file with what "
                "its --json has under `note`, or an earlier copy or bundle of the pool",
            )
        for name, head in heads:
            _hold(inspection, ledgers[name], place, head)


def _hold_typed(inspection: Inspection, ledger: Ledger, size: int, groups: str) -> None:
    here = len(ledger.roots)
    if size > here:
        message = (
            f"a head of {ledger.name} with {size} entries was read out, and only {here} are here: "
            "this pool is older"
        )
        inspection.waiting("ledger.chain", ledger_path(ledger.name, here + 1), message)
        return
    digest = spoken_digest(origin_of(ledger.name, ledger.key), size, ledger.roots[size - 1])
    if not matches(groups, digest, groups=TASK_GROUPS):
        message = (
            f"the head of {ledger.name} with {size} entries that was read out is not of the "
            "entries here; let it be read out once more, and if it stays so, ask for its `note`"
        )
        inspection.waiting("ledger.chain", checkpoint_path(ledger.name, size), message)


def _hold(inspection: Inspection, ledger: Ledger, place: str, head: Checkpoint) -> None:
    if head.size > len(ledger.roots):
        message = (
            f"{place} has a head of {head.size} entries that {ledger.name} signed, and only "
            f"{len(ledger.roots)} are here: this pool is older"
        )
        path = ledger_path(ledger.name, len(ledger.roots) + 1)
        inspection.waiting("ledger.chain", path, message)
    elif head.root != ledger.roots[head.size - 1]:
        path = checkpoint_path(ledger.name, head.size)
        message = f"{ledger.name} signed another head of {head.size} entries, which is in {place}"
        notes = [head.data.decode("utf-8")]
        inspection.fault("ledger.fork", path, message, [ledger.name], notes)


def _heads_at(place: str, ledgers: Mapping[str, Ledger]) -> list[tuple[str, Checkpoint]]:
    path = Path(place)
    try:
        if path.is_file() and path.stat().st_size <= MAX_NOTE_SIZE:
            note = path.read_bytes()
            return [(n, head) for n in ledgers if (head := _parse(note, ledgers[n])) is not None]
    except OSError as error:
        raise UsageError(f"{place} cannot be read ({error.strerror})", code="audit.newer") from None
    store = open_store(place)
    found = []
    for name, ledger in ledgers.items():
        sizes = {
            int(file.removesuffix(".checkpoint"))
            for file in store.names(ledger_folder(name))
            if file.endswith(".checkpoint") and file.removesuffix(".checkpoint").isdecimal()
        }
        for size in sorted(sizes, reverse=True):
            data = find(store, checkpoint_path(name, size), MAX_NOTE_SIZE)
            head = _parse(bytes(data or b""), ledger)
            if head is not None:
                found.append((name, head))
                break
    return found


def _parse(data: bytes, ledger: Ledger) -> Checkpoint | None:
    try:
        return parse_checkpoint(data, ledger.name, ledger.key)
    except GrievanceError:
        return None

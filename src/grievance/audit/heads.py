"""Who stands behind a ledger: its owner's heads, and the others' cosignatures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from grievance.audit.inspection import MALFORMED
from grievance.audit.once import claim_head
from grievance.errors import LedgerError, SignatureError
from grievance.ledger.checkpoint import (
    MAX_NOTE_SIZE,
    Checkpoint,
    check_cosignature,
    parse_checkpoint,
)
from grievance.ledger.entry import ReleaseEvent
from grievance.pool.layout import checkpoint_path, cosignature_path, ledger_folder, share_path
from grievance.pool.noisy import LIMIT as SHARE_LIMIT
from grievance.pool.noisy import parse_own_share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.ledgers import Ledger
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.signing import VerifyingKey

LEDGER_FILE = re.compile(
    r"([1-9][0-9]{0,8})\.(?:(json|checkpoint|share)|(.{1,40})\.(cosignature|fork))"
)


def check_checkpoints(
    inspection: Inspection, ledger: Ledger, names: Sequence[str]
) -> dict[int, Checkpoint]:
    """Check the owner's heads; those that hold, by size."""
    folder, found = ledger_folder(ledger.name), {}
    for name in names:
        match = LEDGER_FILE.fullmatch(name)
        if match is None or match[2] != "checkpoint":
            continue
        path, size = f"{folder}/{name}", int(match[1])
        checkpoint = _read_checkpoint(inspection, ledger, path)
        if checkpoint is None:
            continue
        claim = claim_head(ledger.key.raw, ledger.name, checkpoint.size, checkpoint.root)
        inspection.state(claim, path)
        if checkpoint.size != size:
            inspection.spoil("file.place", path, f"it is the head of {checkpoint.size} entries")
        elif size > len(ledger.roots):
            if ledger.whole:
                message = "the entries it is about are not all here"
                inspection.waiting("ledger.chain", path, message)
            else:
                inspection.note("file.unchecked", path, "the ledger does not read that far")
        elif checkpoint.root != ledger.roots[size - 1]:
            message = "its root is not that of the entries beside it"
            inspection.fault("ledger.checkpoint", path, message, [ledger.name])
        else:
            found[size] = checkpoint
    return found


def _read_checkpoint(inspection: Inspection, ledger: Ledger, path: str) -> Checkpoint | None:
    data = inspection.read(path, MAX_NOTE_SIZE)
    if data is None:
        return None
    inspection.signatures += 1
    try:
        checkpoint = parse_checkpoint(data, ledger.name, ledger.key)
    except SignatureError as error:
        inspection.spoil("file.signature", path, error.message)
    except LedgerError as error:
        inspection.spoil("file.form", path, error.message)
    else:
        # The root's base64 has bits that mean nothing; only one spelling of it is a head.
        if data.startswith(checkpoint.text):
            return checkpoint
        inspection.spoil("file.form", path, "its text is not spelled as it was signed")
    return None


def check_witness(
    inspection: Inspection,
    path: str,
    checkpoint: Checkpoint | None,
    witness: str,
    keys: Sequence[VerifyingKey],
) -> VerifyingKey | None:
    """Check a cosignature against the head beside it. Returns the key that made it, if it holds."""
    data = inspection.read(path, MAX_NOTE_SIZE)
    if data is None:
        return None
    if checkpoint is None:
        head = f"{path.removesuffix(f'.{witness}.cosignature')}.checkpoint"
        if head in inspection.files.sizes:
            inspection.note("file.unchecked", path, "the head it cosigns does not hold")
        else:
            # Somebody saw that head: without it the ledger here is shorter than it was.
            inspection.waiting("ledger.checkpoint", head, f"{witness} cosigned it, and it is gone")
        return None
    inspection.signatures += 1
    for last, key in enumerate(keys, start=1 - len(keys)):
        try:
            check_cosignature(data, checkpoint, witness, key)
        except SignatureError:
            if not last:
                message = f"it is not {witness}'s cosignature of the head beside it"
                inspection.spoil("file.signature", path, message)
        except LedgerError as error:
            if not last:
                inspection.spoil("file.form", path, error.message)
        else:
            return key
    return None


def check_shares(
    inspection: Inspection,
    ledger: Ledger,
    names: Sequence[str],
    by_digest: Mapping[bytes, OpenedRound],
) -> None:
    """Account for noisy shares that the owner sealed to itself, against losing its state."""
    for name in names:
        match = LEDGER_FILE.fullmatch(name)
        if match is None or match[2] != "share":
            continue
        size = int(match[1])
        path = share_path(ledger.name, size)
        inspection.claim(path)
        if inspection.files.sizes[path] > SHARE_LIMIT:
            inspection.spoil("file.size", path, f"larger than {SHARE_LIMIT:,} bytes")
            continue
        if size > len(ledger.entries):
            if ledger.whole:
                inspection.waiting("ledger.chain", path, "the entry it belongs to is not here")
            continue
        entry = ledger.entries[size - 1]
        opened = by_digest.get(entry.task)
        if not isinstance(entry.event, ReleaseEvent) or opened is None:
            inspection.not_ours(path, "its entry is about no release here")
            continue
        if ledger.name not in opened.names:
            continue
        owner = opened.task.aggregators[opened.task.index_of(ledger.name)]
        data = inspection.read(path, SHARE_LIMIT)
        if data is None:
            continue
        try:
            parse_own_share(data, opened.task, entry.event.release, owner.identity)
        except SignatureError as error:
            inspection.spoil("file.signature", path, error.message)
        except MALFORMED:
            inspection.spoil("file.form", path, "it is not the share of its entry")


def missing_cosignatures(
    inspection: Inspection, ledger: Ledger, size: int, witnesses: Sequence[str]
) -> list[tuple[str, str]]:
    """Files that would show the head of `size` entries cosigned, and are not there at all.

    (path, organisation) pairs: the checkpoint of the owner, a cosignature of every other.
    """
    wanted = [(checkpoint_path(ledger.name, size), ledger.name)]
    wanted += [
        (cosignature_path(ledger.name, size, witness), witness)
        for witness in witnesses
        if witness != ledger.name
    ]
    return [(path, name) for path, name in wanted if not inspection.has(path)]

"""Who has cosigned an entry of a ledger, as every reader of a pool can see it.

A noisy share leaves, and counts for a reader, only when every other aggregator of its round has
cosigned the head that its owner's entry makes. What is missing is said in one set of words, by
whoever notices. Source: C2SP tlog-cosignature v1; docs/audit/ledger.cosignature.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.crypto.merkle import root
from grievance.errors import LedgerError, SignatureError
from grievance.ledger.checkpoint import (
    MAX_NOTE_SIZE,
    Checkpoint,
    check_cosignature,
    parse_checkpoint,
)
from grievance.pool.layout import checkpoint_path, cosignature_path
from grievance.pool.store import find

if TYPE_CHECKING:
    from grievance.crypto.signing import VerifyingKey
    from grievance.ledger.log import LedgerLog
    from grievance.pool.store import Store
    from grievance.task import Task


def read_checkpoint(store: Store, name: str, key: VerifyingKey, size: int) -> Checkpoint | None:
    """The owner's checkpoint of a size; None until one it signed has arrived."""
    data = find(store, checkpoint_path(name, size), MAX_NOTE_SIZE)
    if data is None:
        return None
    try:
        checkpoint = parse_checkpoint(bytes(data), name, key)
    except (LedgerError, SignatureError):
        return None
    return checkpoint if checkpoint.size == size else None


def has_cosigned(store: Store, head: Checkpoint, ledger: str, name: str, key: VerifyingKey) -> bool:
    """Whether a cosignature of this head by `name` lies in the pool and holds."""
    data = find(store, cosignature_path(ledger, head.size, name), MAX_NOTE_SIZE)
    try:
        check_cosignature(bytes(data or b""), head, name, key)
    except (LedgerError, SignatureError):
        return False
    return True


def missing_cosignatures(
    store: Store, task: Task, name: str, log: LedgerLog, size: int
) -> list[str]:
    """Aggregators of a task that have not signed this size of a ledger, its owner first.

    Without the owner's head nobody has cosigned it.
    """
    owner = task.aggregators[task.index_of(name)]
    others = [party for party in task.aggregators if party.name != name]
    head = read_checkpoint(store, name, owner.identity, size)
    if head is None or head.root != root([entry.data for entry in log.entries[:size]]):
        return [name, *(party.name for party in others)]
    return [p.name for p in others if not has_cosigned(store, head, name, p.name, p.identity)]


def cosignature_in_words(name: str, ledger: str) -> str:
    """What is waited for, where `name` has not signed a head of a ledger."""
    if name == ledger:
        return f"waiting for {name} to sign the head of its ledger"
    return f"waiting for the cosignature of {name} on the ledger of {ledger}"

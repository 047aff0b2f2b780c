"""Who has cosigned an entry of a ledger, as every reader of a pool can see it.

A noisy share leaves, and counts for a reader, only when for every aggregator's entry all other
aggregators have cosigned the head that it makes, and a quorum of the round's witnesses that head
or any later one. What is missing is said in one set of words, by whoever notices.
Source: C2SP tlog-cosignature v1; docs/audit/ledger.cosignature.md, docs/audit/ledger.quorum.md.
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
from grievance.plan.witnesses import witness_keys
from grievance.pool.layout import checkpoint_path, cosignature_path, ledger_folder
from grievance.pool.store import find

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.crypto.signing import VerifyingKey
    from grievance.ledger.log import LedgerLog
    from grievance.pool.store import Store
    from grievance.task.terms import AggregatorEntry, RoundTerms


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
    store: Store, task: RoundTerms, name: str, log: LedgerLog, size: int
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


def witnesses_of(task: RoundTerms) -> dict[str, VerifyingKey]:
    """Whose cosignatures count towards a round's quorum. A rehearsal is watched by nobody."""
    return {} if task.rehearsal else witness_keys(task.plan)


def quorum_of(task: RoundTerms) -> int:
    """How many of them have to cosign before a noisy share leaves."""
    return 0 if task.rehearsal else task.plan.witness_quorum


def witnessed_by(
    store: Store,
    owner: AggregatorEntry,
    log: LedgerLog,
    size: int,
    among: Mapping[str, VerifyingKey],
) -> set[str]:
    """Who among these witnesses has cosigned a head of a ledger that holds its entry `size`.

    Any head counts that the owner signed and that is the one of the entries here; a later one
    holds what an earlier one does.
    """
    found: set[str] = set()
    if not among or size > len(log.entries):
        return found
    name = owner.name
    there = set(store.names(ledger_folder(name)))
    for at in range(len(log.entries), size - 1, -1):
        waiting = [w for w in among if w not in found and f"{at}.{w}.cosignature" in there]
        head = read_checkpoint(store, name, owner.identity, at) if waiting else None
        if head is None or head.root != root([entry.data for entry in log.entries[:at]]):
            continue
        found |= {w for w in waiting if has_cosigned(store, head, name, w, among[w])}
    return found


def cosignature_in_words(name: str, ledger: str) -> str:
    """What is waited for, where `name` has not signed a head of a ledger."""
    if name == ledger:
        return f"waiting for {name} to sign the head of its ledger"
    return f"waiting for the cosignature of {name} on the ledger of {ledger}"


def quorum_in_words(number: int, witnesses: Sequence[str], ledger: str) -> str:
    """What is waited for, where so many more of these witnesses have to cosign a ledger."""
    if number >= len(witnesses):
        who = " and ".join(witnesses)
    else:
        who = f"{number} of the witnesses {', '.join(witnesses)}"
    return f"waiting for the cosignature of {who} on the ledger of {ledger}"

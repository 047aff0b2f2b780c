"""Who may cosign a ledger, and whether enough of a round's witnesses saw what a release cost.

Counted anew from the plan in the task and the files of the pool: a witness has seen an entry when
its cosignature of that head, or of any later one that the owner signed, holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.crypto.documents import b64decode
from grievance.crypto.signing import VerifyingKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.ledgers import Ledger
    from grievance.audit.opening import OpenedRound
    from grievance.audit.terms import AuditedTask


def named_witnesses(task: AuditedTask) -> dict[str, VerifyingKey]:
    """The organisations that a round's plan names to watch it; nobody watches a rehearsal."""
    if task.rehearsal:
        return {}
    return {name: VerifyingKey(b64decode(text)) for name, text in task.plan.witnesses.items()}


def wanted(task: AuditedTask) -> int:
    """How many of them have to have seen what a release cost."""
    return 0 if task.rehearsal else task.plan.witness_quorum


def may_cosign(
    rounds: Sequence[OpenedRound], keys: Mapping[str, VerifyingKey], owner: str
) -> dict[str, list[VerifyingKey]]:
    """Whose cosignatures have a place in a ledger: all aggregators', its rounds' witnesses'."""
    found = {name: [key] for name, key in keys.items()}
    for opened in rounds:
        for name, key in named_witnesses(opened.task).items() if owner in opened.names else ():
            if key not in found.setdefault(name, []):
                found[name].append(key)
    found.pop(owner, None)
    return found


def seen_by(task: AuditedTask, ledger: Ledger, size: int) -> list[str]:
    """The witnesses of a round that have seen an entry of a ledger."""
    return sorted(
        name
        for name, key in named_witnesses(task).items()
        if ledger.cosigned.get((name, key), 0) >= size
    )

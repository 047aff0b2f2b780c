"""The rounds of a campaign as a chain: each names the one before and adds its own full cost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from grievance.audit.once import claim_head, claim_step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.audit.terms import AuditedTask
    from grievance.crypto.signing import VerifyingKey


def check_campaigns(inspection: Inspection, rounds: Sequence[OpenedRound]) -> None:
    """Check every link of every campaign's chain of tasks.

    Whoever signs two beginnings of one campaign, or two rounds that follow the same one, spends
    its lifetime twice, in one pool or in two.
    """
    by_digest = {opened.task.digest: opened for opened in rounds}
    for opened in rounds:
        task, path = opened.task, opened.paths.task
        for key in opened.signers:
            after = task.previous or b""
            step = claim_step(key, task.campaign, task.rehearsal, after, task.digest)
            inspection.state(step, path)
        if task.previous is None:
            if task.reserved != task.cost:
                message = "a first round reserves its own cost, no more or less"
                inspection.fault("task.campaign", path, message, opened.signed)
            continue
        previous = by_digest.get(task.previous)
        if previous is None:
            message = "the round it follows is not in the pool, or does not read"
            inspection.waiting("task.campaign", path, message)
            continue
        for why in _broken_terms(task, previous.task):
            inspection.fault("task.campaign", path, why, opened.signed)


def _broken_terms(task: AuditedTask, before: AuditedTask) -> list[str]:
    old, new = before.plan.privacy, task.plan.privacy
    found = []
    if task.campaign != before.campaign:
        found.append("it follows a round of another campaign")
    if task.mechanism != before.mechanism:
        found.append("its noise and costs are of another kind than in the round before")
    elif task.reserved != before.reserved + task.cost:
        found.append("it does not reserve what its campaign has used and its own cost")
    if new.mechanism == "auto":
        found.append("its plan leaves the mechanism open, which only a first plan may")
    if (new.lifetime_epsilon, new.delta) != (old.lifetime_epsilon, old.delta):
        found.append("lifetime or delta differ from the round before")
    if new.reports_per_worker < old.reports_per_worker:
        found.append("it allows a worker fewer reports than the round before")
    if task.rehearsal is not before.rehearsal:
        found.append("a rehearsal and a real round share a campaign")
    keys = {party.name: party.identity for party in before.aggregators}
    for party in task.aggregators:
        if keys.get(party.name, party.identity) != party.identity:
            found.append(f"{party.name} has another key than in the round before")
    if not any(party.name in keys for party in task.aggregators):
        found.append("no aggregator of the round before remains")
    return found


def owners(inspection: Inspection, rounds: Sequence[OpenedRound]) -> dict[str, VerifyingKey]:
    """Every aggregator's key by name; of two keys for one name that of the earlier round."""
    found: dict[str, VerifyingKey] = {}
    for opened in rounds:
        for party in opened.task.aggregators:
            if found.setdefault(party.name, party.identity) != party.identity:
                message = f"{party.name} has another key here than in another round"
                inspection.uncertain("task.campaign", opened.paths.task, message)
    return found


def check_heads(
    inspection: Inspection, rounds: Sequence[OpenedRound], roots: Mapping[str, Sequence[bytes]]
) -> None:
    """Check that every ledger head a task names was that ledger's. `roots[name][size - 1]`."""
    for opened in rounds:
        for name, head in opened.task.ledger_heads.items():
            if head is None:
                continue
            known, path = roots.get(name, ()), opened.paths.task
            if name in opened.signed:
                key, root = opened.key_of(name), head.root
                claim = replace(claim_head(key, name, head.size, root), rule="task.ledger")
                before = inspection.state(claim, path)
                if before is not None and before.claim.says != root:
                    continue  # told, with the head that it contradicts
            if head.size > len(known):
                message = f"it names entry {head.size} of {name}'s ledger, which is not here"
                inspection.waiting("task.ledger", path, message)
            elif known[head.size - 1] != head.root:
                message = f"it names a head of {name}'s ledger that is not the one in the pool"
                by = [name] if name in opened.signed else opened.signed
                inspection.fault("task.ledger", path, message, by)

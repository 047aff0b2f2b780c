"""The rounds of a campaign as a chain: each names the one before and adds its own full cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound
    from grievance.crypto.signing import VerifyingKey
    from grievance.task import Task


def check_campaigns(inspection: Inspection, rounds: Sequence[OpenedRound]) -> None:
    """Check every link of every campaign's chain of tasks."""
    by_digest = {opened.task.digest: opened for opened in rounds}
    followed: dict[bytes, str] = {}
    begun: dict[str, str] = {}
    for opened in rounds:
        task, path = opened.task, opened.paths.task
        if task.previous is None:
            if task.reserved != task.cost:
                _fault(inspection, path, "a first round reserves its own cost, no more or less")
            before = begun.setdefault(task.campaign, task.round_id)
            if before != task.round_id:
                _fault(inspection, path, f"{before} begins the campaign {task.campaign} already")
            continue
        before = followed.setdefault(task.previous, task.round_id)
        if before != task.round_id:
            _fault(inspection, path, f"{before} follows the same round")
        previous = by_digest.get(task.previous)
        if previous is None:
            message = "the round it follows is not in the pool, or does not read"
            inspection.waiting("task.campaign", path, message)
            continue
        for why in _broken_terms(task, previous.task):
            _fault(inspection, path, why)


def _fault(inspection: Inspection, path: str, why: str) -> None:
    inspection.fault("task.campaign", path, why)


def _broken_terms(task: Task, before: Task) -> list[str]:
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
                inspection.fault("task.campaign", opened.paths.task, message)
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
            if head["size"] > len(known):
                message = f"it names entry {head['size']} of {name}'s ledger, which is not here"
                inspection.waiting("task.ledger", path, message)
            elif known[head["size"] - 1].hex() != head["root"]:
                message = f"it names a head of {name}'s ledger that is not the one in the pool"
                inspection.fault("task.ledger", path, message)

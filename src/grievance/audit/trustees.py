"""Who could act as an aggregator of a round together: its trustees, by their keys.

Recomputed from the backups that the task states, without the code that built the task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grievance.audit.inspection import Inspection
    from grievance.audit.opening import OpenedRound


def check_trustees(inspection: Inspection, opened: OpenedRound) -> None:
    """Hold every two aggregators' trustees against each other, and against the aggregators."""
    task, path = opened.task, opened.paths.task
    held = {
        party.name: ({one.key for one in party.backup.trustees}, party.backup.threshold)
        for party in task.aggregators
        if party.backup is not None
    }
    for party in task.aggregators:
        for owner, (keys, _) in held.items():
            if party.identity in keys:
                message = f"{party.name} is an aggregator of this round and a trustee of {owner}"
                inspection.fault("task.trustees", path, message, opened.signed)
    names = sorted(held)
    for at, one in enumerate(names):
        for other in names[at + 1 :]:
            common = len(held[one][0] & held[other][0])
            least = min(held[one][1], held[other][1])
            message = (
                f"{one} and {other} have {common} of their trustees in common, and {least} of them "
                "can act as one of the two"
            )
            if common and task.plan.shared_trustees:
                inspection.note("task.trustees", path, f"{message}; the plan allows it")
            elif common >= least:
                inspection.fault("task.trustees", path, message, opened.signed)

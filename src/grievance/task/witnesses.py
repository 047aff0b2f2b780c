"""That a round's witnesses are outside it: who adds up a round's answers watches it anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.errors import TaskError
from grievance.plan.witnesses import witness_keys

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.plan import Plan
    from grievance.task.identity import Identity


def check_outside(plan: Plan, members: Sequence[Identity]) -> None:
    """Hold a plan's witnesses against a round's aggregators. Raises TaskError `plan.witnesses`."""
    watching = witness_keys(plan)
    inside = [m.name for m in members if m.name in watching or m.key in watching.values()]
    if inside:
        raise TaskError(
            f"{inside[0]} is an aggregator of the round, and the plan names it as a witness",
            code="task.witnesses",
            hint="a witness adds nothing up: take it out of `witnesses`",
        )
    if plan.witness_quorum > len(watching):
        raise TaskError(
            f"the plan wants {plan.witness_quorum} witnesses and names {len(watching)}",
            code="task.witnesses",
            hint="wait until as many organisations have an identity in the pool (`grievance "
            "init`), or write a smaller `witness_quorum`; 0 says that nobody watches",
        )

"""`grievance audit --statistical`: look for noise that is not what the tasks state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.cli.output import emit, say
from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.empirical import StatisticalResult
    from grievance.pool.store import Store
    from grievance.task import Task

_PAGE = "docs/statistical-audit.md"


def examine(store: Store, round_id: str | None) -> list[StatisticalResult]:
    """Audit the noise of one round, or of every round of the pool whose task all have signed."""
    from grievance.cli.places import round_ids
    from grievance.empirical import statistical_audit
    from grievance.pool.rounds import read_task

    results = []
    for name in round_ids(store) if round_id is None else [round_id]:
        task = read_task(store, name)
        if task is None:
            say(f"{name}: not every aggregator has signed its task; its noise is not looked at")
            continue
        results.append(statistical_audit(task, _published(store, task)))
    return results


def _published(store: Store, task: Task) -> dict[str, Sequence[int]]:
    """All released coordinates of a round; what has not arrived, or does not fit, is left out."""
    from grievance.pool.proposals import read_releases
    from grievance.release import collect

    found: dict[str, Sequence[int]] = {}
    for view in read_releases(store, task):
        if view.declined_by is not None:
            continue
        try:
            found.update(collect(store, task, view.release_id).values)
        except ReleaseError as error:
            say(f"release {view.release_id} is not looked at: {error.message}")
    return found


def show(results: Sequence[StatisticalResult]) -> None:
    """Write the outcome in words."""
    from grievance.empirical import NOT_SHOWN

    for result in results:
        emit("")
        head = f"Statistical audit of the noise of {result.round_id}: "
        if not result.checks:
            emit(f"{head}nothing is released yet, so there is no noise to look at.")
            continue
        emit(f"{head}{result.verdict.upper()}")
        for check in result.checks:
            emit(f"  {'!!' if check.flagged else 'ok'}  {check.about}: {check.sentence}")
        emit(f"Noise as stated is flagged with a chance of at most {result.false_alarm:.0e}.")
        if result.verdict == "flagged":
            emit(
                "  next: running it again reads the same published numbers; ask the aggregators "
                f"which version they run, and see {_PAGE} for what it means"
            )
    if results:
        emit("")
        emit("What a statistical audit cannot show:")
        for line in NOT_SHOWN:
            emit(f"  - {line}")

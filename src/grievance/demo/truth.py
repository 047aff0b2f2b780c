"""A release beside the exact answers: how many cells lie inside their stated margins.

Only whoever made the answers up, or holds a public table, can do this: nobody in a real
round ever has the exact numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.release import Release

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grievance.task import Task


@dataclass(frozen=True)
class CellCheck:
    """One cell: what was released, its interval, what is true, and whether it lies inside."""

    statistic: str
    labels: Mapping[str, str]
    estimate: float
    low: float
    high: float
    truth: float

    @property
    def inside(self) -> bool:
        """Whether the truth lies inside the stated 95% interval."""
        return self.low <= self.truth <= self.high


def exact_release(task: Task, people: Iterable[Mapping[str, object]], like: Release) -> Release:
    """The release these answers would give without any noise."""
    modulus = task.vdaf.field.MODULUS
    total = [0] * task.layout.num_bits
    for answers in people:
        bits = task.layout.encode(task.layout.answers(answers))
        total = [a + b for a, b in zip(total, bits, strict=True)]
    values = {}
    for name in like.values:
        exact = task.layout.project(name, total, modulus)
        values[name] = [x - modulus if x > modulus // 2 else x for x in exact]
    return Release.build(
        task,
        values,
        release_id=like.release_id,
        accepted=like.accepted,
        accepted_root=like.accepted_root,
        noisy_shares=like.noisy_shares,
    )


def check_release(release: Release, exact: Release) -> list[CellCheck]:
    """Compare every cell with its exact value; one that the noise hides has nothing to compare."""
    checks = []
    for table in release:
        for found, true in zip(table.cells(), exact[table.name].cells(), strict=True):
            if found.estimate is None or true.estimate is None or not found.known:
                continue
            checks.append(
                CellCheck(
                    table.name,
                    found.labels,
                    float(found.estimate),
                    found.low,
                    found.high,
                    float(true.estimate),
                )
            )
    return checks

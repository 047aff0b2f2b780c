"""The statistical audit of one round: whether what is published shows the noise that is stated.

No secret is needed, nothing is drawn and nothing of the pool is changed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from grievance.empirical.contrasts import Residuals, check_residuals
from grievance.empirical.result import Check, StatisticalResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.task import Task

_USEFUL = 0.1


def statistical_audit(task: Task, values: Mapping[str, Sequence[int]]) -> StatisticalResult:
    """Look for noise that is not what a task states. Anyone can run this.

    `values`: published coordinates by charged statistic; where there are none, nothing is checked.
    """
    began = time.monotonic()
    checks = (published_check(check_residuals(task, values)),) if values else ()
    return StatisticalResult(task.round_id, checks, time.monotonic() - began)


def published_check(found: Residuals) -> Check:
    """Judge the differences between published tables."""
    if found.freedom == 0:
        sentence = (
            "No two published tables overlap, so nothing published shows noise alone; about the "
            "noise that was really drawn nothing can be said."
        )
    else:
        outcome = "as stated"
        if found.flagged:
            outcome = "SMALLER than stated" if found.ratio < 1 else "LARGER than stated"
        little = (
            f"Noise of under {found.seen_from:.2f} of it would be noticed more often than not."
            if found.seen_from >= _USEFUL
            else "So few places say next to nothing."
        )
        sentence = (
            f"Published tables overlap in {found.freedom} independent places; the differences "
            f"there, which are noise alone, are {outcome} ({found.ratio:.2f} of the stated "
            f"variance). {little}"
        )
    return Check(
        "published",
        "the noise really drawn",
        found.flagged,
        sentence,
        {
            "statistics": list(found.statistics),
            "contrasts": found.contrasts,
            "freedom": found.freedom,
            "ratio": found.ratio,
            "p_too_little": found.too_little,
            "p_too_much": found.too_much,
            "noticed_below": found.seen_from,
        },
    )

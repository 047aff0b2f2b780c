"""Histories: whatever organisations, machines and strangers do in whatever order, it adds up.

By default about a hundred steps, the same ones every time; `-m slow` more than a thousand. Before a
release, ten thousand steps of histories that are new each night:

    GRIEVANCE_HISTORIES=10000 pytest tests/histories -m slow -n 0 -s

Run with `-n 0 -s` for the number of steps and how often each rule was taken.
Source: docs/threats.md, section 4.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from history_machine import History, forget, summary
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

if TYPE_CHECKING:
    from history_town import Town

STEPS = 25
QUICK, SLOW = 6, 60


def play(town: Town, examples: int, *, derandomize: bool) -> None:
    History.town = town
    forget()
    try:
        run_state_machine_as_test(
            History,
            settings=settings(
                max_examples=examples,
                stateful_step_count=STEPS,
                derandomize=derandomize,
                database=None,
                phases=[Phase.generate, Phase.shrink],
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        print("\n" + summary())


def test_histories(town: Town) -> None:
    play(town, QUICK, derandomize=True)


@pytest.mark.slow
def test_long_histories(town: Town) -> None:
    wanted = int(os.environ.get("GRIEVANCE_HISTORIES", "0"))
    play(town, -(-wanted // STEPS) or SLOW, derandomize=not wanted)

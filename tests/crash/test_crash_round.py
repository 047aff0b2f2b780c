"""A power cut at every durable step of a whole round, one history for each.

A recording run lists every occurrence of every failpoint; then each is played: the process is
killed there (SIGKILL), the command is typed again and the round goes on to its end. Then every
file that was spooled is published byte for byte, every release is charged once by everybody,
every accepted report counts, SQLite finds its files whole and the audit finds no fault.
Source: docs/design.md, sections 8 and 10; docs/faults.md, faults D1 to D3; docs/threats.md,
section 4.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from crash_town import END, ROUND

if TYPE_CHECKING:
    from crash_town import Town

INITS = 4
STARTS = [0, *range(INITS, len(ROUND + END))]
# Where a cut would hurt most: between charging and publishing, around the burnt nonces, and
# between a relay's memory and what it puts.
CRITICAL = [
    ("relay.remembered", 14),
    ("state.commit.after", 14),
    ("pool.put.done", 14),
    ("verify.burnt", 15),
    ("charge.spooled", 24),
    ("state.commit.after", 23),
    ("share.spooled", 29),
    ("destroy.keyless", 32),
]


def histories(town: Town, start: int) -> list[dict[int, str]]:
    """Every cut of one command; the four organisations' inits, which do not meet, share one."""
    points = [f"{label}:{number}:kill" for label, number in town.points[start]]
    if start == 0:
        return [dict.fromkeys(range(INITS), point) for point in points]
    return [{start: point} for point in points]


def play(town: Town, cuts: dict[int, str]) -> None:
    assert all(ended.killed for ended in town.cut(cuts)), cuts


def test_the_round_meets_every_failpoint_of_its_steps(town: Town) -> None:
    assert all(town.points[i] == town.points[0] for i in range(INITS))
    reached = {label for points in town.points.values() for label, _ in points}
    assert {label for label, _ in CRITICAL} <= reached
    assert sum(len(points) for points in town.points.values()) > 500


@pytest.mark.parametrize(("label", "index"), CRITICAL)
def test_a_cut_where_it_would_hurt_most(town: Town, label: str, index: int) -> None:
    play(town, {index: f"{label}:1:kill"})


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
def test_a_cut_at_every_step(town: Town, start: int) -> None:
    for cuts in histories(town, start):
        play(town, cuts)

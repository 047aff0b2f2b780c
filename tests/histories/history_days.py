"""The days with which histories begin."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from history_checks import look, settle
from history_plan import STATISTICS

if TYPE_CHECKING:
    from history_town import Town


def make_days(town: Town) -> None:
    """Remember the days with which histories begin."""
    papers = town.book.papers
    for name in town.aggregators:
        town.back_up(name)
    for which in range(14):
        papers.append(town.draw("honest", which))
    town.carry("nurses", papers[:9])
    settle(town)
    town.carry("carers", papers[5:])
    settle(town)
    town.remember("collected")
    for name in town.aggregators:
        town.back_up(name)
    town.close()
    look(town)
    town.remember("closed")
    release = town.propose("south", STATISTICS[1:]).release_id
    look(town)
    town.remember("proposed")
    town.answer("north", release)
    settle(town)
    town.remember("partly released")
    town.begin()


def remove(town: Town) -> None:
    """Take a town away with everything beside it."""
    shutil.rmtree(town.folder.parent, ignore_errors=True)

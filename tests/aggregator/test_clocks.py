"""Of two clocks that differ the likely wrong one is named, by what others signed and the plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from grievance.aggregator.clocks import Moments, warnings

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
DAY, YEAR = timedelta(days=1), timedelta(days=365)
OPENS, CLOSES = datetime(2026, 10, 1, tzinfo=UTC), datetime(2026, 12, 20, tzinfo=UTC)


def said(**moments: Any) -> str:
    return " ".join(warnings(Moments(**({"now": NOW} | moments))))


@pytest.mark.parametrize(
    "moments",
    [
        {},
        {"ours": NOW - YEAR},
        {"ours": NOW + timedelta(minutes=9)},
        {"ours": NOW - DAY, "head": NOW - DAY, "theirs": {"law-centre": NOW + DAY}},
        {"now": NOW + 20 * YEAR, "ours": NOW, "opens": OPENS, "closes": CLOSES},
    ],
    ids=["nothing signed", "a year ago", "set a little", "others write the day", "long after"],
)
def test_no_two_clocks_differ(moments: dict[str, Any]) -> None:
    assert said(**moments) == ""


def test_the_clock_here_is_behind() -> None:
    words = said(now=NOW - YEAR, ours=NOW, head=NOW, theirs={"law-centre": NOW})
    assert "says 2025-11-30 12:00 UTC, but we signed something at 2026-11-30 12:00 UTC" in words
    assert "law-centre signed later too, so the clock here is likely behind: set it" in words
    by_plan = said(now=NOW - YEAR, ours=NOW, opens=OPENS, closes=CLOSES)
    assert "by the dates of the plan the clock here is likely behind: set it" in by_plan
    # Also where nothing of ours says so yet.
    told = said(now=NOW - YEAR, theirs={"law-centre": NOW}, opens=OPENS, closes=CLOSES)
    assert (
        "law-centre cosigned our ledger at 2026-11-30" in told and "here is likely behind" in told
    )


def test_the_clock_here_ran_ahead_then() -> None:
    """Whoever is told to set a right clock makes it wrong: the old warning did."""
    words = said(ours=NOW + YEAR, head=NOW + YEAR, theirs={"law-centre": NOW - 3 * DAY})
    assert "law-centre cosigned before that, so the clock here likely ran ahead then" in words
    assert "leave it" in words and "set it" not in words
    by_plan = said(ours=NOW + YEAR, opens=OPENS, closes=CLOSES)
    assert "by the dates of the plan the clock here likely ran ahead then" in by_plan


def test_the_clock_of_another_is_ahead() -> None:
    words = said(theirs={"law-centre": NOW + YEAR}, opens=OPENS, closes=CLOSES)
    assert "the clock of law-centre is likely ahead: tell them" in words
    # Two that agree are believed before a plan.
    both = {"law-centre": NOW + YEAR, "carers": NOW + YEAR}
    assert "the clock here is likely behind" in said(theirs=both, opens=OPENS, closes=CLOSES)


def test_where_nothing_tells_which_both_are_named() -> None:
    words = said(ours=NOW + DAY, opens=OPENS, closes=CLOSES)
    assert "it is behind now, or was ahead then; look at another clock" in words

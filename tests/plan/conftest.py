"""The plan of the design's section 3, as people write it."""

from __future__ import annotations

import pytest

EXAMPLE = """\
title = "Mental health workforce, autumn"
campaign = "mhw-2026"
opens = 2026-10-01
closes = 2026-12-20

[privacy]
epsilon = 1.0                  # what this round may reveal about one worker
delta = 1e-6                   # numbers are read as exact decimals
lifetime_epsilon = 4.0         # all rounds of the campaign together, same delta
reports_per_worker = 1         # a worker in two unions may report twice: 2
minimum_reports = 50           # no release below this many accepted reports
hide_below = 10                # display rule on noisy counts

[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Midlands", "South", "Scotland", "Wales"]
required = true
[fields.problems]
question = "Which of these are a problem where you work?"
help = "Tick at most three."
choices = ["unpaid overtime", "targets", "downgrading", "bullying", "caseload"]
pick = 3                       # proved, so it bounds the noise
[fields.unpaid_hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 20, 40]  # closed below; the last band closed on both sides

[statistics.problems_by_region]
count = ["problems", "region"]
importance = 2                 # its squared error counts twice when the budget is split
[statistics.unpaid_hours]
mean = "unpaid_hours"
by = ["region"]
where = { region = ["London", "North"] }          # others leave it empty
[statistics.unpaid_hours_spread]
distribution = "unpaid_hours"
by = ["region"]
merge = { region = { "outside London" = ["North", "Midlands", "South", "Scotland", "Wales"] } }
"""


@pytest.fixture
def example_toml() -> str:
    return EXAMPLE

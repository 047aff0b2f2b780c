"""The plan `plan new` writes: valid as it stands, commented, and meant to be edited."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.plan.model import Plan

if TYPE_CHECKING:
    from datetime import date

_TEMPLATE = """\
# A plan: what is asked, what will be published, and what that may reveal about one worker.
# `grievance plan check` says what it costs before anything is collected.
# Nothing is asked that no statistic uses, and nothing is published that is not written here.

title = {title}
campaign = {campaign}          # rounds with this name share a lifetime budget
opens = {opens}
closes = {closes}
# envelope = "x25519"          # what reports are sealed with. Left out, it is "hybrid": a copy of
                               # the folder stays closed to a quantum computer. "x25519" does not
                               # promise that; it is for old devices.
# shared_trustees = true       # allows organisations to keep backups of their keys with the same
                               # people, who then hold pieces of several: workers are told
# witness_quorum = 2           # so many organisations that add nothing up must have seen what
                               # was charged before a result leaves; `round new` names them here.
                               # Left out: more than half of them, and at least two

[privacy]
epsilon = 1.0                  # what this round may reveal about one worker: smaller is safer
delta = 1e-6                   # well below one over the number of workers
lifetime_epsilon = 4.0         # all rounds of the campaign together
reports_per_worker = 1         # 2 if a worker in two unions may report twice
minimum_reports = 50           # nothing is released below this many, blank cover counted in
hide_below = 10                # a page shows counts below this as "under" a number
# mechanism = "gaussian"       # the noise; "laplace" is less noise for one table or a few, and
                               # "auto" takes the better one. One campaign, one mechanism.

# Three kinds of question: one choice, several choices (`pick`), a number in steps.
# There is no free text. A question that is not `required` may be left out.

[fields.region]
question = "Where do you work?"
choices = ["London", "North", "Midlands", "South", "Scotland", "Wales"]
required = true

[fields.problems]
question = "Which of these are a problem where you work?"
help = "Tick at most three."
choices = ["unpaid overtime", "targets", "downgrading", "bullying", "caseload"]
pick = 3                       # fewer ticks, less noise

[fields.unpaid_hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 1, 5, 10, 20, 40]  # for the distribution: 0 to 0.5, 1 to 4.5, ... 20 to 40

# Three kinds of statistic: `count`, `mean`, `distribution`. Each takes a part of the budget,
# so ask for what you will use. `importance` gives a statistic a larger part.

[statistics.problems_by_region]
count = ["problems", "region"]
importance = 2

[statistics.unpaid_hours]
mean = "unpaid_hours"
by = ["region"]
where = {{ region = ["London", "North"] }}     # only these people; others leave it empty

[statistics.unpaid_hours_spread]
distribution = "unpaid_hours"
by = ["region"]

[statistics.unpaid_hours_spread.merge.region]  # fewer, larger groups: clearer numbers
"outside London" = ["North", "Midlands", "South", "Scotland", "Wales"]
"""


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'


def new_plan(title: str, campaign: str, *, opens: date, closes: date) -> str:
    """Return the text of a plan to start from.

    Raises PlanError for a title, a campaign or dates that no plan may have, so what is
    written is always a plan that can be read.
    """
    text = _TEMPLATE.format(
        title=_quoted(title),
        campaign=_quoted(campaign),
        opens=opens.isoformat(),
        closes=closes.isoformat(),
    )
    Plan.from_toml(text, source="new plan")
    return text

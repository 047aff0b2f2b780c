"""The plan `plan new` writes: valid as it stands, commented, and meant to be edited.

Its shape, how many groups and which tables, is `grievance.planner`'s choice for so many reports.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from grievance.plan.model import Plan

if TYPE_CHECKING:
    from datetime import date

MAX_GROUPS: Final = 20

_HEAD = """\
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
delta = 1e-6                   # well below one over the number of workers; Laplace noise has none
lifetime_epsilon = 4.0         # all rounds of the campaign together
rounds = 1                     # how many the campaign is meant to have: decides the noise too
reports_per_worker = 1         # 2 if a worker in two unions may report twice
minimum_reports = {minimum:<2}           # nothing is released below this many, blank cover included
hide_below = 10                # a page shows counts below this as "under" a number
# mechanism = "gaussian"       # the noise. Left out, `round new` writes it here: "laplace" where
                               # that is clearly less and the lifetime pays for all rounds with
                               # it, else "gaussian". A campaign keeps the kind it began with.

# Three kinds of question: one choice, several choices (`pick`), a number in steps.
# There is no free text. A question that is not `required` may be left out.
"""

_REGION = """
[fields.region]
question = "Where do you work?"
choices = [{labels}]
required = true
"""

_PROBLEMS = """
[fields.problems]
question = "Which of these are a problem where you work?"
help = "Tick at most two."
choices = ["unpaid overtime", "targets", "downgrading", "bullying", "caseload"]
pick = 2                       # fewer ticks, less noise
"""

_HOURS = """
[fields.unpaid_hours]
question = "Unpaid hours in a usual week"
unit = "hours"
minimum = 0
maximum = 40
step = 0.5
bands = [0, 5, 10, 20, 40]     # for the distribution: 0 to 4.5, 5 to 9.5, ... 20 to 40
"""

_WORSE = """
[fields.worse]
question = "Is your work harder than a year ago?"
choices = ["yes", "no"]
required = true
"""

_STATISTICS = """
# Three kinds of statistic: `count`, `mean`, `distribution`. Each takes a part of the budget,
# so ask for what you will use. `importance` gives a statistic a larger part.
"""

_KINDS: Final = {"unpaid_hours": "mean", "unpaid_hours_spread": "distribution"}

_MORE = """
# More people can be asked for more tables, and for tables by group: count = ["problems", "region"].
# `where = { region = ["London"] }` asks some people alone, and
# `merge = { region = { "outside London" = ["North", "Midlands"] } }` makes fewer, larger groups.
"""

_PLACES: Final = ("London", "North", "Midlands", "South", "Scotland", "Wales")


@dataclass(frozen=True)
class Shape:
    """How much the plan asks for: the number of groups, 0 for none, and the tables.

    Tables are of what a worker ticks (`problems`), of the number (`unpaid_hours`, a mean, and
    `unpaid_hours_spread`), or, for very few people, of one question with two answers (`worse`);
    all are by region where there are groups.
    """

    groups: int = 0
    tables: tuple[str, ...] = ("problems", "unpaid_hours_spread")
    minimum_reports: int = 50


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'


def _labels(groups: int) -> str:
    named = [*_PLACES, *(f"region {at}" for at in range(len(_PLACES) + 1, groups + 1))]
    return ", ".join(map(_quoted, named[:groups]))


def _fields(shape: Shape) -> str:
    found = _REGION.format(labels=_labels(shape.groups)) if shape.groups else ""
    if "worse" in shape.tables:
        found += _WORSE
    if "problems" in shape.tables:
        found += _PROBLEMS
    return found + (_HOURS if any("hours" in table for table in shape.tables) else "")


def _statistics(shape: Shape) -> str:
    found = _STATISTICS
    for table in shape.tables:
        if table in _KINDS:
            by = 'by = ["region"]\n' if shape.groups else ""
            found += f'\n[statistics.{table}]\n{_KINDS[table]} = "unpaid_hours"\n{by}'
        elif shape.groups:
            found += f'\n[statistics.{table}_by_region]\ncount = ["{table}", "region"]\n'
            found += "importance = 2\n" if len(shape.tables) > 1 else ""
        else:
            found += f'\n[statistics.{table}]\ncount = ["{table}"]\n'
    return found


def new_plan(
    title: str, campaign: str, *, opens: date, closes: date, shape: Shape | None = None
) -> str:
    """Return the text of a plan to start from, by default of one that shows something at 300.

    Raises PlanError for a title, a campaign or dates that no plan may have, so what is
    written is always a plan that can be read.
    """
    shape = shape or Shape()
    head = _HEAD.format(
        title=_quoted(title),
        campaign=_quoted(campaign),
        opens=opens.isoformat(),
        closes=closes.isoformat(),
        minimum=shape.minimum_reports,
    )
    text = head + _fields(shape) + _statistics(shape) + _MORE
    Plan.from_toml(text, source="new plan")
    return text

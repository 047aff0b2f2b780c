"""Which day it is, and what to say when that is outside a plan's dates: words, never a refusal."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING

from grievance.cli.output import say

if TYPE_CHECKING:
    from grievance.plan import Plan


def today() -> date:
    """The day by this machine's clock, where it stands. Tests put another function here."""
    return datetime.now().astimezone().date()


def warn_of_dates(plan: Plan) -> list[str]:
    """Warn whoever seals outside the plan's dates. Returns what was said, for --json."""
    from grievance.plan.period import outside_in_words

    warning = outside_in_words(plan, today())
    if warning is None:
        return []
    say(f"warning: {warning}")
    return [warning]


def warn_of_overdue(plan: Plan) -> None:
    """Warn whoever agrees to a round whose closing day has passed: the plan cannot change."""
    from grievance.plan.period import clock_in_words, closing_in_words, days_overdue

    now = today()
    if days_overdue(plan, now):
        clock = clock_in_words(days_overdue(plan, now))
        say(f"warning: by this plan the round was to close on {closing_in_words(plan, now)}{clock}")

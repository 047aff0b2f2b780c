"""Where a day stands to a plan's dates, in words for workers and stewards.

Nothing is decided by it: a round begins when every aggregator has signed and ends by the
leader's signed event, because clocks of devices are often wrong and reports carry no time.
The first and the last day of a plan are both inside it. Source: docs/design.md, sections 3 and 6;
docs/faults.md, fault D17.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.plan.words import day_in_words

if TYPE_CHECKING:
    from datetime import date

    from grievance.plan.model import Plan


FAR_DAYS = 180
"""Farther from a plan's dates than that, a clock is more likely wrong than the round early."""


def days_overdue(plan: Plan, today: date) -> int:
    """How many days the closing day has passed; 0 until it has."""
    return max(0, (today - plan.closes).days)


def closing_in_words(plan: Plan, today: date) -> str:
    """The closing day, and how far off it is: "20 December 2026, 3 days ago"."""
    return f"{day_in_words(plan.closes)}, {days_ago((today - plan.closes).days)}"


def clock_in_words(days: int) -> str:
    """What to think of a closing day so long ago: "" unless the clock is likely wrong."""
    return "; or the clock of this machine is wrong: look at its date" if days > FAR_DAYS else ""


def outside_in_words(plan: Plan, today: date) -> str | None:
    """What a worker should know who seals on a day outside the plan's dates; None inside."""
    clock = f"the clock here says {day_in_words(today)}, and this round"
    if today < plan.opens:
        opens = f"{day_in_words(plan.opens)}, {days_ago((today - plan.opens).days)}"
        what = "what is sealed now can be handed in when it is open"
        return f"{clock} opens on {opens}; {_far((plan.opens - today).days)}{what}"
    if today > plan.closes:
        return (
            f"{clock} was to close on {closing_in_words(plan, today)}; "
            f"{_far(days_overdue(plan, today))}if it is closed, what is "
            "sealed now is not counted: ask whoever takes it whether they still pass it on"
        )
    return None


def _far(days: int) -> str:
    """Say that the clock is more likely wrong than the day, where they are far apart."""
    if days <= FAR_DAYS:
        return ""
    return "that is so far off that the clock of this device is likely wrong, so look at its date; "


def days_ago(days: int) -> str:
    """How far a day lies behind today; ahead of it where `days` is below zero."""
    if days == 0:
        return "today"
    if abs(days) == 1:
        return "yesterday" if days > 0 else "tomorrow"
    return f"{days:,} days ago" if days > 0 else f"in {-days:,} days"

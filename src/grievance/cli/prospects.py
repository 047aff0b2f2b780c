"""A plan as a steward reads it before consent: in words, and what it would show.

The forecast is for as many people as answered the campaign's last round, and for answers like
theirs, if its release can be read; that is public, so it costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.cli.output import say
from grievance.errors import GrievanceError, is_away

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.home import Home
    from grievance.plan import Plan
    from grievance.release import Release


def say_plan(
    own: Home, plan: Plan, aggregators: Sequence[str], partners: Sequence[str] = ()
) -> None:
    """Say a plan in words, with the display names of those who count, and what it would show."""
    from grievance.plan import plan_in_words

    say("\n".join(plan_in_words(plan, aggregators, partners)))
    say()
    _say_prospects(own, plan, len(aggregators))


def _say_prospects(own: Home, plan: Plan, aggregators: int) -> None:
    """Say what a plan would show if people answered as in the last release that we can read."""
    from grievance.planner import forecast, groups_of, people_of

    release = _last_release(own, plan.campaign)
    people = None if release is None else people_of(release)
    if release is None or people is None:
        return
    try:
        found = forecast(plan, people, aggregators, by_group=groups_of(release, plan, people))
    except GrievanceError:
        return  # a forecast is advice: without one the plan stands as it is
    say(f"In the last round, {release.task.round_id}, about {people:,} people answered. If they")
    say("answer alike in this one:")
    for item in found.statistics:
        left = item.cells - item.hopeless
        what = "groups" if item.kind == "mean" else "numbers"
        shown = f"{left} of {item.cells} {what} say something" if left else "nothing is said"
        say(f"  {item.name}: each number ± {item.margin:,.0f}; {shown}")
    say()


def _last_release(own: Home, campaign: str) -> Release | None:
    """The release of the last round of a campaign that we signed, if it lies in the pool."""
    from grievance.aggregator import Office
    from grievance.aggregator.campaign import last_task
    from grievance.release.collect import collect

    with Office.open(own) as office:
        task = last_task(office.state, campaign)
    try:
        return None if task is None else collect(own.store, task)
    except GrievanceError as error:
        if is_away(error):
            raise
        return None

"""How many people answered, where a page or a terminal begins; sealed reports are no people.

The number is a released figure with noise in it, so it is a range. The number of accepted
reports is exact and public, but blank cover is in it; it is never said to be people.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR
from typing import TYPE_CHECKING

from grievance.release.page.rounding import place_of, write
from grievance.release.page.words import under
from grievance.release.turnout import DISAGREE

if TYPE_CHECKING:
    from grievance.release.release import Release

COVER = "blank ones that partners add as cover included"


def who_answered(release: Release) -> str:
    """Say in one sentence how many people answered, or why that is not said."""
    people = release.people
    if people is None:
        return (
            "How many people answered is not known: no figure of this release is about everybody."
        )
    if people.note == DISAGREE:
        return f"How many people answered cannot be said: {DISAGREE}."
    if not people.known:
        return "How many people answered is not known: the noise is too large."
    place = place_of((people.high - people.low) / 2, whole=True)
    low = write(people.low, place, ROUND_FLOOR)
    # Rounding up must not go beyond the reports that there were.
    high = write(people.high, place, ROUND_CEILING)
    if int(high.replace(",", "")) > release.accepted:
        high = f"{release.accepted:,}"
    said = f"Between {low} and {high}"
    if people.grey:
        said = under(people, release.accepted).capitalize()
    times = release.plan.privacy.reports_per_worker
    if times > 1:
        return (
            f"{said} reports with answers in them were counted. A worker could "
            f"give up to {times:,}, so there may be fewer people."
        )
    return f"{said} people answered."


def reports_are_no_people(release: Release) -> str:
    """Say what figures count where a worker may report several times; empty where not."""
    times = release.plan.privacy.reports_per_worker
    if times == 1:
        return ""
    return (
        f"A worker could give up to {times:,} reports in this round. Where this page says people, "
        "it counts reports with answers."
    )


def who_is_in_it(release: Release) -> str:
    """Say who is in that number, and who is not; empty where there is no number."""
    people = release.people
    if people is None or not people.known:
        return ""
    return (
        "In this number is everybody whose report answers at least one question; blank reports "
        "are not. It has noise in it, like every number here, and is a range for that reason."
    )


def what_was_sealed(release: Release) -> str:
    """Say how many reports were accepted, which is not a number of people."""
    noun = "sealed report counts" if release.accepted == 1 else "sealed reports count"
    return f"{release.accepted:,} {noun}, {COVER}."

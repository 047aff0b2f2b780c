"""The sections that come first: what the problem is, and what is known.

Every sentence is made from figures and comparisons by a rule. A question that other tables use
as a group (where people work, say) is not a problem, and is left out of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.markup import join, stranger, tag
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable
from grievance.release.page.highlights import each_once
from grievance.release.page.lead import reports_are_no_people
from grievance.release.page.statistic import section
from grievance.release.page.words import (
    between,
    each,
    is_known,
    numbers_between,
    phrase,
    quoted,
    ranged,
    whom,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.markup import Html, Part
    from grievance.release.page.highlights import Highlights
    from grievance.release.release import Release

MOST_TIED = 5


def what_is_the_problem(found: Sequence[Highlights]) -> Html:
    """Say the most frequent answers, means and medians of everybody together."""
    lines = [line for one in each_once(found) for line in _headline(one)]
    if not lines:
        inside: Part = tag("p", "These figures do not name one: see what is known below.")
    else:
        inside = tag("ul", join(lines), class_="key")
    return tag(
        "section",
        tag("h2", "What is the problem?", id="problem"),
        inside,
        aria_labelledby="problem",
    )


def what_is_known(release: Release, found: Sequence[Highlights]) -> Html:
    """Every statistic with its figures."""
    # The display rule selects by the noisy number, so it takes more of the ranges that are right.
    hold = (
        "95 of 100 of all ranges, withheld ones counted in, hold the number that was counted. In "
        "a table with many nearly empty cells, the ranges that are shown are wrong more often: "
        "shown is what the noise made large. "
        if release.plan.privacy.hide_below
        else "95 of 100 such ranges hold the number that was counted. "
    )
    return tag(
        "section",
        tag("h2", "What do we know, and how surely?", id="known"),
        tag(
            "p",
            "Noise was added to every number on purpose, so that no number gives one person away. "
            f"That is why every figure is a range: {hold}"
            "The ranges say nothing about people who did not report.",
        ),
        *(
            [tag("p", several, class_="note")]
            if (several := reports_are_no_people(release))
            else []
        ),
        *(section(release, one) for one in found),
        aria_labelledby="known",
    )


def _headline(one: Highlights) -> Iterator[Html]:
    reading, table = one.reading, one.reading.table
    if isinstance(table, MeanTable):
        mean = table.mean()
        if is_known(mean):
            yield _item(whom(reading), f": the mean lies {between(reading, mean)}.")
        return
    if isinstance(table, DistributionTable):
        median = table.quantile("1/2")
        if not median.hidden and median.known:
            unit: list[Part] = [" ", stranger(reading.unit)] if reading.unit else []
            yield _item(
                whom(reading),
                f": half of those who answered gave no more than a number "
                f"{numbers_between(median)}",
                *unit,
                ".",
            )
        return
    known = [label for label in one.leading if is_known(one.shares[label])]
    if not known:
        return
    if len(known) == 1:
        (first,) = known
        yield _item(
            whom(reading),
            ": ",
            f"{between(reading, one.shares[first])} of those who answered {reading.verb} ",
            quoted(first),
            ".",
        )
    elif len(known) <= MOST_TIED:
        labels = [
            phrase(quoted(label), f" ({ranged(reading, one.shares[label])})") for label in known
        ]
        yield _item(
            whom(reading),
            ": most often ",
            each(labels),
            ". Which of these comes first cannot be said.",
        )


def _item(*parts: Part) -> Html:
    return tag("li", *parts)

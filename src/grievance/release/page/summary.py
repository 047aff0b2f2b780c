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
    return tag(
        "section",
        tag("h2", "What do we know, and how surely?", id="known"),
        tag(
            "p",
            "Noise was added to every number on purpose, so that no number gives one person away. "
            "That is why every figure is a range, of what is possible. The ranges say nothing "
            "about people who did not report.",
        ),
        # What is dark is selected by the noisy number, so not as many of its ranges are right.
        tag(
            "p",
            "A number of people that does not stand out of the noise is grey and has an upper end "
            "alone: ",
            tag("span", "under 40", class_="soft"),
            ". 95 of 100 ranges hold the number that was counted, over all cells, dark and grey. "
            "Among the smallest dark ones fewer do: they are dark because the noise made them "
            "large.",
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
        if mean.dark:
            yield _item(whom(reading), f": the mean lies {between(reading, mean)}.")
        return
    if isinstance(table, DistributionTable):
        median = table.quantile("1/2")
        if median.known:
            unit: list[Part] = [" ", stranger(reading.unit)] if reading.unit else []
            yield _item(
                whom(reading),
                f": half of those who answered gave no more than a number "
                f"{numbers_between(median)}",
                *unit,
                ".",
            )
        return
    if len(one.leading) == 1:
        (first,) = one.leading
        yield _item(
            whom(reading),
            ": ",
            f"{between(reading, one.shares[first])} of those who answered {reading.verb} ",
            quoted(first),
            ".",
        )
    elif 1 < len(one.leading) <= MOST_TIED:
        labels = [
            phrase(quoted(label), f" ({ranged(reading, one.shares[label])})")
            for label in one.leading
        ]
        yield _item(
            whom(reading),
            ": most often ",
            each(labels),
            ". Which of these comes first cannot be said.",
        )


def _item(*parts: Part) -> Html:
    return tag("li", *parts)

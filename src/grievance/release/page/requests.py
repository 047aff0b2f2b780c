"""What can be asked for next: levels that figures reach, and every difference that is real.

Nothing is advised: each sentence follows from figures by a rule. A level ("more than half", "at
least 5 hours") is said of everybody who answered a question, and only where the lower end of the
figure's range reaches it, as that end is written on the page. Of one answer that end is too high
in at most 2.5 of 100 cases; where a question has several answers, each has to reach its level at
the corrected one-sided level 1 - 0.05/K too, K being their number. So noise alone makes even one
level of a statistic untrue with a chance of at most 5 in 100, as it is with the differences.

That half of the people gave `low` or more follows from the median: it is the number at place
ceil(n/2) of n, so n - ceil(n/2) + 1 >= n/2 people gave it or more.
"""

from __future__ import annotations

from fractions import Fraction
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from grievance.markup import join, stranger, tag
from grievance.release.counts import CountTable
from grievance.release.distributions import DistributionTable
from grievance.release.intervals import Z
from grievance.release.means import MeanTable
from grievance.release.page.apart import ERROR, lower_end
from grievance.release.page.differences import FEW
from grievance.release.page.highlights import each_once
from grievance.release.page.pieces import folded
from grievance.release.page.words import (
    between,
    cannot_be_said,
    difference,
    each,
    exact_limits,
    quoted,
    shown,
    whom,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.markup import Html, Part
    from grievance.release.page.highlights import Highlights
    from grievance.release.page.reading import Reading

LEVELS: Final = (
    (Fraction(9, 10), "at least nine in ten"),
    (Fraction(4, 5), "at least four in five"),
    (Fraction(3, 4), "at least three quarters"),
    (Fraction(2, 3), "at least two thirds"),
    (Fraction(1, 2), "more than half"),
    (Fraction(2, 5), "at least two in five"),
    (Fraction(1, 3), "at least one in three"),
    (Fraction(1, 4), "at least one in four"),
    (Fraction(1, 5), "at least one in five"),
    (Fraction(1, 10), "at least one in ten"),
)
"""Shares that people negotiate in, the largest first."""


def level_of(low: Fraction) -> str | None:
    """Say the largest level that a share of at least `low` is sure to reach; None below all."""
    for level, said in LEVELS:
        if low > level or (low == level and said.startswith("at least")):
            return said
    return None


def what_can_be_asked(found: Sequence[Highlights]) -> Html:
    """Say which highlights stand out of the noise far enough to ask something on them."""
    levels = [line for one in each_once(found) for line in _levels(one)]
    ahead = [line for one in each_once(found) for line in _ahead(one)]
    apart = [_differences(one) for one in found if one.apart and one.reading.leads]
    about_groups = [_differences(one) for one in found if one.apart and not one.reading.leads]
    parts: list[Part] = [tag("h2", "What can be asked for next?", id="next")]
    if levels or ahead:
        parts += [
            tag(
                "p",
                "A request can rest on these. Each says no more than the lower end of its range.",
            ),
            tag("ul", join([*levels, *ahead]), class_="key"),
        ]
    if apart:
        parts += [
            tag("h3", "Differences that are larger than the noise"),
            tag("ul", join(apart), class_="key"),
        ]
    if about_groups:
        parts.append(
            folded(
                "Differences in who answered, which are larger than the noise too",
                tag("ul", join(about_groups)),
            )
        )
    if not (levels or ahead or apart):
        parts.append(tag("p", "Nothing stands out of the noise far enough to rest a request on."))
    unsure = list(_unsure(found))
    if unsure:
        parts += [
            tag("p", "These figures do not carry a request that depends on one of these:"),
            tag("ul", join(unsure)),
        ]
    parts.append(
        tag(
            "p",
            "Figures say how many, not why, and not what would help. They are about those who "
            "reported; who did not report may answer otherwise.",
            class_="note",
        )
    )
    return tag("section", *parts, aria_labelledby="next")


def _levels(one: Highlights) -> Iterator[Html]:
    """Say the level that each answer, the mean or the median of everybody together reaches."""
    reading, table = one.reading, one.reading.table
    if isinstance(table, MeanTable):
        yield from _level_of_mean(reading, table)
    elif isinstance(table, DistributionTable):
        yield from _level_of_median(reading, table)
    elif isinstance(table, CountTable) and reading.answer is not None:
        z = max(Z, NormalDist().inv_cdf(1 - ERROR / len(one.shares)))
        for label, figure in one.shares.items():
            if not figure.dark:
                continue
            written = Fraction(shown(reading, figure).low.replace(",", "")) / 100
            corrected = lower_end(table._part({reading.answer.name: label}, {}).ratio, z)
            said = level_of(min(written, Fraction(corrected)))
            if said is not None:
                yield _item(
                    f"{said[0].upper()}{said[1:]} of those who answered ",
                    whom(reading),
                    f" {reading.verb} ",
                    quoted(label),
                    f" ({between(reading, figure)}).",
                )


def _level_of_mean(reading: Reading, table: MeanTable) -> Iterator[Html]:
    mean = table.mean()
    if not mean.dark:
        return
    low = shown(reading, mean).low
    if Fraction(low.replace(",", "")) > table.minimum:
        yield _item(
            "The mean of ",
            whom(reading),
            f" is at least {low}",
            *_unit(reading),
            f" ({between(reading, mean)}).",
        )


def _level_of_median(reading: Reading, table: DistributionTable) -> Iterator[Html]:
    median = table.quantile("1/2")
    if median.known and median.low > float(table.ranges[0][0]):
        low, _ = exact_limits(median)
        yield _item(
            "At least half of those who answered ",
            whom(reading),
            f" gave {low}",
            *_unit(reading),
            " or more.",
        )


def _unit(reading: Reading) -> list[Part]:
    return [" ", stranger(reading.unit)] if reading.unit else []


def _ahead(one: Highlights) -> Iterator[Html]:
    if one.clear:
        (first,) = one.leading
        yield _item(
            quoted(first),
            " is the most frequent answer to ",
            whom(one.reading),
            ", ahead of every other: ",
            f"{between(one.reading, one.shares[first])} of those who answered.",
        )


def _differences(one: Highlights) -> Html:
    """Name every difference of a statistic that is larger than the noise."""
    head: list[Part] = [whom(one.reading)]
    if one.reading.groups:
        head += [" by ", each([quoted(axis.title) for axis in one.reading.groups])]
    items = [tag("li", *difference(one.reading, made), ".") for made in one.apart]
    parts: list[Part] = [":", tag("ul", join(items[:FEW]))]
    if len(items) > FEW:
        parts.append(folded(f"And {len(items) - FEW:,} more", tag("ul", join(items[FEW:]))))
    return tag("li", *head, *parts)


def _unsure(found: Sequence[Highlights]) -> Iterator[Html]:
    """Where several answers lead together, say that the first two cannot be told apart."""
    for one in each_once(found):
        if len(one.leading) < 2:
            continue
        first, second = one.leading[:2]
        for made in one.not_shown:
            asked = made.asked
            if asked.kind == "answers" and {asked.first, asked.second} == {first, second}:
                yield _item(*cannot_be_said(one.reading, made), " (", whom(one.reading), ").")


def _item(*parts: Part) -> Html:
    return tag("li", *parts)

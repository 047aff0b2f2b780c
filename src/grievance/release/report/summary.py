"""The two sections that come first: what the problem is, and what can be asked for next.

Every sentence is made from figures and comparisons by a rule; nothing is advised. A question
that other tables use as a group (where people work, say) is not a problem, and is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.markup import join, stranger, tag
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable
from grievance.release.report.differences import FEW
from grievance.release.report.statistic import section
from grievance.release.report.words import (
    between,
    cannot_be_said,
    difference,
    each,
    is_known,
    numbers_between,
    only,
    phrase,
    quoted,
    ranged,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grievance.markup import Html, Part
    from grievance.release.release import Release
    from grievance.release.report.findings import Findings
    from grievance.release.report.reading import Reading

MOST_TIED = 5


def what_is_the_problem(found: Sequence[Findings]) -> Html:
    """Say the most frequent answers, means and medians of everybody together."""
    lines = [line for one in _each_once(found) for line in _headline(one)]
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


def what_is_known(release: Release, found: Sequence[Findings]) -> Html:
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
        *(section(release, one) for one in found),
        aria_labelledby="known",
    )


def what_can_be_asked(found: Sequence[Findings]) -> Html:
    """Say which findings stand out of the noise far enough to ask something on them."""
    lines: list[Html] = []
    for one in _each_once(found):
        if one.clear:
            (first,) = one.leading
            lines.append(
                _item(
                    quoted(first),
                    " is the most frequent answer to ",
                    _about(one.reading),
                    ", ahead of every other that is shown: ",
                    f"{between(one.reading, one.shares[first])} of those who answered.",
                )
            )
    for one in found:
        if one.reading.leads:
            for made in one.standing_out[:FEW]:
                axis = next(axis for axis in one.reading.groups if axis.name == made.asked.axis)
                asked: list[Part] = [_about(one.reading), " by ", quoted(axis.title)]
                lines.append(_item(*difference(one.reading, made), " (", *asked, ")."))
    parts: list[Part] = [tag("h2", "What can be asked for next?", id="next")]
    if lines:
        parts += [
            tag("p", "These findings stand out of the noise, so a request can rest on them:"),
            tag("ul", join(lines), class_="key"),
        ]
    else:
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


def _each_once(found: Sequence[Findings]) -> list[Findings]:
    """The findings to lead with: one for each question, about all people if there is one.

    Among several it is the one with the fewest comparisons, chosen by the plan: corrected for
    fewer, it tells most apart.
    """
    best: dict[tuple[str, str], Findings] = {}
    for one in found:
        reading = one.reading
        key = (reading.question, reading.table.kind)
        if reading.leads and (key not in best or _rank(one) < _rank(best[key])):
            best[key] = one
    return list(best.values())


def _rank(one: Findings) -> tuple[bool, int]:
    return bool(one.reading.only), len(one.comparisons)


def _about(reading: Reading) -> Html:
    """The question, and whom it is restricted to."""
    said = only(reading)
    return phrase(quoted(reading.question), *([" (", *said, ")"] if said else []))


def _headline(one: Findings) -> Iterator[Html]:
    reading, table = one.reading, one.reading.table
    if isinstance(table, MeanTable):
        mean = table.mean()
        if is_known(mean):
            yield _item(_about(reading), f": the mean lies {between(reading, mean)}.")
        return
    if isinstance(table, DistributionTable):
        median = table.quantile("1/2")
        if not (median.hidden or median.note or median.band is None):
            unit: list[Part] = [" ", stranger(reading.unit)] if reading.unit else []
            yield _item(
                _about(reading),
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
            _about(reading),
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
            _about(reading),
            ": most often ",
            each(labels),
            ". Which of these comes first cannot be said.",
        )


def _unsure(found: Sequence[Findings]) -> Iterator[Html]:
    """Where several answers lead together, say that the first two cannot be told apart."""
    for one in _each_once(found):
        if len(one.leading) < 2:
            continue
        first, second = one.leading[:2]
        for made in one.not_shown:
            asked = made.asked
            if asked.kind == "answers" and {asked.first, asked.second} == {first, second}:
                yield _item(*cannot_be_said(one.reading, made), " (", _about(one.reading), ").")


def _item(*parts: Part) -> Html:
    return tag("li", *parts)

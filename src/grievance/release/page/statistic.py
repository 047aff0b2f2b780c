"""The section of one statistic: sentences, charts, which differences are real, the numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.markup import Html, stranger, table, tag
from grievance.release.counts import CountTable
from grievance.release.distributions import DistributionTable
from grievance.release.means import MeanTable
from grievance.release.page.charts import MOST_ROWS, Row
from grievance.release.page.differences import differences
from grievance.release.page.pieces import BEST, chart_figure, chart_row, folded, sentences
from grievance.release.page.reading import given_labels
from grievance.release.page.words import (
    TOO_NOISY,
    about,
    added_up,
    between,
    count,
    each,
    exact_limits,
    numbers_between,
    only,
    phrase,
    quoted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from grievance.markup import Part
    from grievance.release.cube import Axis
    from grievance.release.figures import Figure, Quantile
    from grievance.release.page.highlights import Highlights
    from grievance.release.page.reading import Reading
    from grievance.release.release import Release

EVERYBODY = "all groups together"
_QUARTERS = (("a quarter", "1/4"), ("half", "1/2"), ("three quarters", "3/4"))


def section(release: Release, highlights: Highlights) -> Html:
    """Write everything about one statistic. Ids begin with its name, which is a plan's name."""
    reading = highlights.reading
    parts: list[Part] = [
        tag("h3", stranger(reading.question), *_by(reading), id=f"s-{reading.name}"),
        *_which(release, reading),
    ]
    parts += _of_everybody(highlights)
    for axis in reading.groups:
        parts += _by_groups(highlights, axis)
    parts += differences(highlights)
    parts.append(_all_cells(reading))
    if reading.table.remark:
        parts.append(tag("p", f"Not so sure: {reading.table.remark}.", class_="note"))
    return tag("section", *parts, aria_labelledby=f"s-{reading.name}")


def _by(reading: Reading) -> list[Part]:
    titles = [quoted(axis.title) for axis in reading.groups]
    return [" \u2013 by ", each(titles)] if titles else []


def _which(release: Release, reading: Reading) -> Iterator[Html]:
    """Say what the statistic is: of what kind, by which groups, and about whom."""
    kind = {
        "count": "How many people gave each answer",
        "mean": "The mean of what people gave",
        "distribution": "How what people gave is spread",
    }[reading.table.kind]
    yield tag("p", kind, ". ", tag("code", reading.name), class_="soft")
    if reading.only:
        yield tag("p", "About ", *only(reading), ".", class_="soft")
    for merged in release.plan.statistics[reading.name].merge.values():
        for group, members in merged.items():
            names = each([quoted(label) for label in members], "or")
            yield tag("p", quoted(group), " means ", names, ".", class_="soft")


def _of_everybody(highlights: Highlights) -> Iterator[Html]:
    reading, stat = highlights.reading, highlights.reading.table
    if isinstance(stat, MeanTable):
        mean = stat.mean()
        who = "all groups together" if reading.groups else "everybody who answered"
        lies = "lies" if mean.known else "is"
        yield tag("p", f"The mean of {who} {lies} {between(reading, mean)}.")
        total = stat.total()
        if total.known:
            yield tag("p", f"Added up over {who} it is {added_up(reading, total).between}.")
        return
    if isinstance(stat, DistributionTable):
        yield from _quartiles(reading, stat)
    if not isinstance(stat, CountTable) or reading.answer is None:
        return
    shares = dict(highlights.shares)
    if reading.several:
        # The order of the plan means nothing where several may be ticked; unknown ones come last.
        shares = dict(sorted(shares.items(), key=lambda pair: -_size(pair[1])))
    yield sentences(_share(reading, label, figure) for label, figure in shares.items())
    name = reading.answer.name
    rows: list[list[Part]] = [
        [stranger(label), about(reading, stat.total(**{name: label})), about(reading, figure)]
        for label, figure in shares.items()
    ]
    rows.append(["everybody who answered", about(reading, stat.answered(name)), ""])
    yield chart_figure(
        f"{reading.name}-all",
        f"{reading.question}, {EVERYBODY}" if reading.groups else reading.question,
        {"": [chart_row(reading, label, figure) for label, figure in shares.items()]},
        reading,
        ("Answer", "People", "Share of those who answered"),
        rows,
    )


def _share(reading: Reading, label: str, figure: Figure) -> list[Part]:
    said: list[Part] = [f" of those who answered {reading.verb} ", quoted(label)]
    if isinstance(reading.table, DistributionTable) and reading.unit:
        said += [" ", stranger(reading.unit)]
    words = between(reading, figure)
    if figure.known:
        return [f"{words[0].upper()}{words[1:]}", *said, "."]
    return ["How many", *said, f" is {words}."]


def _size(figure: Figure) -> float:
    return -1.0 if figure.best is None else figure.best


def _quartiles(reading: Reading, stat: DistributionTable) -> Iterator[Html]:
    """Say the quartiles of everybody, and tabulate those of every group."""
    unit: list[Part] = [" ", stranger(reading.unit)] if reading.unit else []
    said: list[list[Part]] = []
    for words, q in _QUARTERS:
        found = stat.quantile(q)
        if not found.known:
            said.append([f"What {words} of those who answered gave at most is {TOO_NOISY}."])
        else:
            who = f"{words.capitalize()} of those who answered"
            said.append([f"{who} gave no more than a number {numbers_between(found)}", *unit, "."])
    yield sentences(said)
    rows: list[list[Part]] = []
    for axis in reading.groups:
        for label in given_labels(axis):
            cells = [stat.quantile(q, **{axis.name: label}) for _, q in _QUARTERS]
            rows.append([stranger(label), *map(_quantile, cells)])
    if rows:
        caption = "Numbers that a quarter, half and three quarters gave no more than"
        head = ("Group", "A quarter", "Half (median)", "Three quarters")
        yield table(caption, head, rows)


def _quantile(found: Quantile) -> str:
    return " to ".join(exact_limits(found)) if found.known else TOO_NOISY


def _by_groups(highlights: Highlights, axis: Axis) -> Iterator[Html]:
    reading, stat = highlights.reading, highlights.reading.table
    groups = given_labels(axis)
    yield tag("h4", "By ", quoted(axis.title))
    if isinstance(stat, MeanTable):
        means = {group: stat.mean(**{axis.name: group}) for group in groups}
        yield sentences(
            [stranger(group), f": {between(reading, mean)}."] for group, mean in means.items()
        )
        yield chart_figure(
            f"{reading.name}-{axis.name}",
            f"{reading.question}, by group",
            {
                "": [
                    chart_row(reading, *pair) for pair in ((EVERYBODY, stat.mean()), *means.items())
                ]
            },
            reading,
            ("Group", "People", "Mean", "Added up"),
            [
                [
                    stranger(group),
                    about(reading, stat.answered(**{axis.name: group})),
                    about(reading, mean),
                    _sum(reading, stat.total(**{axis.name: group})),
                ]
                for group, mean in means.items()
            ],
        )
        return
    if not isinstance(stat, CountTable) or reading.answer is None:
        return
    name = reading.answer.name
    shares = {
        answer: {
            group: stat.share(of={name: answer}, within={axis.name: group}) for group in groups
        }
        for answer in reading.answers
    }
    yield sentences(_groups_line(reading, answer, of) for answer, of in shares.items())
    charts: dict[str, list[Row]] = {}
    cells: list[list[Part]] = []
    for answer, of in shares.items():
        if any(figure.known for figure in of.values()):
            charts[answer] = [
                chart_row(reading, EVERYBODY, highlights.shares[answer]),
                *(chart_row(reading, group, figure) for group, figure in of.items()),
            ]
        cells += [
            [stranger(answer), stranger(group), about(reading, figure)]
            for group, figure in of.items()
        ]
    if not charts:
        return
    if sum(map(len, charts.values())) > MOST_ROWS:
        yield tag("p", "That is too much for one chart; the table of all numbers has every group.")
        return
    yield chart_figure(
        f"{reading.name}-{axis.name}",
        f"{reading.question}, by group",
        charts,
        reading,
        ("Answer", "Group", "Share of those who answered in the group"),
        cells,
    )


def _sum(reading: Reading, total: Figure) -> Part:
    """What a number comes to in a group; for tables."""
    if total.dark:
        return added_up(reading, total).about
    return tag("span", added_up(reading, total).range if total.known else TOO_NOISY, class_="soft")


def _all_cells(reading: Reading) -> Html:
    stat = reading.table
    shares = stat.shares()
    head: list[Part] = [stranger(axis.title) for axis in stat.axes]
    head.append("People" if isinstance(stat, CountTable) else "Mean")
    # Only shares of the answer that the sentences are about: two kinds of share confuse.
    with_shares = any(share is not None for share in shares) and (
        isinstance(stat, CountTable) and stat.subject is reading.answer
    )
    if with_shares:
        head.append("Share")
    rows: list[list[Part]] = []
    for figure, share in zip(stat.cells(), shares, strict=True):
        row: list[Part] = [stranger(figure.labels[axis.name]) for axis in stat.axes]
        row = [*(row or ["everybody"]), about(reading, figure)]
        rows.append([*row, about(reading, share)] if with_shares else row)
    if not stat.axes:
        head = ["Who", *head]
    caption = f"All numbers of this statistic ({count(len(rows), 'cell')})"
    return folded(caption, table(BEST, head, rows))


def _groups_line(reading: Reading, answer: str, of: Mapping[str, Figure]) -> list[Part]:
    """Say one answer's share in every group, in one sentence."""
    if not any(figure.known for figure in of.values()):
        return [quoted(answer), ": nothing can be shown for any group."]
    said = [
        phrase("among ", quoted(group), f" {between(reading, figure)}")
        for group, figure in of.items()
    ]
    return [quoted(answer), ": ", each(said), "."]

"""Which differences of a statistic are larger than the noise: two lists, and a table of all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.markup import join, stranger, table, tag
from grievance.release.page.pieces import folded, sentences
from grievance.release.page.words import as_range, cannot_be_said, count, difference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grievance.markup import Html, Part
    from grievance.release.page.highlights import Highlights

FEW = 3
"""Sentences of one kind where each is a paragraph's worth; the tables have the rest."""


def differences(highlights: Highlights) -> Iterator[Html]:
    """Name the differences that are larger than the noise, and those that are not shown."""
    reading, made = highlights.reading, highlights.comparisons
    if not made:
        return
    apart, wider = highlights.apart, highlights.wider
    asked_wider = [one.asked for one in wider]
    hidden = [one for one in highlights.not_shown if one.asked not in asked_wider]
    yield tag("h4", "Which differences are larger than the noise")
    if apart:
        yield sentences([*difference(reading, one), "."] for one in apart)
    else:
        yield tag("p", "None of those that were looked at.")
    promise = tag(
        "p",
        "It holds those above too. On average noise alone puts at most one wrong entry into four "
        "such lists: a difference that is not there, or is the other way round.",
    )
    yield folded(
        f"A wider list: {count(len(wider), 'difference')}",
        join([promise, sentences([*difference(reading, one), "."] for one in wider)]),
    )
    if 0 < len(hidden) <= FEW:
        yield sentences([*cannot_be_said(reading, one), "."] for one in hidden)
    elif hidden:
        yield tag(
            "p",
            *cannot_be_said(reading, hidden[0]),
            f". The same goes for {count(len(hidden) - 1, 'other comparison')}.",
        )
    lost = sum(one.lost and one.asked not in asked_wider for one in made)
    if lost:
        yield tag(
            "p", f"{count(lost, 'comparison')} cannot be shown: a figure is lost in the noise."
        )
    caption = f"All {count(len(made), 'comparison')}, corrected for their number"
    rows: list[list[Part]] = []
    for one in made:
        asked = one.asked
        second = "the other groups" if asked.kind == "rest" else stranger(asked.second)
        words = "larger than the noise" if one.apart else "no"
        if one.asked in asked_wider and not one.apart:
            words = "in the wider list"
        rows.append(
            [
                stranger(asked.first),
                second,
                stranger(asked.answer)
                if asked.answer
                else "the mean"
                if asked.kind != "answers"
                else "people who gave it",
                as_range(reading, one),
                words,
            ]
        )
    head = ("First", "Second", "What is compared", "First less second", "Is it shown?")
    yield folded(caption, table("How much larger the first is than the second", head, rows))

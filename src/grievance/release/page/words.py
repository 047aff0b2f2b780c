"""Sentences about figures and differences. What a stranger wrote stays apart from our words."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from grievance.markup import stranger, tag
from grievance.release.page.rounding import place_of, show, write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.markup import Html, Part
    from grievance.release.figures import Figure, Quantile
    from grievance.release.page.apart import Comparison
    from grievance.release.page.reading import Reading
    from grievance.release.page.rounding import Shown

TOO_NOISY = "not known (the noise is too large)"


def quoted(label: str) -> Html:
    """A label, as it was written by whoever wrote the plan."""
    return phrase("\u201c", stranger(label), "\u201d")


def phrase(*parts: Part) -> Html:
    """Pieces of a sentence, with no space added."""
    return tag("span", *parts)


def each(parts: Sequence[Html], last: str = "and") -> Html:
    """Join pieces as a sentence does: "a, b and c"."""
    between: list[Part] = []
    for at, part in enumerate(parts):
        if at:
            between.append(f" {last} " if at == len(parts) - 1 else ", ")
        between.append(part)
    return phrase(*between)


def under(figure: Figure, most: float) -> str:
    """`under 40`: how a grey count is written. `most`: what it can be."""
    place = place_of((figure.high - figure.low) / 2, whole=True)
    rounded = write(figure.under, place, ROUND_CEILING)
    return f"under {rounded if int(rounded.replace(',', '')) <= most else f'{figure.under:,}'}"


def shown(reading: Reading, figure: Figure) -> Shown:
    """A figure that is known, rounded to its noise."""
    if figure.whole:
        return show(figure, bounds=(0.0, reading.table.most))
    if figure.percent:
        return show(figure)
    return show(figure, reading.unit, bounds=reading.bounds)


def between(reading: Reading, figure: Figure) -> str:
    """`between 38% and 46%`, `under 40`, or why that cannot be said."""
    if not figure.known:
        return TOO_NOISY
    if figure.grey and figure.whole:
        return under(figure, reading.table.most)
    return shown(reading, figure).between


def ranged(reading: Reading, figure: Figure) -> str:
    """`38% to 46%`, or why that cannot be said."""
    return shown(reading, figure).range if figure.known else TOO_NOISY


def about(reading: Reading, figure: Figure | None) -> Part:
    """`42% (38% to 46%)`, `under 40` in grey, or why that cannot be said; for tables."""
    if figure is None:
        return ""
    if figure.dark:
        return shown(reading, figure).about
    said = between(reading, figure) if figure.whole else ranged(reading, figure)
    return tag("span", said, class_="soft")


def added_up(reading: Reading, total: Figure) -> Shown:
    """The sum of a number over people, rounded to its noise."""
    least, most = reading.bounds or (-math.inf, math.inf)
    people = reading.table.most
    bounds = min(0.0, least * people), max(0.0, most * people)
    return show(total, reading.unit, bounds=bounds)


def exact_limits(found: Quantile) -> tuple[str, str]:
    """The limits of a quantile, which are numbers of the plan: to the last digit."""
    low, high = (f"{Decimal(text):,f}" for text in found.limits)
    return low, high


def numbers_between(found: Quantile) -> str:
    """`between 1,000 and 2,500`: where a quantile lies."""
    return "between {} and {}".format(*exact_limits(found))


def by_how_much(reading: Reading, found: Comparison) -> str:
    """`by between 3 and 12 points`: a difference at its corrected level, whichever way round."""
    size = _apart(reading, _mirrored(found) if found.high < 0 else found)
    if size.low == "0":
        # It is more than nothing, but less than the digits its margin supports.
        return f"by up to {size.high} {size.unit}".strip()
    return f"by {size.between}"


def as_range(reading: Reading, found: Comparison) -> str:
    """`3 to 12 points`: a difference at its corrected level, for tables."""
    if found.lost:
        return "lost in the noise"
    return _apart(reading, found).range.replace("-", "\u2212")


def _apart(reading: Reading, found: Comparison) -> Shown:
    least, most = (0.0, 1.0) if found.percent else reading.bounds or (0.0, reading.table.most)
    bounds = least - most, most - least
    return show(found, unit_of(reading, found), bounds=bounds)


def unit_of(reading: Reading, found: Comparison) -> str:
    """What a difference is counted in."""
    return "points" if found.percent else "people" if found.whole else reading.unit


def _mirrored(found: Comparison) -> Comparison:
    middle = None if found.estimate is None else -found.estimate
    return replace(found, estimate=middle, low=-found.high, high=-found.low)


def difference(reading: Reading, found: Comparison) -> list[Part]:
    """Say a difference that is larger than the noise, as pieces of a sentence."""
    found = found.upwards
    asked = found.asked
    more = by_how_much(reading, found)
    first = quoted(asked.first)
    if asked.kind == "answers":
        second = quoted(asked.second)
        return [first, f" was {reading.verb} more often than ", second, f", {more}"]
    direction = "more" if found.low > 0 else "less"
    against: list[Part] = (
        ["among the other groups together"]
        if asked.kind == "rest"
        else ["among ", quoted(asked.second)]
    )
    if reading.answer is None:
        higher = "higher" if direction == "more" else "lower"
        return ["The mean is ", higher, " among ", first, " than ", *against, f", {more}"]
    larger = "larger" if direction == "more" else "smaller"
    return [
        f"The share that {reading.verb} ",
        quoted(asked.answer),
        f" is {larger} among ",
        first,
        " than ",
        *against,
        f", {more}",
    ]


def cannot_be_said(reading: Reading, found: Comparison) -> list[Part]:
    """Say that a difference is not shown."""
    asked = found.asked
    if asked.kind == "answers":
        return [
            "Which of ",
            quoted(asked.first),
            " and ",
            quoted(asked.second),
            f" was {reading.verb} more often cannot be said from these figures",
        ]
    other: list[Part] = (
        ["the other groups together"] if asked.kind == "rest" else [quoted(asked.second)]
    )
    about_: list[Part] = [" in the mean"]
    if reading.answer is not None:
        about_ = [" in the share that ", reading.verb, " ", quoted(asked.answer)]
    return [
        "Whether ",
        quoted(asked.first),
        " differs from ",
        *other,
        *about_,
        " cannot be said from these figures",
    ]


def whom(reading: Reading) -> Html:
    """The question of a statistic, and whom it is restricted to."""
    said = only(reading)
    return phrase(quoted(reading.question), *([" (", *said, ")"] if said else []))


def count(number: int, what: str, several: str | None = None) -> str:
    """Write a number of things: "1 report", "1,200 reports"."""
    return f"{number:,} {what if number == 1 else several or what + 's'}"


def only(reading: Reading) -> list[Part]:
    """Say whom a statistic is restricted to; nothing if it is not."""
    parts: list[Part] = []
    for question, labels in reading.only:
        parts += [" and " if parts else "only people who answered "]
        parts += [each([quoted(label) for label in labels], "or"), " to ", quoted(question)]
    return parts

"""Sentences about figures and differences. What a stranger wrote stays apart from our words."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from grievance.markup import stranger, tag
from grievance.release.page.rounding import show, show_people

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


def is_known(figure: Figure) -> bool:
    """Whether there is anything to say: neither withheld nor lost in the noise."""
    return figure.point is not None


def withheld(hide_below: int) -> str:
    """Why a figure is not shown."""
    return f"withheld (its noisy number is under {hide_below:,})"


def missing(reading: Reading, figure: Figure | Quantile) -> str:
    """Why there is nothing to show."""
    return withheld(reading.table.hide_below) if figure.hidden else TOO_NOISY


def shown(reading: Reading, figure: Figure) -> Shown:
    """A figure that is known, rounded to its noise."""
    if figure.whole:
        return show_people(figure)
    if figure.percent:
        return show(figure)
    return show(figure, reading.unit, bounds=reading.bounds)


def between(reading: Reading, figure: Figure) -> str:
    """`between 38% and 46%`, or why that cannot be said."""
    return shown(reading, figure).between if is_known(figure) else missing(reading, figure)


def ranged(reading: Reading, figure: Figure) -> str:
    """`38% to 46%`, or why that cannot be said."""
    return shown(reading, figure).range if is_known(figure) else missing(reading, figure)


def about(reading: Reading, figure: Figure | None) -> str:
    """`42% (38% to 46%)`, or why that cannot be said; for tables."""
    if figure is None:
        return ""
    return shown(reading, figure).about if is_known(figure) else missing(reading, figure)


def exact_limits(found: Quantile) -> tuple[str, str]:
    """The limits of a quantile, which are numbers of the plan: to the last digit."""
    low, high = (f"{Decimal(text):,f}" for text in found.limits)
    return low, high


def numbers_between(found: Quantile) -> str:
    """`between 1,000 and 2,500`: where a quantile lies."""
    return "between {} and {}".format(*exact_limits(found))


def by_how_much(reading: Reading, found: Comparison) -> str:
    """`by between 3 and 12 points`: a difference at its corrected level, whichever way round."""
    size = show(_mirrored(found) if found.high < 0 else found, unit_of(reading, found))
    if size.low == "0":
        # It is more than nothing, but less than the digits its margin supports.
        return f"by up to {size.high} {size.unit}".strip()
    return f"by {size.between}"


def as_range(reading: Reading, found: Comparison) -> str:
    """`3 to 12 points`: a difference at its corrected level, for tables."""
    if found.withheld:
        return "withheld, or lost in the noise"
    return show(found, unit_of(reading, found)).range.replace("-", "\u2212")


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

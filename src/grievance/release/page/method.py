"""The method note: mechanism, noise, costs, and how ranges and comparisons were made."""

from __future__ import annotations

from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

from grievance.markup import Html, table, tag
from grievance.plan.decimals import decimal_text
from grievance.plan.exact import noise_factor
from grievance.plan.words import listed
from grievance.privacy import noise_of
from grievance.release import document
from grievance.release.page.about import chapter
from grievance.release.page.words import count
from grievance.task.task import VDAF_DRAFT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from fractions import Fraction

    from grievance.markup import Part
    from grievance.release.release import Release


def how_it_was_made(release: Release) -> Html:
    """Mechanism, noise and costs of every statistic, and how ranges and comparisons were made."""
    task = release.task
    noise = noise_of(task.mechanism)
    rows: list[list[Part]] = []
    for one in release:
        source = task.layout.statistics[one.name].implied_by
        given = task.allocations[source or one.name]
        sd = document.released_sd(given.mechanism, given.scale, len(task.aggregators))
        statistic = task.layout.statistics[one.name]
        if statistic.multi is not None:
            sd = f"{float(sd) * noise_factor(statistic):.6g}"
        cost = f"nothing, read off {source}" if source else f"{_rounded_up(given.cost.amount)}"
        rows.append([tag("code", one.name), f"{float(given.scale):.6g}", sd, cost])
    terms = task.plan.privacy
    used = _rounded_up(task.cost.amount)
    promised = f"epsilon {decimal_text(terms.epsilon)}"
    if noise.cost_kind == "zcdp":
        promised += f" at delta {decimal_text(terms.delta)}, by zero-concentrated privacy"
    return chapter(
        "method",
        "Method",
        tag(
            "p",
            f"Each of the {len(task.aggregators)} organisations that count added "
            f"{noise.in_words} noise of the full scale to its own sum before anything left it. The "
            f"round may cost {noise.unit} {used} in all, which is {promised}. Counting: Prio3 of "
            f"{VDAF_DRAFT}.",
        ),
        table(
            f"Noise in one count: {noise.scale_name} of each organisation, "
            "standard deviation of the sum",
            ("Statistic", noise.scale_name, "sd in the release", f"Cost in {noise.unit}"),
            rows,
        ),
        *_ticked(release),
        *_reconciled(release),
        tag(
            "p",
            "Ranges are "
            "95 % intervals of the noise alone, each by itself: for counts from the law of the "
            "noise, for shares and means by Fieller's method, for quantiles by testing every "
            "band. They are cut at what is possible: a number of people from 0 to the reports that "
            "count, a share from 0 to 1, a mean and a quantile within what could be answered. "
            "Where the noise went beyond that, the range is that of the nearest possible number, "
            "which is also the best one written here; the exported tables have the number that the "
            "noise left, so that rows can be added up. Numbers are rounded to their margin, lower "
            "ends down and upper ends up.",
        ),
        tag(
            "p",
            "Which differences were looked at follows from the plan, not from the figures: "
            "each two answers with everybody together, each two groups, and each group against "
            "the other groups together; where each two groups would be too many, only the last. "
            "Within a statistic all of them are corrected for their number (Bonferroni), so that "
            "the chance that noise alone makes even one difference of a statistic look real is at "
            f"most 5 in 100. This release has {count(len(release), 'statistic')}, each with that "
            "chance of its own. The wider list of a statistic with K comparisons has those whose "
            "interval at level 1 - (1/4)/K excludes 0: on average noise alone puts at most one "
            "wrong entry into four such lists, whatever depends on what. How many people gave each "
            "answer is compared for questions, not for bands of numbers; bands are compared "
            "between groups.",
        ),
    )


def _rounded_up(cost: Fraction) -> str:
    """Write a cost with four digits, never less than it is, as the promise does."""
    up = Context(prec=4, rounding=ROUND_CEILING)
    return f"{up.divide(Decimal(cost.numerator), Decimal(cost.denominator)).normalize(up):f}"


def _ticked(release: Release) -> Iterator[Html]:
    """What is released of ticks, where there are any."""
    layout = release.task.layout
    if any(layout.statistics[one.name].multi is not None for one in release):
        yield tag(
            "p",
            "Where several choices may be ticked, two numbers are released for a choice: how many "
            "answered, and ticks less a fixed part of those who answered. Counts and shares are "
            "worked out from both; the same promise then takes less noise.",
        )


def _reconciled(release: Release) -> Iterator[Html]:
    """Say which statistics were made to agree with each other."""
    together = {
        tuple(sorted({one.name, *one.reconciled_with})) for one in release if one.reconciled_with
    }
    if together:
        groups = "; ".join(listed(names) for names in sorted(together))
        yield tag(
            "p",
            "About the same people, and so reconciled by weighted least squares until their "
            f"totals agree: {groups}. release.json has the numbers as they were released.",
        )

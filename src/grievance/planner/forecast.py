"""What a plan will cost and what it can show, before anything is collected.

Margins are those of the noise alone, at 95 per cent: what the privacy promise costs in
accuracy, not what sampling costs. They are the margins a release would print if exactly the
expected people came, for either mechanism.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from grievance.cost import Cost
from grievance.errors import UsageError
from grievance.plan.budget import noise_in_words, round_budget
from grievance.plan.decimals import decimal_text
from grievance.plan.exact import noise_factor
from grievance.planner.beliefs import beliefs_in_words, believe
from grievance.planner.expected import (
    CountProspect,
    ExpectedLayout,
    MeanProspect,
    Pair,
    expected_tables,
)
from grievance.planner.groups import expect, spread_in_words
from grievance.planner.merging import merging
from grievance.planner.model import Forecast, StatisticForecast
from grievance.planner.sizes import sizes_of
from grievance.privacy import NoiseLaw
from grievance.release.page.apart import quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grievance.plan import Plan
    from grievance.plan.budget import RoundBudget
    from grievance.planner.expected import Prospect
    from grievance.planner.groups import Expectation, Groups
    from grievance.planner.model import CellForecast

MAX_REPORTS = 1_000_000_000

_NO_PAIR = Pair(None, None)
_SURELY = 1.6448536269514722  # the 0.95 quantile of the standard normal distribution


def forecast(
    plan: Plan,
    reports: int | None = None,
    aggregators: int = 2,
    *,
    by_group: Groups | None = None,
) -> Forecast:
    """Forecast a round of `plan`. Anyone runs it, before anything is collected.

    Args:
        plan: The plan.
        reports: How many reports are expected. Without it, and without `by_group`, margins are
            in people only.
        aggregators: How many organisations will count, 2 to 255.
        by_group: field -> label -> expected number of people, as far as known; see
            `grievance.planner.groups`. Without `reports` the largest sum of one field is taken.

    Raises UsageError for counts that cannot be, or unknown labels; PrivacyError when the budget
    is too small for any noise to keep it.
    """
    check_counts(reports, aggregators)
    layout = ExpectedLayout(plan)
    expected = expect(plan, reports, by_group)
    number = None if expected.reports is None else round(expected.reports)
    sizes = sizes_of(plan, layout, number, aggregators)
    found = round_budget(plan, layout)
    layout = layout.under(found.mechanism)
    prospects = expected_tables(layout, expected, found.allocations, aggregators)
    uneven = expected_tables(layout, expected.uneven(plan), found.allocations, aggregators)
    statistics = tuple(
        _of_statistic(prospect, uneven[name], found, aggregators)
        for name, prospect in prospects.items()
    )
    beliefs = believe(plan, found)
    return Forecast(
        reports=number,
        aggregators=aggregators,
        statistics=statistics,
        num_bits=layout.num_bits,
        chunk_length=layout.chunk_length,
        report_bytes=sizes.report_bytes,
        folder_bytes=sizes.folder_bytes,
        seal_ms=sizes.seal_ms,
        verify_ms=sizes.verify_ms,
        round_cost=found.cost,
        round_budget=found.budget,
        lifetime_budget=found.lifetime,
        blanked_cost=found.blanked,
        mechanism=found.mechanism,
        noise=noise_in_words(plan, layout, found),
        rounds=found.rounds,
        beliefs=beliefs,
        promise=beliefs_in_words(plan, beliefs),
        warnings=tuple(_warnings(plan, statistics, number, found)),
        notes=(
            *_visible(plan),
            *spread_in_words(expected, plan),
            *_if_uneven(statistics, expected, plan),
        ),
    )


def check_counts(reports: int | None, aggregators: int) -> None:
    """Raise UsageError for numbers of reports or aggregators that cannot be."""
    if not 2 <= aggregators <= 255 or not (reports is None or 1 <= reports <= MAX_REPORTS):
        raise UsageError(
            "a forecast needs 2 to 255 aggregators and at least one report, at most "
            f"{MAX_REPORTS:,}"
        )


def _of_statistic(
    prospect: Prospect, uneven: Prospect, found: RoundBudget, aggregators: int
) -> StatisticForecast:
    statistic = prospect.statistic
    allocation = found.allocations[statistic.implied_by or statistic.name]
    law = NoiseLaw(allocation.mechanism, allocation.scale, aggregators * statistic.parts[-1].terms)
    points = difference_units = _NO_PAIR
    difference = None
    unit, span = "", 1.0
    if isinstance(prospect, MeanProspect):
        difference_units = prospect.difference_units()
        unit, span = prospect.number.unit, prospect.span
    elif isinstance(prospect, CountProspect):
        difference, points = prospect.difference(), prospect.difference_points()
    hopeless = sum(cell.hopeless for cell in prospect.cells)
    return StatisticForecast(
        name=statistic.name,
        kind=statistic.kind,
        implied_by=statistic.implied_by,
        reconciled_with=prospect.table.reconciled_with,
        cells=statistic.cells,
        bits=statistic.num_bits,
        noise_scale=allocation.scale,
        released_sd=law.sd * noise_factor(statistic),
        cost=Cost.zero(allocation.cost.kind) if statistic.implied_by else allocation.cost,
        margin=prospect.margin,
        margin_raw=prospect.margin_raw,
        people=middle(prospect.answered, lambda cell: cell.expected),
        margin_points=middle(prospect.answered, lambda cell: cell.points),
        margin_points_most=most(prospect.answered, lambda cell: cell.points),
        margin_units=middle(prospect.answered, lambda cell: cell.units),
        margin_units_most=most(prospect.answered, lambda cell: cell.units),
        comparisons=prospect.comparisons,
        difference=difference,
        difference_points=points.middle,
        difference_points_most=points.most,
        difference_units=difference_units.middle,
        difference_units_most=difference_units.most,
        difference_surely=1 + _SURELY / quantile(prospect.comparisons),
        unit=unit,
        span=span,
        hopeless=hopeless,
        hopeless_uneven=sum(cell.hopeless for cell in uneven.cells) if uneven.known else None,
        grey=sum(cell.grey and not cell.blank for cell in prospect.cells),
        figures=prospect.cells,
        merging=merging(prospect, aggregators) if hopeless else None,
    )


def middle(
    cells: Sequence[CellForecast], of: Callable[[CellForecast], float | None]
) -> float | None:
    """Return the value in the middle; None if there is none."""
    values = sorted(value for cell in cells if (value := of(cell)) is not None)
    return values[len(values) // 2] if values else None


def most(cells: Sequence[CellForecast], of: Callable[[CellForecast], float | None]) -> float | None:
    """Return the largest value; None if there is none."""
    return max((value for cell in cells if (value := of(cell)) is not None), default=None)


def _visible(plan: Plan) -> Iterator[str]:
    from grievance.pool.relay import PAD_TO

    yield (
        "everybody who can open the shared folder sees which organisations take part, and how "
        f"many reports each passed on, in steps of {PAD_TO}, and when"
    )
    yield (
        "an organisation's name says where its reports come from: if only people of one "
        "workplace or one branch report through it, that they reported shows, and roughly how "
        "many; let such people report through a larger organisation"
    )
    yield (
        f"relays fill every batch up to {PAD_TO} with blank reports that look like others: "
        "whether a batch holds one real report or nothing else cannot be seen; the release "
        "counts blank reports as accepted, and as nothing else"
    )
    least = plan.privacy.minimum_reports
    if least <= PAD_TO:
        yield (
            f"minimum_reports, {least:,}, counts blank reports too: as a batch is filled up to "
            f"{PAD_TO}, one real report meets it; only a minimum above {PAD_TO} asks for more"
        )


def _warnings(
    plan: Plan,
    statistics: tuple[StatisticForecast, ...],
    reports: int | None,
    budget: RoundBudget,
) -> list[str]:
    from grievance.pool.relay import PAD_TO

    terms = plan.privacy
    least, found = terms.minimum_reports, []
    if reports is not None and reports < least:
        padded = reports + -reports % PAD_TO
        found.append(
            f"{reports:,} {'report is' if reports == 1 else 'reports are'} fewer than "
            f"minimum_reports, {least:,}; "
            + (
                f"blank ones that a relay adds as cover, up to {padded:,}, count too, so it would "
                "be met all the same, and the round released"
                if padded >= least
                else f"passed on by one relay, with blank ones as cover, they are {padded:,}: "
                "nothing would be released"
            )
        )
    if budget.rounds < terms.rounds:
        found.append(
            f"the campaign is meant to have {terms.rounds} rounds, and lifetime_epsilon pays for "
            f"{budget.rounds} such ones: lower epsilon, or ask less of some rounds"
        )
    if budget.mechanism == "gaussian" and reports is not None and terms.delta * reports > 1:
        found.append(
            f"delta, {decimal_text(terms.delta)}, is larger than one over the number of reports: "
            f"choose it smaller"
        )
    if terms.epsilon > 3:
        found.append(
            f"epsilon, {decimal_text(terms.epsilon)}, promises little: what is published may "
            f"change the odds of a guess about one worker more than twentyfold"
        )
    for statistic in statistics:
        if statistic.implied_by and plan.statistics[statistic.name].importance != 1:
            found.append(
                f"{statistic.name} is read off {statistic.implied_by}: its importance has no "
                f"effect; set that of {statistic.implied_by}"
            )
        if statistic.hopeless:
            found.append(_drowning(statistic))
    return found


def _if_uneven(
    statistics: tuple[StatisticForecast, ...], expected: Expectation, plan: Plan
) -> Iterator[str]:
    """Say what would drown where answers without numbers are uneven."""
    if expected.reports is None or set(expected.given) == set(plan.fields):
        return
    found = [
        f"{item.hopeless_uneven} of {item.cells} of {item.name}"
        for item in statistics
        if item.hopeless_uneven
    ]
    yield (
        "Answers are never even. If the second answer of every question without numbers is given "
        "half as often as the first, the third a third as often, and so on, "
        + (f"these cells drown: {'; '.join(found)}." if found else "still no cell drowns.")
    )


def _drowning(statistic: StatisticForecast) -> str:
    what = "groups" if statistic.kind == "mean" else "cells"
    worst = [figure for figure in statistic.figures if figure.hopeless]
    least = min(worst, key=lambda figure: figure.expected or 0.0)
    named = ", ".join(least.labels.values()) or "everybody"
    return (
        f"{statistic.name}: {statistic.hopeless} of {statistic.cells} {what} would drown in the "
        f"noise; {least.expected or 0:,.0f} people are expected in the smallest, {named}, with a "
        f"margin of {least.margin:,.0f}: merge labels, cross fewer fields, or ask for less "
        "elsewhere"
    )

"""What a plan will cost and what it can show, before anything is collected.

Margins are those of the noise alone, at 95 per cent: what the privacy promise costs in
accuracy, not what sampling costs. Times are for one core of a common machine, from the
constants below, and are meant to be right within a factor of two or three.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING

from grievance.cost import Cost
from grievance.errors import UsageError
from grievance.plan.decimals import decimal_text
from grievance.plan.fields import ChoiceField, NumberField
from grievance.plan.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grievance.plan.model import Plan
    from grievance.plan.parts import StatisticLayout
    from grievance.privacy import Allocation

Z95 = 1.96
"""Two-sided 95 per cent point of the normal distribution."""

HPKE_OVERHEAD = {"MLKEM768_X25519": 1136, "X25519": 48}
"""Bytes a ciphertext is longer than its plaintext: encapsulated key and 16 bytes of tag."""

SALT_SIZE = 32
_FRAME_SIZE = 58  # magic 4, version 1, task digest 32, nonce 16, length 4, number of ciphertexts 1
_LENGTH_SIZE = 4

SEAL_MS_PER_BIT = 0.013
"""Proving one bit on plain integers, the path a worker's device takes."""

SEAL_MS_PER_AGGREGATOR = 0.1
OPEN_MS = {"MLKEM768_X25519": 0.070, "X25519": 0.042}
"""Opening one ciphertext: the floor of verification."""

VERIFY_MS_PER_BIT = 0.7 / 500
"""Checking one bit's proof on plain integers, as small batches are."""

VERIFY_MS_PER_BIT_LARGE = 0.014 / 500
"""Checking it in the kernels, which large batches take."""

LARGE = 5_000
"""From so many reports on, those that come in one batch are checked in the kernels."""

VERIFY_MS_PER_REPORT = 0.060
"""Reading, hashing, burning the nonce, deciding, writing."""

_VISIBLE = (
    "everybody who can open the shared folder sees which organisations take part, and how many "
    "reports each passed on, in hundreds, and when"
)


@dataclass(frozen=True)
class StatisticForecast:
    """What one statistic costs and shows.

    Attributes:
        name: The statistic.
        kind: "count", "mean" or "distribution".
        implied_by: The statistic it is read off at no cost, or None.
        cells: Cells of its table; of a mean, groups.
        bits: Block bits it takes in a report.
        sigma: Noise each aggregator adds to a count; of an implied one, its source's.
        released_sd: Standard deviation of the noise in a published count, all aggregators'
            noise and all coordinates it is summed from together.
        cost: What it costs; zero if implied.
        margin: 95 per cent margin of one cell, in people; of a mean, of the group's size.
        people: People expected in one cell, or one group of a mean, if they spread evenly.
        margin_points: The margin in percentage points of all people in the table; None for a
            mean, or without an expected number of reports.
        margin_units: 95 per cent margin of a mean, in its unit, for groups of `people` and a
            mean in the middle of the range; up to 1.4 times as much at its ends.
        unit: The unit of `margin_units`.
    """

    name: str
    kind: str
    implied_by: str | None
    cells: int
    bits: int
    sigma: Fraction
    released_sd: float
    cost: Cost
    margin: float
    people: float | None
    margin_points: float | None
    margin_units: float | None
    unit: str

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings, estimates as numbers."""
        return {
            "name": self.name,
            "kind": self.kind,
            "implied_by": self.implied_by,
            "cells": self.cells,
            "bits": self.bits,
            "sigma": str(self.sigma),
            "released_sd": _short(self.released_sd),
            "cost": self.cost.to_json(),
            "margin": _short(self.margin),
            "people": _short(self.people),
            "margin_points": _short(self.margin_points),
            "margin_units": _short(self.margin_units),
            "unit": self.unit,
        }


@dataclass(frozen=True)
class Forecast:
    """What `plan check` says.

    Attributes:
        reports: The expected number of reports, or None.
        aggregators: How many aggregators the plan is forecast for.
        statistics: Forecasts in the plan's order.
        num_bits: Block bits of a report.
        chunk_length: Chunk length of the proof.
        report_bytes: Size of one sealed report.
        folder_bytes: Reports and verifier shares in the pool, without signatures.
        seal_ms: Sealing one report on a worker's device.
        verify_ms: One aggregator's work per report on one core.
        round_cost: What the round costs, exactly; at most `round_budget`.
        round_budget: What the round's epsilon and delta allow.
        lifetime_budget: What the campaign's allow.
        blanked_cost: The round's cost when reports are only ever blanked, a weaker promise.
        rounds: How many such rounds the campaign allows.
        warnings: What a steward should think about, in words.
        notes: What stays visible to others, in words.
    """

    reports: int | None
    aggregators: int
    statistics: tuple[StatisticForecast, ...]
    num_bits: int
    chunk_length: int
    report_bytes: int
    folder_bytes: int | None
    seal_ms: float
    verify_ms: float
    round_cost: Cost
    round_budget: Cost
    lifetime_budget: Cost
    blanked_cost: Cost
    rounds: int
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings, estimates as numbers."""
        return {
            "reports": self.reports,
            "aggregators": self.aggregators,
            "statistics": [statistic.to_json() for statistic in self.statistics],
            "num_bits": self.num_bits,
            "chunk_length": self.chunk_length,
            "report_bytes": self.report_bytes,
            "folder_bytes": self.folder_bytes,
            "seal_ms": _short(self.seal_ms),
            "verify_ms": _short(self.verify_ms),
            "round_cost": self.round_cost.to_json(),
            "round_budget": self.round_budget.to_json(),
            "lifetime_budget": self.lifetime_budget.to_json(),
            "blanked_cost": self.blanked_cost.to_json(),
            "rounds": self.rounds,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


def _allocations(plan: Plan, layout: Layout) -> Mapping[str, Allocation]:
    from grievance.privacy import rho_for, split

    terms = plan.privacy
    return split(layout.shapes(), rho_for(terms.epsilon, terms.delta), terms.reports_per_worker)


def round_costs(plan: Plan, layout: Layout) -> tuple[Fraction, Fraction]:
    """Return rho of the round's noise, exactly, for replaced and for merely blanked reports."""
    from grievance.privacy import MEAN_L2_SQUARED_BLANKED, count_l2_squared_blanked

    replaced = blanked = Fraction(0)
    for name, allocation in _allocations(plan, layout).items():
        statistic = layout.statistics[name]
        weaker = (
            MEAN_L2_SQUARED_BLANKED
            if statistic.kind == "mean"
            else count_l2_squared_blanked(statistic.weighted_blocks)
        )
        replaced += allocation.cost.amount
        blanked += allocation.cost.amount * Fraction(weaker, statistic.l2_squared)
    return replaced, blanked


def _share_of_people(plan: Plan, statistic: StatisticLayout) -> float:
    """Return the share of people a statistic is about, if answers spread evenly."""
    share = 1.0
    for name, labels in statistic.where.items():
        field = plan.fields[name]
        if isinstance(field, ChoiceField):
            share *= len(labels) / len(field.options)
    return share


def _forecast_statistic(
    plan: Plan,
    statistic: StatisticLayout,
    allocation: Allocation,
    reports: int | None,
    aggregators: int,
) -> StatisticForecast:
    sd = float(allocation.sigma) * sqrt(aggregators * statistic.parts[-1].terms)
    table = None if reports is None else reports * _share_of_people(plan, statistic)
    people = None if table is None else table / statistic.cells
    points = units = None
    unit = ""
    if statistic.kind == "mean":
        number = plan.fields[statistic.number_name or ""]
        if isinstance(number, NumberField):
            unit = number.unit
            # mean = minimum + step (T/N + M) / 2; at T near 0 only T's noise, M sigma, counts.
            if people:
                units = float(number.maximum - number.minimum) / 2 * Z95 * sd / people
    elif table:
        points = 100 * Z95 * sd / table
    return StatisticForecast(
        name=statistic.name,
        kind=statistic.kind,
        implied_by=statistic.implied_by,
        cells=statistic.cells,
        bits=statistic.num_bits,
        sigma=allocation.sigma,
        released_sd=sd,
        cost=Cost.zero(allocation.cost.kind) if statistic.implied_by else allocation.cost,
        margin=Z95 * sd,
        people=people,
        margin_points=points,
        margin_units=units,
        unit=unit,
    )


def forecast(
    plan: Plan, reports: int | None = None, aggregators: int = 2, kem: str = "MLKEM768_X25519"
) -> Forecast:
    """Forecast a round of `plan` with `reports` reports and `aggregators` aggregators.

    Raises UsageError for counts that cannot be, or an unknown `kem`; PrivacyError when the
    budget is too small for any noise to keep it.
    """
    from grievance.privacy import budget_for

    if kem not in HPKE_OVERHEAD:
        raise UsageError(f"unknown kem; known are {', '.join(HPKE_OVERHEAD)}")
    if not 2 <= aggregators <= 255 or (reports is not None and reports < 1):
        raise UsageError("a forecast needs 2 to 255 aggregators and at least one report")
    layout = Layout(plan)
    vdaf = layout.vdaf(aggregators)
    allocations = _allocations(plan, layout)
    statistics = tuple(
        _forecast_statistic(plan, s, allocations[s.implied_by or s.name], reports, aggregators)
        for s in layout.statistics.values()
    )
    overhead = HPKE_OVERHEAD[kem]
    report_bytes = _FRAME_SIZE + vdaf.PUBLIC_SHARE_SIZE
    for index in range(aggregators):
        report_bytes += _LENGTH_SIZE + overhead + SALT_SIZE + vdaf.input_share_size(index)
    verifier_bytes = aggregators * (aggregators - 1) * vdaf.VERIFIER_SHARE_SIZE
    terms = plan.privacy
    round_budget = budget_for(terms.mechanism, terms.epsilon, terms.delta)
    lifetime = budget_for(terms.mechanism, terms.lifetime_epsilon, terms.delta)
    cost, blanked = round_costs(plan, layout)
    per_bit = VERIFY_MS_PER_BIT_LARGE if (reports or 0) >= LARGE else VERIFY_MS_PER_BIT
    return Forecast(
        reports=reports,
        aggregators=aggregators,
        statistics=statistics,
        num_bits=layout.num_bits,
        chunk_length=layout.chunk_length,
        report_bytes=report_bytes,
        folder_bytes=None if reports is None else reports * (report_bytes + verifier_bytes),
        seal_ms=layout.num_bits * SEAL_MS_PER_BIT + aggregators * SEAL_MS_PER_AGGREGATOR,
        verify_ms=OPEN_MS[kem] + layout.num_bits * per_bit + VERIFY_MS_PER_REPORT,
        round_cost=Cost(round_budget.kind, cost),
        round_budget=round_budget,
        lifetime_budget=lifetime,
        blanked_cost=Cost(round_budget.kind, blanked),
        rounds=int(lifetime.amount / cost),
        warnings=tuple(_warnings(plan, statistics, reports)),
        notes=(_VISIBLE,),
    )


def _warnings(
    plan: Plan, statistics: tuple[StatisticForecast, ...], reports: int | None
) -> list[str]:
    terms = plan.privacy
    found = []
    if reports is not None and reports < terms.minimum_reports:
        found.append(
            f"{reports:,} reports are fewer than minimum_reports, {terms.minimum_reports:,}: "
            f"nothing would be released"
        )
    if reports is not None and terms.delta * reports > 1:
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
        if statistic.people is not None and statistic.margin > statistic.people:
            each = "group" if statistic.kind == "mean" else "cell"
            found.append(
                f"{statistic.name}: about {statistic.people:,.0f} people are expected in a {each}, "
                f"with a margin of {statistic.margin:,.0f}: merge labels, cross fewer fields, "
                f"or ask for less elsewhere"
            )
    return found

"""What a forecast says, and its form for programs.

The keys of `to_json` are stable: keys may be added, none changes its meaning. They are listed in
docs/planning.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from fractions import Fraction

    from grievance.cost import Cost
    from grievance.planner.beliefs import Belief
    from grievance.privacy import Mechanism


def short(value: float | None) -> float | None:
    """Round an estimate to four digits."""
    return None if value is None else float(f"{value:.4g}")


@dataclass(frozen=True)
class CellForecast:
    """One cell of a table, or one group of a mean.

    Attributes:
        labels: Field to label.
        expected: People expected in it.
        margin: 95 per cent margin of their number, in people.
        points: Margin of the share the release shows beside it, in percentage points of those
            who answer in its group; None for a mean, for people who do not answer, and without
            an expected number of reports.
        units: Margin of a mean, in its unit. Where the interval of a share or a mean ends at what
            is possible, both are the distance to its farther limit.
        hopeless: Whether fewer people are expected than the margin; of a mean, whether the
            noise hides the group, so that the mean may be anything.
        grey: Whether fewer are expected than the plan's `hide_below`, or than the margin.
        blank: Whether it is of people who leave a question open; such cells are never hopeless.
    """

    labels: Mapping[str, str]
    expected: float | None
    margin: float
    points: float | None
    units: float | None
    hopeless: bool
    grey: bool
    blank: bool

    def to_json(self) -> dict[str, object]:
        """Write it for programs."""
        return {
            "labels": dict(self.labels),
            "expected": short(self.expected),
            "margin": short(self.margin),
            "points": short(self.points),
            "units": short(self.units),
            "hopeless": self.hopeless,
            "grey": self.grey,
            "blank": self.blank,
        }


@dataclass(frozen=True)
class Merging:
    """What to do about cells that would drown.

    Attributes:
        toml: Lines to paste into the plan, or "" if no merging of labels helps.
        cells: Cells of the table after that.
        hopeless: How many of those would still drown; known from a forecast of the changed plan.
        margin: The margin of a cell in people then.
        reports: From how many reports on, spread alike, no cell of the plan as it is would drown;
            None where a cell expects nobody.
    """

    toml: str
    cells: int
    hopeless: int
    margin: float
    reports: int | None

    def to_json(self) -> dict[str, object]:
        """Write it for programs."""
        return {
            "toml": self.toml,
            "cells": self.cells,
            "hopeless": self.hopeless,
            "margin": short(self.margin),
            "reports": self.reports,
        }


@dataclass(frozen=True)
class StatisticForecast:
    """What one statistic costs and shows.

    A margin without more is that of the cell in the middle, when the cells that are not blank
    are sorted by it; one with `_most` that of the worst. Cells of one table have one margin in
    people.

    Attributes:
        name: The statistic.
        kind: "count", "mean" or "distribution".
        implied_by: The statistic it is read off at no cost, or None.
        reconciled_with: The statistics it is reconciled with when it is released.
        cells: Cells of its table; of a mean, groups.
        bits: Block bits it takes in a report.
        noise_scale: Of the noise each aggregator adds to a count: sigma, or b of the discrete
            Laplace; of an implied one, its source's.
        released_sd: Standard deviation of the noise in a published count, all aggregators'
            noise and all coordinates it is summed from together, before reconciliation.
        cost: What it costs; zero if implied.
        margin: 95 per cent margin of one cell, in people; of a mean, of the group's size.
        margin_raw: The same without reconciliation: larger, but for rounding to whole people.
        people: People expected in the middle cell, or in the middle group of a mean.
        margin_points: Margin of a share, in percentage points of those who answer in its group.
        margin_points_most: That of the worst cell.
        margin_units: Margin of a mean in its unit, for a mean in the middle of the range or
            where the numbers given for its bands put it; at the ends 1.4 times as much.
        margin_units_most: That of the worst group.
        comparisons: How many differences of the statistic the page of a release looks at. It
            calls one larger than noise at a level corrected for their number.
        difference: The smallest difference of two cells, in people, that shows at that level as
            larger than noise, in half of all rounds; None for a mean and for a single cell.
        difference_points: The same of one answer's share in two groups, those in the middle; of
            a table without groups, of two answers. None where no difference would show.
        difference_points_most: That of the two smallest groups.
        difference_units: The same of two groups' means, in the unit.
        difference_units_most: That of the two smallest groups.
        difference_surely: How many times as large a difference must be to show in 95 of 100
            rounds.
        unit: The unit of a mean.
        span: The width of the range of a mean's number; 1 for shares.
        hopeless: How many cells would drown.
        hopeless_uneven: The same where answers without numbers are uneven; see
            `grievance.planner.groups.Expectation.uneven`. None without a number of reports.
        grey: How many a page would show as "under" a number.
        figures: Every cell, row-major.
        merging: What to do about hopeless cells; None if there are none.
    """

    name: str
    kind: str
    implied_by: str | None
    reconciled_with: tuple[str, ...]
    cells: int
    bits: int
    noise_scale: Fraction
    released_sd: float
    cost: Cost
    margin: float
    margin_raw: float
    people: float | None
    margin_points: float | None
    margin_points_most: float | None
    margin_units: float | None
    margin_units_most: float | None
    comparisons: int
    difference: float | None
    difference_points: float | None
    difference_points_most: float | None
    difference_units: float | None
    difference_units_most: float | None
    difference_surely: float
    unit: str
    span: float
    hopeless: int
    hopeless_uneven: int | None
    grey: int
    figures: tuple[CellForecast, ...]
    merging: Merging | None = None

    def to_json(self) -> dict[str, object]:
        """Write it for programs: exact values as strings, estimates as numbers."""
        return {
            "name": self.name,
            "kind": self.kind,
            "implied_by": self.implied_by,
            "reconciled_with": list(self.reconciled_with),
            "cells": self.cells,
            "bits": self.bits,
            "noise_scale": str(self.noise_scale),
            "released_sd": short(self.released_sd),
            "cost": self.cost.to_json(),
            "margin": short(self.margin),
            "margin_raw": short(self.margin_raw),
            "people": short(self.people),
            "margin_points": short(self.margin_points),
            "margin_points_most": short(self.margin_points_most),
            "margin_units": short(self.margin_units),
            "margin_units_most": short(self.margin_units_most),
            "comparisons": self.comparisons,
            "difference": short(self.difference),
            "difference_points": short(self.difference_points),
            "difference_points_most": short(self.difference_points_most),
            "difference_units": short(self.difference_units),
            "difference_units_most": short(self.difference_units_most),
            "difference_surely": short(self.difference_surely),
            "unit": self.unit,
            "span": short(self.span),
            "hopeless": self.hopeless,
            "hopeless_uneven": self.hopeless_uneven,
            "grey": self.grey,
            "figures": [figure.to_json() for figure in self.figures],
            "merging": None if self.merging is None else self.merging.to_json(),
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
        mechanism: "gaussian" or "laplace"; what "auto" stands for in this plan.
        noise: Which noise it is and how the other one compares, in words.
        rounds: How many such rounds the campaign allows.
        beliefs: What a round, and all rounds, may do to a belief about one worker.
        promise: The same in words.
        warnings: What a steward should think about, in words.
        notes: What stays visible to others, and what was taken for granted, in words.
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
    mechanism: Mechanism
    noise: str
    rounds: int
    beliefs: Mapping[str, Belief]
    promise: tuple[str, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]

    def __getitem__(self, name: str) -> StatisticForecast:
        return {statistic.name: statistic for statistic in self.statistics}[name]

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
            "seal_ms": short(self.seal_ms),
            "verify_ms": short(self.verify_ms),
            "round_cost": self.round_cost.to_json(),
            "round_budget": self.round_budget.to_json(),
            "lifetime_budget": self.lifetime_budget.to_json(),
            "blanked_cost": self.blanked_cost.to_json(),
            "mechanism": self.mechanism,
            "noise": self.noise,
            "rounds": self.rounds,
            "beliefs": {name: belief.to_json() for name, belief in self.beliefs.items()},
            "promise": list(self.promise),
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

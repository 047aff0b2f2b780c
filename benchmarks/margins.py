"""What a small coalition can say: 95 % margins of one table, before and after less noise.

Each plan asks for one table at epsilon 1 and delta 1e-6, of two aggregators; people are spread
evenly over the groups of a table. Margins are half widths for the noise, to first order: of a
share of a quarter, in points; of a mean in the middle of its range, in per cent of the range; of
the share below the first quartile, in points. "Before" is what the same promise took when ticks
were released as they are, sensitivities were added up block by block, and Gaussian costs were
converted by the bound for every mechanism of zCDP.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import sqrt
from typing import Any

from grievance.plan import Layout, Plan
from grievance.plan.budget import budget_with, round_budget
from grievance.privacy.laws import NoiseLaw, combined_margin
from grievance.privacy.mechanisms import SCALE_UNITS, Mechanism

PEOPLE = (100, 200, 600, 2000)
AGGREGATORS = 2
SHARE = 0.25
ZCDP_RHO = Fraction(24_355_970, 10**9)  # of epsilon 1 and delta 1e-6, by CKS20's Proposition 12
MECHANISMS: tuple[Mechanism, ...] = ("gaussian", "laplace")

HEAD = """
title = "Margins"
campaign = "margins"
opens = 2026-11-01
closes = 2026-11-30
[privacy]
epsilon = 1
delta = 1e-6
lifetime_epsilon = 4
mechanism = "auto"
"""
TICKS = """
[fields.problem]
question = "Which?"
choices = ["a", "b", "c", "d", "e"]
pick = {pick}
"""
CHOICE = """
[fields.problem]
question = "Which?"
choices = ["a", "b", "c", "d", "e"]
required = true
"""
GROUP = """
[fields.group]
question = "Where?"
choices = {labels}
required = true
"""
NUMBER = """
[fields.hours]
question = "Hours"
minimum = 0
maximum = 48
step = 1
bands = [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44, 48]
required = true
"""


@dataclass(frozen=True)
class Case:
    """A plan of one table, and how far one report moved that table before."""

    name: str
    fields: str
    statistic: str
    moved_before: int
    groups: int = 1


def _grouped(groups: int) -> str:
    return GROUP.format(labels=[f"g{at}" for at in range(groups)])


CASES = (
    Case("tick 3 of 5", TICKS.format(pick=3), 'count = ["problem"]', 5 + 2),
    *(
        Case(
            f"tick 3 of 5, {groups} groups",
            TICKS.format(pick=3) + _grouped(groups),
            'count = ["group", "problem"]',
            6 + 2,
            groups,
        )
        for groups in (3, 6)
    ),
    Case("tick all of 5", TICKS.format(pick=5), 'count = ["problem"]', 5 + 2),
    Case("one of 5", CHOICE, 'count = ["problem"]', 2),
    Case("a mean", NUMBER, 'mean = "hours"', 4),
    Case("quartile of 12 bands", NUMBER, 'distribution = "hours"', 2),
)


def margin(layout: Layout, law: NoiseLaw) -> float:
    """Return the half width for one person in the group, with this noise in a released count."""
    statistic = layout.statistics["table"]

    def wide(factor: int, times: float, draws: int = 1) -> tuple[NoiseLaw, float]:
        return NoiseLaw(law.mechanism, law.scale * factor, law.draws * draws), times

    if statistic.kind == "mean":
        return combined_margin([wide(statistic.grid_size, 1 / (2 * statistic.grid_size))])
    if statistic.multi is not None:
        a, t = statistic.centre
        return combined_margin([wide(t, 1 / 64), wide(1, SHARE - a / 64)])
    below = 3 if statistic.kind == "distribution" else 1
    rest = statistic.cells - below
    return combined_margin([wide(1, 1 - SHARE, below), wide(1, SHARE, rest)])


def before(case: Case, layout: Layout, mechanism: Mechanism) -> float:
    """Return the same with the noise that the promise took before."""
    moved = case.moved_before
    if layout.statistics["table"].kind == "mean" and mechanism == "laplace":
        moved = 2
    scale = sqrt(moved / (2 * float(ZCDP_RHO))) if mechanism == "gaussian" else float(moved)
    law = NoiseLaw(mechanism, Fraction(round(scale * SCALE_UNITS + 0.5), SCALE_UNITS), AGGREGATORS)
    if layout.statistics["table"].multi is not None:
        return combined_margin([(law, 1.0), (law, SHARE)])
    return margin(layout, law)


def margins(*, quick: bool = False) -> dict[str, Any]:
    """Work out every margin; nothing is drawn or timed."""
    rows = []
    for case in CASES[:2] if quick else CASES:
        plan = Plan.from_toml(f"{HEAD}{case.fields}[statistics.table]\n{case.statistic}\n")
        plain = Layout(plan)
        found: dict[str, Any] = {"table": case.name, "groups": case.groups}
        for mechanism in MECHANISMS:
            given = budget_with(plan, plain, mechanism)
            scale = given.allocations["table"].scale
            now = margin(given.layout, NoiseLaw(mechanism, scale, AGGREGATORS))
            old = before(case, plain, mechanism)
            found[mechanism] = {
                "before": {n: 100 * old * case.groups / n for n in PEOPLE},
                "after": {n: 100 * now * case.groups / n for n in PEOPLE},
                "ratio": now / old,
            }
        found["auto"] = round_budget(plan, plain).mechanism
        rows.append(found)
    return {"share": SHARE, "aggregators": AGGREGATORS, "rows": rows}


def table(found: dict[str, Any]) -> list[str]:
    """Return the lines of the table: before -> after at each number of people."""
    people = "".join(f"{n:>15,}" for n in PEOPLE)
    lines = [f"{'± points, before -> after':24}{'noise':10}{people}   ratio  auto"]
    for row in found["rows"]:
        for mechanism in MECHANISMS:
            one = row[mechanism]
            cells = "".join(f"{one['before'][n]:>7.1f} ->{one['after'][n]:>5.1f}" for n in PEOPLE)
            auto = "  taken" if row["auto"] == mechanism else ""
            lines.append(f"{row['table']:24}{mechanism:10}{cells}   {one['ratio']:.2f}{auto}")
    return lines

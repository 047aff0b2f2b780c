"""Forecasts, the plan in words, the template, and what importing the package pulls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from fractions import Fraction
from math import sqrt

import pytest
from hypothesis import HealthCheck, given, settings
from strategies import EXAMPLE, plans

from grievance.errors import PlanError, UsageError
from grievance.plan import Layout, Plan, forecast, new_plan, plan_in_words
from grievance.privacy import epsilon_for, rho_for, split

PLAN = Plan.from_toml(EXAMPLE)


def test_the_designs_example_is_forecast() -> None:
    found = forecast(PLAN, 5000, aggregators=2)
    layout = Layout(PLAN)
    rho = rho_for(Fraction(1), Fraction(1, 10**6))
    allocations = split(layout.shapes(), rho, 1)
    assert found.round_cost.amount == sum(a.cost.amount for a in allocations.values())
    assert found.round_cost <= found.round_budget
    assert found.round_budget.amount == rho
    assert found.blanked_cost.amount == found.round_cost.amount / 2
    assert found.rounds * found.round_cost.amount <= found.lifetime_budget.amount
    assert (found.rounds + 1) * found.round_cost.amount > found.lifetime_budget.amount
    problems, hours, spread = found.statistics
    sigma = float(allocations["problems_by_region"].sigma)
    assert problems.released_sd == pytest.approx(sigma * sqrt(2))
    assert problems.margin == pytest.approx(1.96 * sigma * sqrt(2))
    assert problems.people == pytest.approx(5000 / 30)
    assert problems.margin_points == pytest.approx(problems.margin / 50)
    assert (hours.cells, hours.unit, hours.margin_points) == (2, "hours", None)
    assert hours.people == pytest.approx(5000 * 2 / 6 / 2)
    # The mean is minimum + step (T/N + M) / 2, and T has M sigma.
    sigma_total = 80 * float(allocations["unpaid_hours"].sigma) * sqrt(2)
    assert hours.margin_units == pytest.approx(1.96 * 0.5 * sigma_total / 2 / hours.people)
    assert spread.implied_by is None
    assert sum(s.bits for s in found.statistics) == found.num_bits == layout.num_bits
    json.dumps(found.to_json())


@pytest.mark.parametrize(("kem", "overhead"), [("MLKEM768_X25519", 1136), ("X25519", 48)])
@pytest.mark.parametrize("aggregators", [2, 3])
def test_report_bytes_are_those_of_the_wire_format(
    kem: str, overhead: int, aggregators: int
) -> None:
    found = forecast(PLAN, 100, aggregators, kem)
    vdaf = Layout(PLAN).vdaf(aggregators)
    public, shares = vdaf.shard(b"ctx", Layout(PLAN).blank(), bytes(16))
    size = 4 + 1 + 32 + 16 + 4 + len(vdaf.encode_public_share(public)) + 1
    for share in shares:
        size += 4 + overhead + 32 + len(vdaf.encode_input_share(share))
    assert found.report_bytes == size
    assert found.folder_bytes > 100 * size


def test_without_a_number_of_reports_margins_are_in_people_only() -> None:
    found = forecast(PLAN)
    assert found.reports is None
    assert found.folder_bytes is None
    for statistic in found.statistics:
        assert statistic.margin > 0
        assert statistic.people is statistic.margin_points is statistic.margin_units is None


def test_warnings_are_in_words() -> None:
    few = forecast(PLAN, 40)
    assert any("fewer than minimum_reports" in text for text in few.warnings)
    assert any(text.startswith("problems_by_region: about 1 people") for text in few.warnings)
    assert forecast(PLAN, 50_000).warnings == ()
    assert any("delta" in text for text in forecast(PLAN, 2_000_000).warnings)
    loose = Plan.from_toml(EXAMPLE.replace("epsilon = 1.0", "epsilon = 4.0", 1))
    assert any("promises little" in text for text in forecast(loose).warnings)
    implied = EXAMPLE + '[statistics.all]\ncount = ["region"]\nimportance = 3\n'
    assert any("has no effect" in text for text in forecast(Plan.from_toml(implied)).warnings)


def test_an_implied_table_is_noisier_and_free() -> None:
    plan = Plan.from_toml(EXAMPLE + '[statistics.all]\ncount = ["region"]\n')
    *_, implied = forecast(plan, 5000, 3).statistics
    source = forecast(plan, 5000, 3).statistics[0]
    assert implied.implied_by == "problems_by_region"
    assert (implied.bits, implied.cost.amount) == (0, 0)
    assert implied.released_sd == pytest.approx(source.released_sd * sqrt(2))


@pytest.mark.parametrize(
    ("reports", "aggregators", "kem"), [(0, 2, "X25519"), (5, 1, "X25519"), (5, 2, "RSA")]
)
def test_forecasts_of_nothing_are_refused(reports: int, aggregators: int, kem: str) -> None:
    with pytest.raises(UsageError):
        forecast(PLAN, reports, aggregators, kem)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans())
def test_every_plan_has_a_forecast_and_words(plan: Plan) -> None:
    found = forecast(plan, 1000)
    assert Fraction(epsilon_for(found.round_cost.amount, plan.privacy.delta)) <= (
        plan.privacy.epsilon + Fraction(1, 1000)
    )
    json.dumps(found.to_json(), allow_nan=False)
    lines = plan_in_words(plan, ["A", "B"])
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    for name in plan.statistics:
        assert f"- {name}: " in text
    assert lines == plan_in_words(Plan.from_json(plan.to_json()), ["A", "B"])


def test_the_designs_example_in_words() -> None:
    lines = plan_in_words(PLAN, ["Union of Nurses", "Law Centre", "Archive"], ["Net One"])
    text = "\n".join(lines)
    for words in (
        "Open from 1 October 2026 to 20 December 2026.",
        "   Tick at most three.",
        "   Up to 3 of: unpaid overtime; targets; downgrading; bullying; caseload.",
        "   A number from 0 to 40 hours, in steps of 0.5.",
        '  Only people who answered "Where do you work?" with London or North.',
        '  "outside London" means North, Midlands, South, Scotland or Wales.',
        "Union of Nurses, Law Centre and Archive",
        "If all of them worked together, they could read every answer.",
        "passed on, sealed, by Net One.",
        "fewer than 50 reports",
        "counts below 10",
        "epsilon 1 ",
        "at most epsilon 4 ",
    ):
        assert words in text
    assert "signed task" in "\n".join(plan_in_words(PLAN))


def test_words_of_implied_merged_and_repeated() -> None:
    text = EXAMPLE.replace("reports_per_worker = 1", "reports_per_worker = 2")
    text = text.replace("hide_below = 10", "hide_below = 0")
    text += '[statistics.more]\ncount = ["problems"]\n'
    text += 'merge = { problems = { pressure = ["targets", "caseload"] } }\n'
    text += '[statistics.all]\ncount = ["region"]\n'
    said = "\n".join(plan_in_words(Plan.from_toml(text)))
    assert '"pressure" means any of targets or caseload.' in said
    assert "It is read off problems_by_region and reveals nothing more." in said
    assert "may report 2 times" in said
    assert "counts below" not in said


def test_the_template_is_a_plan() -> None:
    title = 'Say "hours" \\ pay'
    text = new_plan(title, "hours-2026", opens=date(2026, 3, 1), closes=date(2026, 4, 1))
    plan = Plan.from_toml(text)
    assert (plan.title, plan.campaign) == (title, "hours-2026")
    assert (plan.opens, plan.closes) == (date(2026, 3, 1), date(2026, 4, 1))
    assert plan.statistics == PLAN.statistics
    assert plan.fields == PLAN.fields
    assert len([line for line in text.splitlines() if "#" in line]) > 15


@pytest.mark.parametrize(
    ("title", "campaign", "closes"),
    [("", "c", date(2026, 4, 1)), ("a\nb", "c", date(2026, 4, 1)), ("t", "C/..", date(2026, 4, 1)),
     ("t", "c", date(2026, 3, 1)), ('"\n[privacy]\nepsilon = 10\n#', "c", date(2026, 4, 1))],
)  # fmt: skip
def test_the_template_takes_no_bad_values(title: str, campaign: str, closes: date) -> None:
    with pytest.raises(PlanError):
        new_plan(title, campaign, opens=date(2026, 3, 1), closes=closes)


def test_importing_plans_is_light() -> None:
    code = "import sys, grievance.plan; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "numba", "pyarrow", "opendp", "pandas", "rich", "typer", "grievance.kernels"}
    assert not heavy & set(re.split(r"\s+", done.stdout))

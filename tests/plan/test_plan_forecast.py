"""Forecasts, the plan in words, the template, and what importing the package pulls."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from fractions import Fraction
from math import sqrt
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EXAMPLE, plans

from grievance.cost import Cost
from grievance.errors import PlanError, UsageError
from grievance.plan import ChoiceField, Layout, Plan, new_plan, plan_in_words
from grievance.plan.budget import round_budget
from grievance.plan.template import Shape
from grievance.planner import forecast, to_svg
from grievance.planner.expected import ExpectedLayout, expected_tables
from grievance.planner.groups import expect
from grievance.privacy import epsilon_for, rho_for, split, surprise_bound
from grievance.release.page.apart import quantile
from grievance.testing import with_envelope

PLAN = Plan.from_toml(EXAMPLE)
GAUSSIAN = EXAMPLE.replace("[privacy]", '[privacy]\nmechanism = "gaussian"')


def test_the_designs_example_is_forecast() -> None:
    found = forecast(PLAN, 5000, aggregators=2)
    layout = Layout(PLAN)
    rho = rho_for(Fraction(1), Fraction(1, 10**6))
    allocations = split(layout.shapes(), Cost("zcdp", rho), 1)
    assert found.round_cost.amount == sum(a.cost.amount for a in allocations.values())
    assert found.round_cost <= found.round_budget
    assert found.round_budget.amount == rho
    assert 0.49 < found.blanked_cost.amount / found.round_cost.amount < 0.51
    assert found.rounds * found.round_cost.amount <= found.lifetime_budget.amount
    assert (found.rounds + 1) * found.round_cost.amount > found.lifetime_budget.amount
    problems, hours, spread = found.statistics
    sigma = float(allocations["problems_by_region"].scale)
    # A count is (T + 32 answered) / 64, T with 71 times the noise of answered.
    wider = sqrt(71**2 + 32**2) / 64
    assert problems.released_sd == pytest.approx(wider * sigma * sqrt(2))
    assert problems.margin == pytest.approx(1.96 * wider * sigma * sqrt(2), abs=1)
    assert problems.people == pytest.approx(5000 / 30)
    # A fifth of a group of 833 ticks it: the denominator's noise counts by what 0.2 is off 32/64.
    share = sqrt((71 / 64) ** 2 + 0.3**2) * 1.96 * sigma * sqrt(2) / (5000 / 6)
    assert problems.margin_points == pytest.approx(100 * share, rel=0.03)
    assert problems.margin_points_most == problems.margin_points
    # 5 answers in 6 regions: 10 pairs of answers, and 6 regions against the others for each.
    assert problems.comparisons == 10 + 5 * 6
    wider = quantile(problems.comparisons) / 1.96
    assert wider == pytest.approx(NormalDist().inv_cdf(1 - 0.05 / 80) / 1.96)
    assert problems.difference_points == pytest.approx(wider * sqrt(2) * 100 * share, rel=0.05)
    assert problems.difference == pytest.approx(wider * sqrt(2) * problems.margin, abs=2)
    assert problems.difference_surely == pytest.approx(1 + 1.645 / 1.96 / wider, 1e-3)
    assert (hours.cells, hours.unit, hours.margin_points) == (2, "hours", None)
    assert hours.people == pytest.approx(5000 * 2 / 6 / 2)
    # The mean is minimum + step (T/N + M) / 2, and T has M sigma.
    sigma_total = 80 * float(allocations["unpaid_hours"].scale) * sqrt(2)
    assert hours.margin_units == pytest.approx(
        1.96 * 0.5 * sigma_total / 2 / hours.people,
        rel=0.01,  # Fieller's is a little wider
    )
    assert hours.margin_units_most == hours.margin_units
    assert hours.comparisons == 1
    assert hours.difference_units == pytest.approx(sqrt(2) * hours.margin_units, rel=0.01)
    assert hours.difference_surely == pytest.approx(1.84, abs=0.005)
    assert spread.implied_by is None
    assert sum(s.bits for s in found.statistics) == found.num_bits == layout.num_bits
    json.dumps(found.to_json())


@pytest.mark.parametrize(("envelope", "overhead"), [("hybrid", 1136), ("x25519", 48)])
@pytest.mark.parametrize("aggregators", [2, 3])
def test_report_bytes_are_those_of_the_wire_format(
    envelope: str, overhead: int, aggregators: int
) -> None:
    found = forecast(Plan.from_toml(with_envelope(EXAMPLE, envelope)), 100, aggregators)
    vdaf = Layout(PLAN).vdaf(aggregators)
    public, shares = vdaf.shard(b"ctx", Layout(PLAN).blank(), bytes(16))
    size = 4 + 1 + 32 + 32 + 4 + len(vdaf.encode_public_share(public)) + 1
    for share in shares:
        size += 4 + overhead + 32 * aggregators + len(vdaf.encode_input_share(share))
    assert found.report_bytes == size
    assert found.folder_bytes > 100 * size


def test_without_a_number_of_reports_margins_are_in_people_only() -> None:
    found = forecast(PLAN)
    assert found.reports is None
    assert found.folder_bytes is None
    for statistic in found.statistics:
        assert statistic.margin > 0
        assert statistic.people is statistic.margin_points is statistic.margin_units is None
        assert statistic.difference_points is statistic.difference_units is None
        assert (statistic.hopeless, statistic.grey, statistic.merging) == (0, 0, None)
        assert all(figure.expected is None for figure in statistic.figures)


def test_warnings_are_in_words() -> None:
    few = forecast(PLAN, 40)
    # One batch, filled up with blank reports, meets a minimum of 50.
    assert any("fewer than minimum_reports, 50; blank" in text for text in few.warnings)
    assert not any("nothing would be released" in text for text in few.warnings)
    assert any("one real report meets it" in text for text in few.notes)
    high = Plan.from_toml(EXAMPLE.replace("minimum_reports = 50", "minimum_reports = 250"))
    (told,) = (text for text in forecast(high, 140).warnings if "minimum_reports" in text)
    assert "they are 200: nothing would be released" in told
    (told,) = (text for text in forecast(high, 240).warnings if "minimum_reports" in text)
    assert "up to 300" in told and "nothing" not in told
    assert not any("one real report meets it" in text for text in forecast(high).notes)
    assert any("problems_by_region: 30 of 30 cells would drown" in text for text in few.warnings)
    assert any("1 people are expected in the smallest, " in text for text in few.warnings)
    assert forecast(PLAN, 50_000).warnings == ()
    assert any("delta" in text for text in forecast(PLAN, 2_000_000).warnings)
    loose = Plan.from_toml(EXAMPLE.replace("epsilon = 1.0", "epsilon = 4.0", 1))
    assert any("promises little" in text for text in forecast(loose).warnings)
    implied = EXAMPLE + '[statistics.all]\ncount = ["region"]\nimportance = 3\n'
    assert any("has no effect" in text for text in forecast(Plan.from_toml(implied)).warnings)


def test_an_implied_table_is_noisier_and_free() -> None:
    plan = Plan.from_toml(EXAMPLE + '[statistics.all]\ncount = ["region"]\n')
    *_, implied = forecast(plan, 5000, 3).statistics
    source = forecast(plan, 5000, 3)["problems_by_region"]
    assert implied.implied_by == "problems_by_region"
    assert (implied.bits, implied.cost.amount) == (0, 0)
    # Who answered and who did not, as they were released.
    assert implied.released_sd == pytest.approx(float(source.noise_scale) * sqrt(3 * 2))


@pytest.mark.parametrize(("reports", "aggregators"), [(0, 2), (5, 1)])
def test_forecasts_of_nothing_are_refused(reports: int, aggregators: int) -> None:
    with pytest.raises(UsageError):
        forecast(PLAN, reports, aggregators)


@settings(max_examples=30)
@given(plans(), st.sampled_from([20, 1000, 10**7]))
def test_every_plan_has_a_forecast_and_words(plan: Plan, reports: int) -> None:
    found = forecast(plan, reports)
    assert Fraction(epsilon_for(found.round_cost.amount, plan.privacy.delta)) <= (
        plan.privacy.epsilon + Fraction(1, 1000)
    )
    json.dumps(found.to_json(), allow_nan=False)
    assert to_svg(found).startswith("<svg")
    lines = plan_in_words(plan, ["A", "B"])
    assert all(line.isprintable() for line in lines)
    text = "\n".join(lines)
    for name in plan.statistics:
        assert f"- {name}: " in text
    assert lines == plan_in_words(Plan.from_json(plan.to_json()), ["A", "B"])


@settings(max_examples=40)
@given(plans(), st.data())
def test_expected_tables_agree_as_those_of_one_people_do(plan: Plan, data: st.DataObject) -> None:
    groups = {
        name: {field.choices[0]: data.draw(st.integers(0, 700))}
        for name, field in plan.fields.items()
        if isinstance(field, ChoiceField)
    }
    layout, expected = ExpectedLayout(plan), expect(plan, 1000, groups)
    found = round_budget(plan, layout)
    for prospect in expected_tables(layout, expected, found.allocations, 2).values():
        assert prospect.table.remark == ""
        if prospect.statistic.kind != "mean":
            values = expected.counts(prospect.statistic)
            figures = [figure.estimate for figure in prospect.table.cells()]
            assert figures == pytest.approx(values, abs=1e-4)
            assert sum(values) == pytest.approx(
                sum(cell.expected or 0 for cell in prospect.cells), abs=1e-6
            )


def test_overlapping_tables_have_the_margins_of_least_squares() -> None:
    """Held against a dense generalised inverse, which knows nothing of residuals."""
    import numpy as np

    text = GAUSSIAN.split("[statistics.")[0] + (
        '[fields.sex]\nquestion = "Sex?"\nchoices = ["f", "m"]\nrequired = true\n'
        '[fields.shift]\nquestion = "Shift?"\nchoices = ["day", "late", "night"]\nrequired = true\n'
        '[statistics.one]\ncount = ["region", "sex"]\n'
        '[statistics.two]\ncount = ["region", "shift"]\nimportance = 3\n'
    )
    text = text.replace("[fields.problems]", "[fields.unused]")
    start, end = text.index("[fields.unused]"), text.index("[fields.sex]")
    found = forecast(Plan.from_toml(text[:start] + text[end:]), 3000)
    one, two = found["one"], found["two"]
    assert (one.reconciled_with, two.reconciled_with) == (("two",), ("one",))
    joint = np.eye(6 * 2 * 3).reshape(6, 2, 3, -1)
    a, b = joint.sum(axis=2).reshape(12, -1), joint.sum(axis=1).reshape(18, -1)
    observed = np.concatenate([a, b])
    weight = np.diag([one.released_sd**-2] * 12 + [two.released_sd**-2] * 18)
    inverse = np.linalg.pinv(observed.T @ weight @ observed)
    for table, statistic in ((a, one), (b, two)):
        sd = np.sqrt(table[0] @ inverse @ table[0])
        assert statistic.margin == pytest.approx(1.96 * sd, rel=1e-3)
        assert statistic.margin < statistic.margin_raw


def test_a_share_of_one_table_has_the_margin_of_its_cells() -> None:
    text = GAUSSIAN.split("[fields.problems]")[0] + '[statistics.only]\ncount = ["region"]\n'
    found = forecast(Plan.from_toml(text), 1_000_000)["only"]
    sd = found.released_sd / 1_000_000
    # X - pY has variance s^2 (1 - 2p + 6p^2), p = 1/6.
    assert found.margin_points == pytest.approx(100 * 1.96 * sd * sqrt(5 / 6), rel=1e-3)
    assert found.difference_points == pytest.approx(
        100 * found.difference / 1_000_000 if found.difference else None
    )
    assert found.difference_points_most == found.difference_points


def test_what_a_worker_is_told() -> None:
    found = forecast(PLAN, 5000)
    once, always = found.beliefs["round"], found.beliefs["lifetime"]
    assert (str(once.at_most), str(always.at_most)) == ("0.7311", "0.9821")
    assert once.exception == surprise_bound(found.round_cost.amount, Fraction(1))
    assert always.exception == surprise_bound(found.lifetime_budget.amount, Fraction(4))
    text = "\n".join(found.promise)
    for words in ('"unpaid overtime" to "Which of these', "at most 73.11%", "to at most 98.21%"):
        assert words in text
    assert "bad luck" in text
    pure = Plan.from_toml(EXAMPLE.replace("hide_below", 'mechanism = "laplace"\nhide_below', 1))
    told = forecast(pure, 5000)
    assert "bad luck" not in "\n".join(told.promise)
    assert told.beliefs["round"].delta is None
    assert told.beliefs["round"].exception == 0
    loose = EXAMPLE.replace("epsilon = 1.0", "epsilon = 10", 1).replace("= 4.0", "= 20")
    loose = loose.replace("delta = 1e-6", "delta = 1e-3")
    # The largest epsilons and delta that a plan may have. Small ones may give more: see below.
    loosest = forecast(Plan.from_toml(loose))
    assert all(belief.exception < 0.02 for belief in loosest.beliefs.values())
    assert any("steps of 100" in note for note in found.notes)
    assert any("name says where" in note for note in found.notes)


def test_a_useless_limit_is_not_printed_as_a_limit() -> None:
    odd = EXAMPLE.replace("epsilon = 1.0", "epsilon = 0.01", 1).replace(
        "delta = 1e-6", "delta = 1e-3"
    )
    found = forecast(Plan.from_toml(odd))
    assert found.beliefs["round"].exception > 0.4 > 0.1 > found.beliefs["lifetime"].exception
    *_, said = found.promise
    assert "1 in 2 " not in said
    assert "no useful limit, and more than the second with a chance of at most 1 in " in said


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
        (
            "fewer than 50 sealed reports, blank ones added as cover included: that says nothing "
            "of how many people there are, and the noise protects them."
        ),
        "A count below 10 or below the margin of its noise is shown as what it is under",
        "epsilon 1 ",
        "at most epsilon 4 about one worker at delta 0.000001; by bad luck of the noise more, ",
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
    assert list(plan.statistics) == ["problems", "unpaid_hours_spread"]
    assert len([line for line in text.splitlines() if "#" in line]) > 15


def test_a_template_of_any_shape_is_a_plan() -> None:
    days = {"opens": date(2026, 3, 1), "closes": date(2026, 4, 1)}
    tables = ("problems", "unpaid_hours", "unpaid_hours_spread")
    for groups in (0, 2, 6, 20):
        for some in (tables, tables[:1], tables[1:], ("worse",)):
            plan = Plan.from_toml(new_plan("T", "t", **days, shape=Shape(groups, some, 10)))
            assert plan.privacy.minimum_reports == 10
            assert len(plan.statistics) == len(some)
            assert ("region" in plan.fields) == (groups > 0)
            for statistic in Layout(plan).statistics.values():
                assert ("region" in [axis.name for axis in statistic.axes]) == (groups > 0)
    assert list(plan.fields) == ["region", "worse"]
    assert len(plan.fields["region"].choices) == 20


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

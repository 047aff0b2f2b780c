"""Plans to start from: as much as so many people can answer, and what is said where that is little.

And the words of a plan about how exact it will be, which follow from the plan alone.
"""

from __future__ import annotations

from datetime import date

import pytest
from strategies import EXAMPLE

from grievance.errors import UsageError
from grievance.plan import Layout, Plan, new_plan, plan_in_words
from grievance.plan.budget import round_budget
from grievance.plan.exact import about_margin, people_needed
from grievance.planner import fit, forecast
from grievance.planner.groups import expect
from grievance.planner.words import fitted_in_words

DAYS = {"opens": date(2026, 3, 1), "closes": date(2026, 4, 1)}


def plan_for(reports: int, groups: int | None = None) -> Plan:
    return Plan.from_toml(new_plan("T", "t", **DAYS, shape=fit(reports, groups).shape))


@pytest.mark.parametrize(
    ("reports", "groups"),
    [(40, None), (60, None), (150, None), (200, None), (300, None), (600, None), (600, 3),
     (1000, 6), (2000, None), (2000, 12), (100_000, 20)],
)  # fmt: skip
def test_nothing_drowns_in_what_was_fitted(reports: int, groups: int | None) -> None:
    found = forecast(plan_for(reports, groups), reports)
    assert not any(statistic.hopeless for statistic in found.statistics)
    assert not any("drown" in warning for warning in found.warnings)


def test_the_template_is_the_one_for_three_hundred() -> None:
    usual = Plan.from_toml(new_plan("T", "t", **DAYS))
    assert usual == plan_for(300)
    assert not any(statistic.hopeless for statistic in forecast(usual, 150).statistics)


def test_more_people_are_asked_for_more() -> None:
    cells = [
        sum(statistic.cells for statistic in Layout(plan_for(reports)).statistics.values())
        for reports in (60, 200, 300, 600, 1000, 2000, 5000)
    ]
    assert cells == sorted(cells)
    assert len(set(cells)) > 4


def test_groups_that_were_asked_for_are_there_or_it_is_said() -> None:
    region = plan_for(1000, 6).fields["region"]
    assert len(region.choices) == 6
    few = fit(300, 6)
    assert (few.shape.groups, few.green) == (0, True)
    assert "300 people are too few for 6 groups" in " ".join(fitted_in_words(few, 300, 6))
    assert fitted_in_words(fit(300), 300, None) == []


def test_where_little_can_be_shown_it_is_said() -> None:
    even = fit(20)
    assert (even.green, even.steady) == (True, False)
    assert "only if people spread evenly" in " ".join(fitted_in_words(even, 20, None))
    none = fit(5)
    assert not none.green
    assert "too few: no plan shows something" in " ".join(fitted_in_words(none, 5, None))
    assert plan_for(5).privacy.minimum_reports == 10


@pytest.mark.parametrize("groups", [1, 21, -1])
def test_groups_that_cannot_be(groups: int) -> None:
    with pytest.raises(UsageError, match="2 to 20 groups"):
        fit(300, groups)


# Uneven answers.


def test_uneven_answers_leave_numbers_alone_that_were_given() -> None:
    plan = Plan.from_toml(EXAMPLE)
    given = expect(plan, 1000, {"region": {"London": 700}})
    uneven = given.uneven(plan)
    assert uneven.shares["region"] == given.shares["region"]
    problems = list(uneven.shares["problems"].values())
    assert problems[0] == pytest.approx(2 * problems[1]) == pytest.approx(3 * problems[2])
    assert sum(problems) == pytest.approx(sum(given.shares["problems"].values()))


def test_the_forecast_says_what_drowns_where_answers_are_uneven() -> None:
    found = forecast(plan_for(1000, 6), 1000)
    table = found["problems_by_region"]
    assert table.hopeless == 0 < (table.hopeless_uneven or 0)
    (said,) = [note for note in found.notes if "Answers are never even" in note]
    assert f"{table.hopeless_uneven} of {table.cells} of problems_by_region" in said
    steady = forecast(plan_for(300), 300)
    assert any("still no cell drowns" in note for note in steady.notes)
    assert forecast(plan_for(300)).statistics[0].hopeless_uneven is None


# How exact, in the words everybody reads.


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("aggregators", [2, 3])
def test_the_words_are_about_as_exact_as_the_forecast(mechanism: str, aggregators: int) -> None:
    plan = Plan.from_toml(EXAMPLE.replace("[privacy]", f'[privacy]\nmechanism = "{mechanism}"'))
    found = round_budget(plan, Layout(plan))
    expected = forecast(plan, None, aggregators)
    words = "\n".join(plan_in_words(plan, ["A", "B", "C"][:aggregators]))
    for name, statistic in found.layout.statistics.items():
        about = about_margin(statistic, found, aggregators)
        assert about == pytest.approx(expected[name].margin_raw, rel=0.05, abs=2)
        assert f"by about {about:,}" in words


def test_who_is_too_few_is_told() -> None:
    plan = Plan.from_toml(EXAMPLE)
    found = round_budget(plan, Layout(plan))
    needed = [
        people_needed(statistic, about_margin(statistic, found, 2))
        for statistic in found.layout.statistics.values()
    ]
    said = f"If fewer than about {min(needed):,} people answer, no table says something"
    assert said in "\n".join(plan_in_words(plan))
    text = EXAMPLE.replace("minimum_reports = 50 ", "minimum_reports = 5000 ")
    assert "If fewer than about" not in "\n".join(plan_in_words(Plan.from_toml(text)))


def test_not_answered_is_no_number_that_has_to_say_something() -> None:
    """Six regions, five problems; who leaves the hours open is not among the bands."""
    layout = Layout(Plan.from_toml(EXAMPLE))
    assert people_needed(layout.statistics["problems_by_region"], 10) == 300
    assert people_needed(layout.statistics["unpaid_hours"], 10) == 20
    assert people_needed(layout.statistics["unpaid_hours_spread"], 10) == 100

"""Backwards: the epsilon and the number of reports that a wanted accuracy takes."""

from __future__ import annotations

import json
from fractions import Fraction

import pytest
from strategies import EXAMPLE

from grievance.errors import UsageError
from grievance.plan import Plan
from grievance.plan.decimals import decimal_text
from grievance.planner import forecast, read_want, solve
from grievance.planner.wants import _first
from grievance.planner.words import answer_in_words

PLAN = Plan.from_toml(EXAMPLE)
GROUPS = {
    "region": {
        "London": 2000, "North": 1500, "Midlands": 800, "South": 400, "Scotland": 200, "Wales": 100
    }
}  # fmt: skip


def at(epsilon: Fraction, mechanism: str = "gaussian") -> Plan:
    terms = PLAN.privacy.model_copy(
        update={"epsilon": epsilon, "lifetime_epsilon": Fraction(20), "mechanism": mechanism}
    )
    return PLAN.model_copy(update={"privacy": terms})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("problems_by_region:3pp", ("margin", Fraction(3), "points")),
        ("problems_by_region:2.5 points", ("margin", Fraction(5, 2), "points")),
        (" problems_by_region:25", ("margin", Fraction(25), "people")),
        ("problems_by_region:25 people", ("margin", Fraction(25), "people")),
        ("problems_by_region:diff=5pp", ("difference", Fraction(5), "points")),
        ("problems_by_region:diff:30", ("difference", Fraction(30), "people")),
        ("unpaid_hours:0.5h", ("margin", Fraction(1, 2), "units")),
        ("unpaid_hours:mean=0.5", ("margin", Fraction(1, 2), "units")),
        ("unpaid_hours:mean:0.5hours", ("margin", Fraction(1, 2), "units")),
        ("unpaid_hours:diff=0.5h", ("difference", Fraction(1, 2), "units")),
    ],
)
def test_wants_are_read(text: str, expected: tuple[str, Fraction, str]) -> None:
    want = read_want(text, PLAN)
    assert (want.what, want.target, want.unit) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("problems_by_region", "is no wanted accuracy"),
        ("problems_by_region:", "is no wanted accuracy"),
        ("problems_by_region:-3pp", "is no wanted accuracy"),
        ("problems_by_region:1e9", "is no wanted accuracy"),
        ("problems_by_region:0", "no noise is no promise"),
        ("problems_by_region:3h", "people, or points"),
        ("problems_by_region:mean=3", "people, or points"),
        ("unpaid_hours:3pp", "the unit of unpaid_hours is hours"),
        ("problem_by_region:3pp", 'did you mean "problems_by_region"'),
    ],
)
def test_wants_that_cannot_be_read(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        read_want(text, PLAN)


def test_no_difference_of_one_group() -> None:
    alone = Plan.from_toml(EXAMPLE + '[statistics.alone]\nmean = "unpaid_hours"\n')
    assert read_want("alone:1h", alone).unit == "units"
    with pytest.raises(UsageError, match="of one group"):
        read_want("alone:diff=1h", alone)


WANTS = ["problems_by_region:8pp", "problems_by_region:25", "problems_by_region:diff=15pp",
         "unpaid_hours:2h", "unpaid_hours:diff=2", "unpaid_hours_spread:diff=30"]  # fmt: skip


@pytest.mark.parametrize("text", WANTS)
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_the_epsilon_is_the_least_in_hundredths(text: str, mechanism: str) -> None:
    want = read_want(text, PLAN)
    plan = at(Fraction(1), mechanism)
    (wanted,) = solve(plan, [want], by_group=GROUPS).wants
    assert wanted.epsilon is not None
    assert (100 * wanted.epsilon).denominator == 1

    def given(epsilon: Fraction) -> float:
        found = forecast(at(epsilon, mechanism), by_group=GROUPS)[want.statistic]
        values = {
            ("margin", "points"): found.margin_points_most,
            ("margin", "people"): found.margin,
            ("margin", "units"): found.margin_units_most,
            ("difference", "points"): found.difference_points_most,
            ("difference", "people"): found.difference,
            ("difference", "units"): found.difference_units_most,
        }
        value = values[want.what, want.unit]
        return float("inf") if value is None else value

    assert given(wanted.epsilon) <= want.target
    assert given(wanted.epsilon - Fraction(1, 100)) > want.target
    assert wanted.now == given(Fraction(1))


def test_the_number_of_reports_is_the_least() -> None:
    want = read_want("problems_by_region:3pp", PLAN)
    (wanted,) = solve(PLAN, [want], 2000).wants
    assert wanted.reports is not None
    assert not wanted.met
    most = forecast(PLAN, wanted.reports)["problems_by_region"].margin_points_most
    less = forecast(PLAN, wanted.reports - 1)["problems_by_region"].margin_points_most
    assert most is not None
    assert less is not None
    assert most <= 3 < less
    # Groups grow alike, so the same number does whatever number was expected at first.
    (other,) = solve(PLAN, [want], 500).wants
    (unknown,) = solve(PLAN, [want]).wants
    assert other.reports == unknown.reports == wanted.reports
    assert (unknown.now, unknown.epsilon) == (None, None)


def test_several_wants_together() -> None:
    wants = [read_want(text, PLAN) for text in ("problems_by_region:25", "unpaid_hours:2h")]
    answer = solve(PLAN, wants, 5000)
    assert answer.epsilon == max(w.epsilon for w in answer.wants if w.epsilon is not None)
    assert answer.cost is not None
    found = forecast(at(answer.epsilon), 5000)
    assert found.round_cost == answer.cost
    assert answer.rounds == int(forecast(PLAN).lifetime_budget.amount / answer.cost.amount)
    json.dumps(answer.to_json(), allow_nan=False)


def test_what_the_lifetime_cannot_pay_for() -> None:
    want = read_want("problems_by_region:8", PLAN)
    answer = solve(PLAN, [want], 5000)
    assert answer.epsilon is not None
    assert answer.epsilon > PLAN.privacy.lifetime_epsilon
    assert answer.rounds == 0
    text = "\n".join(answer_in_words(answer, PLAN, 5000))
    for words in ("pays for not one", "No number of people does", "With no other statistic"):
        assert words in text


def test_what_is_impossible_and_what_would_help() -> None:
    want = read_want("problems_by_region:0.5pp", PLAN)
    answer = solve(PLAN, [want], by_group=GROUPS)
    (wanted,) = answer.wants
    assert (answer.epsilon, answer.cost, answer.rounds, wanted.epsilon) == (None,) * 4
    assert wanted.reports is not None
    assert wanted.alone is not None
    assert wanted.now is not None
    assert wanted.alone < wanted.now
    assert "Wales" in wanted.decides
    text = "\n".join(answer_in_words(answer, PLAN, 5000))
    instead = f"{wanted.reports:,} people who report instead of 5,000"
    for words in ("No epsilon gives it", instead, "Wales"):
        assert words in text
    nobody = {"region": {**GROUPS["region"], "Wales": 0, "London": 2100}}
    (empty,) = solve(PLAN, [want], by_group=nobody).wants
    assert empty.reports is None


def test_alone_is_a_plan_of_that_statistic_only() -> None:
    want = read_want("unpaid_hours:1h", PLAN)
    (wanted,) = solve(PLAN, [want], 5000).wants
    text = EXAMPLE.split("[fields.problems]")[0] + EXAMPLE[EXAMPLE.index("[fields.unpaid") :]
    only = text[: text.index("[statistics.problems")] + text[text.index("[statistics.unpaid_h") :]
    only = only[: only.index("[statistics.unpaid_hours_spread")]
    found = forecast(Plan.from_toml(only), 5000)["unpaid_hours"]
    assert wanted.alone == pytest.approx(found.margin_units)


def test_what_the_plan_gives_already() -> None:
    want = read_want("problems_by_region:100", PLAN)
    answer = solve(PLAN, [want], 5000)
    (wanted,) = answer.wants
    assert wanted.met
    assert wanted.epsilon is not None
    assert wanted.epsilon < PLAN.privacy.epsilon
    text = "\n".join(answer_in_words(answer, PLAN, 5000))
    assert "would be enough" in text
    assert "No number" not in text


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["problems_by_region:25"], "It takes epsilon"),
        (["problems_by_region:100"], "would be enough for it; a round then costs"),
        (["unpaid_hours:2h", "problems_by_region:25"], "gives all of that; a round then costs"),
    ],
)
def test_the_epsilon_of_all_wants_is_said_once(typed: list[str], said: str) -> None:
    answer = solve(PLAN, [read_want(text, PLAN) for text in typed], 5000)
    lines = answer_in_words(answer, PLAN, 5000)
    assert answer.epsilon is not None
    assert any(said in line for line in lines)
    costs = [line for line in lines if "a round then costs" in line]
    assert len(costs) == 1
    assert "the lifetime budget, epsilon 4, pays for" in costs[0]
    if len(typed) == 1:
        told = f"psilon {decimal_text(answer.epsilon)} "
        assert sum(f"{line} ".count(told) for line in lines) == 1


def test_auto_takes_the_better_mechanism_at_every_step() -> None:
    want = read_want("problems_by_region:20", PLAN)
    plan = at(Fraction(1), "auto")
    (wanted,) = solve(plan, [want], 5000).wants
    assert wanted.epsilon is not None
    assert forecast(at(wanted.epsilon, "auto"), 5000)["problems_by_region"].margin <= 20


@pytest.mark.parametrize("least", [1, 2, 3, 7, 99, 1000])
def test_bisection(least: int) -> None:
    asked: list[int] = []

    def holds(number: int) -> bool:
        asked.append(number)
        return number >= least

    assert _first(holds, 1, 1000) == least
    assert len(asked) < 25
    assert _first(lambda number: False, 1, 1000) is None

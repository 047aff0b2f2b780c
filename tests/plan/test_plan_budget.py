"""Which noise a plan gets, what it costs, and how the two mechanisms compare."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from strategies import EXAMPLE, plans

from grievance.cost import Cost
from grievance.errors import PlanError
from grievance.plan import Layout, Plan, plan_in_words
from grievance.plan.budget import budget_with, round_budget
from grievance.planner import forecast
from grievance.privacy import NoiseLaw, laplace_cost


def with_noise(mechanism: str, text: str = EXAMPLE) -> Plan:
    return Plan.from_toml(text.replace("[privacy]", f'[privacy]\nmechanism = "{mechanism}"'))


def test_the_default_is_an_open_choice_and_spelled_out() -> None:
    plan = Plan.from_toml(EXAMPLE)
    assert plan.privacy.mechanism == "auto"
    assert plan.to_json()["privacy"]["mechanism"] == "auto"
    assert plan == with_noise("auto")
    for mechanism in ("laplace", "gaussian"):
        other = with_noise(mechanism)
        assert other != plan
        assert Plan.from_json(other.to_json()) == other
        assert other.to_json()["privacy"]["mechanism"] == mechanism


@pytest.mark.parametrize("bad", ['"Gaussian"', '"zcdp"', "1", "true", '["laplace"]', '""'])
def test_other_words_are_refused(bad: str) -> None:
    with pytest.raises(PlanError) as caught:
        Plan.from_toml(EXAMPLE.replace("[privacy]", f"[privacy]\nmechanism = {bad}"))
    assert caught.value.code == "plan.budget"
    assert "privacy.mechanism" in str(caught.value)


def one_table() -> str:
    return EXAMPLE[: EXAMPLE.index("[fields.problems]")] + '[statistics.only]\ncount = ["region"]\n'


def test_auto_takes_laplace_for_one_table() -> None:
    plan = with_noise("auto", one_table())
    layout = Layout(plan)
    found = round_budget(plan, layout)
    assert found.mechanism == "laplace"
    assert found.allocations == budget_with(plan, layout, "laplace").allocations
    assert found.allocations["only"].scale == 2
    assert found.cost == found.budget == Cost("pure", Fraction(1))
    assert found.lifetime == Cost("pure", Fraction(4))
    assert found.blanked == Cost("pure", Fraction(1, 2))
    assert found.rounds == 4


def test_auto_takes_gaussian_for_the_designs_example() -> None:
    plan = with_noise("auto")
    layout = Layout(plan)
    found = round_budget(plan, layout)
    assert found == budget_with(plan, layout, "gaussian")
    assert found.error < budget_with(plan, layout, "laplace").error
    assert found.cost.kind == "zcdp"
    assert forecast(plan).mechanism == "gaussian"


@settings(max_examples=40)
@given(plans())
def test_any_plan_either_way(plan: Plan) -> None:
    layout, terms = Layout(plan), plan.privacy
    both = {name: budget_with(plan, layout, name) for name in ("gaussian", "laplace")}
    pure = both["laplace"]
    total = Cost.zero("pure")
    for name, given_ in pure.allocations.items():
        statistic = pure.layout.statistics[name]
        assert given_.cost == laplace_cost(statistic.l1, given_.scale, terms.reports_per_worker)
        total += given_.cost
    assert total == pure.cost <= pure.budget == Cost("pure", terms.epsilon)
    assert pure.blanked <= pure.cost
    # Tables that are read off others get no budget, with either mechanism.
    charged = [s.name for s in layout.statistics.values() if s.implied_by is None]
    for found in both.values():
        assert list(found.allocations) == charged


def test_an_implied_table_gets_no_laplace_budget() -> None:
    text = EXAMPLE + '[statistics.all]\ncount = ["region"]\n'
    found, without = (
        budget_with(Plan.from_toml(t), Layout(Plan.from_toml(t)), "laplace")
        for t in (text, EXAMPLE)
    )
    assert found.allocations == without.allocations
    assert "all" not in found.allocations
    *_, implied = forecast(with_noise("laplace", text), 5000).statistics
    source = forecast(with_noise("laplace", text), 5000).statistics[0]
    assert (implied.cost, implied.implied_by) == (Cost.zero("pure"), "problems_by_region")
    assert implied.margin_raw == NoiseLaw("laplace", source.noise_scale, 4).margin()


def test_laplace_in_the_forecast() -> None:
    found = forecast(with_noise("laplace"), 5000)
    assert found.round_budget == Cost("pure", Fraction(1))
    assert found.blanked_cost < found.round_cost
    for statistic in found.statistics:
        law = NoiseLaw("laplace", statistic.noise_scale, 2)
        if statistic.name != "problems_by_region":  # whose counts have noise of two numbers
            assert (statistic.released_sd, statistic.margin_raw) == (law.sd, law.margin())
    value = found.to_json()
    assert value["mechanism"] == "laplace"
    assert value["round_cost"].keys() == {"pure"}
    assert not any("delta" in text for text in forecast(with_noise("laplace"), 2_000_000).warnings)


def test_the_words_are_true_of_laplace_noise() -> None:
    text = "\n".join(plan_in_words(with_noise("laplace")))
    for part in ("without exception", "discrete Laplace", "e^epsilon, 2.719", "There is no delta"):
        assert part in text
    for part in ("bad luck", "rho", "Gaussian"):
        assert part not in text
    assert "discrete Gaussian" in "\n".join(plan_in_words(with_noise("gaussian")))

"""Discrete Laplace noise and its pure cost: exact, never above the budget, and well split."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations
from math import exp, sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.cost import Cost
from grievance.errors import BudgetExceededError, PrivacyError
from grievance.privacy import (
    MAX_SCALE,
    MIN_SCALE,
    Allocation,
    BudgetFilter,
    NoiseLaw,
    StatisticShape,
    budget_for,
    check_opendp,
    gaussian_cost,
    laplace_cost,
    opendp_cost,
    split,
    weighted_error,
)
from grievance.privacy.mechanisms import _root_floor

EPSILON, DELTA = Fraction(1), Fraction(1, 10**6)


def plan() -> list[StatisticShape]:
    return [
        StatisticShape("problems", l2_squared=8, l1=8, error=36, importance=Fraction(2)),
        StatisticShape("hours", l2_squared=4, l1=4, error=4, scale=80),
        StatisticShape("spread", l2_squared=2, l1=2, error=10, importance=Fraction(1, 3)),
    ]


importances = st.fractions(Fraction(1, 1000), 1000, max_denominator=1000)
shape_lists = st.lists(
    st.tuples(st.integers(1, 200), st.integers(1, 5000), importances), min_size=1, max_size=8
).map(
    lambda rows: [
        StatisticShape(f"s{i}", l1, cells, weight, l1=l1)
        for i, (l1, cells, weight) in enumerate(rows)
    ]
)
epsilons = st.fractions(Fraction(1, 10**6), 100, max_denominator=10**9).filter(lambda e: e > 0)


def pure_split(shapes: list[StatisticShape], epsilon: Fraction, reports: int = 1):
    return split(shapes, Cost("pure", epsilon), reports)


def test_known_answer() -> None:
    """Pinned: a task names these numbers, and every party recomputes them.

    By hand: the weights are cube roots, of 2 * 36 * 64 = 4608: 16.64, of 4 * 16: 4, and of
    10/3 * 4: 2.371. So the first gets 16.64/23.01 of epsilon, 0.7231, and b = 8 / 0.7231.
    """
    scales = {name: given_.scale for name, given_ in pure_split(plan(), EPSILON).items()}
    assert scales == {
        "problems": Fraction(709, 64),
        "hours": Fraction(1473, 64),
        "spread": Fraction(1243, 64),
    }
    for name, by_hand in (("problems", 11.063), ("hours", 23.01), ("spread", 19.41)):
        assert float(scales[name]) == pytest.approx(by_hand, abs=0.02)


def test_one_table_at_epsilon_one() -> None:
    allocation = pure_split([StatisticShape("only", 2, 10, l1=2)], EPSILON)["only"]
    assert allocation == Allocation("laplace", Fraction(2), Cost("pure", Fraction(1)))
    # 0.99 is 2 / b for b = 2.0202; 130/64 is the first multiple that is not below it.
    less = pure_split([StatisticShape("only", 2, 10, l1=2)], Fraction(99, 100))["only"]
    assert less == Allocation("laplace", Fraction(130, 64), Cost("pure", Fraction(64, 65)))


def test_m_reports_cost_m_times_as_much() -> None:
    one = laplace_cost(6, Fraction(30), 1)
    assert one == Cost("pure", Fraction(1, 5))
    assert laplace_cost(6, Fraction(30), 3).amount == 3 * one.amount
    once, twice = pure_split(plan(), EPSILON)["hours"], pure_split(plan(), EPSILON, 2)["hours"]
    assert abs(twice.scale - 2 * once.scale) <= Fraction(1, 32)


@settings(max_examples=150)
@given(shape_lists, epsilons, st.integers(1, 5))
def test_costs_are_exact_and_never_above_the_budget(
    shapes: list[StatisticShape], epsilon: Fraction, reports: int
) -> None:
    allocations = pure_split(shapes, epsilon, reports)
    assert list(allocations) == [shape.name for shape in shapes]
    total = Cost.zero("pure")
    for shape in shapes:
        found = allocations[shape.name]
        assert found.mechanism == "laplace"
        assert found.scale >= MIN_SCALE
        assert (found.scale * 64).denominator == 1
        assert found.cost == Cost("pure", Fraction(reports * shape.l1) / found.scale)
        assert found.cost == laplace_cost(shape.l1, found.scale, reports)
        total += found.cost
    assert total <= Cost("pure", epsilon)


@settings(max_examples=150)
@given(shape_lists, epsilons)
def test_nothing_but_rounding_is_left_over(shapes: list[StatisticShape], epsilon: Fraction) -> None:
    found = pure_split(shapes, epsilon).values()
    if all(given_.scale > MIN_SCALE for given_ in found):
        step = Fraction(1, 64)
        assert sum(g.cost.amount * g.scale / (g.scale - step) for g in found) > epsilon


@settings(max_examples=100)
@given(shape_lists, st.integers(1, 9))
def test_shares_follow_the_rule(shapes: list[StatisticShape], reports: int) -> None:
    """epsilon_s^3 / (importance_s error_s Delta1_s^2) is one number, but for rounding."""
    found = pure_split(shapes, Fraction(1, 10**5), reports)
    ratios = [found[s.name].cost.amount ** 3 / (s.l1**2 * s.importance * s.error) for s in shapes]
    assert max(ratios) / min(ratios) < 1 + Fraction(1, 10**5)


def test_no_small_shift_of_budget_does_better() -> None:
    shapes, epsilon = plan(), Fraction(1, 10**5)
    costs = {name: given_.cost.amount for name, given_ in pure_split(shapes, epsilon).items()}

    def error(costs: dict[str, Fraction]) -> Fraction:
        return sum(
            (s.importance * s.error * 2 * (s.l1 / costs[s.name]) ** 2 for s in shapes),
            start=Fraction(0),
        )

    best = error(costs)
    assert best == weighted_error(shapes, pure_split(shapes, epsilon))
    for giver, taker in permutations(costs, 2):
        for part in (Fraction(1, 100), Fraction(1, 10), Fraction(1, 2)):
            moved = part * costs[giver]
            shifted = {**costs, giver: costs[giver] - moved, taker: costs[taker] + moved}
            assert error(shifted) > best


@settings(max_examples=300)
@given(st.integers(1, 2**400), st.sampled_from([2, 3]))
def test_integer_roots(value: int, degree: int) -> None:
    root = _root_floor(value, degree)
    assert root**degree <= value < (root + 1) ** degree


@pytest.mark.parametrize("exact", [1, 2, 7, 2**64, 2**200 + 1])
def test_integer_cube_roots_at_the_edges(exact: int) -> None:
    for value, root in ((exact**3, exact), (exact**3 - 1, exact - 1), (exact**3 + 1, exact)):
        if value:
            assert _root_floor(value, 3) == root


@pytest.mark.parametrize("epsilon", [10**4, 10**6])
def test_a_huge_budget_still_gets_noise(epsilon: int) -> None:
    for reports in (1, 3):
        found = pure_split(plan(), Fraction(epsilon), reports)
        for shape in plan():
            assert found[shape.name].scale == MIN_SCALE
            assert found[shape.name].cost.amount == 2 * reports * shape.l1


def test_noise_that_would_drown_everything_is_refused() -> None:
    with pytest.raises(PrivacyError, match="problems") as caught:
        pure_split(plan(), Fraction(1, 10**13))
    assert caught.value.code == "privacy.scale"
    with pytest.raises(PrivacyError, match="hours"):
        pure_split([StatisticShape("hours", 4, 2, scale=2**39, l1=4)], EPSILON)


BAD = [0, 1, 1.0, -1, True, None, float("nan"), float("inf"), 1e-300, "2", Fraction(0)]
BAD += [Fraction(-1), Fraction(1, 3), Fraction(1, 10**300), MIN_SCALE - Fraction(1, 64)]


@pytest.mark.parametrize("scale", [*BAD, MAX_SCALE + Fraction(1, 64)], ids=repr)
def test_bad_scales_have_no_cost(scale: Fraction) -> None:
    with pytest.raises(PrivacyError) as caught:
        laplace_cost(2, scale, 1)
    assert caught.value.code == "privacy.scale"


@pytest.mark.parametrize(
    ("l1", "reports"), [(0, 1), (-1, 1), (2.0, 1), (True, 1), (2, 0), (2, 1.0)]
)
def test_bad_sensitivities_have_no_cost(l1: int, reports: int) -> None:
    with pytest.raises(PrivacyError) as caught:
        laplace_cost(l1, Fraction(3), reports)
    assert caught.value.code == "privacy.shape"


@settings(max_examples=60)
@given(st.integers(1, 10**6), st.integers(32, 2**26), st.integers(1, 10))
def test_opendp_states_the_same_cost(l1: int, units: int, reports: int) -> None:
    scale = Fraction(units, 64)
    ours = laplace_cost(l1, scale, reports).amount
    theirs = opendp_cost("laplace", scale, reports * l1)
    assert abs(theirs - ours) <= ours / 2**46
    check_opendp("laplace", scale, reports * l1, ours)


def test_an_undercharge_is_noticed() -> None:
    epsilon = laplace_cost(8, Fraction(10), 1).amount
    with pytest.raises(PrivacyError) as caught:
        check_opendp("laplace", Fraction(10), 8, epsilon * (1 - Fraction(1, 10**9)))
    assert caught.value.code == "privacy.map"


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(2), Fraction(10), Fraction(707, 64)])
@pytest.mark.parametrize("moved", [1, 2, 4])
def test_the_cost_is_the_largest_log_ratio_of_the_exact_probabilities(
    scale: Fraction, moved: int
) -> None:
    """P(x) / P(x - moved) over the pmf that margins are computed from, where it is not rounding."""
    from math import log

    offset, pmf = NoiseLaw("laplace", scale, 1).pmf()
    chances = {offset + i: p for i, p in enumerate(pmf) if p > 1e-11}
    pairs = [(p, chances[x - moved]) for x, p in chances.items() if x - moved in chances]
    largest = max(log(p / q) for p, q in pairs)
    assert largest == pytest.approx(float(laplace_cost(moved, scale, 1).amount), rel=1e-3)


def tables(number: int) -> list[StatisticShape]:
    return [StatisticShape(f"t{i}", 2, 10, l1=2) for i in range(number)]


def noise_sd(mechanism: str, number: int) -> float:
    found = split(tables(number), budget_for(mechanism, EPSILON, DELTA), 1)["t0"]
    return NoiseLaw(mechanism, found.scale, 1).sd


def test_one_table_gets_less_than_half_the_gaussians_noise_and_five_as_much() -> None:
    """Epsilon 1, delta 1e-6: the figures that a coalition chooses by."""
    ratios = {n: noise_sd("laplace", n) / noise_sd("gaussian", n) for n in range(1, 9)}
    assert ratios[1] == pytest.approx(0.46, abs=0.01)
    assert ratios[1] < ratios[2] < ratios[3] < ratios[4] < 1 < ratios[6] < ratios[7] < ratios[8]
    assert ratios[5] == pytest.approx(1.05, abs=0.01)
    for number, ratio in ratios.items():
        assert ratio == pytest.approx(ratios[1] * sqrt(number), rel=0.03)


def test_the_weighted_error_compares_the_two() -> None:
    one, many = tables(1), tables(9)
    errors = {
        (mechanism, len(shapes)): weighted_error(
            shapes, split(shapes, budget_for(mechanism, EPSILON, DELTA), 1)
        )
        for mechanism in ("gaussian", "laplace")
        for shapes in (one, many)
    }
    assert errors["laplace", 1] == 10 * 2 * 2**2
    assert errors["laplace", 1] < errors["gaussian", 1] / 4.5
    assert errors["gaussian", 9] < errors["laplace", 9]
    heavy = [StatisticShape("t0", 2, 10, Fraction(3), l1=2)]
    assert weighted_error(heavy, split(heavy, Cost("pure", EPSILON), 1)) == 3 * 80


def test_the_two_kinds_of_cost_never_meet() -> None:
    rho, epsilon = gaussian_cost(2, Fraction(8), 1), laplace_cost(2, Fraction(8), 1)
    for meet in (
        lambda: rho + epsilon,
        lambda: epsilon - rho,
        lambda: epsilon <= rho,
        lambda: rho < epsilon,
        lambda: BudgetFilter(rho, spent=epsilon),
        lambda: BudgetFilter(rho).charge(epsilon),
    ):
        with pytest.raises(PrivacyError) as caught:
            meet()
        assert caught.value.code == "cost.kind"


def test_a_pure_budget_is_spent_to_the_last_fraction() -> None:
    budget = BudgetFilter(Cost("pure", Fraction(1)))
    for _ in range(3):
        budget.charge(laplace_cost(2, Fraction(6), 1))
    assert budget.remaining == Cost.zero("pure")
    with pytest.raises(BudgetExceededError):
        budget.charge(Cost("pure", Fraction(1, 10**30)))
    assert exp(float(budget.spent.amount)) == pytest.approx(exp(1))

"""Noise and cost: exact, never above the budget, and as good as the budget allows."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.cost import Cost
from grievance.errors import PrivacyError
from grievance.privacy import (
    MAX_SCALE,
    Allocation,
    StatisticShape,
    budget_for,
    gaussian_cost,
    opendp_cost,
    rho_for,
    split,
)
from grievance.privacy.noise import check_opendp

ROUND = Fraction("0.02435597")
LEAST = Fraction(2)
WHOLE = Fraction(5, 4)


def rho_split(shapes: list[StatisticShape], rho: Fraction, reports: int) -> dict[str, Allocation]:
    return split(shapes, Cost("zcdp", rho), reports)


def plan() -> list[StatisticShape]:
    return [
        StatisticShape("problems_by_region", l2_squared=8, l1=8, error=36, importance=Fraction(2)),
        StatisticShape("unpaid_hours", l2_squared=4, l1=4, error=4, scale=80),
        StatisticShape("spread", l2_squared=2, l1=2, error=10, importance=Fraction(1, 3)),
    ]


importances = st.fractions(Fraction(1, 1000), 1000, max_denominator=1000)
shape_lists = st.lists(
    st.tuples(st.integers(1, 200), st.integers(1, 5000), importances), min_size=1, max_size=8
).map(
    lambda rows: [
        StatisticShape(f"s{i}", l2, cells, weight, l1=l2)
        for i, (l2, cells, weight) in enumerate(rows)
    ]
)
rhos = st.fractions(Fraction(1, 10**8), 10**4, max_denominator=10**9).filter(lambda rho: rho > 0)


def test_known_answer() -> None:
    """Pinned: a task names these numbers, and every party recomputes them.

    By hand: the weights are sqrt(2 * 8 * 36) = 24, sqrt(4 * 4) = 4 and sqrt(20/3) = 2.58, so the
    first gets 24/30.58 of rho, 0.01911, and sigma = sqrt(4 / 0.01911 + 5/4) = 14.509, rounded up.
    """
    sigmas = {name: allocation.scale for name, allocation in rho_split(plan(), ROUND, 1).items()}
    assert sigmas == {
        "problems_by_region": Fraction(929, 64),
        "unpaid_hours": Fraction(803, 32),
        "spread": Fraction(707, 32),
    }


def test_one_statistic_gets_everything() -> None:
    allocation = rho_split([StatisticShape("only", 2, 10, l1=2)], Fraction(1, 50), 1)["only"]
    # sigma^2 - 5/4 >= 2 / (2 * 1/50) = 50, and 459/64 is the first multiple whose square is.
    assert allocation == Allocation(
        "gaussian", Fraction(459, 64), Cost("zcdp", 1 / (Fraction(459, 64) ** 2 - WHOLE))
    )
    assert Fraction(458, 64) ** 2 < 50 + WHOLE <= Fraction(459, 64) ** 2


@settings(max_examples=150)
@given(shape_lists, rhos, st.integers(1, 5))
def test_costs_are_exact_and_never_above_the_budget(
    shapes: list[StatisticShape], rho: Fraction, reports: int
) -> None:
    allocations = rho_split(shapes, rho, reports)
    assert list(allocations) == [shape.name for shape in shapes]
    total = Cost.zero("zcdp")
    for shape in shapes:
        given_ = allocations[shape.name]
        assert given_.scale >= LEAST
        assert (given_.scale * 64).denominator == 1
        exact = Fraction(reports**2 * shape.l2_squared) / (2 * (given_.scale**2 - WHOLE))
        assert given_.cost == Cost("zcdp", exact)
        assert given_.cost == gaussian_cost(shape.l2_squared, given_.scale, reports)
        total += given_.cost
    assert total <= Cost("zcdp", rho)


@settings(max_examples=150)
@given(shape_lists, rhos)
def test_sigma_is_the_least_multiple_that_fits(shapes: list[StatisticShape], rho: Fraction) -> None:
    allocations = rho_split(shapes, rho, 1)
    if len(shapes) == 1:
        sigma = allocations["s0"].scale
        if sigma > LEAST:
            less = Fraction(shapes[0].l2_squared) / (2 * ((sigma - Fraction(1, 64)) ** 2 - WHOLE))
            assert less > rho
    fine = [a for a in allocations.values() if a.scale > LEAST]
    if len(fine) == len(shapes):
        # One step less of every sigma would overspend: nothing but rounding is left over.
        steps = (
            gaussian.cost.amount
            * (gaussian.scale**2 - WHOLE)
            / ((gaussian.scale - Fraction(1, 64)) ** 2 - WHOLE)
            for gaussian in fine
        )
        assert sum(steps) > rho


@settings(max_examples=100)
@given(shape_lists, st.integers(1, 9))
def test_shares_follow_the_rule(shapes: list[StatisticShape], reports: int) -> None:
    """rho_s^2 / (Delta_s^2 importance_s error_s) is one number, where rounding hardly matters."""
    allocations = rho_split(shapes, Fraction(1, 10**10), reports)
    ratios = [
        allocations[shape.name].cost.amount ** 2
        / (shape.l2_squared * shape.importance * shape.error)
        for shape in shapes
    ]
    assert max(ratios) / min(ratios) < 1 + Fraction(1, 10**5)


def test_no_small_shift_of_budget_does_better() -> None:
    shapes, rho = plan(), Fraction(1, 10**10)
    costs = {name: given_.cost.amount for name, given_ in rho_split(shapes, rho, 1).items()}

    def error(costs: dict[str, Fraction]) -> Fraction:
        return sum(
            (s.importance * s.error * s.l2_squared / (2 * costs[s.name]) for s in shapes),
            start=Fraction(0),
        )

    best = error(costs)
    for giver, taker in permutations(costs, 2):
        for part in (Fraction(1, 100), Fraction(1, 10), Fraction(1, 2)):
            moved = part * costs[giver]
            shifted = {**costs, giver: costs[giver] - moved, taker: costs[taker] + moved}
            assert error(shifted) > best


@pytest.mark.parametrize("rho", [10**4, 10**9, Fraction(10**30)])
def test_a_huge_budget_still_gets_noise(rho: Fraction) -> None:
    for reports in (1, 3):
        for shape, allocation in zip(
            plan(), rho_split(plan(), Fraction(rho), reports).values(), strict=True
        ):
            assert allocation.scale == LEAST
            assert allocation.cost.amount == reports**2 * shape.l2_squared / (2 * (4 - WHOLE))


def test_noise_that_would_drown_everything_is_refused() -> None:
    tiny = Fraction(1, 10**27)
    with pytest.raises(PrivacyError, match="problems_by_region") as caught:
        rho_split(plan(), tiny, 1)
    assert caught.value.code == "privacy.scale"
    wide = StatisticShape("hours", 4, 2, scale=2**39, l1=4)
    with pytest.raises(PrivacyError, match="hours"):
        rho_split([wide], ROUND, 1)
    assert rho_split([StatisticShape("hours", 4, 2, l1=4)], ROUND, 1)["hours"].scale < 16


@settings(max_examples=60)
@given(
    st.integers(1, 10**6),
    st.integers(128, 2**26),
    st.integers(1, 10),
)
def test_opendp_states_the_cost_without_what_makes_it_whole(
    l2_squared: int, units: int, reports: int
) -> None:
    sigma = Fraction(units, 64)
    ours = gaussian_cost(l2_squared, sigma, reports).amount
    theirs = opendp_cost("gaussian", sigma, reports**2 * l2_squared)
    as_zcdp = ours * (sigma**2 - WHOLE) / sigma**2
    assert abs(theirs - as_zcdp) <= as_zcdp / 2**46
    assert theirs < ours
    check_opendp("gaussian", sigma, reports**2 * l2_squared, ours)


def test_an_undercharge_is_noticed() -> None:
    rho = gaussian_cost(8, Fraction(10), 1).amount
    with pytest.raises(PrivacyError) as caught:
        check_opendp(
            "gaussian", Fraction(10), 8, rho * Fraction(9875, 10_000) * (1 - Fraction(1, 10**9))
        )
    assert caught.value.code == "privacy.map"


def test_m_reports_cost_m_squared() -> None:
    one = gaussian_cost(6, Fraction(30), 1).amount
    assert (
        gaussian_cost(6, Fraction(30), 3).amount == 9 * one == Fraction(9 * 6) / (2 * (900 - WHOLE))
    )


def test_budget_for() -> None:
    epsilon, delta = Fraction(3), Fraction(1, 10**6)
    assert budget_for("gaussian", epsilon, delta) == Cost("zcdp", rho_for(epsilon, delta))
    assert budget_for("laplace", epsilon, delta) == Cost("pure", epsilon)
    for unknown in ("exponential", "", None, "zcdp"):
        with pytest.raises(PrivacyError) as caught:
            budget_for(unknown, epsilon, delta)  # type: ignore[arg-type]
        assert caught.value.code == "privacy.mechanism"
    for bad in (Fraction(0), Fraction(-1), Fraction(10**7), 1.0, 1, None):
        with pytest.raises(PrivacyError):
            budget_for("laplace", bad, delta)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "sigma",
    [
        0,
        1,
        1.0,
        True,
        None,
        float("nan"),
        Fraction(0),
        Fraction(-1),
        Fraction(1, 3),
        Fraction(65, 128),
        LEAST - Fraction(1, 64),
        MAX_SCALE + Fraction(1, 64),
    ],
)
def test_bad_sigma_has_no_cost(sigma: Fraction) -> None:
    with pytest.raises(PrivacyError) as caught:
        gaussian_cost(2, sigma, 1)
    assert caught.value.code == "privacy.scale"


def test_what_is_no_plan_is_refused() -> None:
    for field in ("l2_squared", "l1", "error", "scale"):
        for bad in (0, -1, 1.0, True, Fraction(0), None):
            with pytest.raises(PrivacyError):
                StatisticShape(**{"name": "x", "l2_squared": 1, "l1": 1, "error": 1, field: bad})
    for bad in (0, 1, 1.0, Fraction(0), Fraction(-1), None):
        with pytest.raises(PrivacyError):
            StatisticShape("x", 1, 1, importance=bad, l1=1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StatisticShape("x", 1, 1)  # type: ignore[call-arg]
    budget = Cost("zcdp", ROUND)
    for shapes, cost, reports in [
        ([], budget, 1),
        (plan() * 2, budget, 1),
        (plan(), Cost.zero("zcdp"), 1),
        (plan(), Cost.zero("pure"), 1),
        (plan(), ROUND, 1),
        (plan(), 0.02, 1),
        (plan(), 1, 1),
        (plan(), budget, 0),
        (plan(), budget, True),
        (plan(), budget, 1.0),
        (plan(), budget, 1001),
    ]:
        with pytest.raises(PrivacyError):
            split(shapes, cost, reports)  # type: ignore[arg-type]

"""Costs recomputed: against brute force, against the other implementation, and its doubles."""

from __future__ import annotations

import itertools
import math
from decimal import Context, Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from audit_world import faults, make_pool, pool_of
from hypothesis import given, settings
from hypothesis import strategies as st

from federation import PLAN, Federation
from grievance.audit import accounting
from grievance.audit.terms import moved_by, read_terms
from grievance.cost import Cost
from grievance.plan import Plan
from grievance.plan.ticks import TickTable
from grievance.privacy import mechanisms, zcdp
from grievance.testing import EXAMPLE_PLAN, make_coalition

SMALL = Fraction(1, 10**9)
promises = st.tuples(
    st.integers(1, 2000).map(lambda n: Fraction(n, 100)),
    st.integers(3, 18).map(lambda n: Fraction(1, 10**n)),
)


@given(st.fractions(min_value=Fraction(1, 10**20), max_value=10**20))
@settings(max_examples=100)
def test_logarithms_are_enclosed(value: Fraction) -> None:
    low, high = accounting.ln_bounds(value)
    context = Context(prec=50)
    true = context.ln(context.divide(Decimal(value.numerator), Decimal(value.denominator)))
    slack = Fraction(1, 10**40)
    assert low - slack <= Fraction(true) <= high + slack
    assert 0 <= high - low < Fraction(1, 2**170)


@given(promises)
@settings(max_examples=60)
def test_the_limit_is_where_the_other_code_puts_it(promise: tuple[Fraction, Fraction]) -> None:
    """It answers in multiples of 1e-9, rounded down: that many are kept, one more is not."""
    epsilon, delta = promise
    rho = zcdp.rho_for(epsilon, delta)
    assert accounting.keeps(rho, epsilon, delta)
    assert not accounting.keeps(rho + SMALL, epsilon, delta)


@given(promises, st.fractions(min_value=Fraction(1, 10**6), max_value=20))
@settings(max_examples=60)
def test_it_errs_to_the_strict_side_only(promise: tuple[Fraction, Fraction], rho: Fraction) -> None:
    """A proof for (rho, delta) is never given where a good approximation of delta is larger."""
    epsilon, delta = promise
    true = zcdp.delta_for(rho, epsilon)
    if accounting.keeps(rho, epsilon, delta):
        assert Fraction(true) <= delta * (1 + Fraction(1, 10**9))
    elif true > 0:
        assert Fraction(true) * (1 + accounting.TOLERANCE) > delta


def test_nothing_and_nonsense() -> None:
    one = Fraction(1)
    assert accounting.keeps(Fraction(0), one, SMALL)
    assert not accounting.keeps(Fraction(-1), one, SMALL)
    assert not accounting.keeps(SMALL, Fraction(0), SMALL)
    assert not accounting.keeps(SMALL, one, Fraction(0))
    assert not accounting.keeps(Fraction(10**30), one, SMALL)


@pytest.mark.parametrize("cells", [1, 2, 3, 7])
def test_counts_move_as_far_as_brute_force_says(cells: int) -> None:
    reports = [(0,) * cells, *(tuple(int(i == j) for i in range(cells)) for j in range(cells))]
    pairs = list(itertools.product(reports, reports))
    farthest = max(sum(abs(a - b) for a, b in zip(one, two, strict=True)) for one, two in pairs)
    assert accounting.moved_by_count(cells) == farthest


@pytest.mark.parametrize(("grid", "groups"), [(1, 1), (1, 3), (5, 2), (40, 3)])
def test_means_move_as_far_as_brute_force_says(grid: int, groups: int) -> None:
    """Totals in units of M beside numbers, one answer exchanged for another or for none."""
    answers: list[list[Fraction]] = [[Fraction(0)] * (2 * groups)]
    for group, value in itertools.product(range(groups), range(grid + 1)):
        vector = [Fraction(0)] * (2 * groups)
        vector[group], vector[groups + group] = Fraction(2 * value - grid, grid), Fraction(1)
        answers.append(vector)
    farthest = max(
        sum((a - b) ** 2 for a, b in zip(one, two, strict=True))
        for one in answers
        for two in answers
    )
    assert farthest == accounting.moved_by_mean(grid, groups) == 4
    in_all = max(
        sum(abs(a - b) for a, b in zip(one, two, strict=True)) for one in answers for two in answers
    )
    assert in_all == accounting.shifted_by_mean(grid, groups) == (4 if groups > 1 else 2)


@pytest.mark.parametrize("text", [EXAMPLE_PLAN, PLAN.decode()])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace", "auto"])
@pytest.mark.parametrize("allowed", [1, 3])
def test_an_honest_task_has_no_problems(text: str, mechanism: str, allowed: int) -> None:
    terms = f'[privacy]\nmechanism = "{mechanism}"\nreports_per_worker = {allowed}'
    task = make_coalition(Plan.from_toml(text.replace("[privacy]", terms))).task
    read = read_terms(task.data)
    assert read.problems == ()
    assert dict(read.task.allocations) != {}
    for name, statistic in task.layout.statistics.items():
        if statistic.implied_by is None:
            moved = statistic.l2_squared if task.cost.kind == "zcdp" else statistic.l1
            assert moved_by(statistic, task.cost.kind) == moved
            assert read.task.allocations[name].cost == task.allocations[name].cost
    assert (read.task.cost, read.task.reserved) == (task.cost, task.reserved)


# Doubles of the releasing side's arithmetic, in place while a pool is made.


def less_noise(
    shape: mechanisms.StatisticShape, share: Cost, reports: int
) -> mechanisms.Allocation:
    variance = reports**2 * shape.l2_squared / (2 * share.amount) / 2
    sigma = Fraction(math.isqrt(math.floor(variance * 64**2)) + 1, 64)
    cost = mechanisms.gaussian_cost(shape.l2_squared, sigma, reports)
    return mechanisms.Allocation("gaussian", sigma, cost)


def half_as_far(l2_squared: int, sigma: Fraction, reports: int) -> Cost:
    return Cost("zcdp", Fraction(reports**2 * l2_squared, 2) / (2 * (sigma**2 - Fraction(5, 4))))


def forget_reports(l2_squared: int, sigma: Fraction, reports: int) -> Cost:
    return Cost("zcdp", Fraction(l2_squared) / (2 * (sigma**2 - Fraction(5, 4))))


def generous(epsilon: Fraction, delta: Fraction) -> Fraction:
    return zcdp.rho_for(epsilon, delta) * Fraction(101, 100)


def half_the_laplace_noise(
    shape: mechanisms.StatisticShape, share: Cost, reports: int
) -> mechanisms.Allocation:
    b = Fraction(math.ceil(64 * reports * shape.l1 / share.amount / 2), 64)
    return mechanisms.Allocation("laplace", b, mechanisms.laplace_cost(shape.l1, b, reports))


def half_as_far_in_all(l1: int, b: Fraction, reports: int) -> Cost:
    return Cost("pure", Fraction(reports * l1, 2) / b)


def forget_reports_in_all(l1: int, b: Fraction, reports: int) -> Cost:
    return Cost("pure", Fraction(l1) / b)


def moving_to_another_group_is_forgotten(self: TickTable, a: int, t: int, norm: int) -> Fraction:
    return Fraction(min(2 * self.most, self.labels) * 64**norm, t**norm) / 2


DOUBLES = {
    "sigma over the root of two": ("_allocate", less_noise, {"cost.round"}),
    "half the squared sensitivity": ("gaussian_cost", half_as_far, {"cost.statistic"}),
    "one report where two are allowed": ("gaussian_cost", forget_reports, {"cost.statistic"}),
    "a budget a hundredth too large": ("rho_for", generous, {"cost.round", "cost.lifetime"}),
    "ticks that move half as far": (
        "moved",
        moving_to_another_group_is_forgotten,
        {"cost.statistic"},
    ),
    "laplace: half of b": ("_allocate", half_the_laplace_noise, {"cost.round"}),
    "laplace: half the sensitivity": ("laplace_cost", half_as_far_in_all, {"cost.statistic"}),
    "laplace: one report of two": ("laplace_cost", forget_reports_in_all, {"cost.statistic"}),
}


@pytest.mark.parametrize("what", sorted(DOUBLES))
@pytest.mark.parametrize("still_there", [False, True])
def test_a_mistake_on_the_releasing_side_is_noticed(
    what: str, still_there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not the machine of the auditor has the same mistake."""
    name, double, expected = DOUBLES[what]
    plan = PLAN.replace(b"minimum_reports", b"reports_per_worker = 2\nminimum_reports")
    if what.startswith("laplace"):
        plan = plan.replace(b"minimum_reports", b'mechanism = "laplace"\nminimum_reports')
    with monkeypatch.context() as patch:
        patch.setattr(TickTable if name == "moved" else mechanisms, name, double)
        federation = Federation(tmp_path)
        federation.open_round(plan)
        pool = pool_of(federation, [federation.task])
        if still_there:
            assert expected <= faults(pool.audit())
    assert expected <= faults(pool.audit())
    assert not faults(pool.audit()) - {"cost.round", "cost.lifetime", "cost.statistic"}


def test_the_same_pool_without_a_mistake_passes(tmp_path: Path) -> None:
    plan = PLAN.replace(b"minimum_reports", b"reports_per_worker = 2\nminimum_reports")
    assert make_pool(tmp_path, plan=plan).audit().verdict == "pass"


def test_a_round_beyond_the_lifetime_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grievance.aggregator import rounds
    from grievance.privacy import filter as module

    class Blind:
        def __init__(self, budget: Cost, *, spent: Cost | None = None) -> None:
            pass

        def charge(self, cost: Cost) -> None:
            pass

    federation, tasks = Federation(tmp_path), []
    with monkeypatch.context() as patch:
        patch.setattr(module, "BudgetFilter", Blind)
        patch.setattr(rounds, "check_lifetime", lambda _state, _plan: None)
        for _ in range(3):
            plan = PLAN.replace(b"lifetime_epsilon = 4.0", b"lifetime_epsilon = 3.0")
            federation.open_round(plan)
            tasks.append(federation.task)
    report = pool_of(federation, tasks).audit()
    assert faults(report) == {"cost.lifetime"}
    assert report.faults[0].file == f"rounds/{tasks[-1].round_id}/task.json"

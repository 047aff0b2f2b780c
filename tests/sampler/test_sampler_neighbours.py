"""The inputs that are compared: as far apart as the promise allows, and no further."""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import pytest
from benchmarks.sampler.neighbours import worst_pair
from hypothesis import given, settings

from grievance.cost import Cost
from grievance.plan import Layout, Plan
from grievance.privacy import Allocation, gaussian_cost
from grievance.privacy.mechanisms import WHOLE_NUMBERS
from grievance.testing import EXAMPLE_PLAN, make_coalition

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "plan"))

from strategies import plans


def lost(one: Allocation) -> Fraction:
    """What the noise loses: of Gaussian noise, less than it is charged (exact-conversion.md)."""
    if one.mechanism == "laplace":
        return one.cost.amount
    return one.cost.amount * (one.scale**2 - WHOLE_NUMBERS) / one.scale**2


@pytest.mark.parametrize("name", ["problems_by_region", "mean_hours", "hours_spread"])
@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_every_kind_of_statistic_is_moved_as_far_as_it_can(name: str, mechanism: str) -> None:
    plan = EXAMPLE_PLAN.replace("[privacy]\n", f'[privacy]\nmechanism = "{mechanism}"\n')
    task = make_coalition(plan).task
    loss = lost(task.allocations[name])
    one = worst_pair(task.layout, [name], task.allocations, task.mechanism)
    assert one.moved(task.mechanism) == loss
    three = worst_pair(task.layout, [name], task.allocations, task.mechanism, 3)
    factor = 9 if mechanism == "gaussian" else 3
    assert three.moved(task.mechanism) == factor * loss
    assert [abs(b - a) for a, b in zip(three.near, three.far, strict=True)] == [
        3 * abs(b - a) for a, b in zip(one.near, one.far, strict=True)
    ]


def test_all_reports_of_a_worker_are_exchanged() -> None:
    plan = EXAMPLE_PLAN.replace("[privacy]\n", "[privacy]\nreports_per_worker = 2\n")
    task = make_coalition(plan).task
    pair = worst_pair(task.layout, ["hours_spread"], task.allocations, "gaussian")
    assert sorted(set(pair.near)) == [0, 2]
    assert pair.moved("gaussian") == lost(task.allocations["hours_spread"])


def test_a_whole_round_is_moved_together() -> None:
    task = make_coalition().task
    pair = worst_pair(task.layout, list(task.allocations), task.allocations, "gaussian")
    assert pair.moved("gaussian") == sum(map(lost, task.allocations.values()))
    at = pair.places(5)
    near, far, scales = pair.at(at)
    assert len(at) == 5 and all(a != b for a, b in zip(near, far, strict=True))
    assert len(scales) == 5 and len(pair.places(1000)) == len(pair.near)


@settings(max_examples=25)
@given(plans(max_choices=3, max_grid=6))
def test_no_pair_is_further_apart_than_is_charged(plan: Plan) -> None:
    layout, reports = Layout(plan), plan.privacy.reports_per_worker
    sigma = Fraction(8)
    allocations = {
        s.name: Allocation("gaussian", sigma, gaussian_cost(s.l2_squared, sigma, reports))
        for s in layout.charged
    }
    for name, given_one in allocations.items():
        pair = worst_pair(layout, [name], allocations, "gaussian")
        # 0 where nobody can be counted: a lone cell for those who answered nothing.
        assert 0 <= pair.moved("gaussian") <= given_one.cost.amount
    total = sum((given_one.cost for given_one in allocations.values()), Cost.zero("zcdp"))
    pair = worst_pair(layout, list(allocations), allocations, "gaussian")
    assert 0 <= pair.moved("gaussian") <= total.amount

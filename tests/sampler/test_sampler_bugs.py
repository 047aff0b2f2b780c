"""The threshold test on noise of the stated law: it passes the truth, and sees four faults.

The noise is the same in every run, so that nothing here happens by chance; the slow tests take
what this library draws.

Figures of power are in docs/statistical-audit.md, made by `power_of` below.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from benchmarks.sampler import tester
from benchmarks.sampler.claims import Claim, distance_for
from benchmarks.sampler.fit import fit
from benchmarks.sampler.neighbours import Neighbours, worst_pair
from benchmarks.sampler.noise import Noise, library_noise, released
from benchmarks.sampler.tails import binomial_tail
from benchmarks.sampler.tester import ALPHA, PairResult, compare

from grievance.cost import Cost
from grievance.testing import EXAMPLE_PLAN, make_coalition
from noise_doubles import by_the_law, narrowed_by, no_noise, quick, repeated_after

DELTA = 1e-6
LAPLACE_PLAN = EXAMPLE_PLAN.replace("[privacy]\n", '[privacy]\nmechanism = "laplace"\n')
PAIR = (Fraction(20), Fraction(20))  # one worker moves from one cell to the other
PAIR_COST = Cost("zcdp", Fraction(1, 400))


@pytest.fixture(scope="module")
def task():
    return make_coalition().task


def audit(task, names: list[str], noises: list[Noise], releases: int, most: int = 6) -> PairResult:
    cost = sum((task.allocations[n].cost for n in names), Cost.zero(task.cost.kind))
    claim = Claim(cost, distance_for(cost, 0.5 if cost.kind == "zcdp" else 1.0))
    pair = worst_pair(task.layout, names, task.allocations, task.mechanism, claim.distance)
    return run_pair(pair, claim, noises, releases, most)


def run_pair(
    pair: Neighbours, claim: Claim, noises: list[Noise], releases: int, most: int
) -> PairResult:
    near, far, scales = pair.at(pair.places(most))
    rows = [released(exact, scales, noises, releases) for exact in (near, far)]
    return compare(rows[0], rows[1], (near, far), scales, claim, DELTA)


def two_cells(noises: list[Noise], releases: int, distance: int = 14) -> PairResult:
    exact = (distance, 0), (0, distance)
    rows = [released(totals, PAIR, noises, releases) for totals in exact]
    return compare(rows[0], rows[1], exact, PAIR, Claim(PAIR_COST, distance), DELTA)


# How many coordinates one worker can move.
STATISTICS = {"problems_by_region": 10, "mean_hours": 4, "hours_spread": 2}
EACH = pytest.mark.parametrize(("name", "most"), STATISTICS.items())


@EACH
def test_one_honest_aggregator_keeps_the_promise_and_hardly_more(task, name, most) -> None:
    """The others' noise is known or missing: the stated budget is for exactly this reader."""
    found = audit(task, [name], [by_the_law("gaussian"), no_noise], 6000, most)
    assert not found.flagged
    assert found.normal_rho > 0.3 * found.stated
    assert found.rho > 0.1 * found.stated
    assert found.epsilon > 0.05 * found.stated_epsilon


def test_the_public_sees_half_of_that(task) -> None:
    noises = [by_the_law("gaussian", name) for name in (b"north", b"south")]
    found = audit(task, ["hours_spread"], noises, 4000, most=2)
    assert not found.flagged
    assert 0.1 * found.stated < found.normal_rho < 0.5 * found.stated


def test_pure_epsilon_is_kept_and_nearly_reached() -> None:
    """A table of two cells under Laplace noise: the likelihood ratio is e^epsilon in the tails."""
    claim = Claim(Cost("pure", Fraction(1, 10)), 10)
    exact = (10, 0), (0, 10)
    rows = [released(totals, PAIR, [by_the_law("laplace")], 10_000) for totals in exact]
    found = compare(rows[0], rows[1], exact, PAIR, claim, DELTA)
    assert not found.flagged and found.rho is None and found.delta == 0
    assert 0.3 * found.stated < found.epsilon <= found.stated


def test_laplace_noise_that_is_too_small_is_flagged() -> None:
    claim = Claim(Cost("pure", Fraction(1, 10)), 15)
    exact = (15, 0), (0, 15)
    rows = [released(totals, PAIR, [narrowed_by(2, "laplace")], 30_000) for totals in exact]
    found = compare(rows[0], rows[1], exact, PAIR, claim, DELTA)
    assert found.flagged and found.epsilon > found.stated


@EACH
def test_laplace_statistics_keep_their_promise(name: str, most: int) -> None:
    """With many coordinates only one corner in 2^most shows all of epsilon: less is seen."""
    task = make_coalition(LAPLACE_PLAN).task
    releases = 12_000 if most > 2 else 4000
    found = audit(task, [name], [by_the_law("laplace")], releases, most)
    assert not found.flagged
    assert found.epsilon > (0.02 if most > 2 else 0.15) * found.stated


# -- the four faults ---------------------------------------------------------------------


def test_noise_divided_by_the_root_of_two_is_flagged() -> None:
    found = two_cells([narrowed_by(2)], 12_000)
    assert found.flagged and found.normal_rho > found.stated


def test_noise_dropped_by_the_honest_one_is_flagged() -> None:
    """The other one cheats and subtracts its own noise, so nothing is left."""
    found = two_cells([no_noise], 1000)
    assert found.flagged and found.rho > 4 * found.stated
    # To the public the cheat's own noise hides the fault: it looks like one honest aggregator.
    assert not two_cells([no_noise, by_the_law("gaussian")], 2000).flagged


def test_noise_used_twice_is_flagged(task) -> None:
    """Two statistics with one draw: their difference is exact. Nobody says where to look."""
    names = ["problems_by_region", "hours_spread"]
    cost = sum((task.allocations[n].cost for n in names), Cost.zero("zcdp"))
    claim = Claim(cost, distance_for(cost, 0.5))
    pair = worst_pair(task.layout, names, task.allocations, "gaussian", claim.distance)
    # As many coordinates of each, in the order of the release, equally scaled.
    at = [0, 1, 2, 18, 22, 23]
    near, far, scales = pair.at(at)
    scales = [scales[0]] * len(at)
    rows = [released(exact, scales, [repeated_after(3)], 1500) for exact in (near, far)]
    found = compare(rows[0], rows[1], (near, far), scales, claim, DELTA)
    assert found.flagged and found.score == "learnt" and found.rho > 2 * found.stated
    rows = [released(exact, scales, [by_the_law("gaussian")], 1500) for exact in (near, far)]
    assert not compare(rows[0], rows[1], (near, far), scales, claim, DELTA).flagged


def test_noise_used_again_in_the_next_round_is_flagged() -> None:
    """The same people a round later, one of them replaced, and the noise of last time."""
    exact, scales = ((14, 0, 14, 0), (14, 0, 0, 14)), PAIR * 2
    claim = Claim(PAIR_COST + PAIR_COST, 14)
    rows = [released(totals, scales, [repeated_after(2)], 1000) for totals in exact]
    assert compare(rows[0], rows[1], exact, scales, claim, DELTA).flagged
    rows = [released(totals, scales, [by_the_law("gaussian")], 1000) for totals in exact]
    assert not compare(rows[0], rows[1], exact, scales, claim, DELTA).flagged


def test_the_sensitivity_of_another_relation_is_flagged(task) -> None:
    """Sigma for adding or removing a report, squared sensitivity k, where replacing has 2k."""
    found = audit(task, ["problems_by_region"], [narrowed_by(2)], 8000)
    assert found.flagged and found.normal_rho > found.stated


def test_the_law_of_draws_sees_a_wrong_scale() -> None:
    draws = narrowed_by(2)([Fraction(20)], 3000)
    assert fit(draws, "gaussian", Fraction(20)).p_value < 1e-12
    right = fit(by_the_law("gaussian")([Fraction(20)], 3000), "gaussian", Fraction(20))
    assert right.p_value > 1e-9


# -- what the figures mean ---------------------------------------------------------------


def power_of(noise: Noise, releases: int, runs: int) -> tuple[float, float]:
    """How often a fault in two cells is flagged: by any bound, and without any assumption."""
    found = [two_cells([noise], releases) for _ in range(runs)]
    return (
        float(np.mean([f.flagged for f in found])),
        float(np.mean([(f.rho or 0) > f.stated for f in found])),
    )


def test_false_alarms_are_as_rare_as_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a chance of one in five instead of one in a million, so that it can be counted."""
    monkeypatch.setattr(tester, "ALPHA", 0.2)
    alarms = sum(two_cells([quick(seed)], 800).flagged for seed in range(40))
    assert binomial_tail(alarms, 40, 0.2) > 1e-6


def test_power_at_the_sizes_that_are_used() -> None:
    assert power_of(quick(1, 0.5**0.5), 10_000, 6)[0] == 1.0
    assert power_of(quick(2, 0.5**0.5), 40_000, 3)[1] == 1.0
    assert power_of(quick(3, 1.0), 10_000, 6) == (0.0, 0.0)


def test_a_bound_is_never_taken_where_it_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pure chance looks like a loss where the event was picked; the other half tells."""
    seen = []
    judge = tester._judge

    def spy(choice, scores, near, far):
        seen.append((choice.worth, near, far))
        return judge(choice, scores, near, far)

    monkeypatch.setattr(tester, "_judge", spy)
    near, far = (released((0, 0), PAIR, [quick(seed)], 400) for seed in (1, 2))
    compare(near, far, ((0, 0), (0, 1)), PAIR, Claim(PAIR_COST), DELTA)
    for _, one, other in seen:
        assert np.array_equal(one, near[200:]) and np.array_equal(other, far[200:])


# -- larger, and slow --------------------------------------------------------------------


@pytest.mark.slow
@EACH
def test_large_two_hundred_thousand_releases(task, name: str, most: int) -> None:
    found = audit(task, [name], [library_noise("gaussian"), no_noise], 100_000, most)
    assert found.releases == 100_000 and not found.flagged
    assert found.normal_rho > 0.8 * found.stated
    assert found.rho > 0.35 * found.stated
    assert found.epsilon > 0.2 * found.stated_epsilon


@pytest.mark.slow
def test_large_without_any_assumption_about_the_noise() -> None:
    true = two_cells([library_noise("gaussian")], 100_000)
    assert not true.flagged and true.rho > 0.4 * true.stated
    bug = two_cells([narrowed_by(2)], 150_000)
    assert bug.flagged and bug.rho > bug.stated
    assert ALPHA == 1e-6

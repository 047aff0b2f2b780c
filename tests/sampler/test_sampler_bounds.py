"""Tails, intervals and what one event refutes: known answers, and truths that are known."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np
import pytest
from benchmarks.sampler.bounds import Event, normal_rho, zcdp_between
from benchmarks.sampler.claims import Claim, distance_for
from benchmarks.sampler.fit import correlation_p_value, fit
from benchmarks.sampler.tails import at_least, at_most, beta_cdf, binomial_tail, kolmogorov_tail
from hypothesis import given
from hypothesis import strategies as st

from grievance.cost import Cost
from grievance.empirical.laws import law, variance_of
from grievance.empirical.tails import chi_square_below, chi_square_quantile, chi_square_tail
from grievance.privacy import delta_for

PHI = NormalDist().cdf


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # SciPy 1.17.1: special.betainc, stats.beta, stats.chi2.
        (lambda: beta_cdf(3, 5, 0.2), 0.148032),
        (lambda: beta_cdf(500, 700, 0.41), 0.32067327),
        (lambda: at_least(3, 1000, 1e-6), 1.827239e-05),
        (lambda: at_most(3, 1000, 1e-6), 0.02115561431674895),
        (lambda: at_most(0, 100, 1e-6), 1 - 1e-6 ** (1 / 100)),
        (lambda: at_least(100, 100, 1e-6), 1e-6 ** (1 / 100)),
        (lambda: chi_square_tail(3, 5), 0.69998583588),
        (lambda: chi_square_tail(50, 10), 2.669083e-07),
        (lambda: chi_square_below(10, 50), 1.599586e-10),
        (lambda: chi_square_quantile(0.5, 3), 2.3659738843753377),
        (lambda: kolmogorov_tail(0.02, 10_000), 6.580e-4),
    ],
)
def test_known_answers(value, expected: float) -> None:
    assert value() == pytest.approx(expected, rel=2e-4)


@given(st.integers(1, 60), st.integers(0, 60), st.fractions(0, 1, max_denominator=40))
def test_the_binomial_tail_is_the_sum_of_its_terms(
    trials: int, hits: int, chance: Fraction
) -> None:
    terms = (
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
        for k in range(min(hits, trials + 1), trials + 1)
    )
    exact = float(sum(terms)) if hits <= trials else 0.0
    assert binomial_tail(hits, trials, float(chance)) == pytest.approx(exact, rel=1e-9, abs=1e-300)


@given(st.integers(1, 400), st.data())
def test_an_interval_holds_what_was_seen(trials: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, trials))
    low, high = at_least(hits, trials, 0.01), at_most(hits, trials, 0.01)
    assert low <= hits / trials <= high
    assert low == 0 or binomial_tail(hits, trials, low) == pytest.approx(0.01, rel=1e-6)


def test_intervals_are_wrong_no_more_often_than_they_say() -> None:
    generator = np.random.default_rng(5)
    hits = generator.binomial(300, 0.07, size=4000)
    table = {int(h): at_least(int(h), 300, 0.05) for h in set(hits)}
    wrong = sum(table[int(h)] > 0.07 for h in hits)
    assert binomial_tail(wrong, len(hits), 0.05) > 1e-6


def test_randomised_response_is_measured_exactly() -> None:
    """Its epsilon is known, and shows in a single event."""
    yes = math.exp(1.5) / (1 + math.exp(1.5))
    assert Event(yes, 1 - yes).epsilon(0.0) == pytest.approx(1.5)
    assert Event(yes + 0.01 * (1 - yes), (1 - yes) * 0.99).epsilon(0.01) <= 1.5 + 1e-9
    assert Event(0.3, 0.3).epsilon(0.0) == 0.0
    assert Event(0.3, 0.29).epsilon(0.1) == 0.0


@given(st.floats(0.01, 6), st.floats(-4, 8))
def test_no_event_shows_more_than_a_gaussian_loses(shift: float, cut: float) -> None:
    p, q = 1 - PHI(cut - shift), 1 - PHI(cut)
    if 0 < q < p < 1:
        assert zcdp_between(p, q) <= shift**2 / 2 * (1 + 1e-9)
        assert Event(p, q).rho() == zcdp_between(p, q)
        # The same event by the other currency: delta of the promise must cover it.
        for epsilon in (Fraction(1, 2), Fraction(2)):
            rho = Fraction(shift**2 / 2).limit_denominator(10**9) + Fraction(1, 10**6)
            assert p - math.exp(epsilon) * q <= float(delta_for(rho, epsilon)) + 1e-12


def test_the_best_event_shows_two_parts_in_pi_of_a_small_rho() -> None:
    shift = 0.01
    best = max(
        zcdp_between(1 - PHI(t - shift), 1 - PHI(t)) for t in np.linspace(-3, 3, 601).tolist()
    )
    assert best / (shift**2 / 2) == pytest.approx(2 / math.pi, rel=0.01)


def test_edges_of_the_two_point_divergence() -> None:
    assert zcdp_between(0.5, 0.0) == math.inf
    assert zcdp_between(0.2, 0.4) == 0.0
    assert zcdp_between(1.0, 0.25) == pytest.approx(math.log(4))


def test_the_bound_for_normal_laws_is_below_the_truth_and_near() -> None:
    generator = np.random.default_rng(9)
    over, ratios = 0, []
    for _ in range(300):
        a, b = generator.normal(size=(2, 2000))
        b = b + 1.0
        found = normal_rho(b.mean() - a.mean(), (a.var(ddof=1) + b.var(ddof=1)) / 2, 2000, 0.02)
        over += found > 0.5
        ratios.append(found / 0.5)
    assert binomial_tail(over, 300, 0.04) > 1e-6
    assert np.mean(ratios) > 0.8
    assert normal_rho(1.0, 0.0, 50, 1e-6) == math.inf
    assert normal_rho(0.0, 1.0, 50, 1e-6) == 0.0


def test_promises_for_several_workers() -> None:
    zcdp, pure = Cost("zcdp", Fraction(1, 50)), Cost("pure", Fraction(1, 4))
    assert Claim(zcdp, 5).amount == Fraction(1, 2)
    assert Claim(pure, 5).amount == Fraction(5, 4)
    assert Claim(pure, 5).epsilon(0.0) == 1.25
    assert 0 < Claim(zcdp).epsilon(1e-6) < Claim(zcdp, 2).epsilon(1e-6)
    assert distance_for(zcdp, 0.5) == 5 and distance_for(pure, 1.0) == 4
    assert distance_for(Cost("zcdp", Fraction(3)), 0.5) == 1


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(3), Fraction(21, 2)])
def test_laws_are_those_of_the_definitions(mechanism, scale: Fraction) -> None:
    reach, chances = law(mechanism, scale)
    x = np.arange(-reach, reach + 1)
    assert chances.sum() == pytest.approx(1)
    ratio = chances[reach + 3] / chances[reach]
    power = 9 / (2 * scale**2) if mechanism == "gaussian" else 3 / scale
    assert ratio == pytest.approx(math.exp(-power))
    assert float((chances * x**2).sum()) == pytest.approx(variance_of(mechanism, scale), rel=1e-9)
    reach, chances = law(mechanism, scale, 2)
    x = np.arange(-reach, reach + 1)
    assert float((chances * x**2).sum()) == pytest.approx(2 * variance_of(mechanism, scale))


@pytest.mark.parametrize("seed", range(5))
def test_fit_accepts_its_own_law_and_no_other(seed: int) -> None:
    generator = np.random.default_rng(seed)
    reach, chances = law("gaussian", Fraction(3))
    draws = generator.choice(np.arange(-reach, reach + 1), p=chances, size=20_000)
    assert fit(draws, "gaussian", Fraction(3)).p_value > 1e-6
    assert fit(draws, "laplace", Fraction(17, 8)).p_value < 1e-6  # about the same variance
    assert fit(draws, "gaussian", Fraction(13, 4)).p_value < 1e-6  # 8 per cent too wide
    shifted = fit(draws + 1, "gaussian", Fraction(3))
    assert shifted.chi_square < 1e-6 and shifted.kolmogorov < 1e-6


def test_draws_that_come_again_are_noticed() -> None:
    generator = np.random.default_rng(8)
    fresh = np.rint(generator.laplace(size=(200, 5)) * 9).astype(np.int64)
    assert correlation_p_value(fresh) > 1e-6
    assert correlation_p_value(fresh[:, :1]) > 1e-6
    again = fresh.copy()
    again[:, 4] = again[:, 0]  # in the same release
    assert correlation_p_value(again) < 1e-12
    later = fresh.copy()
    later[1:, 2] = fresh[:-1, 3]  # in the next release, elsewhere
    assert correlation_p_value(later) < 1e-12
    assert correlation_p_value(np.zeros((200, 2), dtype=np.int64)) == 0.0

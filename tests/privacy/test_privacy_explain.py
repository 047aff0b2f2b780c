"""The promise in words: true numbers, rounded to the safe side."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.cost import Cost
from grievance.errors import PrivacyError
from grievance.privacy import (
    campaign_promise,
    odds_bound,
    posterior_bound,
    promise,
    rho_for,
    surprise_bound,
)

EPSILON, DELTA = Fraction(1), Fraction(1, 10**6)


def zcdp(rho: Fraction) -> Cost:
    return Cost("zcdp", rho)


def pure(epsilon: Fraction) -> Cost:
    return Cost("pure", epsilon)


def test_known_beliefs() -> None:
    assert posterior_bound(Fraction(1)) == Decimal("0.7311")
    assert posterior_bound(Fraction(3)) == Decimal("0.9526")
    assert posterior_bound(Fraction(1), Fraction(1, 100)) == Decimal("0.0268")
    assert posterior_bound(Fraction(0), Fraction(1, 4)) == Decimal("0.25")
    assert posterior_bound(Fraction(5), Fraction(0)) == 0
    assert posterior_bound(Fraction(5), Fraction(1)) == 1
    assert posterior_bound(Fraction(1000)) == 1


@settings(max_examples=100)
@given(
    st.fractions(0, 20, max_denominator=1000),
    st.fractions(Fraction(1, 100), Fraction(99, 100), max_denominator=1000),
)
def test_belief_is_bayes_with_the_odds_moved_by_epsilon(epsilon: Fraction, prior: Fraction) -> None:
    odds = float(prior / (1 - prior)) * math.exp(epsilon)
    exact = odds / (1 + odds)
    assert exact - 1e-12 <= float(posterior_bound(epsilon, prior)) <= exact + 1.0001e-4


def test_surprise_is_larger_than_delta_and_covers_the_true_tail() -> None:
    for epsilon in (Fraction(1, 2), Fraction(1), Fraction(3)):
        rho = rho_for(epsilon, DELTA)
        bound = float(surprise_bound(rho, epsilon))
        # The loss of Gaussian noise is itself Gaussian: mean rho, variance 2 rho.
        z = float(epsilon - rho) / math.sqrt(2 * rho)
        assert DELTA < math.erfc(z / math.sqrt(2)) / 2 < bound
        assert bound == pytest.approx(math.exp(-z * z / 2), rel=0.01)
    assert surprise_bound(Fraction(0), Fraction(1)) == 0
    assert surprise_bound(Fraction(2), Fraction(2)) == 1


def test_the_promise() -> None:
    rho = rho_for(EPSILON, DELTA)
    text = promise(EPSILON, DELTA, zcdp(rho), blanked=zcdp(rho / 2))
    for part in (
        "between 26.89% and 73.11% sure",
        "From 1% they can go up to 2.68%",
        "From 90% they can go up to 96.08%",
        "1 in 4,500",
        "epsilon 1 and delta 0.000001",
        "rho 0.02802",
        "rho 0.01401",
        "all aggregators in league",
    ):
        assert part in text
    assert "blank one is hidden better" not in promise(EPSILON, DELTA, zcdp(rho))


def test_the_promise_for_small_and_large_budgets() -> None:
    assert "without exception" in promise(EPSILON, DELTA, zcdp(Fraction(0)))
    assert "1 in 2.2E+108 " in promise(EPSILON, DELTA, zcdp(Fraction(1, 1000)))
    half = Fraction(1, 2)
    assert "no useful limit" in promise(EPSILON, half, zcdp(rho_for(EPSILON, half)))
    large = promise(Fraction(1000), DELTA, zcdp(rho_for(Fraction(1000), DELTA)))
    assert "between 0% and 100% sure" in large
    assert "epsilon 1000 and" in large


def test_blanking_is_hidden_better_only_where_it_costs_less() -> None:
    rho = rho_for(EPSILON, DELTA)
    for whole, make in ((rho, zcdp), (EPSILON, pure)):
        same = promise(EPSILON, DELTA, make(whole), blanked=make(whole))
        assert "blank one is hidden equally well." in same
        assert "better" not in same
        less = promise(EPSILON, DELTA, make(whole), blanked=make(whole * Fraction(99, 100)))
        assert "blank one is hidden better: epsilon" in less
        assert "equally" not in less


def test_the_promise_of_a_campaign_states_its_exceptions() -> None:
    four = Fraction(4)
    assert campaign_promise(four, DELTA, pure(four)) == (
        "All rounds of the campaign together reveal at most epsilon 4 about one worker."
    )
    rho = rho_for(four, DELTA)
    once = int(1 / surprise_bound(rho, four))
    said = campaign_promise(four, DELTA, zcdp(rho))
    assert said.startswith(
        "All rounds of the campaign together reveal at most epsilon 4 about one worker at delta "
        "0.000001; by bad luck of the noise more, with a chance of at most 1 in "
    )
    # Rounded to two digits, towards the larger chance.
    told = int(said.rsplit(" ", 1)[1].rstrip(".").replace(",", ""))
    assert 0.9 * once < told <= once
    small, often = Fraction(1, 100), Fraction(1, 1000)
    assert "no useful limit" in campaign_promise(small, often, zcdp(rho_for(small, often)))


def test_a_promise_that_is_not_kept_is_not_printed() -> None:
    rho = rho_for(EPSILON, DELTA)
    with pytest.raises(PrivacyError) as caught:
        promise(EPSILON, DELTA, zcdp(rho + Fraction(1, 10**9)))
    assert caught.value.code == "privacy.promise"
    with pytest.raises(PrivacyError):
        promise(EPSILON, DELTA, pure(EPSILON + Fraction(1, 10**12)))
    assert promise(EPSILON, DELTA, pure(EPSILON))


def test_the_callers_decimal_context_changes_no_word() -> None:
    for cost in (zcdp(rho_for(EPSILON, DELTA)), pure(Fraction(2, 3))):
        expected = promise(EPSILON, DELTA, cost)
        with localcontext(prec=2, rounding="ROUND_UP", capitals=0):
            assert promise(EPSILON, DELTA, cost) == expected


def test_the_promise_of_laplace_noise_has_no_exceptions() -> None:
    text = promise(EPSILON, DELTA, pure(Fraction(999, 1000)), blanked=pure(Fraction(1, 2)))
    for part in (
        "between 26.89% and 73.11% sure",
        "From 90% they can go up to 96.08%",
        "This holds without exception.",
        "epsilon 1, of which 0.999 is used",
        "discrete Laplace",
        "by a factor of at most e^epsilon, 2.719.",
        "There is no delta",
        "hidden better: epsilon 0.5.",
        "all aggregators in league",
    ):
        assert part in text
    for part in ("bad luck", "rho", "zCDP", "0.000001", "Gaussian"):
        assert part not in text


@settings(max_examples=100)
@given(st.fractions(0, 50, max_denominator=1000))
def test_the_odds_statement_is_e_to_the_epsilon_rounded_up(epsilon: Fraction) -> None:
    assert math.exp(epsilon) * (1 - 1e-12) <= float(odds_bound(epsilon))
    assert float(odds_bound(epsilon)) <= math.exp(epsilon) * 1.0011


def test_the_odds_that_laplace_noise_gives_are_never_above_the_bound() -> None:
    """Bayes over the exact pmf: one count, 3 or 4, one draw of noise of scale b."""
    scale = Fraction(5, 2)
    ratios = [
        math.exp(-abs(seen - 3) / float(scale) + abs(seen - 4) / float(scale))
        for seen in range(-60, 60)
    ]
    bound = float(odds_bound(1 / scale))
    assert bound * 0.999 < max(ratios) <= bound
    assert max(ratios) == pytest.approx(1 / min(ratios))


@pytest.mark.parametrize(
    ("epsilon", "prior"), [(-1, 0.5), (1, -0.1), (1, 1.1), (1, float("nan")), (1, 2)]
)
def test_impossible_beliefs_are_refused(epsilon: int, prior: float) -> None:
    with pytest.raises(PrivacyError):
        posterior_bound(Fraction(epsilon), prior)
    with pytest.raises(PrivacyError):
        surprise_bound(Fraction(-1), Fraction(1))
    with pytest.raises(PrivacyError):
        odds_bound(Fraction(-1))

"""The conversion of Gaussian noise: the lemma it rests on, and deltas counted out one by one."""

from __future__ import annotations

import functools
import math
import random
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.audit import accounting
from grievance.plan.limits import MAX_COORDINATES
from grievance.privacy import delta_for, mills, rho_for, zcdp
from grievance.privacy.mechanisms import WHOLE_NUMBERS

Coordinate = tuple[int, int, int]  # sigma in 1/64, the factor on it, how far one report moves it


def counted(coordinates: list[Coordinate], epsilon: float) -> float:
    """The exact delta of discrete Gaussian noise on these numbers: sum of max(0, P - e^eps Q)."""
    p = q = np.ones(1)
    for units, factor, shift in coordinates:
        sigma = units * factor / 64
        reach = math.ceil(9 * sigma) + shift
        x = np.arange(-reach, reach + shift + 1)
        one, other = (np.exp(-((x - at) ** 2) / (2 * sigma**2)) for at in (0, shift))
        p = np.multiply.outer(p, one / one.sum()).ravel()
        q = np.multiply.outer(q, other / other.sum()).ravel()
    return float(np.maximum(0.0, p - math.exp(epsilon) * q).sum())


def charged(coordinates: list[Coordinate], whole: int = WHOLE_NUMBERS) -> Fraction:
    return sum(
        (
            Fraction(shift, factor) ** 2 / (2 * (Fraction(units, 64) ** 2 - whole))
            for units, factor, shift in coordinates
        ),
        Fraction(0),
    )


@functools.cache
def drawn() -> list[tuple[list[Coordinate], Fraction, float]]:
    """200 small sets of numbers with little noise; epsilons at which delta is worth counting."""
    draw, found = random.Random(1), []
    while len(found) < 200:
        size = draw.choice([1, 1, 2, 2, 3])
        units = draw.randint(128, {1: 700, 2: 300, 3: 160}[size])
        factors_ = [draw.choice([1, 1, 2, 3]) if size < 3 else 1 for _ in range(size)]
        coordinates = [(units, factor, draw.randint(1, 4 * factor)) for factor in factors_]
        rho = charged(coordinates)
        epsilon = rho + Fraction(math.isqrt(int(rho * 10**8)) * draw.randint(10, 45), 10**5)
        exact = counted(coordinates, float(epsilon))
        if 1e-9 < exact < 0.05:
            found.append((coordinates, epsilon, exact))
    return found


def test_what_is_proved_is_never_below_what_is_counted() -> None:
    tight = 0
    for coordinates, epsilon, exact in drawn():
        proved = float(mills.delta_of(charged(coordinates), epsilon))
        assert proved >= exact * (1 - 1e-6), (coordinates, epsilon)
        tight += proved < 2 * exact
    assert tight > 20  # and it is no bound of another order


def test_control_noise_charged_as_if_it_were_continuous_is_more_than_is_proved() -> None:
    """Without what makes it whole, sums of discrete noise are charged too little."""
    below = [
        coordinates
        for coordinates, epsilon, exact in drawn()
        if float(mills.delta_of(charged(coordinates, 0), epsilon)) < exact * (1 - 1e-6)
    ]
    assert below


def factors(sigma: float, c: float) -> tuple[float, float, float]:
    """The lemma's bounds of P/D, and e of its second derivation."""

    def tail(r: float) -> float:
        return 2 * sum(math.exp(-2 * math.pi**2 * r * k * k) for k in range(1, 8))

    e, f = tail(c), tail(c + c * (sigma**2 - c) / sigma**2)
    return 1 - f, (1 + tail(sigma**2)) * (1 + f + e * e / (1 - e)), e


@functools.cache
def ratios(sigma: float, shift: int, c: float) -> tuple[float, float]:
    """The least and the largest P/D, by integrals: the trapezoid rule is exact for bells."""
    y = np.linspace(-14 * sigma, 14 * sigma, 1_501) + shift
    x = np.arange(math.floor(-6 * sigma), math.ceil(6 * sigma) + 1) + shift
    v = sigma**2 - c
    density = np.exp(-((y - shift) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
    whole = np.arange(x[0] - 80, x[-1] + 81)
    normal = np.exp(-((whole[:, None] - y) ** 2) / (2 * c)).sum(axis=0)
    made = np.exp(-((x[:, None] - y) ** 2) / (2 * c)) / normal @ density * (y[1] - y[0])
    discrete = np.exp(-((x - shift) ** 2) / (2 * sigma**2))
    discrete /= np.exp(-((whole - shift) ** 2) / (2 * sigma**2)).sum()
    ratio = made / discrete
    return float(ratio.min()), float(ratio.max())


@pytest.mark.parametrize("sigma", [1.0, 2.0, 2.5, 4.0])
@pytest.mark.parametrize("shift", [0, 3])
def test_the_lemma(sigma: float, shift: int) -> None:
    """Continuous noise of variance sigma^2 - c, made whole, is discrete noise within its factor."""
    for c in (0.1, 0.25, 0.5, 0.9):
        low, high, e = factors(sigma, c)
        least, most = ratios(sigma, shift, c)
        assert low - 1e-11 <= least
        assert most <= high + 1e-11
        assert 1 / (1 + e) - 1e-11 <= least
        assert most <= (1 + e) / (1 - e) + 1e-11


def test_control_the_lemma_is_tested_where_its_factor_is_seen() -> None:
    """For little c the factor is no rounding error, and without the second order it is broken."""
    _, high, e = factors(2.0, 0.1)
    least, most = ratios(2.0, 0, 0.1)
    assert most - least > 1e-3
    assert most > high - e * e / (1 - e)


def test_what_the_factor_comes_to() -> None:
    """The figures of the page and of `SLACK`."""
    c = float(WHOLE_NUMBERS)
    for sigma in (2.0, 2 + 1 / 64, 10.0, 1e6):
        assert c + c * (sigma**2 - c) / sigma**2 >= 135 / 64
    f, e = 2 * math.exp(-2 * math.pi**2 * 135 / 64), 2 * math.exp(-2 * math.pi**2 * c)
    assert f * (1 + 1e-9) < 1.7e-18
    assert e * (1 + 1e-9) < 3.9e-11
    assert f + e * e / (1 - e) + 2 * math.exp(-8 * math.pi**2) * (1 + 1e-9) < 2e-18
    assert mills.SLACK * (1 + 1e-9) >= 2.5e11 * 2 * 2e-18
    assert MAX_COORDINATES * 3_800_000 < 2.5e11


def normal_delta(rho: float, epsilon: float) -> float:
    mu = math.sqrt(2 * rho)
    above, beyond = (math.erfc((epsilon / mu + s * mu / 2) / math.sqrt(2)) / 2 for s in (-1, 1))
    return above - math.exp(epsilon) * beyond


@pytest.mark.parametrize("epsilon", ["0.1", "0.5", "1", "3", "10"])
@pytest.mark.parametrize("delta", [3, 6, 9])
def test_it_is_the_formula_of_the_continuous_gaussian(epsilon: str, delta: int) -> None:
    """From above, and above it by the slack alone."""
    given_ = Fraction(epsilon)
    rho = rho_for(given_, Fraction(1, 10**delta))
    exact, proved = normal_delta(float(rho), float(given_)), float(mills.delta_of(rho, given_))
    assert exact * (1 - 1e-5) <= proved <= exact * (1 + 1e-2)


def test_it_is_not_below_another_librarys_optimistic_estimate() -> None:
    dp_accounting = pytest.importorskip("dp_accounting")
    for epsilon, rho in ((0.5, Fraction(1, 100)), (1.0, Fraction(1, 30)), (3.0, Fraction(1, 5))):
        loss = dp_accounting.pld.privacy_loss_distribution.from_gaussian_mechanism(
            1 / math.sqrt(2 * rho), pessimistic_estimate=False
        )
        assert float(delta_for(rho, Fraction(epsilon))) >= loss.get_delta_for_epsilon(epsilon)


@given(
    st.integers(1, 1200).map(lambda n: Fraction(n, 100)),
    st.integers(1, 10_000).map(lambda n: Fraction(n, 10_000)),
)
@settings(max_examples=60, deadline=None)
def test_delta_grows_with_rho_falls_with_epsilon_and_is_the_smaller_of_two(
    epsilon: Fraction, part: Fraction
) -> None:
    rho = part * epsilon
    delta = delta_for(rho, epsilon)
    assert delta <= delta_for(rho * Fraction(101, 100), epsilon)
    assert delta >= delta_for(rho, epsilon * Fraction(101, 100))
    assert delta <= zcdp.zcdp_delta(rho, epsilon)


@pytest.mark.parametrize("z", ["0.01", "0.1", "1", "4.5", "30", "2000"])
def test_mills_ratio_is_enclosed(z: str) -> None:
    low, high = mills._mills(Decimal(z))
    below, above = (accounting._mills(Fraction(z).limit_denominator(2**40), n) for n in (300, 301))
    assert low <= high and below <= above
    at = float(z)
    if at < 30:
        exact = math.erfc(at / math.sqrt(2)) * math.exp(at * at / 2) * math.sqrt(math.pi / 2)
        assert float(low) * (1 - 1e-12) <= exact <= float(high) * (1 + 1e-12)
        assert float(below) * (1 - 1e-9) <= exact <= float(above) * (1 + 1e-9)


def test_control_the_other_convergents_would_promise_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With few terms, so that the bounds are apart: exchanged, delta falls below the exact one."""
    monkeypatch.setattr(mills, "_MOST_TERMS", 4)
    rho, epsilon = Fraction(1, 4), Fraction(1)
    exact = normal_delta(float(rho), float(epsilon))
    assert float(mills.delta_of(rho, epsilon)) >= exact
    right = mills._mills
    monkeypatch.setattr(mills, "_mills", lambda z: right(z)[::-1])
    assert float(mills.delta_of(rho, epsilon)) < exact


@given(
    st.integers(1, 1500).map(lambda n: Fraction(n, 100)),
    st.integers(3, 15).map(lambda n: Fraction(1, 10**n)),
)
@settings(max_examples=40, deadline=None)
def test_release_and_audit_agree_to_the_last_unit(epsilon: Fraction, delta: Fraction) -> None:
    rho = rho_for(epsilon, delta)
    assert accounting.keeps(rho, epsilon, delta)
    assert not accounting.keeps(rho + Fraction(1, 10**9), epsilon, delta)
    assert delta_for(rho, epsilon) <= zcdp.zcdp_delta(rho, epsilon)
    assert rho >= zcdp_rho(epsilon, delta)


def zcdp_rho(epsilon: Fraction, delta: Fraction) -> Fraction:
    low, high = 0, 10**12
    while low < high:
        middle = (low + high + 1) // 2
        kept = zcdp.zcdp_delta(Fraction(middle, 10**9), epsilon) <= delta
        low, high = (middle, high) if kept else (low, middle - 1)
    return Fraction(low, 10**9)


@pytest.mark.parametrize(
    ("epsilon", "delta", "units"),
    [("1", 6, 28_014_427), ("0.1", 6, 379_346), ("4", 6, 351_003_464), ("1", 9, 16_557_382)],
)
def test_known_answers(epsilon: str, delta: int, units: int) -> None:
    rho = rho_for(Fraction(epsilon), Fraction(1, 10**delta))
    assert rho == Fraction(units, 10**9)
    # As noise: what the conversion for all mechanisms of zCDP would have asked for is more.
    assert 0.91 < math.sqrt(zcdp_rho(Fraction(epsilon), Fraction(1, 10**delta)) / rho) < 0.96


@pytest.mark.parametrize(("tables", "part"), [(1, 0.949), (5, 0.936), (30, 0.933)])
def test_noise_is_less_by_what_is_said(tables: int, part: float) -> None:
    one, millionth = Fraction(1), Fraction(1, 10**6)
    now = math.sqrt(tables / rho_for(one, millionth) + WHOLE_NUMBERS)
    before = math.sqrt(tables / zcdp_rho(one, millionth))
    assert now / before == pytest.approx(part, abs=5e-4)


def test_nothing_is_promised_where_it_says_nothing() -> None:
    assert mills.delta_of(Fraction(2), Fraction(2)) == 1
    assert mills.delta_of(Fraction(1), Fraction(101)) == 1
    assert mills.delta_of(Fraction(1, 10**12), Fraction(1)) < Decimal("1e-300")

"""The law of noise: known answers, and each method against a plainer one."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.errors import PrivacyError
from grievance.privacy import MAX_SCALE, MIN_SCALE, NoiseLaw, combined_margin
from grievance.privacy.lattice import POINTS, WIDEST

scales = st.integers(32, 64 * 60).map(lambda units: Fraction(units, 64))
mechanisms = st.sampled_from(["gaussian", "laplace"])


def one_draw(mechanism: str, scale: float) -> np.ndarray:
    """Weights of one draw, normalised: no characteristic function, no Fourier transform."""
    reach = math.ceil((10 if mechanism == "gaussian" else 45) * scale) + 3
    x = np.arange(-reach, reach + 1, dtype=float)
    power = -(x**2) / (2 * scale * scale) if mechanism == "gaussian" else -np.abs(x) / scale
    weights = np.exp(power)
    return weights / weights.sum()


def convolved(mechanism: str, scale: float, draws: int) -> dict[int, float]:
    total = one = one_draw(mechanism, scale)
    for _ in range(draws - 1):
        total = np.convolve(total, one)
    middle = len(total) // 2
    return {i - middle: p for i, p in enumerate(total)}


def plain_margin(pmf: dict[int, float], level: float) -> int:
    inside, half = pmf[0], 0
    while inside < level:
        half += 1
        inside += pmf[half] + pmf[-half]
    return half


# -- known answers ----------------------------------------------------------------------------


def test_one_laplace_draw_in_closed_form() -> None:
    law = NoiseLaw("laplace", Fraction(2), 1)
    q = math.exp(-1 / 2)
    assert law.variance == pytest.approx(2 * q / (1 - q) ** 2, rel=1e-14)
    assert law.sd == pytest.approx(2.7991777682, rel=1e-10)
    offset, pmf = law.pmf()
    for x in range(-30, 31):
        assert pmf[x - offset] == pytest.approx((1 - q) / (1 + q) * q ** abs(x), abs=1e-15)
    for h in (0, 1, 2, 5, 6, 20):
        assert law.tail(h) == pytest.approx(2 * q ** (h + 1) / (1 + q), abs=1e-14)
    assert law.margin() == 6
    assert law.margin(0.5) == 1
    assert (law.tail(-0.1), law.tail(5.9)) == (1.0, law.tail(5))


@pytest.mark.parametrize("scale", [Fraction(1, 2), Fraction(5, 2), Fraction(11), Fraction(300)])
def test_two_laplace_draws_in_closed_form(scale: Fraction) -> None:
    """P(X = k) = ((1-q)/(1+q))^2 q^k (k + (1 + q^2)/(1 - q^2)) for k >= 0, by summing up."""
    q = math.exp(-1 / float(scale))
    offset, pmf = NoiseLaw("laplace", scale, 2).pmf()
    for k in (0, 1, 2, 10, 20):
        expected = ((1 - q) / (1 + q)) ** 2 * q**k * (k + (1 + q * q) / (1 - q * q))
        assert pmf[k - offset] == pytest.approx(expected, abs=1e-15)


def test_small_gaussian_noise() -> None:
    """Sigma 1/2: weights 1, e^-2, e^-8, ... by hand."""
    law = NoiseLaw("gaussian", Fraction(1, 2), 1)
    total = 1 + 2 * (math.exp(-2) + math.exp(-8) + math.exp(-18))
    assert law.tail(0) == pytest.approx(1 - 1 / total, abs=1e-12)
    assert law.variance == pytest.approx(
        2 * (math.exp(-2) + 4 * math.exp(-8) + 9 * math.exp(-18)) / total, rel=1e-12
    )
    assert law.margin() == 1


def test_the_normal_law_is_the_limit() -> None:
    for draws in (1, 2, 30):
        law = NoiseLaw("gaussian", Fraction(100), draws)
        assert law.sd == pytest.approx(100 * math.sqrt(draws))
        assert law.margin() == math.ceil(1.959963985 * law.sd - 0.5)
    many = NoiseLaw("laplace", Fraction(10), 3000)
    assert many.margin() == pytest.approx(1.959963985 * many.sd, rel=1e-3)


def test_why_the_normal_law_is_not_used_for_one_or_two_laplace_draws() -> None:
    one, two = NoiseLaw("laplace", Fraction(200), 1), NoiseLaw("laplace", Fraction(200), 2)
    assert one.margin() / one.sd == pytest.approx(math.log(20) / math.sqrt(2), rel=0.01)
    assert one.margin() > 1.06 * 1.96 * one.sd
    assert one.tail(6 * one.sd) > 1e5 * math.erfc(6 / math.sqrt(2))
    assert two.margin() > 1.03 * 1.96 * two.sd


# -- against a plainer method -----------------------------------------------------------------


@settings(max_examples=60)
@given(mechanisms, scales, st.integers(1, 5))
def test_everything_agrees_with_plain_convolution(
    mechanism: str, scale: Fraction, draws: int
) -> None:
    law, plain = NoiseLaw(mechanism, scale, draws), convolved(mechanism, float(scale), draws)
    offset, pmf = law.pmf()
    assert sum(pmf) == pytest.approx(1, abs=1e-14)
    assert pmf == pytest.approx([plain.get(offset + i, 0.0) for i in range(len(pmf))], abs=2e-15)
    assert np.array_equal(pmf, pmf[::-1])
    assert law.variance == pytest.approx(sum(p * x * x for x, p in plain.items()), rel=1e-9)
    for level in (0.5, 0.8, 0.95, 0.999):
        margin = law.margin(level)
        assert margin == plain_margin(plain, level - 1e-13)
        assert law.tail(margin) <= 1 - level + 1e-12
        assert margin == 0 or law.tail(margin - 1) > 1 - level - 1e-12


@settings(max_examples=60)
@given(mechanisms, scales, st.integers(1, 6), st.sampled_from([1e-3, 1e-9, 1e-32]))
def test_the_bound_holds(mechanism: str, scale: Fraction, draws: int, chance: float) -> None:
    law = NoiseLaw(mechanism, scale, draws)
    plain = convolved(mechanism, float(scale), draws)
    bound = law.bound(chance)
    assert sum(p for x, p in plain.items() if abs(x) > bound) <= chance + 1e-17
    assert bound < 60 * law.sd + 60


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
@pytest.mark.parametrize("scale", [WIDEST, 10 * WIDEST, 2**30, int(MAX_SCALE)])
def test_wide_laws_are_the_small_ones_stretched(mechanism: str, scale: int) -> None:
    """A margin of a wide law, over its scale, is that of scale 1000 up to the rounding there."""
    for draws in (1, 2, 3):
        wide = NoiseLaw(mechanism, Fraction(scale), draws)
        small = NoiseLaw(mechanism, Fraction(1000), draws)
        assert wide.margin() / scale == pytest.approx((small.margin() - 0.5) / 1000, abs=1e-3)
        assert wide.tail(wide.margin()) == pytest.approx(0.05, abs=1e-4)
        assert wide.tail(0.0) == pytest.approx(1, abs=1e-3)
        assert wide.tail(10**15) == 0.0
        if wide.sd > WIDEST:
            with pytest.raises(PrivacyError):
                wide.pmf()


def test_one_wide_laplace_law_against_its_closed_form() -> None:
    for scale in (5 * WIDEST, 10**6, 2**30):
        exact = -scale * math.log(0.05)
        assert NoiseLaw("laplace", Fraction(scale), 1).margin() == pytest.approx(
            exact, abs=1, rel=1e-6
        )


# -- combinations -----------------------------------------------------------------------------


@settings(max_examples=40)
@given(mechanisms, scales, st.integers(1, 3), st.floats(0.01, 100))
def test_equal_factors_give_the_law_of_more_draws(
    mechanism: str, scale: Fraction, draws: int, factor: float
) -> None:
    law = NoiseLaw(mechanism, scale, draws)
    together = NoiseLaw(mechanism, scale, 3 * draws)
    found = combined_margin([(law, factor), (law, -factor), (law, factor)])
    assert found == pytest.approx(factor * together.margin())


def test_whole_multiples_are_exact() -> None:
    """X + 2 Y for two different mechanisms, by convolution."""
    x, y = convolved("laplace", 3.0, 2), convolved("gaussian", 2.5, 2)
    both: dict[int, float] = {}
    for a, p in x.items():
        for b, q in y.items():
            both[a + 2 * b] = both.get(a + 2 * b, 0.0) + p * q
    parts = [
        (NoiseLaw("laplace", Fraction(3), 2), 0.1),
        (NoiseLaw("gaussian", Fraction(5, 2), 2), -0.2),
    ]
    assert combined_margin(parts) == pytest.approx(0.1 * plain_margin(both, 0.95))


@pytest.mark.parametrize(
    "parts",
    [
        [("laplace", 4, 2, 0.5), ("laplace", 3, 2, -1 / 3), ("gaussian", 3, 2, 1 / 7)],
        [("laplace", 20, 1, 1.0), ("laplace", 1, 1, math.pi)],
        [("gaussian", 12, 2, 0.9), ("gaussian", 5, 4, -0.123)],
        [("laplace", Fraction(1, 2), 2, 1.0), ("laplace", Fraction(1, 2), 2, math.sqrt(2))],
    ],
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_other_factors_agree_with_simulation(parts: list, level: float) -> None:
    laws = [(NoiseLaw(m, Fraction(scale), draws), factor) for m, scale, draws, factor in parts]
    margin = combined_margin(laws, level)
    size = 400_000
    total = sum(c * law.sample(size, bytes([i])) for i, (law, c) in enumerate(laws))
    sd = math.sqrt(sum(c * c * law.variance for law, c in laws))
    chance = 5 * math.sqrt(level * (1 - level) / size)
    # It holds its level, and a margin narrower by the guard and as much again would not.
    assert float(np.mean(np.abs(total) <= margin)) > level - chance
    assert float(np.mean(np.abs(total) <= margin - 16 / POINTS * sd)) < level + chance


@pytest.mark.parametrize(
    ("mechanism", "scale", "factor"),
    [("laplace", 0.5, math.sqrt(2)), ("gaussian", 0.5, math.sqrt(2)), ("laplace", 2.0, math.pi)],
)
def test_lumps_do_not_break_the_level(mechanism: str, scale: float, factor: float) -> None:
    """X + factor Y, enumerated: levels just above each lump's lower edge, where smoothing errs."""
    one = convolved(mechanism, scale, 1)
    sizes = sorted((abs(x + factor * y), p * q) for x, p in one.items() for y, q in one.items())
    law = NoiseLaw(mechanism, Fraction(scale), 1)
    sd = math.sqrt(law.variance * (1 + factor**2))
    values, chances = np.array([v for v, _ in sizes]), np.array([p for _, p in sizes])
    upto = np.cumsum(chances)
    for place in np.flatnonzero((upto > 0.6) & (upto < 0.99) & (chances > 0.002)):
        level = float(upto[place] - 0.9 * chances[place])
        margin = combined_margin([(law, 1.0), (law, factor)], level)
        assert chances[values <= margin].sum() > level - 7e-5
        assert chances[values <= margin - 16 / POINTS * sd].sum() < level


def test_nothing_has_no_margin_and_order_does_not_matter() -> None:
    a, b = NoiseLaw("laplace", Fraction(4), 1), NoiseLaw("gaussian", Fraction(4), 1)
    assert combined_margin([]) == combined_margin([(a, 0.0), (b, 0)]) == 0.0
    assert combined_margin([(a, 0.3), (b, 0.7)]) == combined_margin([(b, -0.7), (a, 0.3)])
    assert combined_margin([(a, 1.0), (b, 0.0)]) == a.margin()


# -- simulation -------------------------------------------------------------------------------


@pytest.mark.parametrize("mechanism", ["gaussian", "laplace"])
def test_samples_follow_the_law_and_only_the_seed(mechanism: str) -> None:
    law, size = NoiseLaw(mechanism, Fraction(3), 2), 100_000
    sample = law.sample(size, b"a")
    assert np.array_equal(sample, law.sample(size, b"a"))
    assert not np.array_equal(sample, law.sample(size, b"b"))
    assert sample.dtype == np.int64
    offset, pmf = law.pmf()
    counts = {int(x): int(n) for x, n in zip(*np.unique(sample, return_counts=True), strict=True)}
    for x, p in zip(range(offset, offset + len(pmf)), pmf, strict=True):
        assert abs(counts.get(x, 0) - size * p) < 6 * math.sqrt(size * p * (1 - p)) + 3
    assert abs(np.mean(sample[:-1] * sample[1:])) < 6 * law.variance / math.sqrt(size)


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mechanism", "scale", "draws"),
    [
        ("exponential", Fraction(3), 1),
        ("laplace", Fraction(1, 3), 1),
        ("laplace", 3.0, 1),
        ("gaussian", MIN_SCALE - Fraction(1, 64), 1),
        ("laplace", MAX_SCALE + 1, 1),
        ("laplace", Fraction(3), 0),
        ("laplace", Fraction(3), 1.0),
        ("laplace", Fraction(3), True),
        ("laplace", Fraction(3), 10**9 + 1),
    ],
)
def test_laws_of_nothing_are_refused(mechanism: str, scale: Fraction, draws: int) -> None:
    with pytest.raises(PrivacyError):
        NoiseLaw(mechanism, scale, draws)


@pytest.mark.parametrize("level", [0.0, 1.0, -1.0, 2.0, float("nan")])
def test_impossible_levels_are_refused(level: float) -> None:
    law = NoiseLaw("laplace", Fraction(3), 1)
    for call in (lambda: law.margin(level), lambda: combined_margin([(law, 1.0)], level)):
        with pytest.raises(PrivacyError):
            call()

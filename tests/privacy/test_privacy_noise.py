"""The noise: its distribution, its independence, and what is refused."""

from __future__ import annotations

import math
import os
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from grievance.errors import PrivacyError
from grievance.privacy import MAX_SCALE, NoiseLaw, draw, noise, opendp_cost

NUM_DRAWS = 60_000


MECHANISMS = ("gaussian", "laplace")


def exact_pmf(mechanism: str, scale: float) -> dict[int, float]:
    reach = math.ceil((12 if mechanism == "gaussian" else 40) * scale) + 3
    weights = {
        x: math.exp(-x * x / (2 * scale * scale) if mechanism == "gaussian" else -abs(x) / scale)
        for x in range(-reach, reach + 1)
    }
    total = math.fsum(weights.values())
    return {x: weight / total for x, weight in weights.items()}


def bins(pmf: dict[int, float], least: float) -> list[tuple[int, float]]:
    """Cut the integers into runs of expected count `least` or more: (last value, probability)."""
    runs: list[tuple[int, float]] = []
    weight = 0.0
    for x, probability in pmf.items():
        weight += probability
        if weight >= least:
            runs.append((x, weight))
            weight = 0.0
    _, probability = runs[-1]
    runs[-1] = (max(pmf), probability + weight)
    return runs


LAWS = [("gaussian", Fraction(scale)) for scale in ("2", "3", "100", "5/2", "10")]
LAWS += [("laplace", Fraction(scale)) for scale in ("2", "1/2", "100")]
FEW = [LAWS[1], LAWS[5]]  # each draws a hundred thousand numbers and more


@pytest.mark.parametrize(
    ("mechanism", "scale"),
    [law if law in FEW else pytest.param(*law, marks=pytest.mark.slow) for law in LAWS],
)
def test_draws_follow_the_exact_law(mechanism: str, scale: Fraction) -> None:
    draws = draw(mechanism, [scale] * NUM_DRAWS)
    pmf = exact_pmf(mechanism, float(scale))
    runs = bins(pmf, 20 / NUM_DRAWS)
    counts = [0] * len(runs)
    where, run = {}, 0
    for x in range(min(pmf), max(pmf) + 1):
        run += x > runs[run][0]
        where[x] = run
    for value in draws:
        counts[where[value]] += 1
    chi = sum(
        (count - NUM_DRAWS * p) ** 2 / (NUM_DRAWS * p)
        for count, (_, p) in zip(counts, runs, strict=True)
    )
    # Wilson and Hilferty: the cube root of chi-square over its degrees is nearly normal.
    free = len(runs) - 1
    z = ((chi / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))
    assert abs(z) < 6

    # Six standard errors each, by chance twice in 10^9.
    variance = math.fsum(p * x * x for x, p in pmf.items())
    fourth = math.fsum(p * x**4 for x, p in pmf.items())
    mean = sum(draws) / NUM_DRAWS
    assert abs(mean) < 6 * math.sqrt(variance / NUM_DRAWS)
    seen = sum(x * x for x in draws) / NUM_DRAWS
    assert abs(seen - variance) < 6 * math.sqrt((fourth - variance**2) / NUM_DRAWS)
    neighbours = sum(a * b for a, b in pairwise(draws)) / NUM_DRAWS
    assert abs(neighbours) < 6 * variance / math.sqrt(NUM_DRAWS)


def test_grouping_by_sigma_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def count_up(mechanism: str, scale: Fraction, size: int) -> list[int]:
        asked.append((mechanism, scale, size))
        return [int(scale * 1000) + i for i in range(size)]

    monkeypatch.setattr(noise, "_draw_equal", count_up)
    three, seven = Fraction(3), Fraction(7)
    two = Fraction(2)
    scales = [three, seven, three, two, seven]
    for mechanism in MECHANISMS:
        asked.clear()
        assert draw(mechanism, scales) == [3000, 7000, 3001, 2000, 7001]
        assert asked == [(mechanism, three, 2), (mechanism, seven, 2), (mechanism, two, 1)]


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_every_entry_gets_its_own_scale(mechanism: str) -> None:
    # So many that a variance is off by half with ten standard errors, of Laplace noise too.
    scales = [Fraction(2), Fraction(10**6), Fraction(4), Fraction(10**9)] * 2000
    draws = draw(mechanism, scales)
    for start, scale in enumerate(scales[:4]):
        squares = [x * x for x in draws[start::4]]
        variance = NoiseLaw(mechanism, scale, 1).variance
        assert sum(squares) / len(squares) == pytest.approx(variance, rel=0.5)


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_shapes_of_the_answer(mechanism: str) -> None:
    assert draw(mechanism, []) == []
    assert all(type(x) is int for x in draw(mechanism, [Fraction(3), MAX_SCALE]))
    assert any(abs(x) > 2**36 for x in draw(mechanism, [MAX_SCALE] * 20))


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_two_calls_differ(mechanism: str) -> None:
    scales = [Fraction(1000)] * 16
    assert draw(mechanism, scales) != draw(mechanism, scales)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_forked_children_and_parent_draw_differently(mechanism: str) -> None:
    sigmas = [Fraction(2**20)] * 8
    draw(mechanism, sigmas)  # the generator exists before the processes part
    pipes, children = [], []
    for _ in range(3):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, repr(draw(mechanism, sigmas)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        pipes.append(reader)
        children.append(child)
    seen = [repr(draw(mechanism, sigmas)).encode()]
    for reader, child in zip(pipes, children, strict=True):
        with os.fdopen(reader, "rb") as pipe:
            seen.append(pipe.read())
        os.waitpid(child, 0)
    assert all(text.startswith(b"[") and text.count(b",") == 7 for text in seen)
    assert len(set(seen)) == 4


BAD_SCALES = [
    0,
    0.0,
    Fraction(0),
    -1,
    Fraction(-1),
    Fraction(-1, 2),
    1e-300,
    Fraction(1, 10**300),
    float("nan"),
    float("inf"),
    Decimal(3),
    "3",
    3,
    2.5,
    True,
    None,
    Fraction(1, 3),
    Fraction(65, 128),
    Fraction(1, 64),
    MAX_SCALE + Fraction(1, 64),
    Fraction(2**60),
]


@pytest.mark.parametrize("bad", BAD_SCALES, ids=repr)
def test_bad_scales_are_refused_before_anything_is_drawn(
    bad: Fraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "_draw_equal", lambda *_: pytest.fail("drew something"))
    for mechanism in MECHANISMS:
        for call in (
            lambda name: draw(name, [Fraction(3), bad]),
            lambda name: opendp_cost(name, bad, 2),
        ):
            with pytest.raises(PrivacyError) as caught:
                call(mechanism)
            assert caught.value.code == "privacy.scale"


@pytest.mark.parametrize("bad", ["exponential", "", None, "discrete-laplace", 1])
def test_unknown_mechanisms_are_refused(bad: str) -> None:
    for call in (lambda: draw(bad, [Fraction(3)]), lambda: opendp_cost(bad, Fraction(3), 2)):
        with pytest.raises(PrivacyError) as caught:
            call()
        assert caught.value.code == "privacy.mechanism"


@pytest.mark.parametrize("scale", [0.0, 1e-300, 9.999999])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_scale_that_got_lost_on_the_way_is_noticed(
    mechanism: str, scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenDP takes all three without complaint; its own map gives them away."""
    monkeypatch.setattr(noise, "_float", lambda _: scale)
    with pytest.raises(PrivacyError) as caught:
        draw(mechanism, [Fraction(10)])
    assert caught.value.code == "privacy.map"


@pytest.mark.parametrize(("mechanism", "cost"), [("gaussian", 0.005), ("laplace", 0.1)])
def test_a_sampler_that_returns_too_little_is_noticed(
    mechanism: str, cost: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def map(self, _: float) -> float:
            return cost

        def __call__(self, zeros: list[int]) -> list[int]:
            return zeros[1:]

    monkeypatch.setattr(noise, "_measurement", lambda *_: Broken())
    with pytest.raises(PrivacyError) as caught:
        draw(mechanism, [Fraction(10)] * 3)
    assert caught.value.code == "privacy.draw"


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, 2**53, None])
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_bad_sensitivities_are_refused(mechanism: str, bad: int) -> None:
    with pytest.raises(PrivacyError):
        opendp_cost(mechanism, Fraction(10), bad)


def test_every_multiple_in_range_is_exact_in_floating_point() -> None:
    for units in (32, 33, 2**20 + 1, 2**46 - 1, 2**46):
        assert Fraction(noise._float(Fraction(units, 64))) == Fraction(units, 64)

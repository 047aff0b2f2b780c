"""The noise: its distribution, its independence, and what is refused."""

from __future__ import annotations

import math
import os
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest

from grievance.errors import PrivacyError
from grievance.privacy import MAX_SIGMA, MIN_SIGMA, draw, noise, opendp_rho

NUM_DRAWS = 200_000


def exact_pmf(sigma: float) -> dict[int, float]:
    reach = math.ceil(12 * sigma) + 3
    weights = {x: math.exp(-x * x / (2 * sigma * sigma)) for x in range(-reach, reach + 1)}
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


SIGMAS = [Fraction(1, 2), Fraction(1), Fraction(3), Fraction(10), Fraction(100)]


@pytest.mark.parametrize("sigma", SIGMAS)
def test_draws_follow_the_exact_discrete_gaussian(sigma: Fraction) -> None:
    draws = draw([sigma] * NUM_DRAWS)
    pmf = exact_pmf(float(sigma))
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
    assert abs(z) < 5.5

    variance = math.fsum(p * x * x for x, p in pmf.items())
    mean = sum(draws) / NUM_DRAWS
    assert abs(mean) < 6 * math.sqrt(variance / NUM_DRAWS)
    assert sum(x * x for x in draws) / NUM_DRAWS == pytest.approx(variance, rel=0.02)
    neighbours = sum(a * b for a, b in pairwise(draws)) / NUM_DRAWS
    assert abs(neighbours) < 6 * variance / math.sqrt(NUM_DRAWS)


def test_grouping_by_sigma_keeps_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def count_up(sigma: Fraction, size: int) -> list[int]:
        asked.append((sigma, size))
        return [int(sigma * 1000) + i for i in range(size)]

    monkeypatch.setattr(noise, "_draw_equal", count_up)
    three, seven = Fraction(3), Fraction(7)
    assert draw([three, seven, three, MIN_SIGMA, seven]) == [3000, 7000, 3001, 500, 7001]
    assert asked == [(three, 2), (seven, 2), (MIN_SIGMA, 1)]


def test_every_entry_gets_its_own_sigma() -> None:
    sigmas = [Fraction(1), Fraction(10**6), Fraction(2), Fraction(10**9)] * 500
    draws = draw(sigmas)
    for start, sigma in enumerate(sigmas[:4]):
        squares = [x * x for x in draws[start::4]]
        assert sum(squares) / len(squares) == pytest.approx(float(sigma) ** 2, rel=0.35)


def test_shapes_of_the_answer() -> None:
    assert draw([]) == []
    assert all(type(x) is int for x in draw([Fraction(3), MAX_SIGMA]))
    assert any(abs(x) > 2**36 for x in draw([MAX_SIGMA] * 20))


def test_two_calls_differ() -> None:
    sigmas = [Fraction(1000)] * 16
    assert draw(sigmas) != draw(sigmas)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_forked_children_and_parent_draw_differently() -> None:
    sigmas = [Fraction(2**20)] * 8
    draw(sigmas)  # the generator exists before the processes part
    pipes, children = [], []
    for _ in range(3):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(writer, repr(draw(sigmas)).encode())
            finally:
                os._exit(0)
        os.close(writer)
        pipes.append(reader)
        children.append(child)
    seen = [repr(draw(sigmas)).encode()]
    for reader, child in zip(pipes, children, strict=True):
        with os.fdopen(reader, "rb") as pipe:
            seen.append(pipe.read())
        os.waitpid(child, 0)
    assert all(text.startswith(b"[") and text.count(b",") == 7 for text in seen)
    assert len(set(seen)) == 4


BAD_SIGMAS = [
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
    MAX_SIGMA + Fraction(1, 64),
    Fraction(2**60),
]


@pytest.mark.parametrize("bad", BAD_SIGMAS, ids=repr)
def test_bad_sigmas_are_refused_before_anything_is_drawn(
    bad: Fraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise, "_draw_equal", lambda *_: pytest.fail("drew something"))
    for call in (lambda: draw([Fraction(3), bad]), lambda: opendp_rho(bad, 2)):
        with pytest.raises(PrivacyError) as caught:
            call()
        assert caught.value.code == "privacy.sigma"


@pytest.mark.parametrize("scale", [0.0, 1e-300, 9.999999])
def test_a_scale_that_got_lost_on_the_way_is_noticed(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenDP takes all three without complaint; its own map gives them away."""
    monkeypatch.setattr(noise, "_scale", lambda _: scale)
    with pytest.raises(PrivacyError) as caught:
        draw([Fraction(10)])
    assert caught.value.code == "privacy.map"


def test_a_sampler_that_returns_too_little_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def map(self, _: float) -> float:
            return 0.005

        def __call__(self, zeros: list[int]) -> list[int]:
            return zeros[1:]

    monkeypatch.setattr(noise, "_measurement", lambda *_: Broken())
    with pytest.raises(PrivacyError) as caught:
        draw([Fraction(10)] * 3)
    assert caught.value.code == "privacy.draw"


@pytest.mark.parametrize("bad", [0, -1, 2.0, True, 2**53, None])
def test_bad_sensitivities_are_refused(bad: int) -> None:
    with pytest.raises(PrivacyError):
        opendp_rho(Fraction(10), bad)


def test_every_multiple_in_range_is_exact_in_floating_point() -> None:
    for units in (32, 33, 2**20 + 1, 2**46 - 1, 2**46):
        assert Fraction(noise._scale(Fraction(units, 64))) == Fraction(units, 64)

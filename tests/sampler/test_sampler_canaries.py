"""Auditing with one release: the theorem's bound, against truths that are known."""

from __future__ import annotations

import math
from fractions import Fraction
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from benchmarks.sampler import canaries
from benchmarks.sampler.canaries import (
    chance_of,
    epsilon_refuted,
    release_with_canaries,
)
from benchmarks.sampler.claims import Claim
from benchmarks.sampler.tails import binomial_tail

from grievance.cost import Cost
from noise_doubles import by_the_law, no_noise, quick


@pytest.mark.parametrize(
    ("right", "guesses", "canaries", "epsilon", "delta", "expected"),
    [
        # The formula of the paper's Appendix D, evaluated with SciPy 1.17.1.
        (80, 100, 100, 1.0, 0.0, 0.0715562468),
        (80, 100, 1000, 1.0, 1e-5, 0.0730091145),
        (90, 100, 4000, 1.0, 1e-6, 0.00035293030),
        (600, 1000, 4000, 0.2, 1e-5, 0.00179726457),
        (100, 100, 100, 2.0, 1e-3, 0.0115260047),
        (55, 100, 200, 1.5, 1e-4, 1.0),
    ],
)
def test_known_answers(
    right: int, guesses: int, canaries: int, epsilon: float, delta: float, expected: float
) -> None:
    found = chance_of(right, guesses, canaries, epsilon, delta)
    assert found == pytest.approx(expected, rel=1e-4)


def respond(generator, canaries: int, epsilon: float, delta: float) -> int:
    """Right guesses from randomised response that now and then tells the truth outright."""
    told = generator.random(canaries) < 1 / (1 + math.exp(-epsilon))
    return int((told | (generator.random(canaries) < delta)).sum())


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 0.0), (2.0, 0.0), (1.0, 1e-4)])
def test_randomised_response_is_measured(epsilon: float, delta: float) -> None:
    """Its epsilon is known: never exceeded but by chance `alpha`, and approached."""
    generator, alpha, over, found = np.random.default_rng(3), 0.05, 0, []
    for _ in range(60):
        right = respond(generator, 3000, epsilon, delta)
        found.append(epsilon_refuted(right, 3000, 3000, delta, alpha))
        over += found[-1] > epsilon
    assert binomial_tail(over, 60, alpha) > 1e-6
    assert np.mean(found) > (0.85 if delta == 0 else 0.6) * epsilon


def test_delta_lets_some_be_told_outright() -> None:
    """What (0, delta) allows must not be called a loss of epsilon; without delta it would be."""
    generator = np.random.default_rng(4)
    rights = [respond(generator, 2000, 0.0, 0.05) for _ in range(60)]
    assert all(epsilon_refuted(right, 2000, 2000, 0.05, 0.01) == 0 for right in rights)
    assert any(epsilon_refuted(right, 2000, 2000, 0.0, 0.01) > 0 for right in rights)


@pytest.fixture
def tossed_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same coins every time: what one release shows of its noise varies a great deal."""
    monkeypatch.setattr(canaries, "secrets", SimpleNamespace(randbits=Random(1).getrandbits))


def claim(distance: int = 4) -> Claim:
    return Claim(Cost("zcdp", Fraction(1, 100)), distance)


@pytest.mark.usefixtures("tossed_alike")
def test_true_noise_keeps_its_promise_in_one_release() -> None:
    found = release_with_canaries([by_the_law("gaussian", b"1")], Fraction(10), claim(), 3000)
    assert not found.flagged
    assert found.epsilon > 0.05 * found.stated_epsilon


@pytest.mark.usefixtures("tossed_alike")
def test_pure_epsilon_in_one_release() -> None:
    promise = Claim(Cost("pure", Fraction(1, 5)), 5)
    found = release_with_canaries([by_the_law("laplace", b"1")], Fraction(10), promise, 3000)
    assert not found.flagged and found.delta == 0
    assert found.epsilon > 0.3 * found.stated_epsilon


def test_missing_noise_is_flagged() -> None:
    found = release_with_canaries([no_noise], Fraction(10), claim(), 3000)
    assert found.flagged and found.right == found.guesses


@pytest.mark.usefixtures("tossed_alike")
def test_much_too_little_noise_is_flagged() -> None:
    assert release_with_canaries([quick(1, 0.1)], Fraction(10), claim(), 3000).flagged
    # A factor of root two it cannot see; the threshold test can.
    assert not release_with_canaries([quick(2, 0.5**0.5)], Fraction(10), claim(), 3000).flagged


@pytest.mark.usefixtures("tossed_alike")
def test_no_noise_but_no_people_either() -> None:
    """A guesser who knows nothing is right by chance, and nothing is refuted."""
    wide = release_with_canaries([quick(7, 1000.0)], Fraction(10), claim(), 2000)
    assert wide.epsilon < 0.1

"""Auditing with one release: many people, each of whom tossed a coin, and guesses of the coins.

Each of m canaries sits in two cells of its own of one wide table, and a fair coin decides in
which one it is counted. From the noisy table as many coins as one likes are guessed; v of r
guesses are right. If exchanging one canary is (epsilon, delta)-private, then right guesses are
hardly more frequent than those of m coins told by randomised response:

    P[V >= v] <= P[W >= v] + 2 m delta max over i = 1..v of P[v - i <= W < v] / i,

W binomial with r trials and success e^epsilon / (1 + e^epsilon). One release is enough because
the coins are independent, and nothing is assumed about the mechanism. The price is that the
bound stays well below the truth.

Source: Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run" (NeurIPS 2023,
arXiv 2305.08846): the main theorem, for pure epsilon and with delta, in the form in which its
Appendix D computes it.
"""

from __future__ import annotations

import math
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sampler.tails import binomial_tail

if TYPE_CHECKING:
    from collections.abc import Sequence
    from fractions import Fraction

    from benchmarks.sampler.claims import Claim
    from benchmarks.sampler.noise import Noise

ALPHA = 1e-6
DELTA = 1e-10
"""The delta of a zCDP promise that is put to the test: 2 m delta must be below ALPHA, nearly."""

_HALVINGS = 50
_MOST = 60.0
_GUESSED = (0.05, 0.2, 1.0)


def chance_of(right: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """Return the chance, at most, of so many right guesses where (epsilon, delta) holds."""
    success = 1 / (1 + math.exp(-epsilon))
    chance = binomial_tail(right, guesses, success)
    if delta == 0 or right == 0:
        return chance
    log_odds = math.log(success) - math.log1p(-success)
    # log P[W = right - 1], and from there downwards.
    at = right - 1
    log_mass = (
        math.lgamma(guesses + 1)
        - math.lgamma(at + 1)
        - math.lgamma(guesses - at + 1)
        + at * math.log(success)
        + (guesses - at) * math.log1p(-success)
    )
    below = steepest = 0.0
    for i in range(1, right + 1):
        mass = math.exp(log_mass)
        below += mass
        steepest = max(steepest, below / i)
        if at == 0 or (mass < steepest * 1e-6 and below / i < steepest / 2):
            break  # masses only fall from here on, and the average with them
        log_mass += math.log(at) - math.log(guesses - at + 1) - log_odds
        at -= 1
    return min(1.0, chance + 2 * canaries * delta * steepest)


def epsilon_refuted(right: int, guesses: int, canaries: int, delta: float, alpha: float) -> float:
    """Return the epsilon below which so many right guesses are rarer than `alpha`; 0.0 if none."""
    low, high = 0.0, _MOST
    if chance_of(right, guesses, canaries, 0.0, delta) >= alpha:
        return 0.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if chance_of(right, guesses, canaries, middle, delta) < alpha:
            low = middle
        else:
            high = middle
    return low


@dataclass(frozen=True)
class CanaryResult:
    """What one release gave away about its canaries.

    Attributes:
        canaries: How many there were.
        guesses: How many coins were guessed, in the best of the numbers of guesses tried.
        right: How many of those rightly.
        delta: The delta of both epsilons.
        stated_epsilon: What was promised.
        epsilon: No epsilon below this holds with `delta`.
    """

    canaries: int
    guesses: int
    right: int
    delta: float
    stated_epsilon: float
    epsilon: float

    @property
    def flagged(self) -> bool:
        """Whether more was given away than promised: so, but for ALPHA."""
        return self.epsilon > self.stated_epsilon


def release_with_canaries(
    noises: Sequence[Noise], scale: Fraction, claim: Claim, canaries: int
) -> CanaryResult:
    """Release one table of 2 * `canaries` cells and guess where every canary is.

    A canary is `claim.distance` workers who answer alike. `noises` are those that the guesser
    does not know.
    """
    weight = claim.distance
    coins = np.array([secrets.randbits(1) for _ in range(canaries)], dtype=np.int64)
    table = np.zeros((canaries, 2), dtype=np.int64)
    table[np.arange(canaries), coins] = weight
    noisy = table.ravel()
    for noise in noises:
        noisy = noisy + noise([scale] * (2 * canaries), 1)[0]
    # Beyond 0 and `weight` Laplace noise tells no more; Gaussian noise does.
    seen = noisy.reshape(canaries, 2)
    if claim.cost.kind == "pure":
        seen = np.clip(seen, 0, weight)
    lead = seen[:, 1] - seen[:, 0]
    # Ties in the lead are guessed as heads, which is as good as a coin.
    correct = (lead >= 0).astype(np.int64) == coins
    surest = np.argsort(-np.abs(lead), kind="stable")
    delta = 0.0 if claim.cost.kind == "pure" else DELTA
    results = []
    for part in _GUESSED:
        guesses = max(1, round(part * canaries))
        right = int(correct[surest[:guesses]].sum())
        refuted = epsilon_refuted(right, guesses, canaries, delta, ALPHA / len(_GUESSED))
        results.append((refuted, guesses, right))
    epsilon, guesses, right = max(results)
    return CanaryResult(canaries, guesses, right, delta, claim.epsilon(delta), epsilon)

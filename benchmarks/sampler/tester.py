"""The threshold test: can the releases of two neighbouring inputs be told apart too well?

Half of the releases of either input serve to choose, the other half to judge, so that choosing
costs no confidence. Chosen are a score and a threshold. Three scores compete:

- *stated*: the difference of the two inputs in units of the stated noise, which decides best
  between Gaussian laws (Neyman and Pearson's likelihood ratio);
- *clipped*: the same coordinate by coordinate, cut off at the two inputs, which decides best
  between Laplace laws;
- *learnt*: Fisher's linear discriminant from the samples, which needs no faith in what is
  stated, and finds noise that is missing, shared or used twice anywhere in a release.

Every bound reported for one pair of inputs holds together with the others, with probability
1 - ALPHA at least.
Sources: Bichsel et al., "DP-Sniper" (S&P 2021), for learning events; Fisher 1936.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sampler.bounds import Event, normal_rho, zcdp_between

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from fractions import Fraction

    from benchmarks.sampler.claims import Claim
    from benchmarks.sampler.noise import Floats, Integers

ALPHA = 1e-6
"""The chance that any bound of one test is wrong, and so that a true promise is flagged."""

_SIDES = 6  # two events with two proportions each, one mean, one variance
_THRESHOLDS = 60
_RIDGE = 1e-9
_CLEARLY = 2  # a learnt direction always looks better where it was learnt
_NORMAL_FROM = 1  # from this noise scale on a discrete Gaussian has the normal variance


@dataclass(frozen=True)
class PairResult:
    """What the releases of two neighbouring inputs show, beside what was promised.

    Attributes:
        releases: Releases of either input.
        claim: What was promised at this distance.
        delta: The delta of `epsilon` and of `stated_epsilon`; 0 for pure epsilon.
        stated: Promised rho, or pure epsilon.
        stated_epsilon: Promised epsilon at `delta`.
        epsilon: No epsilon below this holds with `delta`, whatever the mechanism.
        rho: No rho below this holds, whatever the mechanism; None for pure epsilon.
        normal_rho: The same where noise is normal; None where that form is not stated.
        score: Which score was chosen.
    """

    releases: int
    claim: Claim
    delta: float
    stated: float
    stated_epsilon: float
    epsilon: float
    rho: float | None
    normal_rho: float | None
    score: str

    @property
    def flagged(self) -> bool:
        """Whether a bound is above what was promised: a broken promise, but for ALPHA."""
        too_much = self.epsilon > self.stated_epsilon
        for bound in (self.rho, self.normal_rho):
            too_much = too_much or (bound is not None and bound > self.stated)
        return too_much


class _Scores:
    """The scores that compete, made from the training halves."""

    def __init__(
        self,
        near: Integers,
        far: Integers,
        exact: tuple[Sequence[int], Sequence[int]],
        scales: Sequence[Fraction],
    ) -> None:
        width = np.array([float(scale) for scale in scales])
        start, end = (np.array(side, dtype=np.float64) for side in exact)
        step = end - start
        self.linear: dict[str, Floats] = {"stated": step / width**2, "learnt": _fisher(near, far)}
        low, high = np.minimum(start, end), np.maximum(start, end)

        def clipped(rows: Integers) -> Floats:
            return np.asarray(np.clip(rows, low, high) @ (np.sign(step) / width))

        self.all: dict[str, Callable[[Integers], Floats]] = {
            "stated": lambda rows: np.asarray(rows @ self.linear["stated"]),
            "learnt": lambda rows: np.asarray(rows @ self.linear["learnt"]),
            "clipped": clipped,
        }


def _fisher(near: Integers, far: Integers) -> Floats:
    """Return the direction that separates two samples best, for equal covariances."""
    between = far.mean(axis=0) - near.mean(axis=0)
    within = np.atleast_2d(np.cov(near, rowvar=False) + np.cov(far, rowvar=False)) / 2
    # A little is added, so that directions without any noise can be used, and found.
    ridge = _RIDGE * (1 + float(np.trace(within)) / len(within))
    return np.asarray(np.linalg.solve(within + ridge * np.eye(len(within)), between))


def _rough(hits: Floats, trials: int, z: float) -> tuple[Floats, Floats]:
    """Return approximate bounds of many proportions (Wilson), fast enough to try many events."""
    share, room = hits / trials, z * z / trials
    middle = (share + room / 2) / (1 + room)
    half = z / (1 + room) * np.sqrt(share * (1 - share) / trials + room / (4 * trials))
    return middle - half, middle + half


@dataclass(frozen=True)
class _Choice:
    worth: float
    score: str
    threshold: float
    upwards: bool  # the event is: score at or above the threshold, on the second input


def _choose(
    scores: _Scores, near: Integers, far: Integers, value: Callable[[float, float], float]
) -> _Choice:
    """Pick score, threshold and side of the event with the best rough bound."""
    z = -NormalDist().inv_cdf(ALPHA / _SIDES)
    best = _Choice(-1.0, "stated", 0.0, upwards=True)
    for name, score in scores.all.items():
        one, other = np.sort(score(near)), np.sort(score(far))
        both = np.concatenate([one, other])
        cuts = np.unique(np.quantile(both, np.linspace(0.001, 0.999, _THRESHOLDS)))
        above = [len(side) - np.searchsorted(side, cuts, "left") for side in (one, other)]
        for upwards in (True, False):
            hits, rest = (above[1], above[0]) if upwards else (len(one) - above[0], None)
            rest = len(other) - above[1] if rest is None else rest
            least, _ = _rough(hits.astype(np.float64), len(one), z)
            _, most = _rough(rest.astype(np.float64), len(one), z)
            for cut, p, q in zip(cuts, least, most, strict=True):
                worth = value(float(p), float(q))
                if worth > best.worth:
                    best = _Choice(worth, name, float(cut), upwards)
    return best


def _judge(choice: _Choice, scores: _Scores, near: Integers, far: Integers) -> Event:
    score = scores.all[choice.score]
    above = [int(np.sum(score(side) >= choice.threshold)) for side in (near, far)]
    trials = len(near)
    hits, other = (above[1], above[0]) if choice.upwards else (trials - above[0], trials - above[1])
    return Event.seen(hits, other, trials, ALPHA / _SIDES)


def _normal(scores: _Scores, halves: Sequence[Integers]) -> float:
    """Bound rho in the stated direction, or in the learnt one where that is clearly better."""
    train_near, train_far, near, far = halves

    def parts(direction: Floats, one: Integers, other: Integers) -> tuple[float, float]:
        a, b = one @ direction, other @ direction
        return float(b.mean() - a.mean()), float(a.var(ddof=1) + b.var(ddof=1)) / 2

    def worth(direction: Floats) -> float:
        shift, variance = parts(direction, train_near, train_far)
        return shift**2 / variance if variance > 0 else math.inf

    stated, learnt = scores.linear["stated"], scores.linear["learnt"]
    better = worth(learnt) > _CLEARLY * worth(stated)
    shift, variance = parts(learnt if better else stated, near, far)
    return normal_rho(shift, variance, len(near), ALPHA / _SIDES)


def compare(
    near: Integers,
    far: Integers,
    exact: tuple[Sequence[int], Sequence[int]],
    scales: Sequence[Fraction],
    claim: Claim,
    delta: float,
) -> PairResult:
    """Bound from below what releases of two neighbouring inputs give away.

    `near` and `far` have a row a release, equally many, at least 8; `exact` are the two inputs'
    totals and `scales` the stated noise of their coordinates, which help to choose events and
    have no part in the bounds.
    """
    half = len(near) // 2
    train = near[:half], far[:half]
    test = near[half : 2 * half], far[half : 2 * half]
    scores = _Scores(*train, exact, scales)
    pure = claim.cost.kind == "pure"
    delta = 0.0 if pure else delta
    by_epsilon = _choose(scores, *train, lambda p, q: Event(p, q).epsilon(delta))
    epsilon = _judge(by_epsilon, scores, *test).epsilon(delta)
    chosen, rho, normal = by_epsilon.score, None, None
    if not pure:
        by_rho = _choose(scores, *train, zcdp_between)
        chosen, rho = by_rho.score, _judge(by_rho, scores, *test).rho()
        if min(scales) >= _NORMAL_FROM:
            normal = _normal(scores, [*train, *test])
    return PairResult(
        releases=2 * half,
        claim=claim,
        delta=delta,
        stated=float(claim.amount),
        stated_epsilon=claim.epsilon(delta),
        epsilon=epsilon,
        rho=rho,
        normal_rho=normal,
        score=chosen,
    )

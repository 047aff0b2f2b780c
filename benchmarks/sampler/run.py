"""Whether this library's noise keeps the promise of a task: what can be found out from outside.

Noise is drawn by this library, here, at the task's own parameters, and added to made-up answers.
The reader that is assumed is the strongest one that a task protects from: an aggregator that
cheats, knows all noise but that of one honest aggregator, and the answers of everybody else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.sampler.canaries import CanaryResult, release_with_canaries
from benchmarks.sampler.claims import Claim, distance_for
from benchmarks.sampler.fit import Fit, correlation_p_value, fit
from benchmarks.sampler.neighbours import Neighbours, worst_pair
from benchmarks.sampler.noise import library_noise, released
from benchmarks.sampler.path import release_many
from benchmarks.sampler.tester import PairResult, compare
from grievance.empirical.result import FALSE_ALARM, Check, StatisticalResult
from grievance.privacy import noise_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from fractions import Fraction

    from grievance.task import Task

_PAIR_COORDINATES = 6
_PATH_COORDINATES = 30
_TOGETHER = "all statistics together"
_WANTED = {"zcdp": 0.5, "pure": 1.0}
"""The promise at which the noise of a few ten thousand releases is told apart best."""

_PATH_WANTED = {"zcdp": 40.0, "pure": 4.0}
"""The same for a few hundred releases."""

_CANARY_WANTED = {"zcdp": 0.125, "pure": 0.5}


@dataclass(frozen=True)
class Effort:
    """How much is drawn. What each size suffices for is in docs/statistical-audit.md.

    Attributes:
        draws: Draws of every noise scale for the test of its law.
        pair: Releases of either neighbouring input, for every statistic.
        path: Releases of either by the whole way out, for all statistics together.
        canaries: People in the release that is guessed at.
    """

    draws: int = 50_000
    pair: int = 20_000
    path: int = 800
    canaries: int = 4_000


def _quiet(_what: str, _done: int, _total: int) -> None:
    pass


def examine_sampler(
    task: Task,
    *,
    effort: Effort | None = None,
    progress: Callable[[str, int, int], None] = _quiet,
) -> StatisticalResult:
    """Look for noise of this library that is not what a task states.

    Args:
        task: A round's task.
        effort: How much to draw.
        progress: Called as progress(what, done, total).

    Raises PrivacyError when the library's own guards refuse the task's noise.
    """
    began = time.monotonic()
    steps = list(_steps(task, effort or Effort()))
    checks = []
    for done, step in enumerate(steps):
        progress("statistical checks", done, len(steps))
        checks.append(step())
    progress("statistical checks", len(steps), len(steps))
    return StatisticalResult(task.round_id, tuple(checks), time.monotonic() - began)


def _steps(task: Task, effort: Effort) -> Iterator[Callable[[], Check]]:
    scales: dict[Fraction, str] = {}
    for name, given in task.allocations.items():
        for factor in task.layout.noise_scale(name):
            scales.setdefault(given.scale * factor, name)
    for scale, name in scales.items():
        yield partial(_law, task, name, scale, effort.draws)
    for name in task.allocations:
        yield partial(_pair, task, name, effort.pair)
    yield partial(_way_out, task, effort.path)
    yield partial(_canaries, task, effort.canaries)


def _law(task: Task, name: str, scale: Fraction, draws: int) -> Check:
    found = fit(library_noise(task.mechanism)([scale], draws), task.mechanism, scale)
    return law_check(name, scale, found)


def law_check(name: str, scale: Fraction, found: Fit) -> Check:
    """Judge draws against their law."""
    flagged = found.p_value < FALSE_ALARM
    return Check(
        "law",
        name,
        flagged,
        f"{found.draws:,} draws of noise of scale {float(scale):.5g} "
        f"{'do NOT follow' if flagged else 'follow'} the stated law; their variance is "
        f"{found.variance_ratio:.3f} of the stated one.",
        {
            "scale": str(scale),
            "draws": found.draws,
            "p_value": found.p_value,
            "variance_ratio": found.variance_ratio,
        },
    )


def _delta(task: Task) -> float:
    return float(task.plan.privacy.delta)


def _pair(task: Task, name: str, releases: int) -> Check:
    cost = task.allocations[name].cost
    claim = Claim(cost, distance_for(cost, _WANTED[cost.kind]))
    pair = worst_pair(task.layout, [name], task.allocations, task.mechanism, claim.distance)
    near, far, scales = pair.at(pair.places(_PAIR_COORDINATES))
    noise = [library_noise(task.mechanism)]
    rows = [released(exact, scales, noise, releases) for exact in (near, far)]
    found = compare(rows[0], rows[1], (near, far), scales, claim, _delta(task))
    return pair_check("pair", name, pair, found, task)


def _way_out(task: Task, releases: int) -> Check:
    names = list(task.allocations)
    claim = Claim(task.cost, distance_for(task.cost, _PATH_WANTED[task.cost.kind]))
    pair = worst_pair(task.layout, names, task.allocations, task.mechanism, claim.distance)
    at = pair.places(_PATH_COORDINATES)
    near, far, scales = pair.at(at)
    rows = [release_many(task, bits, names, releases, cheat=0)[:, at] for bits in pair.bits]
    found = compare(rows[0], rows[1], (near, far), scales, claim, _delta(task))
    noise = np.vstack([rows[0] - np.array(near), rows[1] - np.array(far)])
    alike = correlation_p_value(noise)
    return way_out_check(pair_check("way-out", _TOGETHER, pair, found, task), alike)


def way_out_check(apart: Check, alike: float) -> Check:
    """Judge the whole way out: what is lost, and whether any noise was used twice."""
    flagged = alike < FALSE_ALARM
    words = "is NOT independent" if flagged else "is independent"
    return replace(
        apart,
        flagged=apart.flagged or flagged,
        sentence=f"{apart.sentence} The noise in them {words} between coordinates and releases.",
        numbers={**apart.numbers, "independence_p_value": alike},
        false_alarm=2 * apart.false_alarm,
    )


def pair_check(kind: str, about: str, pair: Neighbours, found: PairResult, task: Task) -> Check:
    """Judge two neighbouring inputs' releases against the promise."""
    what = "rho" if found.rho is not None else "epsilon"
    bounds = [b for b in (found.rho, found.normal_rho) if b is not None] or [found.epsilon]
    apart = "1 worker" if pair.distance == 1 else f"{pair.distance:,} workers"
    lost = pair.moved(task.mechanism)
    return Check(
        kind,
        about,
        found.flagged,
        f"{2 * found.releases:,} releases of two inputs that differ in {apart}: at least {what} "
        f"{max(bounds):.3g} is lost, {'MORE than' if found.flagged else 'within'} the "
        f"{found.stated:.3g} promised for so many.",
        {
            "workers": pair.distance,
            "releases": 2 * found.releases,
            "stated": found.stated,
            "exact": float(lost),
            "rho_at_least": found.rho,
            "rho_at_least_if_normal": found.normal_rho,
            "delta": found.delta,
            "epsilon_stated": found.stated_epsilon,
            "epsilon_at_least": found.epsilon,
            "score": found.score,
        },
    )


def _canaries(task: Task, canaries: int) -> Check:
    scale = min(given.scale for given in task.allocations.values())
    # A canary changes two cells by one: so much is lost by noise of this scale, whoever asks.
    cost = noise_of(task.mechanism).cost(2, scale, 1)
    claim = Claim(cost, distance_for(cost, _CANARY_WANTED[cost.kind]))
    noise = [library_noise(task.mechanism)]
    return canary_check(claim, release_with_canaries(noise, scale, claim, canaries))


def canary_check(claim: Claim, found: CanaryResult) -> Check:
    """Judge the guesses in one release against the promise."""
    return Check(
        "canaries",
        "one wide table",
        found.flagged,
        f"In one release, {found.right:,} of the {found.guesses:,} surest guesses about "
        f"{found.canaries:,} people were right: epsilon is at least {found.epsilon:.3g}, "
        f"{'MORE than' if found.flagged else 'within'} the {found.stated_epsilon:.3g} promised.",
        {
            "workers": claim.distance,
            "canaries": found.canaries,
            "guesses": found.guesses,
            "right": found.right,
            "delta": found.delta,
            "epsilon_stated": found.stated_epsilon,
            "epsilon_at_least": found.epsilon,
        },
    )

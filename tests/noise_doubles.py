"""Noise that a test has again in every run; and aggregators that draw wrongly, one fault each."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from grievance.privacy import NoiseLaw

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.sampler.noise import Integers, Noise

    from grievance.privacy import Mechanism


def no_noise(scales: Sequence[Fraction], releases: int) -> Integers:
    """An aggregator that adds nothing."""
    return np.zeros((releases, len(scales)), dtype=np.int64)


def narrowed_by(square: int, mechanism: Mechanism = "gaussian") -> Noise:
    """Noise with its scale divided by the root of `square`."""
    draw = by_the_law(mechanism, b"narrow")

    def narrow(scales: Sequence[Fraction], releases: int) -> Integers:
        less = [Fraction(round(64 * float(scale) / square**0.5), 64) for scale in scales]
        return draw(less, releases)

    return narrow


def repeated_after(coordinates: int, mechanism: Mechanism = "gaussian") -> Noise:
    """Noise where coordinate i gets the draw of i modulo `coordinates` again."""
    draw = by_the_law(mechanism, b"repeat")

    def repeat(scales: Sequence[Fraction], releases: int) -> Integers:
        fresh = draw(scales[:coordinates], releases)
        return fresh[:, np.arange(len(scales)) % coordinates]

    return repeat


def quick(seed: int, factor: float = 1.0) -> Noise:
    """Rounded normal noise from a seeded generator, some hundred times as fast. For power."""
    generator = np.random.default_rng(seed)

    def draw(scales: Sequence[Fraction], releases: int) -> Integers:
        width = factor * np.array([float(scale) for scale in scales])
        return np.rint(generator.normal(size=(releases, len(scales))) * width).astype(np.int64)

    return draw


def by_the_law(mechanism: Mechanism, seed: bytes = b"") -> Noise:
    """Noise of the stated law: the same in every run of a test, other noise at every call."""
    calls = itertools.count()

    def draw(scales: Sequence[Fraction], releases: int) -> Integers:
        call = next(calls)
        columns = [
            NoiseLaw(mechanism, scale, 1).sample(releases, seed + b" %d %d" % (call, at))
            for at, scale in enumerate(scales)
        ]
        return np.stack(columns, axis=1)

    return draw


def drawn_once(draw: Callable[..., list[int]]) -> Callable[..., list[int]]:
    """`privacy.draw` that gives the same numbers again for the next statistic."""
    kept: list[int] = []

    def again(mechanism: Mechanism, scales: Sequence[Fraction]) -> list[int]:
        if len(kept) < len(scales):
            kept[:] = draw(mechanism, scales)
            return list(kept)
        found = kept[: len(scales)]
        kept.clear()
        return found

    return again

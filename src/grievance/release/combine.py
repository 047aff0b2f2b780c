"""Adding noisy shares up, and asking whether the sum can be true.

Run by anyone: noisy shares are public. Adding them is all the decoding there is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grievance.errors import ReleaseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.privacy.laws import NoiseLaw

SUSPECT_SDS = 6
"""How far outside of what is possible a total may lie: 6 sd, by chance once in 10^9 totals."""

SUSPECT_CHANCE = 1e-9
"""That chance, for Laplace noise, which has heavier tails."""


@dataclass(frozen=True)
class Suspect:
    """A released coordinate that noise does not explain: `statistic`, and its index there."""

    statistic: str
    index: int


def combine(noisy_shares: Sequence[Sequence[int]], modulus: int) -> list[int]:
    """Add the aggregators' noisy shares mod `modulus` and decode centred: x > p/2 means x - p.

    Field vectors: (aggregators, coordinates) -> (coordinates,) of signed integers. Exact, and
    right as long as every total lies within half the modulus of 0. Raises ReleaseError for
    fewer than two shares, for shares of different lengths, and for anything that is not an
    element of the field.
    """
    if len(noisy_shares) < 2:
        raise ReleaseError("a release has the shares of all aggregators, two or more")
    length = len(noisy_shares[0])
    for share in noisy_shares:
        if len(share) != length:
            raise ReleaseError("noisy shares of different lengths", code="release.shape")
        if not all(type(x) is int and 0 <= x < modulus for x in share):
            raise ReleaseError("a noisy share is not of this field", code="release.shape")
    totals = (sum(column) % modulus for column in zip(*noisy_shares, strict=True))
    return [total - modulus if total > modulus // 2 else total for total in totals]


def implausible(
    statistic: str,
    values: Sequence[int],
    *,
    scales: Sequence[int],
    adds: Sequence[tuple[int, int]],
    law: NoiseLaw,
    accepted: int,
) -> list[Suspect]:
    """Return the coordinates of one statistic that `accepted` reports and noise cannot explain.

    A report adds to coordinate i from `adds[i][0]` to `adds[i][1]`, nothing if it is blank, and
    the coordinate carries `scales[i]` times noise that follows `law`. What lies outside of that by
    more than noise is but once in 10^9 totals is flagged, never dropped or corrected.

    It finds gross mistakes and clumsy fraud only: an aggregator that shifts a total by less
    than the number of reports is not seen, here or anywhere.
    """
    slack = SUSPECT_SDS * law.sd if law.mechanism == "gaussian" else law.bound(SUSPECT_CHANCE)
    found = []
    for index, (value, scale, (low, high)) in enumerate(zip(values, scales, adds, strict=True)):
        reach = math.ceil(scale * slack)
        if not low * accepted - reach <= value <= high * accepted + reach:
            found.append(Suspect(statistic, index))
    return found

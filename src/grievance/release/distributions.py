"""Tables of distributions: people by the band their number falls in, with quantiles."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING

from grievance.errors import ReleaseError
from grievance.plan.decimals import decimal_text
from grievance.release.counts import CountTable
from grievance.release.figures import UNKNOWN, Quantile, says_nothing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.release.cube import Cube, Total


class DistributionTable(CountTable):
    """How many people's number falls in each band, by groups. Also a table of counts.

    `ranges` are the smallest and the largest answer of every band. People who did not answer
    have a count of their own, but no part in any share or quantile.
    """

    kind = "distribution"

    def __init__(
        self,
        *,
        name: str,
        title: str,
        cube: Cube,
        hide_below: int,
        subject: str,
        ranges: Sequence[tuple[Fraction, Fraction]],
        most: float = math.inf,
    ) -> None:
        super().__init__(
            name=name, title=title, cube=cube, hide_below=hide_below, subject=subject, most=most
        )
        self.ranges = tuple(ranges)
        self.bands = tuple(label for label in self.subject.labels if label != self.subject.blank)

    def _left_out(self, of: Mapping[str, object]) -> set[str]:
        return {*of, self.subject.name}

    def quantile(self, q: float | Fraction | str, /, **group: object) -> Quantile:
        """Return the band that holds the `q` quantile of the chosen groups, with its interval.

        The quantile is the nearest-rank one: the number at place ceil(q * n) of the n people
        who answered, so it lies in the first band b where F(b) - q n >= 0, F being cumulative
        counts. The interval holds every band that the noise does not rule out at 95 %.

        A band t is the true one exactly when F(t) - q n >= 0 and F(t - 1) - q n < 0. Each
        noisy cumulative sum is tested at one side with 2.5 %; the true band fails only if one
        of its own two tests does, so it is covered with at least 95 % and nothing needs to be
        corrected for the number of bands. Cumulative sums share noise with n, and the margin of
        F(t) - q n is that of the noise that is left in it.

        `q` is read exactly when it is a Fraction or a string such as "0.9"; a float by its
        shortest decimal form. Raises ReleaseError unless 0 < q < 1, and for unknown labels.
        """
        exact = _exact(q)
        if self.subject.name in group:
            raise ReleaseError(
                f"a quantile is over all bands of {self.subject.name}", code="release.label"
            )
        # F at every band: the people in it and in those below.
        reached = [
            self._cube.sum(self._cube.chosen({**group, self.subject.name: self.bands[: at + 1]}))
            for at in range(len(self.bands))
        ]
        first, low, high = _bands(reached, exact)
        people = self.answered(**group)
        known = people.estimate is not None and people.low > 0
        if not known:
            low, high = 0, len(self.bands) - 1
        ends = self.ranges[low][0], self.ranges[high][1]
        possible = float(self.ranges[0][0]), float(self.ranges[-1][1])
        known = known and not says_nothing(float(ends[0]), float(ends[1]), possible)
        return Quantile(
            q=float(exact),
            band=self.bands[first] if (people.estimate or 0) > 0 else None,
            low=float(ends[0]),
            high=float(ends[1]),
            limits=(decimal_text(ends[0]), decimal_text(ends[1])),
            low_band=self.bands[low],
            high_band=self.bands[high],
            note="" if known else UNKNOWN,
        )


def _bands(reached: Sequence[Total], q: Fraction) -> tuple[int, int, int]:
    """Return the estimated band, and the first and last band not ruled out."""
    *_, people = reached
    last = len(reached) - 1
    estimate, possible = last, []
    reached_before = False  # whether F(b - 1) - q n is larger than noise below 0 allows
    for band, below in enumerate(reached):
        # The estimates are taken as they are: a float is a fraction too.
        excess = float(Fraction(below.value) - q * Fraction(people.value))
        margin = below.plus(people, -float(q)).margin
        # By definition the last band reaches every quantile: nothing to test there.
        reaches = band == last or excess >= -margin
        if excess >= 0:
            estimate = min(estimate, band)
        if reaches and not reached_before:
            possible.append(band)
        reached_before = excess > margin
    return estimate, min(possible), max(possible)


def _exact(q: float | Fraction | str) -> Fraction:
    try:
        exact = Fraction(str(q))
    except (ValueError, ZeroDivisionError):
        exact = Fraction(0)
    if not 0 < exact < 1:
        raise ReleaseError(
            "a quantile is a number between 0 and 1", code="release.quantile", hint="0.5: median"
        )
    return exact

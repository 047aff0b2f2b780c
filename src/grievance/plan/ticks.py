"""How ticks of a several-choices field are released, and how far one report can move them.

A table of ticks has `labels` choices, of which one person ticks at most `most`, in `groups`
groups. Released per group and label is a centred total

    T = 64 * ticks - a * answered,  with noise of t times the statistic's scale,

beside the numbers of people who answered, and, where the field is not required, who did not,
each with noise of that scale. A share is then (a + T/answered) / 64 and a count
(T + a * answered) / 64: nothing is lost, and less noise is needed, because a report that moves
from one group to another moves T by less than it would move its ticks.

The proof enforces that a report adds to such a table nothing, or one person who did not answer,
or one person of one group with i <= `most` ticks. Let n be 2 for the squared L2 sensitivity and 1
for L1, and everything be in units of 64^n. One person with i ticks adds

    f(i) = i (64 - a)^n + (labels - i) a^n

to T and 1 to the people, which counts t^n in units of the noise; f is linear, so its largest value
is F = max(f(0), f(most)). Within a group the people cancel and at most D = min(2 most, labels) *
64^n is between two sets of ticks. Against another group, nothing, or not answered, the supports
are disjoint and norms add up. So one report that is exchanged for another moves the table by

    max(D, 2 (F + t^n))  with two groups or more,
    max(D, F + t^n)      with one group that everybody has to answer for,
    max(D, F + 2 t^n)    with one group otherwise,

and one that is blanked by F + t^n, both divided by t^n. These are attained, not only bounds.

`a` and `t` follow from labels, most, groups, whether the field is required, and the noise:
never from an answer. `a` does not depend on the groups, so that T of two tables of one question
is the same quantity. How they were chosen, and what gets worse: docs/decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Final, Literal

UNITS: Final = 64
"""One tick is so many units of T."""

Norm = Literal[1, 2]


@dataclass(frozen=True)
class TickTable:
    """The shape of a table of ticks, as far as its sensitivity goes.

    Attributes:
        labels: Choices of the field after `where` and `merge`, 1 or more.
        most: The most of them that one person ticks, 1 to `labels`.
        groups: The cells of all other axes together, 1 or more.
        required: Whether everybody in a group has to answer.
    """

    labels: int
    most: int
    groups: int
    required: bool

    def centre(self, norm: Norm) -> tuple[int, int]:
        """Return (a, t) for Gaussian noise, `norm` 2, or Laplace noise, 1."""
        if norm == 2:
            a = min(UNITS * self.most // self.labels, UNITS // 2)
        else:
            a = UNITS // 2 if 5 * (self.labels + 2) ** 2 <= 16 * (self.most + 1) ** 2 else 0
        within, alone = self._within(norm), self._alone(a, norm)
        # As much noise on T as costs nothing: as long as a change within a group costs most.
        free = within - alone
        if self.groups > 1:
            free = within // 2 - alone
        elif not self.required:
            free = free // 2
        free = max(UNITS**norm, free)
        return a, isqrt(free) if norm == 2 else free

    def moved(self, a: int, t: int, norm: Norm) -> Fraction:
        """Return what one exchanged report moves the table by, in units of the noise.

        The squared L2 distance for `norm` 2, the L1 distance for 1; the largest there is.
        """
        person, people = self._alone(a, norm) + t**norm, t**norm
        other = person if self.groups > 1 else 0 if self.required else people
        return Fraction(max(self._within(norm), person + other), people)

    def blanked(self, a: int, t: int, norm: Norm) -> Fraction:
        """Return the same for a report that is only ever exchanged for a blank one."""
        return Fraction(self._alone(a, norm) + t**norm, t**norm)

    def error(self, a: int, t: int) -> Fraction:
        """Return the sum of the variances of all its counts, in units of one draw's variance."""
        count = Fraction(t * t + a * a, UNITS**2)
        return self.groups * (self.labels * count + (1 if self.required else 2))

    def _within(self, norm: Norm) -> int:
        return int(min(2 * self.most, self.labels) * UNITS**norm)

    def _alone(self, a: int, norm: Norm) -> int:
        ticked, not_ticked = (UNITS - a) ** norm, a**norm
        return int(
            max(
                self.labels * not_ticked,
                self.most * ticked + (self.labels - self.most) * not_ticked,
            )
        )

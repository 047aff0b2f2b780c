"""How far one worker's report can move what is counted: exact integers, no data needed.

Of counts, distributions and means; of ticks, which are released centred, see
`grievance.plan.ticks`. Everything follows from the encoding that the proof enforces, never from
a user's claim, and is stated for ONE report. Two relations are known:

- *replaced*: a report's answers are exchanged for any other valid answers, a wholly
  blank report included. The number of reports is public in the pool, so this is the
  relation that every cost is computed with.
- *blanked*: a report is exchanged for a blank one. It is the weaker promise, printed
  beside the other and never charged.

A worker with m reports moves a total by at most m times as much (triangle inequality);
`grievance.privacy.mechanisms` multiplies.
"""

from __future__ import annotations

from typing import Final

from grievance.errors import PrivacyError

MEAN_L2_SQUARED: Final = 4
"""Squared L2 sensitivity of one mean, by any number of groups, in units of the half range M.

A report adds (t, 1), with t = (2v - M)/M in [-1, 1], to the pair (T/M, N) of its own group
and nothing to the others. Replaced within a group it moves T/M by at most 2 and N not at
all: 4. Moved to another group it changes two totals and two numbers by at most 1 each: 4.
So N is free, provided that it carries noise of sigma where T carries noise of M * sigma.
"""

MEAN_BLANKED: Final = 2
"""The squared L2 and the L1 sensitivity for a report that is blanked: one T/M and one N, by 1."""

COUNT_BLANKED: Final = 1
"""Both sensitivities of a count to a report that is blanked: it leaves one cell."""


def mean_l1(groups: int) -> int:
    """L1 sensitivity of one mean by `groups` groups, in units of M. Raises PrivacyError below 1.

    T carries noise of scale M * b where N carries b, as with Gaussian noise, so a report adds
    (t, 1) with t in [-1, 1] to its group's pair. Moved to another group it changes two totals
    and two numbers by at most 1 each: 4. With one group there is no other: replaced it moves T
    by at most 2 and N not at all, blanked both by at most 1: 2.

    Why the same b for T/M and N, when N is not free here: let them be b_T and b_N. The cost is
    2 (1/b_T + 1/b_N), and the mean's squared error, to first order, (b_T^2 + r^2 b_N^2) / N^2
    times a constant, where r = T/(N M) says where in its range the mean lies, from -1 to 1.
    Where that is worst, at either end, b_T = b_N makes the error least for a given cost. For a
    mean known to lie near the middle a larger b_N would be better, but N is published as well,
    and a noisy denominator spoils small groups. With one group, N is free up to b_N = b_T.
    """
    if type(groups) is not int or groups < 1:
        raise PrivacyError("a mean has one group or more", code="privacy.block")
    return 4 if groups > 1 else 2


def count_moved(cells: int) -> int:
    """Both sensitivities of a count or distribution of `cells`: how many bits one report flips.

    A report sets at most one bit, so another answer moves two counts by 1 each, or the only one
    by 1. Each flipped bit is 1 in L1 and in squared L2. For ticks see `grievance.plan.ticks`.
    Raises PrivacyError below 1.
    """
    if type(cells) is not int or cells < 1:
        raise PrivacyError("a count has one cell or more", code="privacy.block")
    return min(2, cells)

"""Totals that no number of people and no noise explain: gross mistakes, and clumsy fraud.

Nothing in a pool proves that an aggregator summed its shares honestly. But everybody can see
the totals, and a total that lies far outside of what the accepted reports can add up to, and
farther than noise reaches once in 10^9, shows that at least one noisy share is wrong; not
whose. That breaks no rule that a signature could prove, so it is a note and no fault. A smaller
shift is not seen here or anywhere.

How far noise reaches is computed here a second time. The variance of n draws of discrete
Gaussian noise is at most n sigma^2; a side of 6 such deviations is passed about once in 10^9.
A draw of discrete Laplace noise has E exp(sX) = (1 - q)^2 / ((1 - q e^s)(1 - q e^-s)) with
q = exp(-1/b), so P(|X| > h) <= 2 exp(n ln E exp(sX) - sh) for every 0 < s < 1/b (Chernoff).
Sources: docs/faults.md, fault D15; Canonne, Kamath, Steinke, "The Discrete Gaussian for
Differential Privacy" (arXiv 2004.00010); Inusah and Kozubowski, "A discrete analogue of the
Laplace distribution" (2006).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fractions import Fraction

    from grievance.audit.inspection import Inspection
    from grievance.audit.releases import AuditedRelease
    from grievance.plan import StatisticLayout

DEVIATIONS = 6
CHANCE = 1e-9
_STEPS = 400


def noise_reach(mechanism: str, scale: Fraction, draws: int) -> float:
    """How far the sum of `draws` draws goes by chance, but about once in 10^9 times."""
    width = float(scale)
    if mechanism == "gaussian":
        return DEVIATIONS * width * math.sqrt(draws)
    q, needed = math.exp(-1 / width), math.log(2 / CHANCE)

    def passed(s: float) -> float:
        moment = 2 * math.log1p(-q) - math.log1p(-q * math.exp(s)) - math.log1p(-q * math.exp(-s))
        return (draws * moment + needed) / s

    return min(passed(step / (_STEPS * width)) for step in range(1, _STEPS))


def check_plausible(inspection: Inspection, release: AuditedRelease) -> None:
    """Note every statistic of a release with a total that cannot be true."""
    task = release.opened.task
    path = release.opened.paths.proposal(release.release_id)
    for name, totals in (release.totals or {}).items():
        given = task.allocations[name]
        reach = noise_reach(given.mechanism, given.scale, len(task.aggregators))
        statistic = task.layout.statistics[name]
        outside = _outside(statistic, totals, release.proposal.accepted, reach)
        if outside:
            worst = max(outside, key=abs)
            message = (
                f"{name}: {len(outside)} of {len(totals)} totals, {worst:,} the farthest, are "
                f"more than {release.proposal.accepted:,} sealed reports and noise can explain; "
                "the share of at least one aggregator is wrong, and nothing shows whose: do not "
                "rely on this statistic, and show it to every aggregator"
            )
            inspection.note("release.suspect", path, message)


def _outside(
    statistic: StatisticLayout, totals: list[int], accepted: int, reach: float
) -> list[int]:
    """The totals that lie farther out than people and noise go.

    A report adds from a part's `low` to its `high`; below 0 where totals are centred.
    """
    found, at = [], 0
    for part in statistic.parts:
        slack = math.ceil(part.scale * reach)
        least, most = part.low * accepted, part.high * accepted
        listed = totals[at : at + part.size]
        found += [total for total in listed if not least - slack <= total <= most + slack]
        at += part.size
    return found

"""From how often an event was seen on two neighbouring inputs to what privacy was lost at least.

Every privacy promise limits how much likelier an event may be on one input than on its
neighbour. So one event that was seen often on one and seldom on the other refutes promises.
Intervals for the two chances are exact (Clopper and Pearson), and nothing is assumed about the
mechanism.

- (epsilon, delta): P <= e^epsilon Q + delta, so epsilon >= ln((P - delta) / Q).
- rho-zCDP: the Renyi divergence of order alpha is at most alpha * rho, for the two outputs and
  so for what is left of them when one looks only at whether the event happened (data
  processing). So rho >= D_alpha(P || Q) / alpha for the two-point laws, for every alpha > 1, and
  in the limit for their Kullback-Leibler divergence. Of a Gaussian's rho a single event shows
  at best 2/pi where rho is small.

`normal_rho` assumes more and shows nearly all: that along one direction both outputs are normal
and differ in their mean only, as for Gaussian noise.

Sources: Bun and Steinke 2016 (arXiv 1605.02065), Definition 1.1, Lemma 2.2; Ding et al.,
"Detecting Violations of Differential Privacy" (CCS 2018) for choosing events on other samples.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from benchmarks.sampler.tails import at_least, at_most
from grievance.empirical.tails import chi_square_quantile

_ORDERS = (1.01, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0, 16.0)


@dataclass(frozen=True)
class Event:
    """How likely an event is at least on one input, and at most on its neighbour.

    Attributes:
        least: Lower bound on its chance on the one.
        most: Upper bound on its chance on the other.
    """

    least: float
    most: float

    @classmethod
    def seen(cls, hits: int, other_hits: int, trials: int, alpha: float) -> Event:
        """Bound both chances from counts; either bound is wrong with chance `alpha` at most."""
        return cls(at_least(hits, trials, alpha), at_most(other_hits, trials, alpha))

    def epsilon(self, delta: float) -> float:
        """Return the epsilon below which (epsilon, delta) is refuted; 0.0 if none is."""
        if self.least - delta <= self.most:
            return 0.0
        return math.log((self.least - delta) / self.most)

    def rho(self) -> float:
        """Return the rho below which rho-zCDP is refuted; 0.0 if none is."""
        return zcdp_between(self.least, self.most)


def zcdp_between(p: float, q: float) -> float:
    """Return the largest D_alpha(p || q) / alpha over orders alpha; 0.0 unless p > q.

    For p > q every divergence grows with p and falls with q, so bounds may be put in.
    """
    if p <= q:
        return 0.0
    if q <= 0:
        return math.inf
    rest, other = 1 - p, 1 - q
    best = p * math.log(p / q) + (rest * math.log(rest / other) if rest > 0 else 0.0)
    for order in _ORDERS:
        moments = [order * math.log(p) + (1 - order) * math.log(q)]
        if rest > 0:
            moments.append(order * math.log(rest) + (1 - order) * math.log(other))
        top = max(moments)
        log_sum = top + math.log(math.fsum(math.exp(moment - top) for moment in moments))
        best = max(best, log_sum / ((order - 1) * order))
    return best


def normal_rho(shift: float, variance: float, trials: int, alpha: float) -> float:
    """Return a lower bound on shift^2 / (2 variance), the rho of two normal laws.

    `shift` is the difference of the two means of `trials` samples each, `variance` the pooled
    estimate with 2 (trials - 1) degrees of freedom. Both are bounded, each with chance `alpha`
    of being wrong. Infinite where nothing varies but the mean moved.
    """
    freedom = 2 * (trials - 1)
    most = freedom * variance / chi_square_quantile(alpha, freedom)
    slack = -NormalDist().inv_cdf(alpha) * math.sqrt(2 * most / trials)
    least = abs(shift) - slack
    if least <= 0:
        return 0.0
    return least**2 / (2 * most) if most > 0 else math.inf

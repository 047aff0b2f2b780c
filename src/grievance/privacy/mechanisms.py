"""How much noise every statistic gets, and what that costs: exact fractions throughout.

The noise comes first: sigma is a multiple of 1/64, rounded up, so it is the same number
in a task, in a float and on every machine. The cost is then computed from it exactly.

Discrete Gaussian noise is the one mechanism so far. Another one (discrete Laplace, charged
in pure epsilon) would add its name to `Mechanism`, its kind of cost to `COST_KIND`, and a
branch in `budget_for`; costs are tagged, so the two could never be added up.

Sources: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy"
(arXiv 2004.00010), Theorem 14; Bun and Steinke 2016, Proposition 1.9 and Lemma 1.7.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt, lcm
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, get_args

from grievance.cost import Cost
from grievance.errors import PrivacyError
from grievance.privacy.zcdp import rho_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.cost import Kind

Mechanism = Literal["gaussian"]
COST_KIND: Final[Mapping[Mechanism, Kind]] = MappingProxyType({"gaussian": "zcdp"})

SIGMA_UNITS: Final = 64
"""Every sigma is a whole number of 1/64."""

MIN_SIGMA: Final = Fraction(1, 2)
"""The least noise ever added. Below it nearly every cell would be published as it is, whatever
the formula says; a statistic that could afford less noise gets this much and costs less."""

MAX_SIGMA: Final = Fraction(2**40)
"""The most: beyond it a draw could come near the edge of 64-bit integers."""

_GUARD_BITS: Final = 64
_MAX_SHAPES: Final = 10_000
_MAX_REPORTS_PER_WORKER: Final = 1_000


def _positive(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        raise PrivacyError(f"{what} must be a whole number, 1 or more", code="privacy.shape")


@dataclass(frozen=True)
class StatisticShape:
    """What a statistic looks like to the budget.

    `l2_squared` is the squared L2 sensitivity to one report, `cells` the number of released
    values whose squared error counts, `importance` the weight of that error. `scale` is the
    largest factor on sigma among the released values: M for a mean, whose `l2_squared` is in
    units of M, and 1 for everything else.
    """

    name: str
    l2_squared: int
    cells: int
    importance: Fraction = Fraction(1)
    scale: int = 1

    def __post_init__(self) -> None:
        _positive(self.l2_squared, "a squared sensitivity")
        _positive(self.cells, "the number of cells")
        _positive(self.scale, "the factor on sigma")
        if not isinstance(self.importance, Fraction) or self.importance <= 0:
            raise PrivacyError(
                "importance must be an exact, positive fraction", code="privacy.shape"
            )


@dataclass(frozen=True)
class Allocation:
    """What a statistic was given: one aggregator's noise, and its exact cost.

    `sigma` is the standard deviation parameter, per released value, of the noise that EACH
    aggregator adds in full; for means it belongs to N, and T has M * sigma.
    """

    sigma: Fraction
    cost: Cost


def check_sigma(sigma: Fraction) -> Fraction:
    """Return `sigma`; PrivacyError unless a multiple of 1/64 from MIN_SIGMA to MAX_SIGMA."""
    if not isinstance(sigma, Fraction) or SIGMA_UNITS % sigma.denominator != 0:
        raise PrivacyError("a noise scale must be an exact multiple of 1/64", code="privacy.sigma")
    if not MIN_SIGMA <= sigma <= MAX_SIGMA:
        raise PrivacyError(
            f"a noise scale must be between {MIN_SIGMA} and {MAX_SIGMA}", code="privacy.sigma"
        )
    return sigma


def _check_reports(reports_per_worker: int) -> None:
    _positive(reports_per_worker, "reports per worker")
    if reports_per_worker > _MAX_REPORTS_PER_WORKER:
        raise PrivacyError(
            f"at most {_MAX_REPORTS_PER_WORKER} reports per worker", code="privacy.shape"
        )


def budget_for(mechanism: Mechanism, epsilon: Fraction, delta: Fraction) -> Cost:
    """Return the largest cost in the mechanism's own currency that keeps (epsilon, delta).

    Raises PrivacyError for an unknown mechanism, and as `rho_for` does.
    """
    if mechanism not in get_args(Mechanism):
        raise PrivacyError(f"unknown mechanism: {mechanism!r:.20}", code="privacy.mechanism")
    return Cost(COST_KIND[mechanism], rho_for(epsilon, delta))


def gaussian_cost(l2_squared: int, sigma: Fraction, reports_per_worker: int) -> Cost:
    """Return rho = m^2 * l2_squared / (2 sigma^2), exactly. Raises PrivacyError for bad noise.

    It is the cost of one release in which one aggregator's noise of `sigma` counts alone:
    the others' noise is treated as known to the attacker. `l2_squared` is for one report.
    """
    _positive(l2_squared, "a squared sensitivity")
    _check_reports(reports_per_worker)
    check_sigma(sigma)
    return Cost("zcdp", reports_per_worker**2 * l2_squared / (2 * sigma**2))


def _weights(shapes: Sequence[StatisticShape]) -> list[int]:
    """Return integers proportional to Delta * sqrt(importance * cells), to 64 bits.

    The squares are brought to integers first, so every root is at least 2^64 and its
    truncation loses less than one part in 2^64, alike on every machine.
    """
    squares = [shape.importance * shape.l2_squared * shape.cells for shape in shapes]
    denominator = lcm(*(square.denominator for square in squares))
    return [isqrt(int(square * denominator) << (2 * _GUARD_BITS)) for square in squares]


def _sigma_for(shape: StatisticShape, rho: Fraction, reports_per_worker: int) -> Fraction:
    """Return the least allowed sigma whose exact cost is at most `rho`."""
    variance = reports_per_worker**2 * shape.l2_squared / (2 * rho)
    # j/64 is enough when j^2 >= 64^2 * variance; j is whole, so the right side may be rounded up
    # to a whole number too, and isqrt(n - 1) + 1 is the ceiling of the root of n.
    squared_units = -((-(SIGMA_UNITS**2) * variance.numerator) // variance.denominator)
    units = isqrt(squared_units - 1) + 1
    sigma = max(Fraction(units, SIGMA_UNITS), MIN_SIGMA)
    if sigma * shape.scale > MAX_SIGMA:
        raise PrivacyError(
            f"{shape.name}: the budget is so small that its noise would drown everything",
            code="privacy.sigma",
            hint="raise epsilon, ask for fewer statistics, or use a coarser step",
        )
    return sigma


def split(
    shapes: Sequence[StatisticShape], rho: Fraction, reports_per_worker: int
) -> dict[str, Allocation]:
    """Split a round's `rho` over its statistics, in the order given. Run by whoever reads a task.

    rho_s is proportional to Delta_s * sqrt(importance_s * cells_s), which minimises
    sum(importance_s * cells_s * sigma_s^2): with sigma_s^2 = m^2 Delta_s^2 / (2 rho_s) the
    derivatives are equal exactly there. Each sigma is rounded up to a multiple of 1/64, at
    least MIN_SIGMA, and the cost recomputed from it, so the costs sum to at most `rho`. What
    rounding leaves over stays unspent.

    Raises PrivacyError for no shapes, a name twice, a `rho` that is not an exact positive
    fraction, or noise beyond MAX_SIGMA.
    """
    if not isinstance(rho, Fraction) or rho <= 0:
        raise PrivacyError("the budget must be an exact, positive fraction", code="privacy.rho")
    _check_reports(reports_per_worker)
    if not 1 <= len(shapes) <= _MAX_SHAPES:
        raise PrivacyError("no statistic to give budget to, or too many", code="privacy.shape")
    if len({shape.name for shape in shapes}) != len(shapes):
        raise PrivacyError("two statistics have one name", code="privacy.shape")
    weights = _weights(shapes)
    total = sum(weights)
    allocations = {}
    for shape, weight in zip(shapes, weights, strict=True):
        sigma = _sigma_for(shape, rho * weight / total, reports_per_worker)
        cost = gaussian_cost(shape.l2_squared, sigma, reports_per_worker)
        allocations[shape.name] = Allocation(sigma, cost)
    return allocations

"""How much noise every statistic gets, and what that costs: exact fractions throughout.

The noise comes first: its scale is a multiple of 1/64, rounded up, so it is the same number
in a task, in a float and on every machine. The cost is then computed from it exactly.

There are two mechanisms, and a campaign uses one of them. Costs are tagged, so that the two
can never be added up.

- Discrete Gaussian, P(x) proportional to exp(-x^2 / (2 sigma^2)), is charged in rho of zCDP:
  m^2 Delta2^2 / (2 (sigma^2 - 5/4)), Delta2 the L2 sensitivity to one report, m reports a worker.
  That is a little more than zCDP asks for, and lets costs be converted as if the noise were
  continuous (docs/decisions/exact-conversion.md).
- Discrete Laplace, P(x) proportional to exp(-|x| / b), is charged in pure epsilon:
  m Delta1 / b, Delta1 the L1 sensitivity.

Costs of Laplace noise add up faster than the noise of Gaussian noise grows, so Laplace is for
few tables and Gaussian for many.

Sources: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy"
(arXiv 2004.00010), Theorem 14; Bun and Steinke 2016, Proposition 1.9 and Lemma 1.7; Ghosh,
Roughgarden, Sundararajan, "Universally Utility-Maximizing Privacy Mechanisms" (2009), for the
discrete Laplace under the name of geometric mechanism.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import isqrt, lcm
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Protocol

from grievance.cost import Cost
from grievance.errors import PrivacyError
from grievance.privacy.zcdp import MAX_EPSILON, rho_for

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grievance.cost import Kind

Mechanism = Literal["gaussian", "laplace"]
SCALE_UNITS: Final = 64
"""Every scale is a whole number of 1/64."""

MIN_SCALE: Final = Fraction(1, 2)
"""The least noise ever added, as b; sigma is never below 2. Below it nearly every cell would be
published as it is, whatever the formula says; a statistic that could afford less noise gets this
much and costs less."""

WHOLE_NUMBERS: Final = Fraction(5, 4)
"""So much of the variance sigma^2 of discrete Gaussian noise is taken to be what makes continuous
noise whole."""

MAX_SCALE: Final = Fraction(2**40)
"""The most: beyond it a draw could come near the edge of 64-bit integers. There are 2^23 scales
between them, which Laplace noise exceeds with a chance of exp(-2^23)."""

_GUARD_BITS: Final = 64
_MAX_SHAPES: Final = 10_000
_MAX_REPORTS_PER_WORKER: Final = 1_000


def _positive(value: int, what: str) -> None:
    if type(value) is not int or value < 1:
        raise PrivacyError(f"{what} must be a whole number, 1 or more", code="privacy.shape")


def _exact(value: int | Fraction, what: str) -> None:
    if type(value) not in (int, Fraction) or value <= 0:
        raise PrivacyError(f"{what} must be an exact, positive fraction", code="privacy.shape")


@dataclass(frozen=True)
class StatisticShape:
    """What a statistic looks like to the budget.

    `l2_squared` and `l1` are the squared L2 and the L1 sensitivity to one report, `error` the
    squared error of the figures that count, in units of one draw's variance (of counts, how many
    there are), `importance` the weight of that error. `scale` is the largest factor on the noise's
    scale among the released values: M for a mean, whose sensitivities are in units of M, t for
    centred ticks, and 1 for everything else.
    """

    name: str
    l2_squared: int | Fraction
    error: int | Fraction
    importance: Fraction = Fraction(1)
    scale: int = 1
    l1: int | Fraction = field(kw_only=True)

    def __post_init__(self) -> None:
        _exact(self.l2_squared, "a squared sensitivity")
        _exact(self.l1, "a sensitivity")
        _exact(self.error, "the error")
        _positive(self.scale, "the factor on the scale")
        if not isinstance(self.importance, Fraction) or self.importance <= 0:
            raise PrivacyError(
                "importance must be an exact, positive fraction", code="privacy.shape"
            )


@dataclass(frozen=True)
class Allocation:
    """What a statistic was given: one aggregator's noise, and its exact cost.

    `scale` is sigma of the discrete Gaussian or b of the discrete Laplace, per released value,
    of the noise that EACH aggregator adds in full; for means it belongs to N, and T has
    M * scale.
    """

    mechanism: Mechanism
    scale: Fraction
    cost: Cost

    @property
    def variance(self) -> Fraction:
        """What one draw's variance is at most: sigma^2, or 2 b^2. Exact but for little noise."""
        return 2 // noise_of(self.mechanism).norm * self.scale**2


def check_scale(scale: Fraction, least: Fraction = MIN_SCALE) -> Fraction:
    """Return `scale`; PrivacyError unless a multiple of 1/64 from `least` to MAX_SCALE."""
    if not isinstance(scale, Fraction) or SCALE_UNITS % scale.denominator != 0:
        raise PrivacyError("a noise scale must be an exact multiple of 1/64", code="privacy.scale")
    if not least <= scale <= MAX_SCALE:
        raise PrivacyError(
            f"a noise scale must be between {least} and {MAX_SCALE}", code="privacy.scale"
        )
    return scale


def _check_reports(reports_per_worker: int) -> None:
    _positive(reports_per_worker, "reports per worker")
    if reports_per_worker > _MAX_REPORTS_PER_WORKER:
        raise PrivacyError(
            f"at most {_MAX_REPORTS_PER_WORKER} reports per worker", code="privacy.shape"
        )


def budget_for(mechanism: Mechanism, epsilon: Fraction, delta: Fraction) -> Cost:
    """Return the largest cost in the mechanism's own currency that keeps (epsilon, delta).

    For discrete Laplace noise that is epsilon itself: the promise is pure, and `delta` is not
    used. Raises PrivacyError for an unknown mechanism, and as `rho_for` does.
    """
    return noise_of(mechanism).budget(epsilon, delta)


def gaussian_cost(l2_squared: int | Fraction, sigma: Fraction, reports_per_worker: int) -> Cost:
    """Return rho = m^2 * l2_squared / (2 (sigma^2 - 5/4)), exactly. PrivacyError for bad noise.

    It is the cost of one release in which one aggregator's noise of `sigma` counts alone:
    the others' noise is treated as known to the attacker. `l2_squared` is for one report.
    """
    _exact(l2_squared, "a squared sensitivity")
    _check_reports(reports_per_worker)
    check_scale(sigma, GAUSSIAN.least)
    return Cost("zcdp", reports_per_worker**2 * l2_squared / (2 * (sigma**2 - WHOLE_NUMBERS)))


def laplace_cost(l1: int | Fraction, scale: Fraction, reports_per_worker: int) -> Cost:
    """Return epsilon = m * l1 / b, exactly, as `gaussian_cost` does for the other mechanism."""
    _exact(l1, "a sensitivity")
    _check_reports(reports_per_worker)
    check_scale(scale)
    return Cost("pure", Fraction(reports_per_worker * l1) / scale)


class _Sensitive(Protocol):
    """What has sensitivities to one report: a shape, or a statistic's layout."""

    @property
    def l2_squared(self) -> int | Fraction: ...
    @property
    def l1(self) -> int | Fraction: ...


@dataclass(frozen=True)
class Noise:
    """What is asked of a mechanism everywhere else; there are two, `GAUSSIAN` and `LAPLACE`.

    Attributes:
        name: The mechanism, as plans call it.
        in_task: How a task calls it.
        in_words: How people call it.
        scale_name: What its scale is called in tasks and releases.
        cost_kind: The kind of cost it is charged in.
        unit: What an amount of that is called.
        least: The least scale it is used with.
        norm: 2 where the squared L2 sensitivity counts, 1 where the L1 sensitivity does.
    """

    name: Mechanism
    in_task: str
    in_words: str
    scale_name: str
    cost_kind: Kind
    unit: str
    norm: Literal[1, 2]
    least: Fraction

    def sensitivity(self, of: _Sensitive) -> int | Fraction:
        """The sensitivity to one report that it is charged for."""
        return of.l2_squared if self.norm == 2 else of.l1

    def whole(self, sensitivity: int | Fraction, reports_per_worker: int) -> Fraction:
        """The same sensitivity to all reports of a worker: of m times as many, m or m^2 times."""
        return Fraction(int(reports_per_worker**self.norm) * sensitivity)

    def cost(self, sensitivity: int | Fraction, scale: Fraction, reports_per_worker: int) -> Cost:
        """`gaussian_cost` or `laplace_cost`."""
        of = gaussian_cost if self.norm == 2 else laplace_cost
        return of(sensitivity, scale, reports_per_worker)

    def budget(self, epsilon: Fraction, delta: Fraction) -> Cost:
        """See `budget_for`."""
        if self.norm == 2:
            return Cost(self.cost_kind, rho_for(epsilon, delta))
        if not isinstance(epsilon, Fraction) or not 0 < epsilon <= MAX_EPSILON:
            raise PrivacyError("epsilon must be an exact, positive fraction", code="privacy.range")
        return Cost(self.cost_kind, epsilon)


GAUSSIAN: Final = Noise(
    "gaussian", "discrete-gaussian", "discrete Gaussian", "sigma", "zcdp", "rho", 2, Fraction(2)
)
LAPLACE: Final = Noise(
    "laplace", "discrete-laplace", "discrete Laplace", "b", "pure", "epsilon", 1, MIN_SCALE
)
_BY_NAME: Final[Mapping[str, Noise]] = MappingProxyType({n.name: n for n in (GAUSSIAN, LAPLACE)})
_BY_COST: Final[Mapping[Kind, Noise]] = MappingProxyType(
    {n.cost_kind: n for n in (GAUSSIAN, LAPLACE)}
)


def noise_of(mechanism: Mechanism) -> Noise:
    """Return what there is to know of a mechanism; PrivacyError for a name that is none."""
    found = _BY_NAME.get(mechanism) if isinstance(mechanism, str) else None
    if found is None:
        raise PrivacyError(f"unknown mechanism: {mechanism!r:.20}", code="privacy.mechanism")
    return found


def _root_floor(value: int, degree: int) -> int:
    """Return the largest whole number whose power of `degree`, 1 to 3, is at most `value`."""
    if degree == 1:
        return value
    if degree == 2:
        return isqrt(value)
    root = 1 << -(-value.bit_length() // 3)  # not below it; Newton's steps come down to it
    while root**3 > value:
        root = (2 * root + value // root**2) // 3
    return root


def _weights(shapes: Sequence[StatisticShape], noise: Noise) -> list[int]:
    """Return integers proportional to the shares of the budget, to 64 bits.

    Of rho: Delta2 * sqrt(importance * error). Of epsilon: the cube root of importance * error *
    Delta1^2. The powers are brought to integers first, so every root is at least 2^64 and its
    truncation loses less than one part in 2^64, alike on every machine.
    """
    power = 2 // noise.norm
    degree = 1 + power
    powers = [
        shape.importance * shape.error * noise.sensitivity(shape) ** power for shape in shapes
    ]
    common = lcm(*(power.denominator for power in powers))
    return [_root_floor(int(power * common) << (degree * _GUARD_BITS), degree) for power in powers]


def _ceiling(value: Fraction) -> int:
    return -((-value.numerator) // value.denominator)


def _allocate(shape: StatisticShape, share: Cost, reports_per_worker: int) -> Allocation:
    """Return the least allowed noise whose exact cost is at most `share`."""
    noise = _BY_COST[share.kind]
    sensitivity, norm = noise.sensitivity(shape), noise.norm
    # The cost is m^norm * sensitivity / (norm * power); see `gaussian_cost`, `laplace_cost`.
    power = reports_per_worker**norm * sensitivity / (norm * share.amount)
    if noise is GAUSSIAN:
        power += WHOLE_NUMBERS
    # j/64 is enough when j^norm >= 64^norm * power; j is whole, so the right side may be rounded
    # up to a whole number too, and 1 + the floor of the root of n - 1 is the ceiling of that of n.
    units = _root_floor(_ceiling(SCALE_UNITS**norm * power) - 1, norm) + 1
    scale = max(Fraction(units, SCALE_UNITS), noise.least)
    if scale * shape.scale > MAX_SCALE:
        raise PrivacyError(
            f"{shape.name}: the budget is so small that its noise would drown everything",
            code="privacy.scale",
            hint="raise epsilon, ask for fewer statistics, or use a coarser step",
        )
    return Allocation(noise.name, scale, noise.cost(sensitivity, scale, reports_per_worker))


def split(
    shapes: Sequence[StatisticShape], budget: Cost, reports_per_worker: int
) -> dict[str, Allocation]:
    """Split a round's `budget` over its statistics, in the order given. Whoever reads a task does.

    The kind of the budget decides the mechanism. The shares minimise
    sum(importance_s * error_s * variance_s), where the derivatives are equal:

    - rho_s proportional to Delta2_s * sqrt(importance_s * error_s), for the variance is
      m^2 Delta2_s^2 / (2 rho_s);
    - epsilon_s proportional to the cube root of importance_s * error_s * Delta1_s^2, for the
      variance is 2 m^2 Delta1_s^2 / epsilon_s^2.

    Each scale is rounded up to a multiple of 1/64, at least the mechanism's least, and the cost
    recomputed from it, so the costs sum to at most `budget`. What rounding leaves over stays
    unspent.

    Raises PrivacyError for no shapes, a name twice, a budget of nothing, or noise beyond
    MAX_SCALE.
    """
    if not isinstance(budget, Cost) or budget.amount <= 0:
        raise PrivacyError("the budget must be a cost, and not zero", code="privacy.budget")
    _check_reports(reports_per_worker)
    if not 1 <= len(shapes) <= _MAX_SHAPES:
        raise PrivacyError("no statistic to give budget to, or too many", code="privacy.shape")
    if len({shape.name for shape in shapes}) != len(shapes):
        raise PrivacyError("two statistics have one name", code="privacy.shape")
    weights = _weights(shapes, _BY_COST[budget.kind])
    total = sum(weights)
    return {
        shape.name: _allocate(
            shape, Cost(budget.kind, budget.amount * weight / total), reports_per_worker
        )
        for shape, weight in zip(shapes, weights, strict=True)
    }


def weighted_error(
    shapes: Sequence[StatisticShape], allocations: Mapping[str, Allocation]
) -> Fraction:
    """Return what `split` minimises: the sum of importance * error * variance. Means in units of M.

    It compares the two mechanisms for a plan, exactly and alike on every machine.
    """
    return sum(
        (s.importance * s.error * allocations[s.name].variance for s in shapes), start=Fraction(0)
    )

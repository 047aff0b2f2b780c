"""Discrete Gaussian and discrete Laplace noise, drawn by OpenDP. The only importer of OpenDP.

OpenDP samples exactly (no floating-point arithmetic in the noise itself) from the operating
system's randomness by way of OpenSSL. It is used here for one thing: to add noise to a
vector of zeros in signed 64-bit integers. No answer, share or total is ever passed to it,
because its integers saturate; the caller adds the noise modulo p.

OpenDP accepts a scale of 0, or one so small that nothing is added, without complaint. So
scales are checked here first, and its own privacy map is asked before anything is drawn.

OpenDP's constructors ask for features to be enabled, once per process. Only "contrib" is
needed, which means "not yet vetted by the OpenDP committee"; neither "floating-point" nor
"honest-but-curious" is enabled.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Final

from grievance.errors import PrivacyError
from grievance.privacy.mechanisms import check_scale, noise_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grievance.privacy.mechanisms import Mechanism

# OpenDP computes its maps in doubles, each step rounded up: a few parts in 2^52.
_FLOAT_ROUNDING: Final = Fraction(1, 2**46)
_MAX_SENSITIVITY: Final = 2**52


def _float(scale: Fraction) -> float:
    """Return a scale as a float of the same value, or raise PrivacyError."""
    exact = float(check_scale(scale))
    if exact <= 0 or Fraction(exact) != scale:
        raise PrivacyError("a noise scale is not exact in floating point", code="privacy.scale")
    return exact


def _measurement(mechanism: Mechanism, scale: Fraction, size: int) -> Any:
    """Return OpenDP's measurement: `size` zeros in, `size` independent draws out."""
    norm = noise_of(mechanism).norm
    exact = _float(scale)
    from opendp import prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"), size=size)
    if norm == 2:
        return dp.m.make_gaussian(domain, dp.l2_distance(T=float), exact)
    return dp.m.make_laplace(domain, dp.l1_distance(T="i64"), exact)


def _map(measurement: Any, mechanism: Mechanism) -> Fraction:
    """Ask OpenDP's map what numbers that move by 1 in all cost: rho, or epsilon."""
    cost = measurement.map(1.0 if noise_of(mechanism).norm == 2 else 1)
    if not isinstance(cost, float) or not 0 <= cost < float("inf"):
        raise PrivacyError("the sampler's own privacy map gives no number", code="privacy.map")
    return Fraction(cost)


def opendp_cost(mechanism: Mechanism, scale: Fraction, sensitivity: int | Fraction) -> Fraction:
    """Return the rho or epsilon that OpenDP's own privacy map states for noise of `scale`.

    `sensitivity` is the whole one, all of a worker's reports included: the squared L2 one for
    discrete Gaussian noise, the L1 one for discrete Laplace noise. It may be a fraction, as that
    of centred ticks is, and OpenDP takes whole distances: both costs are proportional to it, so
    the map is asked for 1, a double that OpenDP rounds up. Raises PrivacyError for a bad
    mechanism, scale or sensitivity.
    """
    if type(sensitivity) not in (int, Fraction) or not 0 < sensitivity <= _MAX_SENSITIVITY:
        raise PrivacyError("a sensitivity is exact and positive", code="privacy.shape")
    return _map(_measurement(mechanism, scale, 1), mechanism) * sensitivity


def check_opendp(
    mechanism: Mechanism, scale: Fraction, sensitivity: int | Fraction, charged: Fraction
) -> None:
    """Raise PrivacyError if OpenDP's map states more than `charged`, float rounding apart."""
    if opendp_cost(mechanism, scale, sensitivity) > charged * (1 + _FLOAT_ROUNDING):
        raise PrivacyError("the sampler states a higher cost than was charged", code="privacy.map")


def _draw_equal(mechanism: Mechanism, scale: Fraction, size: int) -> list[int]:
    measurement = _measurement(mechanism, scale, size)
    stated = _map(measurement, mechanism)
    norm = noise_of(mechanism).norm
    if stated > (1 + _FLOAT_ROUNDING) / (norm * scale**norm):
        raise PrivacyError("the sampler would add less noise than asked", code="privacy.map")
    noise = measurement([0] * size)
    if len(noise) != size or not all(type(draw) is int for draw in noise):
        raise PrivacyError("the sampler returned something else than noise", code="privacy.draw")
    return list(noise)


def draw(mechanism: Mechanism, scales: Sequence[Fraction]) -> list[int]:
    """Draw noise for every entry of `scales`, in the same order. Run by an aggregator.

    All draws are independent and from the operating system's randomness; there is no seed.
    Takes about 25 microseconds an entry (Laplace: 10). Every scale is checked before anything
    is drawn.

    Raises PrivacyError for an unknown mechanism, and for a scale that is not a multiple of 1/64
    from the mechanism's least to MAX_SCALE.
    """
    least = noise_of(mechanism).least  # or PrivacyError, before anything is drawn
    places: dict[Fraction, list[int]] = {}
    for place, scale in enumerate(scales):
        places.setdefault(check_scale(scale, least), []).append(place)
    noise = [0] * len(scales)
    for scale, where in places.items():
        for place, value in zip(where, _draw_equal(mechanism, scale, len(where)), strict=True):
            noise[place] = value
    return noise

"""Discrete Gaussian noise, drawn by OpenDP. The only importer of OpenDP.

OpenDP samples exactly (no floating-point arithmetic in the noise itself) from the operating
system's randomness by way of OpenSSL. It is used here for one thing: to add noise to a
vector of zeros in signed 64-bit integers. No answer, share or total is ever passed to it,
because its integers saturate; the caller adds the noise modulo p.

OpenDP accepts a scale of 0, or one so small that nothing is added, without complaint. So
scales are checked here first, and its own privacy map is asked afterwards.

OpenDP's constructors ask for features to be enabled, once per process. Only "contrib" is
needed, which means "not yet vetted by the OpenDP committee"; neither "floating-point" nor
"honest-but-curious" is enabled.
"""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from typing import TYPE_CHECKING, Any, Final

from grievance.errors import PrivacyError
from grievance.privacy.mechanisms import check_sigma

if TYPE_CHECKING:
    from collections.abc import Sequence

# OpenDP computes its map in doubles, each step rounded up: a few parts in 2^52.
_FLOAT_ROUNDING: Final = Fraction(1, 2**46)


def _scale(sigma: Fraction) -> float:
    """Return sigma as a float of the same value, or raise PrivacyError."""
    scale = float(check_sigma(sigma))
    if scale <= 0 or Fraction(scale) != sigma:
        raise PrivacyError("a noise scale is not exact in floating point", code="privacy.sigma")
    return scale


def _measurement(sigma: Fraction, size: int) -> Any:
    """Return OpenDP's measurement: `size` zeros in, `size` independent draws out."""
    scale = _scale(sigma)
    from opendp import prelude as dp

    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"), size=size)
    return dp.m.make_gaussian(domain, dp.l2_distance(T=float), scale)


def _map(measurement: Any, l2_squared: int) -> Fraction:
    rho = measurement.map(sqrt(l2_squared))
    if not isinstance(rho, float) or not 0 <= rho < float("inf"):
        raise PrivacyError("the sampler's own privacy map gives no number", code="privacy.map")
    return Fraction(rho)


def opendp_rho(sigma: Fraction, l2_squared: int) -> Fraction:
    """Return the rho that OpenDP's own privacy map states for noise of `sigma`.

    `l2_squared` is the whole squared sensitivity, m^2 included. The value is a double, rounded
    up by OpenDP, as a fraction. Raises PrivacyError for a bad sigma or sensitivity.
    """
    if type(l2_squared) is not int or not 1 <= l2_squared <= 2**52:
        raise PrivacyError("a squared sensitivity is a whole number from 1", code="privacy.shape")
    return _map(_measurement(sigma, 1), l2_squared)


def check_opendp(sigma: Fraction, l2_squared: int, rho: Fraction) -> None:
    """Raise PrivacyError if OpenDP's map states more than `rho`, float rounding apart."""
    if opendp_rho(sigma, l2_squared) > rho * (1 + _FLOAT_ROUNDING):
        raise PrivacyError("the sampler states a higher cost than was charged", code="privacy.map")


def _draw_equal(sigma: Fraction, size: int) -> list[int]:
    measurement = _measurement(sigma, size)
    if _map(measurement, 1) > (1 + _FLOAT_ROUNDING) / (2 * sigma**2):
        raise PrivacyError("the sampler would add less noise than asked", code="privacy.map")
    noise = measurement([0] * size)
    if len(noise) != size or not all(type(draw) is int for draw in noise):
        raise PrivacyError("the sampler returned something else than noise", code="privacy.draw")
    return list(noise)


def draw(sigmas: Sequence[Fraction]) -> list[int]:
    """Draw one discrete Gaussian per entry of `sigmas`, in the same order. Run by an aggregator.

    All draws are independent and from the operating system's randomness; there is no seed.
    Takes about 25 microseconds an entry. Every sigma is checked before anything is drawn.

    Raises PrivacyError for a sigma that is not a multiple of 1/64 from MIN_SIGMA to MAX_SIGMA.
    """
    places: dict[Fraction, list[int]] = {}
    for place, sigma in enumerate(sigmas):
        places.setdefault(check_sigma(sigma), []).append(place)
    noise = [0] * len(sigmas)
    for sigma, where in places.items():
        for place, value in zip(where, _draw_equal(sigma, len(where)), strict=True):
            noise[place] = value
    return noise

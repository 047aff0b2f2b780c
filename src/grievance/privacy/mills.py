"""From rho to (epsilon, delta) for Gaussian noise, by the exact formula of the continuous one.

Rho here is what `grievance.privacy.mechanisms` charges, m^2 Delta^2 / (2 (sigma^2 - 5/4)).
Discrete Gaussian noise of sigma is continuous noise of variance sigma^2 - 5/4, worked on
afterwards, up to factors that `SLACK` covers (docs/decisions/exact-conversion.md has lemma and
proof). So costs that add up to rho are no worse than one continuous Gaussian mechanism of
mu = sqrt(2 rho), for which

    delta = Phi(mu/2 - epsilon/mu) - e^epsilon Phi(-mu/2 - epsilon/mu)
          = phi(z) (R(z) - R(z + mu)),  z = epsilon/mu - mu/2,

with phi the normal density and R = (1 - Phi)/phi Mills' ratio, 1/(z + 1/(z + 2/(z + ...))). Its
convergents enclose it. Everything is rounded towards the larger delta; `decimal` rounds exp and
sqrt correctly, so results are the same on every machine.

Sources: Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy" (2018), Theorem
8; Dong, Roth and Su, "Gaussian Differential Privacy" (2022), for adding up; Smith and Thakurta,
"Fully Adaptive Composition for Gaussian Differential Privacy" (2022), for rounds that are planned
after earlier ones were published; Abramowitz and Stegun 26.2.14 for the continued fraction.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import Final

SLACK: Final = Fraction(1, 10**6)
"""What the factors of the lemma add to epsilon, and to the logarithm of delta, at most. They are
below exp(4e-18) for every number that one worker's answers move: enough for 2.5 x 10^11 of them
in a campaign, which is 3.8 million rounds of the largest plan that is read."""

MAX_EPSILON: Final = 100
"""Above this promises say nothing, and only the other conversion is tried."""

_MOST_TERMS: Final = 256
_UP: Final = Context(prec=40, rounding=ROUND_CEILING, Emin=-999_999, Emax=999_999)
_DOWN: Final = Context(prec=40, rounding=ROUND_FLOOR, Emin=-999_999, Emax=999_999)
_ONE: Final = Decimal(1)
_TWO_PI: Final = Decimal("6.28318530717958647692528676655900576")  # rounded down


def delta_of(rho: Fraction, epsilon: Fraction) -> Decimal:
    """Return a delta that rho keeps at epsilon, rounded up; 1 where the formula says nothing.

    Exact fractions in, rho > 0. It says nothing for epsilon of about rho or less, and above
    MAX_EPSILON.
    """
    if not rho < epsilon <= MAX_EPSILON:
        return _ONE
    mu = _UP.next_plus(_UP.sqrt(_up(2 * rho)))
    most = _UP.divide(_UP.multiply(mu, mu), 2)  # of this mu the rest is exact; more is worse
    z = _DOWN.divide(_DOWN.subtract(_down(epsilon - SLACK), most), mu)
    if z <= 0:
        return _ONE
    apart = _UP.subtract(_mills(z)[1], _mills(_UP.add(z, mu))[0])
    if apart <= 0:  # by rounding alone: they are too near to each other to tell
        return _ONE
    exponent = _UP.subtract(_up(SLACK), _DOWN.divide(_DOWN.multiply(z, z), 2))
    density = _UP.divide(_UP.next_plus(_UP.exp(exponent)), _DOWN.next_minus(_DOWN.sqrt(_TWO_PI)))
    return min(_ONE, _UP.multiply(density, apart))


def _mills(z: Decimal) -> tuple[Decimal, Decimal]:
    """Return two numbers between which Mills' ratio at z > 0 lies.

    What follows a term of the continued fraction is between z and z + (k + 1)/z; every step turns
    the bounds round.
    """
    terms = min(_MOST_TERMS, 16 + int(500 / (z * z)))  # enough for some 25 digits, but near 0
    low, high = z, _UP.add(z, _UP.divide(terms + 1, z))
    for k in range(terms, 0, -1):
        low, high = _DOWN.add(z, _DOWN.divide(k, high)), _UP.add(z, _UP.divide(k, low))
    return _DOWN.divide(_ONE, high), _UP.divide(_ONE, low)


def _up(value: Fraction) -> Decimal:
    return _UP.divide(Decimal(value.numerator), Decimal(value.denominator))


def _down(value: Fraction) -> Decimal:
    return _DOWN.divide(Decimal(value.numerator), Decimal(value.denominator))

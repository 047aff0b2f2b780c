"""What statistics cost, computed a second time: by other code and another method.

Nothing of the releasing side's arithmetic is used here, so that a mistake there is seen. The
facts are the papers'.

Discrete Laplace noise, P(x) proportional to exp(-|x| / b), added to numbers that one person can
move by at most Delta in all (L1), costs a pure epsilon of Delta / b: by the triangle inequality
that is the most by which ln P can differ. Epsilons add up, and keep epsilon; that is all of it.

Discrete Gaussian noise of sigma, added to numbers that one person can move by at most Delta (in
L2), is charged rho = Delta^2 / (2 (sigma^2 - 5/4)), and costs add up. Rho keeps (epsilon, delta)
when either of two things is proved. One is that of all mechanisms of zCDP, of which the noise
would be one at a lower cost:

    delta >= exp(L(x)),  L(x) = x ((1 + x) rho - epsilon) + x ln x - (1 + x) ln(1 + x)

for any one x = alpha - 1 > 0. So a promise is checked by finding a good x with ordinary floats
(a bisection of the slope, in which a mistake can only make the check stricter) and then proving
L(x) <= ln(delta) for that x with logarithms enclosed between two fractions of `_BITS` bits.

The other holds because the noise is, but for factors that `SLACK` covers, continuous noise of
variance sigma^2 - 5/4, worked on afterwards (docs/decisions/exact-conversion.md): with
mu = sqrt(2 rho), z = epsilon/mu - mu/2, phi the normal density and R(z) = 1/(z + 1/(z + 2/(z +
...))) Mills' ratio,

    delta >= phi(z) (R(z) - R(z + mu)).

Every second convergent of R lies above it and the others below, so exact fractions prove it.

The check errs to the strict side alone. What it may wrongly refuse is a rho within `TOLERANCE`
(relative, in delta) of the true limit.

Sources: Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (arXiv
2004.00010), Theorem 14, Proposition 12, Corollary 13; Balle and Wang, "Improving the Gaussian
Mechanism for Differential Privacy" (2018), Theorem 8; Bun and Steinke 2016, Lemma 1.7;
Dwork, McSherry, Nissim, Smith, "Calibrating Noise to Sensitivity" (2006), Proposition 1.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

SCALE_UNITS = 64
LEAST_SCALE = {"gaussian": Fraction(2), "laplace": Fraction(1, 2)}
"""Every scale, sigma or b, is a multiple of 1/64, and none is below this."""

WHOLE = Fraction(5, 4)
SLACK = Fraction(1, 10**6)
_CONVERGENTS = 300
_FAR = Fraction(10**4)
_FINE = 1 << 40
_TWICE_PI = 2 * Fraction(314159265358979, 10**14)

TOLERANCE = Fraction(1, 10**12)
_BITS = 192
_ONE = 1 << _BITS
_STEPS = 200
_LARGEST = Fraction(10**300)


def moved_by_count(cells: int) -> int:
    """How far one exchanged report can move a count or distribution, L1 or squared L2.

    At most one of its bits is 1 before, and one after.
    """
    return min(2, cells)


@dataclass(frozen=True)
class Ticks:
    """A table of ticks: T = 64 ticks - a answered by groups, with t times the noise of people.

    `labels` can be ticked, at most `most` by one person; `power` is 2 for squared L2, 1 for L1.
    """

    labels: int
    most: int
    groups: int
    required: bool
    power: int

    def centre(self) -> tuple[int, int]:
        """What `a` and `t` have to be: t is the largest at which other moves cost no more."""
        if self.power == 2:
            a = min(64 * self.most // self.labels, 32)
        else:
            a = 32 if 5 * (self.labels + 2) ** 2 <= 16 * (self.most + 1) ** 2 else 0
        moves, t = self._moves(a), 64
        while all(self._far(moves, people, t + 1) <= moves[0] for people in moves if people):
            t += 1
        return a, t

    def moved(self, a: int, t: int) -> Fraction:
        """How far one exchanged report can move the table, in units of the noise."""
        moves = self._moves(a)
        most = max(self._far(moves, people, t) for people in moves)
        return Fraction(most, t**self.power)

    def blanked(self, a: int, t: int) -> Fraction:
        """The same for a report that becomes blank."""
        return Fraction(self._far(self._moves(a), 1, t), t**self.power)

    def _far(self, moves: dict[int, int], people: int, t: int) -> int:
        """The farthest exchange that changes so many numbers of people, in units of T."""
        return moves[people] + int(people * t**self.power)

    @lru_cache(maxsize=256)  # noqa: B019 - small, frozen, and asked for several times a statistic
    def _moves(self, a: int) -> dict[int, int]:
        """For exchanges that change no, one and two numbers of people: the farthest T moves.

        One person with i ticks is exchanged for one of the same group with j; for nothing; and for
        one of another group with j, or for one who did not answer.
        """
        walk = range(self.most + 1)
        ticked, not_ticked = (64 - a) ** self.power, a**self.power
        rows = [int(i * ticked + (self.labels - i) * not_ticked) for i in walk]
        moves = {0: 0, 1: max(rows)}
        if not self.required:
            moves[2] = max(rows)
        for i, j in itertools.product(walk, walk):
            alike = max(0, i + j - self.labels)  # ticks that cannot but be the same
            moves[0] = max(moves[0], (i + j - 2 * alike) * int(64**self.power))
            if self.groups > 1:
                moves[2] = max(moves.get(2, 0), rows[i] + rows[j])
        return moves


def _moves_of_mean(grid_size: int, groups: int) -> Iterable[list[Fraction]]:
    """The farthest exchanges of a report on a mean: T divided by M = `grid_size`, and N.

    One report adds 2v - M, at most M either way, to the T of its group and 1 to the N. Within
    one group an exchange moves T by at most 2M and N by nothing; against a blank report one T by
    at most M and one N by 1; between two groups, if there are two, that twice over.
    """
    most = Fraction(grid_size, grid_size)
    yield [2 * most]
    yield [most, Fraction(1)]
    if groups > 1:
        yield [most, Fraction(1)] * 2


def moved_by_mean(grid_size: int, groups: int) -> int:
    """The squared L2 distance that one exchanged report moves a mean's totals, as noised."""
    moves = _moves_of_mean(grid_size, groups)
    return math.ceil(max(sum(by * by for by in each) for each in moves))


def shifted_by_mean(grid_size: int, groups: int) -> int:
    """The L1 distance of the same."""
    return math.ceil(max(sum(each) for each in _moves_of_mean(grid_size, groups)))


def rho_of(moved: int | Fraction, sigma: Fraction, reports_per_worker: int) -> Fraction:
    """Rho of one use of discrete Gaussian noise: (m^2 `moved`) / (2 (sigma^2 - 5/4)), exactly.

    `moved` is the squared L2 distance for one report; m reports move m times as far.
    """
    whole = WHOLE if sigma >= LEAST_SCALE["gaussian"] else 0  # less is a finding of its own
    return Fraction(reports_per_worker**2 * moved) / (2 * (sigma * sigma - whole))


def epsilon_of(shifted: int | Fraction, b: Fraction, reports_per_worker: int) -> Fraction:
    """Epsilon of one use of discrete Laplace noise: (m `shifted`) / b, exactly.

    `shifted` is the L1 distance for one report.
    """
    return Fraction(reports_per_worker * shifted) / b


def scale_fault(mechanism: str, scale: Fraction) -> str | None:
    """What is wrong with a noise scale, in words; None if nothing is."""
    if (scale * SCALE_UNITS).denominator != 1:
        return f"the noise scale {scale} is no multiple of 1/{SCALE_UNITS}"
    least = LEAST_SCALE[mechanism]
    if scale < least:
        return f"the noise scale {scale} is below {least}, the least that is ever added"
    return None


@lru_cache(maxsize=1024)
def keeps(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether a cost of `rho` is proved to keep (epsilon, delta). Never true wrongly."""
    if rho <= 0:
        return rho == 0
    if epsilon <= 0 or not 0 < delta < 1:
        return False
    return _as_gaussian(rho, epsilon, delta) or _as_zcdp(rho, epsilon, delta)


def _as_gaussian(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    """Whether one continuous Gaussian mechanism of that cost is proved to keep the promise.

    mu is rounded up, z down and to `_FAR` at most: all of that makes delta larger.
    """
    if rho >= epsilon:
        return False
    mu = Fraction(math.isqrt(math.ceil(2 * rho * _FINE**2)) + 1, _FINE)
    z = (epsilon - SLACK - mu * mu / 2) / mu
    z = Fraction(math.floor(min(z, _FAR) * _FINE), _FINE)
    if z <= 0:
        return False
    apart = _mills(z, _CONVERGENTS + 1) - _mills(z + mu, _CONVERGENTS)
    if apart <= 0:
        return False
    _, most = ln_bounds(apart)
    least, _ = ln_bounds(_TWICE_PI)
    return SLACK + most - z * z / 2 - least / 2 <= ln_bounds(delta)[0]


def _mills(z: Fraction, convergent: int) -> Fraction:
    """A convergent of Mills' ratio at z, of denominator _FINE: above it if odd, below if even."""
    n, squared = int(z * _FINE), _FINE * _FINE
    above, below, before_above, before_below = 1, n, 0, 1
    for k in range(1, convergent):
        above, before_above = n * above + k * squared * before_above, above
        below, before_below = n * below + k * squared * before_below, below
    return Fraction(above * _FINE, below)


def _as_zcdp(rho: Fraction, epsilon: Fraction, delta: Fraction) -> bool:
    x = _good_order(float(min(rho, _LARGEST)), float(epsilon))
    _, log_x = ln_bounds(x)
    log_next, _ = ln_bounds(1 + x)
    log_delta, _ = ln_bounds(delta)
    return x * ((1 + x) * rho - epsilon) + x * log_x - (1 + x) * log_next <= log_delta


def _good_order(rho: float, epsilon: float) -> Fraction:
    """About the x > 0 at which L is least: where its slope, which only rises, is zero."""
    low, high = 1e-9, 1e15
    for _ in range(_STEPS):
        middle = math.sqrt(low) * math.sqrt(high)
        slope = (2 * middle + 1) * rho - epsilon - math.log1p(1 / middle)
        low, high = (middle, high) if slope < 0 else (low, middle)
    return Fraction(low)


def ln_bounds(value: Fraction) -> tuple[Fraction, Fraction]:
    """Two fractions between which ln(`value`) lies, for `value` > 0.

    value = m 2^k with 1 <= m < 2, and ln m = 2 artanh((m - 1)/(m + 1)).
    """
    shift = value.numerator.bit_length() - value.denominator.bit_length()
    mantissa = value / Fraction(2) ** shift
    if mantissa < 1:
        shift, mantissa = shift - 1, mantissa * 2
    low, high = _artanh_bounds((mantissa - 1) / (mantissa + 1))
    two_low, two_high = _artanh_bounds(Fraction(1, 3))
    low += shift * (two_low if shift >= 0 else two_high)
    high += shift * (two_high if shift >= 0 else two_low)
    return Fraction(2 * low, _ONE), Fraction(2 * high, _ONE)


@lru_cache(maxsize=64)
def _artanh_bounds(y: Fraction) -> tuple[int, int]:
    """Bounds of artanh(y) = y + y^3/3 + y^5/5 + ..., 0 <= y <= 1/3, in units of 2^-_BITS.

    Lower sums round every term down, upper sums up. What follows the last term summed is less
    than 9/8 of the next one, because every term is at most 1/9 of the one before.
    """
    low_power = (y.numerator * _ONE) // y.denominator
    high_power = -((-y.numerator * _ONE) // y.denominator)
    low_square = low_power * low_power >> _BITS
    high_square = -(-(high_power * high_power) >> _BITS)
    low = high = 0
    odd = 1
    while high_power > 1:
        low += low_power // odd
        high += -(-high_power // odd)
        low_power = low_power * low_square >> _BITS
        high_power = -(-(high_power * high_square) >> _BITS)
        odd += 2
    return low, high + 2 * high_power + 2

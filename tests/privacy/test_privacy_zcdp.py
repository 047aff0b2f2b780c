"""The conversion against other ways to compute it, and against true losses of Gaussians."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from grievance.errors import PrivacyError
from grievance.privacy import mills, zcdp
from grievance.privacy.zcdp import delta_for, epsilon_for, rho_for, zcdp_delta

MILLIONTH = Fraction(1, 10**6)
GRID = [
    (Fraction(rho), Fraction(epsilon))
    for rho, epsilon in [
        ("0.0001", "0.1"),
        ("0.0195", "1"),
        ("0.02435597", "1"),
        ("0.01", "0.5"),
        ("0.18506984", "3"),
        ("0.5", "3"),
        ("2", "10"),
        ("1", "1"),
        ("3", "2"),
        ("50", "100"),
        ("0.1", "0"),
        ("0.00002", "0.05"),
    ]
]


def slow_delta(rho: Fraction, epsilon: Fraction) -> Decimal:
    """The formula as it is printed, in 90 digits, minimised by golden section over log(alpha-1)."""
    with localcontext(prec=90, traps=[]):  # where it overflows, infinity is the right answer
        r = Decimal(rho.numerator) / Decimal(rho.denominator)
        e = Decimal(epsilon.numerator) / Decimal(epsilon.denominator)

        def bound(log_x: Decimal) -> Decimal:
            alpha = 1 + log_x.exp()
            power = (alpha * (1 - 1 / alpha).ln()).exp()
            return ((alpha - 1) * (alpha * r - e)).exp() / (alpha - 1) * power

        grid = [Decimal(step) / 4 for step in range(-80, 81)]
        best = min(grid, key=bound)
        low, high = best - Decimal("0.25"), best + Decimal("0.25")
        ratio = (Decimal(5).sqrt() - 1) / 2
        while high - low > Decimal("1e-20"):
            left, right = high - ratio * (high - low), low + ratio * (high - low)
            if bound(left) < bound(right):
                high = right
            else:
                low = left
        return min(bound((low + high) / 2), Decimal(1))


@pytest.mark.parametrize(("rho", "epsilon"), GRID)
def test_delta_is_the_infimum_and_never_below(rho: Fraction, epsilon: Fraction) -> None:
    ours, slow = Fraction(zcdp_delta(rho, epsilon)), Fraction(slow_delta(rho, epsilon))
    assert ours >= slow * (1 - Fraction(1, 10**30))
    assert ours <= slow * (1 + Fraction(1, 10**18))


@settings(max_examples=40)
@given(st.fractions(Fraction(1, 10**4), 20), st.fractions(0, 50, max_denominator=1000))
@example(Fraction("1.626874971"), Fraction("4.170000002"))  # best alpha below 2
@example(Fraction(12), Fraction(2))
def test_delta_is_the_infimum_anywhere(rho: Fraction, epsilon: Fraction) -> None:
    # Below some e^-1000 the slow reference would need longer numbers than a test has time for.
    assume(epsilon**2 <= 4000 * rho)
    test_delta_is_the_infimum_and_never_below(rho, epsilon)


@pytest.mark.parametrize(("rho", "epsilon"), [pair for pair in GRID if pair[1] > 0])
def test_delta_agrees_with_opendp(rho: Fraction, epsilon: Fraction) -> None:
    from opendp import prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64"), size=1), dp.l2_distance(T=float)
    approximate = dp.c.make_zCDP_to_approxDP(dp.m.make_gaussian(*space, 1.0))
    profile = approximate.map(math.sqrt(2 * rho))
    assert float(zcdp_delta(rho, epsilon)) == pytest.approx(profile.delta(float(epsilon)), rel=1e-7)
    delta = zcdp_delta(rho, epsilon)
    if Decimal("1e-300") < delta <= Decimal("0.5"):
        ours = epsilon_for(rho, Fraction(delta))
        assert float(ours) <= profile.epsilon(float(delta)) * (1 + 1e-6) + 1e-8


def gaussian_delta(mu: float, epsilon: float) -> float:
    """The true delta of the continuous Gaussian at distance mu = sqrt(2 rho)."""

    def upper(t: float) -> float:
        return math.erfc(t / math.sqrt(2)) / 2

    return upper(epsilon / mu - mu / 2) - math.exp(epsilon) * upper(epsilon / mu + mu / 2)


@pytest.mark.parametrize(("rho", "epsilon"), GRID)
def test_delta_covers_the_true_loss_of_gaussian_noise(rho: Fraction, epsilon: Fraction) -> None:
    true = gaussian_delta(math.sqrt(2 * rho), float(epsilon))
    assert true <= float(delta_for(rho, epsilon)) * (1 + 1e-9)


@pytest.mark.parametrize("sigma", [2.0, 3.0, 8.0])
@pytest.mark.parametrize("shift", [1, 2])
@pytest.mark.parametrize("epsilon", ["0.25", "1", "3"])
def test_delta_covers_the_true_loss_of_discrete_noise(
    sigma: float, shift: int, epsilon: str
) -> None:
    reach = int(40 * sigma) + 5
    pmf = {x: math.exp(-x * x / (2 * sigma**2)) for x in range(-reach - shift, reach + shift + 1)}
    total = math.fsum(pmf.values())
    factor = math.exp(float(epsilon))
    true = math.fsum(max(0.0, pmf[x] - factor * pmf[x - shift]) for x in range(-reach, reach + 1))
    rho = Fraction(shift**2) / (2 * (Fraction(sigma) ** 2 - Fraction(5, 4)))
    assert true / total <= float(delta_for(rho, Fraction(epsilon))) * (1 + 1e-9)


KNOWN = [
    ("0.1", "0.000001", "0.000379346"),
    ("1", "0.000001", "0.028014427"),
    ("3", "0.000001", "0.209774685"),
    ("4", "0.000001", "0.351003464"),
    ("10", "0.000000001", "1.18253309"),
    ("100", "0.000001", "52.235017405"),
    ("1000", "0.000001", "793.664179563"),
    ("1", "0.5", "1.016364342"),
    ("0.001", "0.001", "0.000005457"),
]


@pytest.mark.parametrize(("epsilon", "delta", "rho"), KNOWN)
def test_rho_for_known_answers(epsilon: str, delta: str, rho: str) -> None:
    """Pinned: every party recomputes a task's noise from these, in every version."""
    assert rho_for(Fraction(epsilon), Fraction(delta)) == Fraction(rho)
    step = Fraction(1, zcdp.RHO_UNITS)
    at, above = (
        Fraction(delta_for(Fraction(rho) + extra, Fraction(epsilon))) for extra in (0, step)
    )
    assert at <= Fraction(delta) < above
    if Fraction(epsilon) > mills.MAX_EPSILON or Fraction(rho) >= Fraction(epsilon):
        assert Fraction(slow_delta(Fraction(rho), Fraction(epsilon))) <= Fraction(delta)
    else:  # from `gaussian_delta`, in floats and by bisection
        if Fraction(epsilon) >= Fraction(1, 10):  # below, with a large delta, it is not so tight
            assert float(rho) == pytest.approx(true_rho(float(epsilon), float(delta)), rel=2e-4)
        assert float(rho) <= true_rho(float(epsilon), float(delta)) * (1 + 1e-9)


def true_rho(epsilon: float, delta: float) -> float:
    low, high = 0.0, epsilon
    for _ in range(200):
        middle = (low + high) / 2
        kept = gaussian_delta(math.sqrt(2 * middle), epsilon) <= delta
        low, high = (middle, high) if kept else (low, middle)
    return low


epsilons = st.fractions(Fraction(1, 100), 50, max_denominator=1000)
deltas = st.integers(1, 30).map(lambda n: Fraction(1, 10**n))
rhos = st.fractions(Fraction(1, 10**5), 20, max_denominator=10**6)


@settings(max_examples=60)
@given(epsilons, deltas)
def test_rho_for_is_the_largest_that_keeps_the_promise(epsilon: Fraction, delta: Fraction) -> None:
    rho = rho_for(epsilon, delta)
    assert (rho * zcdp.RHO_UNITS).denominator == 1
    assert Fraction(delta_for(rho, epsilon)) <= delta
    assert Fraction(delta_for(rho + Fraction(1, zcdp.RHO_UNITS), epsilon)) > delta


@settings(max_examples=60)
@given(rhos, deltas)
def test_epsilon_for_is_the_least_that_is_kept(rho: Fraction, delta: Fraction) -> None:
    epsilon = epsilon_for(rho, delta)
    assert Fraction(delta_for(rho, Fraction(epsilon))) <= delta
    if epsilon > 0:
        less = Fraction(epsilon) - Fraction(1, 10**9)
        assert Fraction(delta_for(rho, less)) > delta


@settings(max_examples=60)
@given(epsilons, deltas)
def test_round_trip(epsilon: Fraction, delta: Fraction) -> None:
    back = Fraction(epsilon_for(rho_for(epsilon, delta), delta))
    step = Fraction(1, 10**9)
    assert back <= epsilon + step  # epsilon_for answers in steps, epsilon need not be one
    assert rho_for(back + step, delta) >= rho_for(epsilon, delta)
    assert back >= epsilon * Fraction(99, 100)


@settings(max_examples=60)
@given(rhos, rhos, epsilons, epsilons)
def test_delta_is_monotone(a: Fraction, b: Fraction, e: Fraction, f: Fraction) -> None:
    low, high = sorted((a, b))
    near, far = sorted((e, f))
    slack = 1 + Decimal("1e-17")
    assert delta_for(low, near) <= delta_for(high, near) * slack
    assert delta_for(low, far) <= delta_for(low, near) * slack
    assert 0 <= delta_for(low, near) <= 1


@settings(max_examples=40)
@given(epsilons, epsilons, deltas, deltas)
def test_rho_for_is_monotone(e: Fraction, f: Fraction, c: Fraction, d: Fraction) -> None:
    near, far = sorted((e, f))
    strict, loose = sorted((c, d))
    assert rho_for(near, strict) <= rho_for(far, strict) <= rho_for(far, loose)


@pytest.mark.parametrize(
    "rho", [Fraction(1, 10**30), Fraction(1, 3), Fraction(17), Fraction(10**6)]
)
@pytest.mark.parametrize("epsilon", [0, Fraction(1, 10**9), 1, 20, 10**6])
def test_delta_over_the_whole_range(rho: Fraction | int, epsilon: Fraction | int) -> None:
    assert 0 < delta_for(rho, epsilon) <= 1
    assert delta_for(Fraction(0), epsilon) == 0


def test_a_poor_search_never_makes_delta_smaller() -> None:
    """Whatever alpha is found, the bound holds: the search is not part of what is trusted."""
    for rho, epsilon in GRID:
        best = delta_for(rho, epsilon)
        for x in ("1e-12", "0.001", "0.9", "1", "2", "37.5", "1e5", "1e20"):
            bound = zcdp._delta_bound(rho, epsilon, Decimal(x))
            assert bound * (1 + Decimal("1e-18")) >= best


ANSWERS = """
import sys
if sys.argv[1] == "pure":
    sys.modules["_decimal"] = None
import decimal
assert (decimal.__file__ and hasattr(decimal, "HAVE_THREADS"))
assert (sys.argv[1] == "pure") == (type(decimal.Decimal.ln).__name__ == "function")
from fractions import Fraction as F
from grievance.privacy import mills, zcdp
for e, d in ((F(1), F(1, 10**6)), (F(1, 7), F(1, 10**9)), (F(30), F(1, 3))):
    print(zcdp.rho_for(e, d), zcdp.epsilon_for(e, d), zcdp.delta_for(e / 20, e))
"""


def test_the_same_on_another_implementation_of_decimal() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", ANSWERS, kind], capture_output=True, text=True, check=True
        ).stdout
        for kind in ("c", "pure")
    ]
    assert runs[0] == runs[1]
    assert runs[0].startswith("28014427/1000000000 ")


def test_the_callers_decimal_context_changes_nothing() -> None:
    args = Fraction(2), Fraction(1, 10**7)
    expected = rho_for(*args), epsilon_for(*args), delta_for(Fraction(1, 20), args[0])
    with localcontext(prec=3, rounding="ROUND_UP") as odd:
        for function in (rho_for, epsilon_for, delta_for):
            function.cache_clear()
        assert (rho_for(*args), epsilon_for(*args), delta_for(Fraction(1, 20), args[0])) == expected
        assert getcontext() is odd
        assert odd.prec == 3


@pytest.mark.parametrize("epsilon", [Fraction(1, 10**6), Fraction(1, 3), 7, 10**4, 10**6])
@pytest.mark.parametrize("delta", [zcdp.MIN_DELTA, Fraction(1, 10**40), MILLIONTH, zcdp.MAX_DELTA])
def test_the_corners_settle_at_once(
    epsilon: Fraction | int, delta: Fraction, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A plan comes from outside: no epsilon and delta may keep its reader busy."""
    monkeypatch.setattr(zcdp, "_MAX_STEPS", 60)
    rho_for.cache_clear()
    if Fraction(delta_for(Fraction(1, zcdp.RHO_UNITS), epsilon)) > delta:
        with pytest.raises(PrivacyError, match="no budget"):
            rho_for(epsilon, delta)
        return
    back = Fraction(epsilon_for(rho_for(epsilon, delta), delta))
    assert epsilon * Fraction(9, 10) <= back <= epsilon + Fraction(1, 10**9)


def test_a_conversion_that_does_not_settle_is_an_error_not_a_loop() -> None:
    with pytest.raises(PrivacyError, match="no exact conversion"):
        zcdp._settle(10**6, lambda _: False, towards_kept=-1)
    assert zcdp._settle(7, lambda n: n <= 5, towards_kept=-1) == 5
    assert zcdp._settle(3, lambda n: n <= 5, towards_kept=-1) == 5
    assert zcdp._settle(7, lambda n: n >= 5, towards_kept=1) == 5
    assert zcdp._settle(3, lambda n: n >= 5, towards_kept=1) == 5
    assert zcdp._settle(2, lambda _: True, towards_kept=1) == 0


def test_rho_for_is_fast_enough_for_every_reading_of_a_task() -> None:
    def once() -> float:
        rho_for.cache_clear()
        delta_for.cache_clear()
        start = time.process_time()
        rho_for(Fraction(1), MILLIONTH)
        return time.process_time() - start

    # It takes two thousandths of a second.
    assert min(once() for _ in range(5)) < 0.1


@pytest.mark.parametrize("bad", [0.5, True, Decimal(1), "1", None, Fraction(-1), -1, 10**7])
def test_inexact_or_out_of_range_is_refused(bad: object) -> None:
    for call in (
        lambda: delta_for(bad, Fraction(1)),
        lambda: delta_for(Fraction(1), bad),
        lambda: rho_for(bad, MILLIONTH),
        lambda: rho_for(Fraction(1), bad),
        lambda: epsilon_for(bad, MILLIONTH),
        lambda: epsilon_for(Fraction(1), bad),
    ):
        with pytest.raises(PrivacyError):
            call()


def test_nothing_to_spend_is_refused() -> None:
    for epsilon, delta in [
        (0, MILLIONTH),
        (Fraction(1, 10**9), MILLIONTH),
        (1, 0),
        (1, 1),
        (1, 1 - Fraction(1, 10**30)),
        (1, Fraction(1, 10**301)),
    ]:
        with pytest.raises(PrivacyError):
            rho_for(epsilon, delta)
    assert epsilon_for(Fraction(0), MILLIONTH) == 0
    assert epsilon_for(Fraction(1, 10**6), Fraction(1, 2)) == 0

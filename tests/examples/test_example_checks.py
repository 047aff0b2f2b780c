"""What the examples judge with: counting rows, quantiles, intervals, the tail of the binomial."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest

ROWS = [
    {"group": "a", "said": "yes", "ticks": "x;y", "years": "3"},
    {"group": "a", "said": "no", "ticks": "none", "years": "5"},
    {"group": "b", "said": "yes", "ticks": "y", "years": ""},
    {"group": "b", "said": "", "ticks": "", "years": "9"},
    {"group": "", "said": "no", "ticks": "x", "years": "4"},
]


@pytest.fixture(scope="module")
def exact(load_example: Any) -> Any:
    load_example("osmi")
    import exact  # type: ignore[import-not-found]

    return exact


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ({"kind": "count"}, {"n": 5}),
        ({"kind": "count", "where": {"group": "a"}}, {"n": 2}),
        (
            {"kind": "histogram", "field": "said"},
            {"counts": {"yes": 2, "no": 2}, "not_answered": 1},
        ),
        (
            {"kind": "crosstab", "rows": "group", "cols": "said"},
            {"counts": {"a": {"yes": 1, "no": 1}, "b": {"yes": 1}}},
        ),
        (
            {"kind": "share", "field": "said", "of": ["yes"]},
            {"n_answered": 4, "n_yes": 2, "share": 0.5},
        ),
        (
            {"kind": "share_by", "field": "said", "of": ["yes"], "by": "group"},
            {
                "a": {"n_answered": 2, "n_yes": 1, "share": 0.5},
                "b": {"n_answered": 1, "n_yes": 1, "share": 1.0},
            },
        ),
        ({"kind": "multi", "field": "ticks"}, {"ticks": {"x": 2, "y": 2}, "n_answered": 4}),
        ({"kind": "mean", "field": "years"}, {"n": 4, "mean_clipped": 5.25}),
        (
            {"kind": "quantiles_by", "field": "years", "by": "group", "q": [0.5, 0.75]},
            {"a": {"q50": 3.0, "q75": 5.0}, "b": {"q50": 9.0, "q75": 9.0}},
        ),
    ],
)
def test_recount(exact: Any, question: dict[str, Any], answer: dict[str, Any]) -> None:
    assert exact.recount(ROWS, question) == answer


def test_nearest_rank(exact: Any) -> None:
    assert [exact.nearest_rank([1.0, 2.0, 3.0, 4.0], q) for q in (0.25, 0.26, 0.5, 0.99)] == [
        1.0,
        2.0,
        2.0,
        4.0,
    ]


def test_tail(exact: Any) -> None:
    assert exact.tail(10, 10) == pytest.approx(1)
    assert exact.tail(9, 10) == pytest.approx(1 - 0.95**10)
    assert exact.tail(0, 3) == pytest.approx(0.05**3)
    # The same chance told the other way round: ten or more of 200 outside, in exact fractions.
    out = Fraction(1, 20)
    fewer = sum(math.comb(200, k) * out**k * (1 - out) ** (200 - k) for k in range(10))
    assert exact.tail(190, 200) == pytest.approx(float(1 - fewer))


def test_verdict(exact: Any) -> None:
    def check(low: float, *, own: bool = True) -> Any:
        return exact.Check("s", "f", "0", low, 10.0, 5, own_noise=own)

    good = exact.Verdict.over([check(0)] * 19 + [check(6)])
    assert (good.inside, good.total, good.holds) == (19, 20, True)
    bad = exact.Verdict.over([check(0)] * 14 + [check(6)] * 6)
    assert not bad.holds
    shared_noise = exact.Verdict.over([check(0)] * 19 + [check(6, own=False)] * 9)
    assert (shared_noise.total, shared_noise.all_inside, shared_noise.holds) == (19, 19, True)
    assert "19 of 28" in str(shared_noise)

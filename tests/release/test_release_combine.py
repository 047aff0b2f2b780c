"""Adding noisy shares up: exact, centred, and flagged when it cannot be true."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grievance.errors import ReleaseError
from grievance.privacy.laws import NoiseLaw
from grievance.release import Suspect, combine, implausible

if TYPE_CHECKING:
    from collections.abc import Callable

P = 2**128 - 7 * 2**66 + 1
EDGES = [0, 1, -1, P // 2, -(P // 2)]


@settings(max_examples=100)
@given(
    totals=st.lists(
        st.sampled_from(EDGES) | st.integers(-(P // 2), P // 2), min_size=1, max_size=6
    ),
    masks=st.lists(st.integers(0, P - 1), min_size=12, max_size=12),
    aggregators=st.integers(2, 3),
)
def test_shares_add_up_to_the_signed_total(
    totals: list[int], masks: list[int], aggregators: int
) -> None:
    shares = [
        [masks[(i * len(totals) + at) % 12] for at in range(len(totals))]
        for i in range(aggregators - 1)
    ]
    shares.append(
        [(total - sum(column)) % P for total, *column in zip(totals, *shares, strict=True)]
    )
    assert combine(shares, P) == totals


@pytest.mark.parametrize(
    "shares",
    [
        [],
        [[1, 2]],
        [[1, 2], [1]],
        [[1, 2], [1, P]],
        [[1, 2], [1, -1]],
        [[1, 2], [1, True]],
        [[1, 2], [1, 1.0]],
    ],
)
def test_what_is_no_share_is_refused(shares: list[list[int]]) -> None:
    with pytest.raises(ReleaseError) as caught:
        combine(shares, P)
    assert str(P) not in str(caught.value)


def test_totals_out_of_reach_are_flagged_and_kept() -> None:
    def flagged(*values: int) -> list[int]:
        found = implausible(
            "s",
            values,
            scales=[1] * len(values),
            adds=[(0, 1)] * len(values),
            law=NoiseLaw("gaussian", Fraction(10), 2),
            accepted=1000,
        )
        assert all(isinstance(suspect, Suspect) for suspect in found)
        return [suspect.index for suspect in found]

    # 6 * 10 * sqrt(2) is 84.9
    assert flagged(0, 1000, -85, 1085, 500) == []
    assert flagged(-86, 1086, 500, 10**6) == [0, 1, 3]


def test_laplace_noise_may_lie_further_out() -> None:
    def flagged(value: int) -> bool:
        law = NoiseLaw("laplace", Fraction(10), 2)
        given = {"scales": [1], "adds": [(0, 1)], "law": law, "accepted": 1000}
        return bool(implausible("s", [value], **given))

    # Noise of two aggregators, b = 10: beyond 245 once in 10^9, which is 12 sd and not 6.
    assert not flagged(-200)
    assert flagged(-300)
    assert flagged(1300)


def test_totals_of_means_may_be_negative() -> None:
    found = implausible(
        "m",
        [-80_000, 80_000, -87_000, 87_000, -100],
        scales=[80, 80, 80, 80, 1],
        adds=[(-80, 80)] * 4 + [(0, 1)],
        law=NoiseLaw("gaussian", Fraction(10), 2),
        accepted=1000,
    )
    assert [suspect.index for suspect in found] == [2, 3, 4]


def test_a_release_says_what_is_suspect(task, make_release: Callable) -> None:
    values = {name: [0] * task.layout.statistics[name].num_released for name in task.allocations}
    values["contracts"][5] = 10**6
    values["hours_mean"][0] = -(10**7)
    values["hours_mean"][3] = -(10**4)
    release = make_release(task, values)
    assert release.suspect == (
        Suspect("contracts", 5),
        Suspect("hours_mean", 0),
        Suspect("hours_mean", 3),
    )
    assert release.to_json()["suspect"][0] == {"statistic": "contracts", "index": 5}
    assert release["contracts"].total(region="Wales").estimate == 10**6
    assert type(release).from_json(release.to_json()).suspect == release.suspect

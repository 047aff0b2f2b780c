"""The quorum that a plan gets which states none."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from grievance.plan.witnesses import MAX_WITNESSES, usual_quorum


@given(st.integers(3, MAX_WITNESSES))
def test_any_two_quorums_share_a_witness(witnesses: int) -> None:
    assert 2 <= usual_quorum(witnesses) <= witnesses < 2 * usual_quorum(witnesses)


def test_of_few_witnesses_all_are_wanted() -> None:
    assert [usual_quorum(number) for number in (0, 1, 2, 3, 4, 5)] == [0, 1, 2, 2, 3, 3]
